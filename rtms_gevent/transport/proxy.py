"""HTTP proxies that tunnel with CONNECT (RFC 9110 section 9.3.6)."""

from __future__ import annotations

import base64
import dataclasses
from urllib.parse import unquote, urlsplit

from gevent import socket

from ..errors import ConfigurationError
from .http_head import ResponseError, read_head

__all__ = ["Proxy"]


@dataclasses.dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that tunnels with CONNECT."""

    host: str
    port: int
    user: str = ""
    password: str = dataclasses.field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Read ``http://user:password@host:port``.

        Raises:
            ConfigurationError: it is no such address.
        """
        try:
            parts = urlsplit(url if "//" in url else f"//{url}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        if not host or parts.scheme not in ("", "http"):
            raise ConfigurationError(
                "a proxy must look like http://user:password@host:port; check set_proxy(), "
                "ZM_RTMS_PROXY and, where that is env, HTTPS_PROXY"
            )
        return cls(host, port or 80, unquote(parts.username or ""), unquote(parts.password or ""))

    @property
    def address(self) -> str:
        """Host and port: what is fit for a log."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def open_tunnel(self, sock: socket.socket, authority: str, max_header_bytes: int) -> None:
        """Have a connected socket lead to ``authority`` (host and port); waits cooperatively.

        Raises:
            ResponseError: the proxy refuses, or answers something else.
            OSError: the connection broke.
        """
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if self.user:
            pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            lines.append(f"Proxy-Authorization: Basic {pair}")
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        status, _, rest = read_head(sock, max_header_bytes, sender="it")
        if not 200 <= status <= 299:
            advice = "proxy wants password" if status == 407 else "proxy refuses"
            raise ResponseError(f"it answered HTTP {status} when asked for a tunnel", advice)
        if rest:  # the server cannot have sent anything: it waits for our handshake
            raise ResponseError("it sent more than an answer when asked for a tunnel", "proxy")

"""Parses the addresses that a webhook or a server names, and refuses hosts that are not allowed.

Whoever can forge a webhook can name any host, so only hosts are connected to that are Zoom's or
that the user allowed.

An :class:`Endpoint` is nothing but a WebSocket address (RFC 6455 section 3). It is here, and not in
the transport that connects to it, so that the rules and their result are pure and in one place.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from ..config import DEFAULT_ALLOWED_HOSTS
from ..errors import ServerUrlError

__all__ = ["Endpoint", "parse_server_urls"]

_DEFAULT_PORTS = {"ws": 80, "wss": 443}
_FORBIDDEN_CHARS = re.compile(r"[\x00-\x20\x7f\\]|[^\x00-\x7f]")
#: Letters, digits and hyphens (RFC 1123), and the underscores of container networks. A resolver
#: raises UnicodeError for labels that are empty or too long.
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\](:[0-9]*)?")
#: How a name ends that resolvers take for an IPv4 address, such as 127.1 or 0x7f000001; and the one
#: form that has no other meaning.
_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(\.{_OCTET}){{3}}")


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """One WebSocket address."""

    scheme: str  #: "ws" or "wss"
    host: str  #: lower case, an IPv6 address without brackets
    port: int
    resource: str  #: path and query

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme == "wss"

    @property
    def authority(self) -> str:
        """Host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port: what is fit for a log, since queries may hold keys."""
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        """The whole address."""
        return self.origin + self.resource


def parse_server_urls(text: object, allowed: Iterable[str]) -> tuple[Endpoint, ...]:
    """Return the addresses in ``text`` that may be connected to, in their order.

    Args:
        text: ``server_urls`` as Zoom sends it: one address, or several with commas between.
        allowed: Host names that are allowed, each with its subdomains. Plain ``ws`` is allowed
            only to hosts that are not among Zoom's own.

    Raises:
        ServerUrlError: none of them may be connected to; says why.
    """
    if not isinstance(text, str) or not text.strip():
        raise ServerUrlError(
            "server_urls is missing: pass the value of the start webhook's payload.server_urls"
        )
    names = tuple(filter(None, map(_allowed, allowed)))
    good: list[Endpoint] = []
    problems: list[str] = []
    for part in text.split(","):
        if not part.strip():
            continue
        found = _parse(part.strip(), names)
        if isinstance(found, Endpoint):
            good.append(found)
        else:
            problems.append(found)
    if not good:
        raise ServerUrlError(
            "server_urls cannot be used: " + "; ".join(problems or ["it is empty"])
        )
    return tuple(good)


def _parse(url: str, allowed: tuple[str, ...]) -> Endpoint | str:
    """Return the endpoint, or what is wrong with it."""
    if _FORBIDDEN_CHARS.search(url):
        return "an address holds blanks, control or non-ASCII characters"
    try:
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port
    except ValueError as problem:
        return f"an address is malformed ({problem})"
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        return f"scheme {scheme[:20]!r} is not wss"
    if not name:
        return "an address has no host"
    host = _host(parts.netloc, name)
    if host is None:
        return f"host {name[:100]!r} is no host name"
    if port == 0:
        return "an address has the port 0"
    if "@" in parts.netloc:
        return "an address holds a user name"
    matching = [known for known in allowed if host == known or host.endswith("." + known)]
    if not matching:
        return (
            f"host {host[:100]!r} is not allowed. Zoom's hosts are; to allow another one, name it "
            "in allowed_hosts=, RTMS_ALLOWED_HOSTS or ZM_RTMS_ALLOWED_HOSTS"
        )
    if scheme == "ws" and all(known in DEFAULT_ALLOWED_HOSTS for known in matching):
        return f"plain ws is not allowed to {host[:100]!r}, only wss"
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(scheme, host, port or _DEFAULT_PORTS[scheme], resource)


def _host(netloc: str, name: str) -> str | None:
    """Return a host in the one form in which it is compared and used; ``None`` if it is none.

    It must mean the same to us, to a resolver and to a proxy. So an IPv6 address has no zone, and
    an IPv4 address four decimal numbers.
    """
    if "[" in netloc or "]" in netloc:
        address = _BRACKETED.fullmatch(netloc)
        try:
            return str(ipaddress.IPv6Address(address[1])) if address else None
        except ValueError:
            return None
    name = name.removesuffix(".")
    form = _IPV4 if _NUMBER.fullmatch(name) else _NAME
    return name if form.fullmatch(name) else None


@functools.lru_cache(maxsize=64)
def _allowed(name: str) -> str | None:
    """Return an allowed name in the form of :func:`_host`; ``None`` for what allows nothing."""
    name = name.strip("[]")
    if ":" in name:
        return _host(f"[{name}]", name)
    return _host("", name.lower().lstrip("*."))

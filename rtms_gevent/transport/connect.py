"""Opens a WebSocket: DNS, TCP, proxy, TLS, HTTP upgrade, all of it without blocking the hub."""

from __future__ import annotations

import dataclasses
import functools
import socket as stdlib_socket
import ssl as stdlib_ssl
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import certifi
import websocket
from gevent import Timeout, socket, ssl
from websocket import _http

from .._version import __version__
from ..errors import ConfigurationError, ConnectError, TlsError
from ..protocol.urls import Endpoint
from .clock import Deadline, waitable
from .turns import take_turn

__all__ = ["Opened", "Proxy", "open_connection", "tls_context"]

#: What websocket-client 1.8 raises, beside its own errors, for a response that is no HTTP.
_UNREADABLE = (ValueError, IndexError)


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
            raise ConfigurationError("a proxy must look like http://user:password@host:port")
        return cls(host, port or 80, unquote(parts.username or ""), unquote(parts.password or ""))


@dataclasses.dataclass(slots=True)
class Opened:
    """A socket on which a WebSocket was opened."""

    sock: socket.socket
    #: What arrived behind the HTTP response already.
    early: bytes
    #: Headers of the HTTP response, names in lower case.
    headers: dict[str, str]


@functools.lru_cache(maxsize=16)
def tls_context(ca: str | None = None) -> ssl.SSLContext:
    """Return the shared TLS settings: 1.2 or newer, certificate and host name verified.

    Args:
        ca: File (PEM) with the certificates to trust; ``None`` means certifi's.

    Raises:
        ConfigurationError: the file cannot be read, or holds no certificate.
    """
    # Not create_default_context(): un-patched that returns the standard library's class, whose
    # sockets block the hub.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = stdlib_ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(ca or certifi.where())
    except (OSError, stdlib_ssl.SSLError) as problem:
        raise ConfigurationError(
            f"the CA file {ca!r} cannot be used ({problem}); check ca= and ZM_RTMS_CA"
        ) from problem
    return context


def open_connection(
    endpoint: Endpoint,
    *,
    deadline: Deadline,
    context: ssl.SSLContext | None = None,
    proxy: Proxy | None = None,
    max_header_bytes: int = 16 * 1024,
) -> Opened:
    """Open a WebSocket to ``endpoint``; waits cooperatively until it is open.

    Raises:
        TlsError: the certificate was not accepted, or the server speaks no TLS.
        ConnectError: any other step failed, or ``deadline`` passed; ``step`` tells which.
    """
    attempt = _Attempt(endpoint, deadline, max_header_bytes)
    # One timer for all steps, since several of them (name resolution, TLS) have none of their own.
    timeout = Timeout(deadline.left())
    with timeout:
        try:
            return attempt.run(context, proxy)
        except Timeout as expired:
            if expired is not timeout:
                raise
            raise attempt.failed(f"no answer within {deadline.seconds:g} s") from None
        finally:
            if not attempt.done:
                attempt.close()


class _Attempt:
    """One try at opening a WebSocket, and how far it has come."""

    def __init__(self, endpoint: Endpoint, deadline: Deadline, max_header_bytes: int) -> None:
        self.endpoint = endpoint
        self.step = "dns"
        self.done = False
        self._deadline = deadline
        self._max_header_bytes = max_header_bytes
        self._sock: socket.socket | None = None

    def failed(self, problem: str) -> ConnectError:
        kind = TlsError if self.step == "tls" else ConnectError
        return kind(self.endpoint.origin, self.step, problem)

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()

    def run(self, context: ssl.SSLContext | None, proxy: Proxy | None) -> Opened:
        host, port = self.endpoint.host, self.endpoint.port
        try:
            self._sock = self._dial(*((proxy.host, proxy.port) if proxy else (host, port)))
            if proxy:
                self.step = "proxy"
                self._tunnel(proxy)
            take_turn()
            if self.endpoint.secure:
                self.step = "tls"
                # In two steps, so that a socket whose handshake is cut short gets closed too.
                self._sock = secured = (context or tls_context()).wrap_socket(
                    self._sock, server_hostname=host, do_handshake_on_connect=False
                )
                secured.do_handshake()
                take_turn()
            self.step = "http"
            opened = self._upgrade()
        except stdlib_ssl.SSLCertVerificationError as problem:
            raise self.failed(_certificate_advice(problem)) from problem
        except stdlib_ssl.SSLError as problem:
            raise self.failed(
                f"TLS failed ({problem.reason or problem}); does the server speak TLS 1.2 or 1.3 "
                "on this port?"
            ) from problem
        except stdlib_socket.gaierror as problem:
            raise self.failed(f"the host name cannot be resolved ({problem.strerror})") from problem
        except UnicodeError as problem:  # from the resolver, which is asked for it in IDNA
            raise self.failed(f"the host name cannot be resolved ({problem})") from problem
        except ConnectionRefusedError as problem:
            raise self.failed("nobody listens there (connection refused)") from problem
        except OSError as problem:
            raise self.failed(problem.strerror or type(problem).__name__) from problem
        self.done = True
        return opened

    def _dial(self, host: str, port: int) -> socket.socket:
        """Connect to the first address of ``host`` that answers.

        Each gets a fair share of the time that is left. So where one is a black hole, as IPv6 is in
        networks that have it only half, the next one still gets its turn.
        """
        found = _numeric(host, port) or socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        self.step = "tcp"
        refused: OSError = ConnectionRefusedError()
        for untried, (family, kind, protocol, _, address) in zip(
            range(len(found), 0, -1), found, strict=True
        ):
            try:
                sock = self._sock = socket.socket(family, kind, protocol)
                sock.settimeout(self._share(untried))
                sock.connect(address)
            except OSError as problem:  # also where this machine has no such family
                self.close()
                refused = problem
            else:
                sock.settimeout(None)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return sock
        raise refused

    def _share(self, untried: int) -> float | None:
        """Return the seconds for one of ``untried`` addresses; the timer of all steps ends it."""
        left = self._deadline.left()
        return None if left is None or untried == 1 else waitable(left / untried)

    def _tunnel(self, proxy: Proxy) -> None:
        # Nothing may be read ahead here: what follows the response belongs to TLS.
        reader = _Bounded(self._sock, self._max_header_bytes, read_ahead=1)
        authority = f"[{self.endpoint.host}]" if ":" in self.endpoint.host else self.endpoint.host
        auth = (proxy.user, proxy.password) if proxy.user else None
        try:
            _http._tunnel(cast(stdlib_socket.socket, reader), authority, self.endpoint.port, auth)
        except (websocket.WebSocketException, *_UNREADABLE) as problem:
            raise self.failed(f"the proxy refused: {str(problem)[:200]}") from problem

    def _upgrade(self) -> Opened:
        reader = _Bounded(self._sock, self._max_header_bytes, read_ahead=4096)
        client = websocket.WebSocket(enable_multithread=False)
        try:
            client.connect(  # type: ignore[no-untyped-call]  # websocket-client is half typed
                self.endpoint.url,
                socket=reader,
                suppress_origin=True,
                redirect_limit=0,
                header=[f"User-Agent: rtms-gevent/{__version__}"],
            )
        except websocket.WebSocketBadStatusException as problem:
            raise self.failed(
                f"the server answered HTTP {problem.status_code} instead of opening a WebSocket; "
                "is this the address from the start webhook, and is it still valid?"
            ) from problem
        except websocket.WebSocketConnectionClosedException as problem:
            raise self.failed("the server closed the connection during the upgrade") from problem
        except (websocket.WebSocketException, *_UNREADABLE) as problem:
            raise self.failed(
                f"the server's answer is no WebSocket upgrade ({str(problem)[:200]})"
            ) from problem
        headers = dict(client.getheaders() or {})
        if headers.get("sec-websocket-extensions"):  # RFC 6455 section 4.1
            raise self.failed("the server uses an extension, such as compression, unasked")
        assert self._sock is not None
        return Opened(self._sock, reader.rest(), headers)


def _numeric(host: str, port: int) -> list[Any]:
    """Return what an address that is no name means: for that nobody need be asked in a thread."""
    flags = stdlib_socket.AI_NUMERICHOST
    try:
        return stdlib_socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, flags)
    except (stdlib_socket.gaierror, UnicodeError):
        return []


def _certificate_advice(problem: stdlib_ssl.SSLCertVerificationError) -> str:
    return (
        f"the server's certificate is not accepted: {problem.verify_message or problem}. Check the "
        "host name and the clock; for a private CA pass ca=... or set ZM_RTMS_CA"
    )


class _Bounded:
    """What websocket-client sees of a socket while it shakes hands.

    It reads byte by byte and without end; this reads ahead, and stops at a limit. Where a byte is
    asked for, it gives all that comes before the end of the line: each call takes 2 us, and so the
    shortest response 0.25 ms, in which no other socket is read.
    """

    def __init__(self, sock: socket.socket | None, limit: int, read_ahead: int) -> None:
        assert sock is not None
        self._sock = sock
        self._left = limit
        self._read_ahead = read_ahead
        self._buffer = b""

    def recv(self, size: int) -> bytes:
        if not self._buffer:
            self._buffer = self._sock.recv(max(1, self._read_ahead))
            if self._read_ahead > 1:
                take_turn()  # many answers may have come at once, and reading one takes a while
        if size == 1:
            # Of what it gets, websocket-client only asks whether it is the end of the line.
            line, _, _ = self._buffer.partition(b"\n")
            size = max(1, len(line))
        chunk, self._buffer = self._buffer[:size], self._buffer[size:]
        self._left -= len(chunk)
        if self._left < 0:
            raise websocket.WebSocketProtocolException("the HTTP response is too long")
        return chunk

    def rest(self) -> bytes:
        """Return what was read ahead and is not HTTP any more."""
        return self._buffer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

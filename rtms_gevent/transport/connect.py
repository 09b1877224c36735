"""Opens a WebSocket: DNS, TCP, proxy, TLS, HTTP upgrade, all of it without blocking the hub."""

from __future__ import annotations

import base64
import dataclasses
import errno
import functools
import os
import re
import socket as stdlib_socket
import ssl as stdlib_ssl
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import certifi
import websocket
from gevent import Timeout, socket, ssl

from .._version import __version__
from ..errors import ConfigurationError, ConnectError, TlsError
from ..explanations import explain_connect
from ..protocol.urls import Endpoint
from ..runtime.deadline import Deadline
from ..runtime.fair_scheduling import yield_to_io
from .happy_eyeballs import History, Race

__all__ = ["OpenedSocket", "Proxy", "open_connection", "tls_context"]

_Result = TypeVar("_Result")

#: What websocket-client raises, beside its own errors, for a response that is no HTTP.
_UNREADABLE = (ValueError, IndexError)

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: .*)?\r?\n")
_END_OF_HEAD = re.compile(rb"\n\r?\n")
#: The headers by which a server agrees to a WebSocket.
_UPGRADE_HEADERS = frozenset(
    (
        b"connection",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"upgrade",
    )
)


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


@dataclasses.dataclass(slots=True)
class OpenedSocket:
    """A socket on which a WebSocket was opened."""

    endpoint: Endpoint
    sock: socket.socket
    #: What arrived behind the HTTP response already.
    buffered: bytes
    #: The headers by which the server agreed to it, names in lower case.
    headers: dict[str, str]


def tls_context(ca: str | None = None) -> ssl.SSLContext:
    """Return the shared TLS settings: 1.2 or newer, certificate and host name verified.

    A file that was replaced is read again.

    Args:
        ca: File (PEM) with the certificates to trust; ``None`` means certifi's.

    Raises:
        ConfigurationError: the file cannot be read, or holds no certificate.
    """
    path = ca or certifi.where()
    try:
        found = os.stat(path)
        return _read_context(path, (found.st_ino, found.st_mtime_ns, found.st_size))
    except (OSError, stdlib_ssl.SSLError) as problem:
        raise ConfigurationError(
            f"the CA file {ca!r} cannot be used ({problem}); check ca= and ZM_RTMS_CA"
        ) from problem


@functools.lru_cache(maxsize=16)
def _read_context(path: str, _version: tuple[int, ...]) -> ssl.SSLContext:
    # Not create_default_context(): un-patched that returns the standard library's class, whose
    # sockets block the hub.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = stdlib_ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(path)
    return context


def open_connection(
    endpoints: Sequence[Endpoint],
    *,
    deadline: Deadline,
    context: ssl.SSLContext | None = None,
    proxy_for: Callable[[Endpoint], Proxy | None] = lambda _: None,
    history: History | None = None,
    on_failed: Callable[[ConnectError], None] = lambda _: None,
    max_header_bytes: int = 16 * 1024,
) -> OpenedSocket:
    """Open a WebSocket to one of ``endpoints``; waits cooperatively until it is open.

    They race for TCP, and those that come first have a head start. The winner gets a fair share of
    the time that is left for the other steps. Where one of these fails, the others race on.

    Args:
        endpoints: At least one, the best first.
        deadline: When all of it must be done.
        context: TLS settings; ``None`` means those of :func:`tls_context`.
        proxy_for: Returns the proxy that leads to an endpoint, or ``None``.
        history: Which addresses of a host have worked; is told what becomes of them now.
        on_failed: Called with the error of each endpoint that failed, but for the one that is
            raised.
        max_header_bytes: Bytes of an HTTP response.

    Raises:
        TlsError: the certificate was not accepted, or the server speaks no TLS.
        ConnectError: any other step failed, or ``deadline`` passed; ``step`` tells which. Where
            several endpoints failed it is the first error that may pass, if there is one.
    """
    history = history or History()
    attempts = [_Attempt(place, proxy_for(place), max_header_bytes) for place in endpoints]
    race = Race({attempt: attempt.place for attempt in attempts}, history, _Attempt.is_out)
    opened = None
    try:
        opened = _within(deadline, _open, race, deadline, context, history)
    except TimeoutError as problem:
        for attempt, is_resolved in race.begun.items():
            if attempt.failure is None:
                attempt.is_out(problem, is_resolved)
    failures = [attempt.failure for attempt in attempts if attempt.failure is not None]
    if opened is None:
        raised = next((it for it in failures if not isinstance(it, TlsError)), failures[0])
        failures.remove(raised)
    for failure in failures:
        on_failed(failure)
    if opened is None:
        raise raised
    return opened


def _open(
    race: Race[_Attempt], deadline: Deadline, context: ssl.SSLContext | None, history: History
) -> OpenedSocket | None:
    """Open one, if possible; the attempts know what was wrong with the others."""
    while (won := race.winner()) is not None:
        attempt, sock, address = won
        history.tried(address)  # it may take connections and do nothing more
        try:
            if race.left:
                share = deadline.share(1 + len(race.left))
                opened = _within(share, attempt.run, sock, context)
            else:
                opened = attempt.run(sock, context)
        except (ConnectError, OSError) as problem:
            attempt.failure = attempt.failed_by(problem)
        else:
            history.worked(address)
            return opened
    return None


def _within(deadline: Deadline, function: Callable[..., _Result], *arguments: Any) -> _Result:
    """Call a function; raise TimeoutError if it has not returned at the deadline.

    One timer for several steps, since some of them (name resolution, TLS) have none of their own.
    """
    timeout = Timeout(deadline.left())
    with timeout:
        try:
            return function(*arguments)
        except Timeout as expired:
            if expired is not timeout:
                raise
            raise TimeoutError(f"no answer within {deadline.seconds:.3g} s") from None


class _Attempt:
    """One endpoint's try at a WebSocket, and how far it has come."""

    __slots__ = ("_max_header_bytes", "_proxy", "_step", "endpoint", "failure")

    def __init__(self, endpoint: Endpoint, proxy: Proxy | None, max_header_bytes: int) -> None:
        self.endpoint = endpoint
        self.failure: ConnectError | None = None  #: what was wrong, once that is known
        self._proxy = proxy
        self._step = "proxy" if proxy else "dns"
        self._max_header_bytes = max_header_bytes

    @property
    def place(self) -> tuple[str, int]:
        """Host and port that TCP connects to."""
        towards = self._proxy or self.endpoint
        return towards.host, towards.port

    def is_out(self, problem: Exception, is_resolved: bool) -> None:
        """Note why it failed, and whether the addresses of the place were known by then."""
        if is_resolved and self._step == "dns":
            self._step = "tcp"
        self.failure = self.failed_by(problem)

    # -- the steps ---------------------------------------------------------------------------------

    def run(self, sock: socket.socket, context: ssl.SSLContext | None) -> OpenedSocket:
        """Open a WebSocket on a connected socket, which is closed if that fails.

        Raises:
            ConnectError: the server, or the proxy, answered something else.
            OSError: the connection broke, or TLS failed.
        """
        try:
            if self._proxy is not None:
                self._tunnel(sock, self._proxy)
            yield_to_io()
            if self.endpoint.secure:
                self._step = "tls"
                # Where it was reset already, wrap_socket() would raise without closing it.
                sock.getpeername()
                # In two steps, so that a socket whose handshake is cut short gets closed too.
                sock = (context or tls_context()).wrap_socket(
                    sock, server_hostname=self.endpoint.host, do_handshake_on_connect=False
                )
                sock.do_handshake()
                yield_to_io()
            self._step = "http"
            return self._upgrade(sock)
        except BaseException:
            sock.close()
            raise

    def _tunnel(self, sock: socket.socket, proxy: Proxy) -> None:
        authority = self.endpoint.authority
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if proxy.user:
            pair = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
            lines.append(f"Proxy-Authorization: Basic {pair}")
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        status, _, more = self._read_head(sock)
        if not 200 <= status <= 299:
            kind = "proxy wants password" if status == 407 else "proxy refuses"
            raise self._failed(f"it answered HTTP {status} when asked for a tunnel", kind)
        if more:  # the server cannot have spoken: it waits for our greeting
            raise self._failed("it sent more than an answer when asked for a tunnel", "proxy")

    def _upgrade(self, sock: socket.socket) -> OpenedSocket:
        buffered = b""

        def read_answer() -> bytes:
            nonlocal buffered
            status, head, buffered = self._read_head(sock)
            if status != 101:
                redirect = ", a redirect (none is followed)," if 300 <= status <= 399 else ""
                raise self._failed(
                    f"the server answered HTTP {status}{redirect} instead of opening a WebSocket; "
                    "is this the address from the start webhook, and is it still valid?"
                )
            return head

        client = websocket.WebSocket(enable_multithread=False)
        try:
            client.connect(  # type: ignore[no-untyped-call]  # websocket-client is half typed
                self.endpoint.url,
                socket=_Guarded(sock, read_answer),
                suppress_origin=True,
                header=[f"User-Agent: rtms-gevent/{__version__}"],
            )
        except (websocket.WebSocketException, *_UNREADABLE) as problem:
            raise self._failed(
                f"the server's answer is no WebSocket upgrade ({str(problem)[:200]})"
            ) from problem
        headers = dict(client.getheaders() or {})
        client.sock = None  # it refers to itself, and would keep the socket until it is collected
        if headers.get("sec-websocket-extensions"):  # RFC 6455 section 4.1
            raise self._failed("the server uses an extension, such as compression, unasked")
        return OpenedSocket(self.endpoint, sock, buffered, headers)

    def _read_head(self, sock: socket.socket) -> tuple[int, bytes, bytes]:
        """Return an HTTP response's status, its head with the empty line, and what came behind."""
        read, status, end = b"", None, None
        while status is None or end is None:
            if len(read) > self._max_header_bytes:
                raise self._failed("the HTTP response is too long")
            chunk = sock.recv(4096)
            yield_to_io()  # many answers may have come at once, and reading one takes a while
            if not chunk:
                who = "it" if self._step == "proxy" else "the server"
                raise self._failed(f"{who} closed the connection during the upgrade")
            read += chunk
            status, end = _STATUS_LINE.match(read), _END_OF_HEAD.search(read)
            if status is None and b"\n" in read:
                raise self._failed(f"the answer is no WebSocket upgrade, nor HTTP ({read[:60]!r})")
        return int(status[1]), read[: end.end()], read[end.end() :]

    # -- what was wrong ----------------------------------------------------------------------------

    def failed_by(self, problem: Exception) -> ConnectError:
        """Return the error that says what an exception of a step means."""
        if isinstance(problem, ConnectError):
            return problem
        if isinstance(problem, stdlib_ssl.SSLCertVerificationError):
            return self._failed(_certificate_advice(problem), error=TlsError)
        if isinstance(problem, (stdlib_ssl.SSLEOFError, stdlib_ssl.SSLZeroReturnError)):
            # As a server that is just being restarted does: it may pass.
            return self._failed("the server closed the connection during the TLS handshake")
        if isinstance(problem, stdlib_ssl.SSLError):
            return self._failed(
                f"TLS failed ({problem.reason or problem}); does the server speak TLS 1.2 or 1.3 "
                "on this port?",
                error=TlsError,
            )
        said = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
        if isinstance(problem, (stdlib_socket.gaierror, UnicodeError)):
            # The latter from the resolver, which is asked for it in IDNA.
            return self._failed(f"the host name cannot be resolved ({said})", "dns")
        if isinstance(problem, ConnectionRefusedError):
            return self._failed("nobody listens there (connection refused)", "refused")
        if isinstance(problem, TimeoutError):
            return self._failed(said, {"dns": "dns", "tcp": "unanswered"}.get(self._step, "silent"))
        is_routing = getattr(problem, "errno", None) in (errno.ENETUNREACH, errno.EHOSTUNREACH)
        return self._failed(said, "unreachable" if is_routing else None)

    def _failed(
        self, problem: str, kind: str | None = None, error: type[ConnectError] = ConnectError
    ) -> ConnectError:
        """Return an error with the advice for its kind, which blames a proxy where that failed."""
        if self._step == "proxy":
            assert self._proxy is not None
            problem = f"the proxy {self._proxy.address}: {problem}"
            kind = kind if kind and kind.startswith("proxy") else "proxy"
        if kind is not None:
            explained = explain_connect(kind)
            problem += f". Likely cause: {explained.cause} What to do: {explained.remedy}"
        return error(self.endpoint.origin, self._step, problem)


def _certificate_advice(problem: stdlib_ssl.SSLCertVerificationError) -> str:
    return (
        f"the server's certificate is not accepted: {problem.verify_message or problem}. Check the "
        "host name and the clock; for a private CA pass ca=... or set ZM_RTMS_CA"
    )


class _Guarded:
    """What websocket-client sees of a socket while it shakes hands.

    It keeps cookies, one jar for the whole process and all who use it, and cannot be told not to.
    So the request goes out without them, and of the response it gets only what opens a WebSocket.
    """

    def __init__(self, sock: socket.socket, read_answer: Callable[[], bytes]) -> None:
        self._sock = sock
        self._read_answer = read_answer
        self._answer: Iterator[bytes] | None = None

    def send(self, request: bytes) -> int:
        lines, _, _ = request.partition(b"\r\nCookie: ")  # always the last header
        self._sock.sendall(lines.removesuffix(b"\r\n\r\n") + b"\r\n\r\n")
        return len(request)

    def recv(self, _: int) -> bytes:
        """Return what comes next: a line, or its end.

        It asks for single bytes, and only looks whether they are the end of a line. Each call takes
        2 us, and so the shortest response 0.25 ms, in which no other socket is read.
        """
        if self._answer is None:
            self._answer = _pieces(self._read_answer())
        return next(self._answer, b"")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def _pieces(head: bytes) -> Iterator[bytes]:
    status_line, *headers = head.split(b"\n")
    yield status_line
    yield b"\n"
    for header in headers:
        if header.partition(b":")[0].lower() in _UPGRADE_HEADERS:
            yield header
            yield b"\n"
    yield b"\n"

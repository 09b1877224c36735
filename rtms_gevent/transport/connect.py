"""Opens a WebSocket: DNS, TCP, proxy, TLS, HTTP upgrade, all of it without blocking the hub."""

from __future__ import annotations

import dataclasses
import errno
import functools
import os
import socket as stdlib_socket
import ssl as stdlib_ssl
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import certifi
from gevent import Timeout, socket, ssl

from ..errors import ConfigurationError, ConnectError, TlsError
from ..explanations import explain_connect
from ..protocol.urls import Endpoint
from ..runtime.deadline import Deadline
from ..runtime.fair_scheduling import yield_to_io
from .happy_eyeballs import History, Race
from .http_head import ResponseError
from .proxy import Proxy
from .upgrade import upgrade

__all__ = ["OpenedSocket", "open_connection", "tls_context"]

_Result = TypeVar("_Result")


@dataclasses.dataclass(slots=True)
class OpenedSocket:
    """A socket on which a WebSocket was opened."""

    endpoint: Endpoint
    sock: socket.socket
    #: What arrived behind the HTTP response already.
    buffered: bytes


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
        history: Which addresses of a host have worked; what becomes of them now is added.
        on_failed: Called with the error of each endpoint that failed, but for the one that is
            raised.
        max_header_bytes: Bytes of an HTTP response.

    Raises:
        TlsError: the certificate was not accepted, or the server speaks no TLS.
        ConnectError: any other step failed, or ``deadline`` passed; ``step`` says which. Where
            several endpoints failed it is the first error that may pass, if there is one.
    """
    history = history or History()
    yield_to_io()  # as before each step below: many may have come as far at once
    attempts = [_Attempt(endpoint, proxy_for(endpoint), max_header_bytes) for endpoint in endpoints]
    race = Race({attempt: attempt.destination for attempt in attempts}, history, _Attempt.fail)
    opened = None
    try:
        opened = _within(deadline, _open, race, deadline, context, history)
    except TimeoutError as problem:
        for attempt, is_resolved in race.begun.items():
            if attempt.failure is None:
                attempt.fail(problem, is_resolved)
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
        except (ResponseError, OSError) as problem:
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
    def destination(self) -> tuple[str, int]:
        """Host and port that TCP connects to."""
        towards = self._proxy or self.endpoint
        return towards.host, towards.port

    def fail(self, problem: Exception, is_resolved: bool) -> None:
        """Note why it failed, and whether the addresses of the host were known by then."""
        if is_resolved and self._step == "dns":
            self._step = "tcp"
        self.failure = self.failed_by(problem)

    # -- the steps ---------------------------------------------------------------------------------

    def run(self, sock: socket.socket, context: ssl.SSLContext | None) -> OpenedSocket:
        """Open a WebSocket on a connected socket, which is closed if that fails.

        Raises:
            ResponseError: the server, or the proxy, answered something else.
            OSError: the connection broke, or TLS failed.
        """
        try:
            if self._proxy is not None:
                self._proxy.open_tunnel(sock, self.endpoint.authority, self._max_header_bytes)
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
            buffered = upgrade(sock, self.endpoint.url, self._max_header_bytes)
        except BaseException:
            sock.close()
            raise
        return OpenedSocket(self.endpoint, sock, buffered)

    # -- what was wrong ----------------------------------------------------------------------------

    def failed_by(self, problem: Exception) -> ConnectError:
        """Return the error that says what an exception of a step means."""
        if isinstance(problem, ResponseError):
            return self._failed(str(problem), problem.advice)
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

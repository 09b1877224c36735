"""The HTTP upgrade that opens a WebSocket (RFC 6455 section 4), by websocket-client."""

from __future__ import annotations

from collections.abc import Iterator

import websocket
from gevent import socket

from .._version import __version__
from .http_head import ResponseError, read_head

__all__ = ["upgrade"]

#: What websocket-client raises, beside its own errors, for a response that is no HTTP.
_UNREADABLE = (ValueError, IndexError)
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


def upgrade(sock: socket.socket, url: str, max_header_bytes: int) -> bytes:
    """Ask the server at the other end for a WebSocket; waits cooperatively.

    Returns:
        What has come behind its response already.

    Raises:
        ResponseError: the server answers something else.
        OSError: the connection broke.
    """
    guarded = _HandshakeSocket(sock, max_header_bytes)
    client = websocket.WebSocket(enable_multithread=False)
    try:
        client.connect(  # type: ignore[no-untyped-call]  # websocket-client is half typed
            url,
            socket=guarded,
            suppress_origin=True,
            header=[f"User-Agent: rtms-gevent/{__version__}"],
        )
    except (websocket.WebSocketException, *_UNREADABLE) as problem:
        raise ResponseError(
            f"the server's answer is no WebSocket upgrade ({str(problem)[:200]})"
        ) from problem
    headers = client.getheaders() or {}
    # It refers to itself, and would keep the socket, and itself, until they are collected.
    client.sock = client.frame_buffer = None  # type: ignore[assignment]
    if headers.get("sec-websocket-extensions"):  # RFC 6455 section 4.1
        raise ResponseError("the server uses an extension, such as compression, unasked")
    return guarded.rest


class _HandshakeSocket:
    """All that websocket-client needs of a socket while it shakes hands.

    It keeps cookies, one jar for the whole process and all who use it, and cannot be told not to.
    So the request goes out without them, and of the response it gets only what opens a WebSocket.
    """

    def __init__(self, sock: socket.socket, max_header_bytes: int) -> None:
        self._sock = sock
        self._max_header_bytes = max_header_bytes
        self._answer: Iterator[bytes] | None = None
        self.rest = b""  #: what came behind the response

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

    def _read_answer(self) -> bytes:
        status, head, self.rest = read_head(self._sock, self._max_header_bytes)
        if status != 101:
            redirect = ", a redirect (none is followed)," if 300 <= status <= 399 else ""
            raise ResponseError(
                f"the server answered HTTP {status}{redirect} instead of opening a WebSocket; "
                "is this the address from the start webhook, and is it still valid?"
            )
        return head

    def gettimeout(self) -> None:
        """Say that calls wait for as long as they need: whoever opens the socket has a deadline."""

    def close(self) -> None:
        """Do nothing: whoever has opened the socket closes it."""


def _pieces(head: bytes) -> Iterator[bytes]:
    status_line, *headers = head.split(b"\n")
    yield status_line
    yield b"\n"
    for header in headers:
        if header.partition(b":")[0].lower() in _UPGRADE_HEADERS:
            yield header
            yield b"\n"
    yield b"\n"

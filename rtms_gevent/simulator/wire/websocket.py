"""The simulator's WebSockets: the server's side of them, and ways to break them.

What a good server does is shared with the live page; that a message is cut up, that a connection is
reset or half closed, and that an upgrade is refused, is only here.
"""

from __future__ import annotations

import contextlib
import errno
import http
import os
import socket as stdlib_socket
import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import gevent
from gevent.pywsgi import WSGIHandler

from ...wsgi.websocket import (
    BINARY,
    CONTINUATION,
    TEXT,
    VERSION,
    BadUpgrade,
    WebSocket,
    WebSocketClosed,
    encode_frame,
    opening_answer,
)

__all__ = ["Encoded", "Handler", "ServerWebSocket"]

#: Seconds between the pieces of what is split: not 0, so that the hub looks at sockets meanwhile,
#: and a client on it sees the pieces.
_MOMENT = 1e-6

#: Seconds that a client has to answer our close frame before the socket is taken away.
CLOSE_TIMEOUT = 2.0


class Encoded(NamedTuple):
    """A message as it is sent."""

    payload: bytes
    is_binary: bool  #: its frames say so


class ServerWebSocket(WebSocket):
    """One accepted WebSocket.

    Greenlet-safety: one greenlet receives; any greenlet of the same hub may send, close or reset.
    """

    def __init__(self, connection: Any, file: Any) -> None:
        super().__init__(connection, file)
        # Small messages, many of them: Nagle's algorithm would hold them back for 40 ms.
        connection.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
        self._timer: gevent.Greenlet[..., None] | None = None

    def send_messages(
        self, messages: Iterable[Encoded], *, frame: int | None, write: int | None
    ) -> None:
        """Send messages back to back.

        Args:
            messages: What to send.
            frame: Bytes of the largest frame; None does not split messages.
            write: Bytes of the largest TCP write; None writes everything at once.

        Raises:
            WebSocketClosed: the socket is closed or broken.
        """
        frames = b"".join(
            _frames(payload, BINARY if is_binary else TEXT, frame)
            for payload, is_binary in messages
        )
        self.write([frames] if write is None else _pieces(frames, write))

    def messages(self) -> Iterator[str | bytes]:
        """Yield what the client sends, until it has closed or broken the connection.

        After our own :meth:`close` it goes on, so that the client's answer is read.
        """
        with contextlib.suppress(WebSocketClosed):
            while True:
                yield self.receive()

    def close(self, code: int = 1000, reason: str | bytes = "") -> None:
        """Send a close frame with ``code``. Safe to call twice; does not wait for the answer.

        Whoever receives goes on until the client's answer came. After :data:`CLOSE_TIMEOUT` the
        connection is broken, so that this blocks no longer than that, even if nobody reads.
        """
        if not self.closed and self.peer_close_code is None:
            self._reset_later()
        super().close(code, reason)

    def half_close(self) -> None:
        """End what we send without a close frame (FIN), and go on reading for a short while."""
        self.closed = True
        if self._file.closed:
            return  # released already
        self._reset_later()
        # A second handle on the connection: TLS would say goodbye, and could not read any more.
        with (
            contextlib.suppress(OSError),
            stdlib_socket.socket(fileno=os.dup(self._connection.fileno())) as plain,
        ):
            plain.shutdown(stdlib_socket.SHUT_WR)

    def reset(self) -> None:
        """Break the TCP connection with an RST, as a crashed server or a middlebox would."""
        self.closed = True
        linger_nowhere = struct.pack("ii", 1, 0)
        try:
            self._connection.setsockopt(
                stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, linger_nowhere
            )
            # The receiver sees the end of the stream, and the WSGI server closes the socket.
            self._connection.shutdown(stdlib_socket.SHUT_RD)
        except OSError:
            return  # not connected any more

    def release(self) -> None:
        """Close the connection; the receiver calls it when it is done.

        The WSGI server would do so, too, but under the hands of a greenlet that is still waiting
        to write, and an event loop that watches a closed descriptor aborts the process. Closing
        gevent's own socket wakes such a greenlet with an error first.
        """
        self.closed = True
        if self._timer is not None:
            self._timer.kill(block=False)
        self._file.close()
        self._connection.close()

    def _reset_later(self) -> None:
        """Break the connection by and by: a client that reads nothing lets us wait for ever."""
        self._timer = gevent.spawn_later(CLOSE_TIMEOUT, self.reset)


def _frames(payload: bytes, opcode: int, size: int | None) -> bytes:
    """Encode one message in frames of at most ``size`` bytes."""
    if size is None or len(payload) <= size:
        return encode_frame(payload, opcode)
    frames = bytearray()
    for start in range(0, len(payload), size):
        part = payload[start : start + size]
        frames += encode_frame(part, opcode, is_final=start + size >= len(payload))
        opcode = CONTINUATION
    return bytes(frames)


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes at a time, and let a client see them before the next ones."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
        if len(data) > size:
            gevent.sleep(_MOMENT)


class Handler(WSGIHandler):
    """Serves WebSockets at the paths of the server, unless its gate is barred.

    Other paths, and what asks for no upgrade, are the application's alone.
    """

    server: Any

    def run_application(self) -> None:
        """Open the WebSocket, if the request wants one, before the application is called."""
        environ = self.environ
        assert environ is not None
        path = environ["PATH_INFO"]
        if not environ.get("HTTP_UPGRADE") or not self.server.has(path):
            super().run_application()
            return
        try:
            opening = opening_answer(environ)
        except BadUpgrade as problem:
            self._refuse("400 Bad Request", f"{problem}\n", ("Sec-WebSocket-Version", VERSION))
            return
        bar = self.server.gate(path)
        if bar is not None:
            self._turn_away(bar.status)
            return
        self.close_connection = True
        self.socket.sendall(opening)
        environ["wsgi.websocket"] = ServerWebSocket(self.socket, self.rfile)
        super().run_application()

    def _turn_away(self, status: int | None) -> None:
        """Answer with an HTTP error, or never."""
        if status is None:
            while self.socket.recv(4096):
                pass  # until the client has had enough
            raise ConnectionResetError(errno.ECONNRESET, "turned away without an answer")
        known = status in http.HTTPStatus.__members__.values()
        phrase = http.HTTPStatus(status).phrase if known else "Error"
        self._refuse(f"{status} {phrase}", "simulated\n")

    def _refuse(self, status: str, text: str, *headers: tuple[str, str]) -> None:
        self.start_response(status, [("Content-Type", "text/plain"), *headers])
        self.result = [text.encode()]
        self.process_result()

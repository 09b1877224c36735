"""The WebSocket of one browser, on a socket that is taken over from the app's WSGI server.

gunicorn's gevent worker puts its socket into the WSGI environment. So the app decides who may look
before anything is upgraded, and what it does not want is answered over HTTP. gevent-websocket's
worker is served, too, but there every request was upgraded before the app is called.

A page has hardly anything to say: whatever is longer than a control frame is refused, and so is a
browser that says too much.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import gevent
from gevent import socket

from ..wsgi.websocket import WebSocket, opening_answer

__all__ = ["BrowserSocket", "websocket_of"]

#: Seconds that a browser has to close the connection after our close frame.
CLOSE_TIMEOUT = 2.0
#: Frames that a browser may send in a second. Ours sends one when another stream is chosen.
MAX_FRAMES = 50


def websocket_of(environ: Mapping[str, Any]) -> BrowserSocket | None:
    """Return the WebSocket of a request, to be opened; ``None`` where the server has none to give.

    Args:
        environ: The WSGI environment.

    Raises:
        BadUpgrade: the request opens no WebSocket.
    """
    upgraded = environ.get("wsgi.websocket")
    if upgraded is not None:
        upgraded.closed = True  # so that gevent-websocket sends nothing of its own any more
        return BrowserSocket(upgraded.handler.socket, upgraded.handler.rfile)
    connection = environ.get("gunicorn.socket")
    if not isinstance(connection, socket.socket):
        return None  # that of another worker would block the hub
    opening = opening_answer(environ)
    return BrowserSocket(connection, connection.makefile("rb"), opening)


class BrowserSocket(WebSocket):
    """Sends to and reads from one browser.

    Args:
        connection: gevent's socket.
        file: What to read from it with.
        opening: The answer that opens the WebSocket, where it was not sent yet.
    """

    max_message = 125
    send_timeout = 20.0

    def __init__(self, connection: Any, file: Any, opening: bytes = b"") -> None:
        super().__init__(connection, file)
        self._opening = opening
        self._second = 0.0  # monotonic; when we began to count
        self._frames = 0  # since then

    def open(self) -> None:
        """Answer the request, if nobody did. Call it before anything else.

        Raises:
            WebSocketClosed: the browser did not wait for it.
        """
        self.write([self._opening])

    def receive(self) -> str:
        """Return the next short text message.

        Raises:
            WebSocketClosed: the browser closed, or sent what no page of ours sends.
        """
        message = super().receive()
        if isinstance(message, bytes):
            self.refuse(1003, "only text is read")
        return message

    def read_frame(self, limit: int) -> tuple[int, bool, bytes]:
        """Read one frame, unless the browser sends too many.

        To read what has arrived already gives no turn to other greenlets, so that nobody else
        would run while a browser sends faster than we read.
        """
        frame = super().read_frame(limit)
        now = time.monotonic()
        if now - self._second >= 1.0:
            self._second, self._frames = now, 0
        self._frames += 1
        if self._frames > MAX_FRAMES:
            self.refuse(1008, "too many messages")
        return frame

    def end(self) -> None:
        """Let go of the connection, after :meth:`close`. Whose socket it is may then close it."""
        try:
            with contextlib.suppress(OSError):
                # gunicorn goes on with an answer over HTTP, which must not reach the browser.
                self._connection.shutdown(socket.SHUT_WR)
                if self.peer_close_code is None and not self._is_broken:
                    self._linger()
        finally:
            self._file.close()

    def _linger(self) -> None:
        """Read until the browser has closed, or for a moment.

        A connection that is closed over unread bytes is reset, and that may take back the close
        frame before the browser has seen it.
        """
        # False: leave the block without an error.
        with gevent.Timeout(CLOSE_TIMEOUT, False):  # type: ignore[arg-type]  # not in the stubs
            while self._connection.recv(65536):
                gevent.sleep(0.01)  # others have their turn, however fast it comes

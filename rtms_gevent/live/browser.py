"""The WebSocket of one browser, on a socket that the app's server lets us have.

gunicorn's gevent worker puts its socket into the WSGI environment. So the app decides who may look
before anything is upgraded, and what it does not want is answered over HTTP. gevent-websocket's
worker is served, too, but there every request was upgraded before the app is called.

A page has hardly anything to say: whatever is longer than a control frame is refused, and so is a
browser that says too much.

Frame layout: RFC 6455 section 5.2.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Mapping
from typing import Any

import gevent
from gevent import socket
from gevent.lock import BoundedSemaphore
from websocket import ABNF

from ..wsgi.websocket import accept_key

__all__ = ["BrowserGone", "BrowserSocket", "take_over"]

#: Seconds that one message may take to get into the browser's socket.
SEND_TIMEOUT = 20.0
#: Seconds that a browser has to close the connection after our close frame.
CLOSE_PATIENCE = 2.0
#: Frames that a browser may send in a second. Ours sends one when another stream is chosen.
MAX_FRAMES = 50

_TEXT, _CLOSE = ABNF.OPCODE_TEXT, ABNF.OPCODE_CLOSE
_PING, _PONG = ABNF.OPCODE_PING, ABNF.OPCODE_PONG
_FINAL = 0x80
_MASKED = 0x80
#: The longest payload that is read, as for control frames.
_MAX_PAYLOAD = 125

_OPENING = (
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {}\r\n\r\n"
)


class BrowserGone(Exception):
    """The browser closed the WebSocket, broke it, or takes nothing any more."""


def take_over(environ: Mapping[str, Any]) -> BrowserSocket | None:
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
    opening = _OPENING.format(accept_key(environ)).encode()
    return BrowserSocket(connection, connection.makefile("rb"), opening)


class BrowserSocket:
    """Sends to and reads from one browser.

    Greenlet-safety: one greenlet may receive while others send and close, on the same hub.

    Args:
        connection: gevent's socket.
        file: What to read from it with.
        opening: The answer that opens the WebSocket, where it was not sent yet.
    """

    def __init__(self, connection: Any, file: Any, opening: bytes = b"") -> None:
        self._connection = connection
        self._file = file
        self._opening = opening
        self._turn = BoundedSemaphore(1)  # two frames must not interleave
        self._closed = False  # nothing can be sent any more
        self._awaits_close = False  # we have closed, and the browser has not yet
        self._second = 0.0  # monotonic; when we began to count
        self._frames = 0  # since then

    def open(self) -> None:
        """Answer the request, if nobody did. Call it before anything else.

        Raises:
            BrowserGone: the browser did not wait for it.
        """
        self._write(self._opening)

    def send(self, message: str | bytes) -> None:
        """Send a text or binary message, and wait until the socket took it.

        Raises:
            BrowserGone: it is closed, or did not take the message in time.
        """
        if isinstance(message, str):
            self._send_frame(message.encode(), _TEXT)
        else:
            self._send_frame(message, ABNF.OPCODE_BINARY)

    def receive(self) -> str:
        """Return the next short text message.

        Raises:
            BrowserGone: the browser closed, or sent what no page of ours sends.
        """
        while True:
            opcode, payload = self._read_frame()
            if opcode == _TEXT | _FINAL:
                try:
                    return payload.decode()
                except UnicodeDecodeError:
                    self._refuse(1007, "not UTF-8")
            elif opcode == _PING | _FINAL:
                self._send_frame(payload, _PONG)
            elif opcode == _CLOSE | _FINAL:
                self.close(1000)
                self._awaits_close = False
                raise BrowserGone("closed by the browser")
            elif opcode != _PONG | _FINAL:
                self._refuse(1003, "only short text is read")

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame; nothing can be sent after it. Never raises.

        Args:
            code: RFC 6455 section 7.4.1.
            reason: For the browser, at most 123 bytes.
        """
        if self._closed:
            return
        frame = struct.pack("!H", code) + reason.encode()[:123]
        with contextlib.suppress(BrowserGone):  # gone is what it was to become
            self._send_frame(frame, _CLOSE)
            self._awaits_close = True
        self._closed = True

    def end(self) -> None:
        """Let go of the connection, after :meth:`close`. Whose socket it is may then close it."""
        try:
            with contextlib.suppress(OSError):
                # gunicorn goes on with an answer over HTTP, which must not reach the browser.
                self._connection.shutdown(socket.SHUT_WR)
                if self._awaits_close:
                    self._read_away()
        finally:
            self._file.close()

    def _read_away(self) -> None:
        """Read until the browser has closed, or for a moment.

        A connection that is closed over unread bytes is reset, and that may take back the close
        frame before the browser has seen it.
        """
        with _patience(CLOSE_PATIENCE):
            while self._connection.recv(65536):
                gevent.sleep(0.01)  # others have their turn, however fast it comes

    def _send_frame(self, payload: bytes, opcode: int) -> None:
        self._write(ABNF(1, 0, 0, 0, opcode, 0, payload).format())

    def _write(self, data: bytes) -> None:
        timeout = gevent.Timeout(SEND_TIMEOUT)
        try:
            with timeout, self._turn:
                if self._closed:
                    raise BrowserGone("closed")
                self._connection.sendall(data)
        except OSError as error:
            self._closed = True
            raise BrowserGone("the connection is broken") from error
        except gevent.Timeout as expired:
            if expired is not timeout:
                raise
            # Half of a frame may be on its way: nothing sensible can follow it.
            self._closed = True
            raise BrowserGone("too slow") from expired

    def _read_frame(self) -> tuple[int, bytes]:
        """Return the first byte of the next frame (final flag and opcode) and its payload."""
        head = self._read_exactly(2)
        self._limit_rate()
        length = head[1] & ~_MASKED
        if not head[1] & _MASKED:
            self._refuse(1002, "frames of browsers are masked")
        if length > _MAX_PAYLOAD:
            self._refuse(1009, "only short text is read")
        mask = self._read_exactly(4)
        payload = self._read_exactly(length)
        return head[0], bytes(byte ^ mask[place & 3] for place, byte in enumerate(payload))

    def _limit_rate(self) -> None:
        """Refuse a browser that sends too many frames.

        To read what has arrived already gives no turn to other greenlets, so that nobody else
        would run while a browser sends faster than we read.
        """
        now = time.monotonic()
        if now - self._second >= 1.0:
            self._second, self._frames = now, 0
        self._frames += 1
        if self._frames > MAX_FRAMES:
            self._refuse(1008, "too many messages")

    def _read_exactly(self, size: int) -> bytes:
        try:
            data: bytes = self._file.read(size) if size else b""
        except (OSError, ValueError) as error:  # ValueError: the file is closed
            raise BrowserGone("the connection is broken") from error
        if len(data) < size:
            raise BrowserGone("the connection ended")
        return data

    def _refuse(self, code: int, reason: str) -> None:
        self.close(code, reason)
        raise BrowserGone(reason)


def _patience(seconds: float) -> gevent.Timeout:
    """Return a context manager that leaves its block after ``seconds``, without an error."""
    return gevent.Timeout(seconds, False)  # type: ignore[arg-type]  # documented, not in the stubs

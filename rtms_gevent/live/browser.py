"""The WebSocket of one browser, over the traps of gevent-websocket.

gevent-websocket never sends the code of a close, reads data frames byte by byte in Python, and
believes any length that a frame announces. So it sends for us, and we read and close ourselves:
a page has hardly anything to say, and whatever is longer than a control frame is refused.

Frame layout: RFC 6455 section 5.2.
"""

from __future__ import annotations

import struct
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore

__all__ = ["BrowserGone", "BrowserSocket"]

#: Seconds that one message may take to get into the browser's socket.
SEND_TIMEOUT = 20.0

_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_FINAL = 0x80
_MASKED = 0x80
#: The longest payload that is read, as for control frames.
_MAX_PAYLOAD = 125


class BrowserGone(Exception):
    """The browser closed the WebSocket, broke it, or takes nothing any more."""


class BrowserSocket:
    """Sends to and reads from one browser.

    Greenlet-safety: one greenlet may receive while others send and close, on the same hub.

    Args:
        websocket: What gevent-websocket puts into ``environ["wsgi.websocket"]``.
    """

    def __init__(self, websocket: Any) -> None:
        self._websocket = websocket
        self._read = websocket.raw_read
        self._turn = BoundedSemaphore(1)  # two frames must not interleave

    def send(self, message: str | bytes) -> None:
        """Send a text or binary message, and wait until the socket took it.

        Raises:
            BrowserGone: it is closed, or did not take the message in time.
        """
        opcode = _TEXT if isinstance(message, str) else 0x2
        self._send_frame(message, opcode)

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
                raise BrowserGone("closed by the browser")
            elif opcode != _PONG | _FINAL:
                self._refuse(1003, "only short text is read")

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame; nothing can be sent after it. Never raises.

        Args:
            code: RFC 6455 section 7.4.1.
            reason: For the browser, at most 123 bytes.
        """
        if self._websocket.closed:
            return
        try:
            self._send_frame(struct.pack("!H", code) + reason.encode()[:123], _CLOSE)
        except BrowserGone:
            pass  # gone is what it was to become
        finally:
            self._websocket.closed = True

    def _send_frame(self, payload: str | bytes, opcode: int) -> None:
        from geventwebsocket.exceptions import WebSocketError

        timeout = gevent.Timeout(SEND_TIMEOUT)
        try:
            with timeout, self._turn:
                self._websocket.send_frame(payload, opcode)
        except (OSError, WebSocketError) as error:
            self._websocket.closed = True
            raise BrowserGone("the connection is broken") from error
        except gevent.Timeout as expired:
            if expired is not timeout:
                raise
            # Half of a frame may be on its way: nothing sensible can follow it.
            self._websocket.closed = True
            raise BrowserGone("too slow") from expired

    def _read_frame(self) -> tuple[int, bytes]:
        """Return the first byte of the next frame (final flag and opcode) and its payload."""
        head = self._read_exactly(2)
        length = head[1] & ~_MASKED
        if not head[1] & _MASKED:
            self._refuse(1002, "frames of browsers are masked")
        if length > _MAX_PAYLOAD:
            self._refuse(1009, "only short text is read")
        mask = self._read_exactly(4)
        payload = self._read_exactly(length)
        return head[0], bytes(byte ^ mask[place & 3] for place, byte in enumerate(payload))

    def _read_exactly(self, size: int) -> bytes:
        try:
            data: bytes = self._read(size) if size else b""
        except (OSError, ValueError) as error:  # ValueError: the file is closed
            raise BrowserGone("the connection is broken") from error
        if len(data) < size:
            raise BrowserGone("the connection ended")
        return data

    def _refuse(self, code: int, reason: str) -> None:
        self.close(code, reason)
        raise BrowserGone(reason)

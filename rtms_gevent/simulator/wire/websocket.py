"""The server's end of a WebSocket: gevent-websocket with its defects mended.

gevent-websocket 0.10.1 drops the code of the close frames it sends, unmasks byte by byte in
Python, and checks UTF-8 with a state machine in Python. The subclasses here mend that for the
simulator's own sockets and leave the library as it is for everybody else in the process.
"""

from __future__ import annotations

import contextlib
import errno
import http
import os
import socket as stdlib_socket
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

import gevent
from gevent.lock import RLock

from ...errors import MissingExtra
from ...wsgi.websocket import VERSION, BadUpgrade, accept_key

try:
    from geventwebsocket.exceptions import ProtocolError, WebSocketError
    from geventwebsocket.handler import WebSocketHandler
    from geventwebsocket.websocket import Header, Stream, WebSocket
except ImportError as error:
    raise MissingExtra("the simulator", "simulator") from error

__all__ = ["Encoded", "Handler", "ServerWebSocket"]

#: Bytes of the largest message that a client may send; the largest real one is under 2 kB.
MAX_CLIENT_MESSAGE = 1024 * 1024

#: Seconds between the pieces of what is split: not 0, so that the hub looks at sockets meanwhile,
#: and a client on it sees the pieces.
_MOMENT = 1e-6

#: Seconds that a client has to answer our close frame before the socket is taken away.
CLOSE_PATIENCE = 2.0


class Encoded(NamedTuple):
    """A message as it is sent."""

    payload: bytes
    is_binary: bool  #: its frames say so


class ServerWebSocket(WebSocket):  # type: ignore[misc]  # the library has no types
    """One accepted WebSocket.

    Greenlet-safety: one greenlet receives; any greenlet of the same hub may send, close or reset.
    """

    def __init__(self, environ: dict[str, Any], stream: Any, handler: Any) -> None:
        super().__init__(environ, stream, handler)
        # Small messages, many of them: Nagle's algorithm would hold them back for 40 ms.
        handler.socket.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
        self._turn = RLock()
        #: code of the close frame that the client sent; None where there was none
        self.peer_close_code: int | None = None
        self._patience: gevent.Greenlet[..., None] | None = None

    def send_messages(
        self, messages: Iterable[Encoded], *, frame: int | None, write: int | None
    ) -> None:
        """Send messages back to back.

        Args:
            messages: What to send.
            frame: Bytes of the largest frame; None does not split messages.
            write: Bytes of the largest TCP write; None writes everything at once.

        Raises:
            OSError: the socket is closed or broken.
        """
        frames = (
            _frames(payload, self.OPCODE_BINARY if is_binary else self.OPCODE_TEXT, frame)
            for payload, is_binary in messages
        )
        self._write(b"".join(frames), write)

    def send_frame(self, message: bytes, opcode: int) -> None:
        """Send a control frame; the library calls this for pongs."""
        self._write(_frames(bytes(message), opcode, None))

    def _write(self, frames: bytes, size: int | None = None) -> None:
        if self.closed:
            raise WebSocketError("the socket is closed")
        with self._turn:  # sendall() switches midway, and frames must not interleave
            if size is None or len(frames) <= size:
                self.raw_write(frames)
                return
            for start in range(0, len(frames), size):
                self.raw_write(frames[start : start + size])
                gevent.sleep(_MOMENT)

    def receive(self) -> str | bytes | None:
        """Return the next message, or None when the client has closed or broken the socket.

        After our own :meth:`close` it goes on, so that the client's answer is read.
        """
        try:
            message: str | bytearray | None = self.read_message()
        except UnicodeError:
            self.close(1007)
        except ProtocolError:
            self.close(1002)
        except OSError:
            self.closed = True
        else:
            return bytes(message) if isinstance(message, bytearray) else message
        return None

    def read_frame(self) -> tuple[Any, bytes]:
        """Read one frame, as the library does, but refuse huge ones and unmask in one step."""
        header = Header.decode_header(self.stream)
        if header.flags:
            raise ProtocolError("reserved bits are set")
        if header.length > MAX_CLIENT_MESSAGE:
            self.close(1009)
            raise WebSocketError("frame too large")
        payload = self.raw_read(header.length) if header.length else b""
        if len(payload) != header.length:
            raise WebSocketError("unexpected end of stream")
        return header, _unmask(payload, header.mask) if header.mask else payload

    def validate_utf8(self, payload: bytes) -> None:
        """Leave the check to :meth:`_decode_bytes`, which sees the whole message."""

    def _decode_bytes(self, bytestring: bytes) -> str:
        return bytestring.decode("utf-8")

    def handle_close(self, header: Any, payload: bytes) -> None:
        """Note the client's code, and answer with the same."""
        if len(payload) >= 2:
            (self.peer_close_code,) = struct.unpack("!H", payload[:2])
        else:
            self.peer_close_code = 1005  # RFC 6455 section 7.1.5: a close frame without a code
        super().handle_close(header, payload)

    def close(self, code: int = 1000, message: str | bytes | None = b"") -> None:
        """Send a close frame with ``code``. Safe to call twice; does not wait for the answer.

        Whoever receives goes on until the client's answer came. After :data:`CLOSE_PATIENCE` the
        connection is broken, so that this blocks no longer than that, even if nobody reads.
        """
        if self.closed:
            return
        reason = message.encode() if isinstance(message, str) else bytes(message or b"")
        frame = struct.pack("!H", code) + reason[:123]
        self.closed = True
        if self.peer_close_code is None:
            # A client that reads nothing lets us wait for ever, here and for its answer.
            self._patience = gevent.spawn_later(CLOSE_PATIENCE, self.reset)
        try:
            with self._turn:
                self.raw_write(
                    Header.encode_header(True, self.OPCODE_CLOSE, b"", len(frame), 0) + frame
                )
        except OSError:
            return  # the client is gone already

    def half_close(self) -> None:
        """End what we send without a close frame (FIN), and go on reading for a short while."""
        self.closed = True
        connection = getattr(self.handler, "socket", None)
        if connection is None:
            return  # closed already
        self._patience = gevent.spawn_later(CLOSE_PATIENCE, self.reset)
        # A second handle on the connection: TLS would say goodbye, and could not read any more.
        with (
            contextlib.suppress(OSError),
            stdlib_socket.socket(fileno=os.dup(connection.fileno())) as plain,
        ):
            plain.shutdown(stdlib_socket.SHUT_WR)

    def reset(self) -> None:
        """Break the TCP connection with an RST, as a crashed server or a middlebox would."""
        self.closed = True
        connection = getattr(self.handler, "socket", None)
        if connection is None:
            return  # closed already
        linger_nowhere = struct.pack("ii", 1, 0)
        try:
            connection.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, linger_nowhere)
            # The receiver sees the end of the stream, and the WSGI server closes the socket.
            connection.shutdown(stdlib_socket.SHUT_RD)
        except OSError:
            return  # not connected any more

    def release(self) -> None:
        """Close the connection; the receiver calls it when it is done.

        The WSGI server would do so, too, but under the hands of a greenlet that is still waiting
        to write, and an event loop that watches a closed descriptor aborts the process. Closing
        gevent's own socket wakes such a greenlet with an error first.
        """
        self.closed = True
        if self._patience is not None:
            self._patience.kill(block=False)
        self.handler.rfile.close()
        self.handler.socket.close()


def _frames(payload: bytes, opcode: int, size: int | None) -> bytes:
    """Encode one message in frames of at most ``size`` bytes."""
    size = size or max(1, len(payload))
    frames = bytearray()
    for start in range(0, max(1, len(payload)), size):
        part = payload[start : start + size]
        is_last = start + size >= len(payload)
        frames += Header.encode_header(is_last, opcode, b"", len(part), 0) + part
        opcode = WebSocket.OPCODE_CONTINUATION
    return bytes(frames)


def _unmask(payload: bytes, mask: bytes) -> bytes:
    """XOR the whole payload as one integer, which is about ten times as fast as a loop."""
    length = len(payload)
    key = (bytes(mask) * (length // 4 + 1))[:length]
    number = int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")
    return number.to_bytes(length, "little")


class Handler(WebSocketHandler):  # type: ignore[misc]  # the library has no types
    """Upgrades requests to :class:`ServerWebSocket`, unless the server's gate is barred.

    Other paths than the server's own, and what asks for no WebSocket, are the application's.
    """

    def upgrade_websocket(self) -> Any:
        """Refuse a bad handshake before the library sees it, which would break over some."""
        if not self.environ.get("HTTP_UPGRADE") or not self.server.has(self.environ["PATH_INFO"]):
            return None
        try:
            accept_key(self.environ)
        except BadUpgrade as problem:
            headers = [("Content-Type", "text/plain"), ("Sec-WebSocket-Version", VERSION)]
            self.start_response("400 Bad Request", headers)
            return [f"{problem}\n".encode()]
        return super().upgrade_websocket()

    def upgrade_connection(self) -> Any:
        """Let the library answer, and put our WebSocket in place of its own."""
        bar = self.server.gate(self.environ["PATH_INFO"])
        if bar is not None:
            return self._turn_away(bar.status)
        result = super().upgrade_connection()
        library_socket = getattr(self, "websocket", None)
        if library_socket is not None:
            library_socket.closed = True  # or its __del__ would send a close frame
            self.websocket = ServerWebSocket(self.environ, Stream(self), self)
            self.environ["wsgi.websocket"] = self.websocket
        return result

    def _turn_away(self, status: int | None) -> list[bytes]:
        """Answer with an HTTP error, or never."""
        if status is None:
            while self.socket.recv(4096):
                pass  # until the client has had enough
            raise ConnectionResetError(errno.ECONNRESET, "turned away without an answer")
        known = status in http.HTTPStatus.__members__.values()
        phrase = http.HTTPStatus(status).phrase if known else "Error"
        self.start_response(f"{status} {phrase}", [("Content-Type", "text/plain")])
        return [b"simulated\n"]

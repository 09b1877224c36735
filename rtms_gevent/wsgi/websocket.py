"""The server's side of WebSockets: the opening handshake, frames, messages, the close frame.

For whoever has the socket of a request, however it got it: the live page from gunicorn, the
simulator from gevent's own server. Both look first whether a request is for them.

Source: RFC 6455.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import struct
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import gevent
from gevent.lock import BoundedSemaphore

from ..errors import MissingExtra

try:
    from geventwebsocket.exceptions import ProtocolError
    from geventwebsocket.websocket import Header
except ImportError as problem:
    raise MissingExtra("a server of WebSockets", "simulator") from problem

__all__ = [
    "BINARY",
    "CONTINUATION",
    "TEXT",
    "VERSION",
    "BadUpgrade",
    "WebSocket",
    "WebSocketClosed",
    "encode_frame",
    "opening_answer",
]

#: The only version of the protocol that is spoken; a refusal names it in Sec-WebSocket-Version.
VERSION = "13"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# Opcodes, section 5.2.
CONTINUATION, TEXT, BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_OPCODES = frozenset({CONTINUATION, TEXT, BINARY, _CLOSE, _PING, _PONG})


class BadUpgrade(Exception):
    """A request opens no WebSocket; the text says what is wrong with it, and quotes none of it."""


class WebSocketClosed(ConnectionError):
    """The WebSocket is closed or broken; nothing can be sent or received any more."""


def opening_answer(environ: Mapping[str, Any]) -> bytes:
    """Return what answers a request, so that its socket is a WebSocket from then on.

    Args:
        environ: The WSGI environment.

    Raises:
        BadUpgrade: the request is no opening handshake. Answer it with 400. Section 4.2.1.
    """
    if environ.get("REQUEST_METHOD") != "GET" or environ.get("SERVER_PROTOCOL") != "HTTP/1.1":
        raise BadUpgrade("a WebSocket is opened with GET over HTTP/1.1")
    for header, token in (("UPGRADE", "websocket"), ("CONNECTION", "upgrade")):
        if token not in _tokens(environ.get(f"HTTP_{header}", "")):
            raise BadUpgrade(f"the header {header.title()} has no {token}")
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != VERSION:
        raise BadUpgrade(f"Sec-WebSocket-Version is not {VERSION}")
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "").strip().encode("latin-1", "replace")
    try:
        is_key = len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        is_key = False
    if not is_key:
        raise BadUpgrade("Sec-WebSocket-Key is not 16 bytes in base64")
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def _tokens(header: str) -> list[str]:
    return [token.strip().lower() for token in header.split(",")]


def encode_frame(payload: bytes, opcode: int, *, is_final: bool = True) -> bytes:
    """Return one frame as a server sends it: not masked. Section 5.2."""
    header: bytearray = Header.encode_header(is_final, opcode, b"", len(payload), 0)
    return bytes(header) + payload


class WebSocket:
    """The server's end of one WebSocket, after its opening handshake was answered.

    Greenlet-safety: one greenlet receives; any greenlet of the same hub may send and close.

    Args:
        connection: gevent's socket.
        file: What to read from it with.
    """

    #: Bytes of the largest message that the client may send. A larger one is refused (1009) from
    #: its header.
    max_message = 1024 * 1024
    #: Seconds that one sending may take, to wait for others included. None waits for ever.
    send_timeout: float | None = None

    def __init__(self, connection: Any, file: Any) -> None:
        self._connection = connection
        self._file = file
        self._lock = BoundedSemaphore(1)  # sending switches midway; frames must not interleave
        self._is_broken = False
        self.closed = False  #: we have sent the last that we have to say
        #: Code of the close frame that the client sent, 1005 where it had none (section 7.1.5);
        #: None where there was no close frame.
        self.peer_close_code: int | None = None

    # -- sending -----------------------------------------------------------------------------------

    def send(self, message: str | bytes) -> None:
        """Send a text or binary message, and wait until the socket took it.

        Raises:
            WebSocketClosed: it is closed, or did not take the message in time.
        """
        if isinstance(message, str):
            self.write([encode_frame(message.encode(), TEXT)])
        else:
            self.write([encode_frame(message, BINARY)])

    def write(self, chunks: Iterable[bytes]) -> None:
        """Send frames, in any pieces, with nothing of others between them.

        Raises:
            WebSocketClosed: as :meth:`send`.
        """
        if self.closed:
            raise WebSocketClosed("closed")
        self._write(chunks)

    def close(self, code: int = 1000, reason: str | bytes = "") -> None:
        """Send a close frame; nothing can be sent after it. Never raises, and may be called twice.

        Does not wait for the client's close frame: whoever receives gets to it.

        Args:
            code: Section 7.4.1.
            reason: For the client; more than 123 bytes are cut off.
        """
        if self.closed:
            return
        self.closed = True
        text = reason.encode() if isinstance(reason, str) else reason
        with contextlib.suppress(WebSocketClosed):  # gone is what it was to become
            self._write([encode_frame(struct.pack("!H", code) + text[:123], _CLOSE)])

    def _write(self, chunks: Iterable[bytes]) -> None:
        timeout = gevent.Timeout(self.send_timeout)
        try:
            with timeout, self._lock:
                self._send_all(chunks)
        except OSError as error:
            raise WebSocketClosed("the connection is broken") from error
        except gevent.Timeout as expired:
            if expired is not timeout:
                raise
            self.closed = True
            raise WebSocketClosed("too slow") from expired

    def _send_all(self, chunks: Iterable[bytes]) -> None:
        if self._is_broken:
            raise WebSocketClosed("broken")
        try:
            for chunk in chunks:
                self._connection.sendall(chunk)
        except BaseException:
            # Half of a frame may be on its way: nothing sensible can follow it.
            self.closed = self._is_broken = True
            raise

    # -- receiving ---------------------------------------------------------------------------------

    def receive(self) -> str | bytes:
        """Return the next message. Pings are answered on the way, and the client's close frame.

        Goes on after :meth:`close`, so that the client's answer is read.

        Raises:
            WebSocketClosed: the client closed, broke the connection, or broke the rules, for which
                it was sent a close frame.
        """
        try:
            return self._read_message()
        except _Violation as violation:
            self.refuse(violation.code, str(violation))

    def refuse(self, code: int, reason: str) -> NoReturn:
        """Close, and give up receiving.

        Raises:
            WebSocketClosed: always.
        """
        self.close(code, reason)
        raise WebSocketClosed(reason)

    def _read_message(self) -> str | bytes:
        kind = CONTINUATION  # of nothing yet
        message = bytearray()
        while True:
            opcode, is_final, payload = self.read_frame(self.max_message - len(message))
            if opcode == _CLOSE:
                self.answer_close(payload)
            elif opcode == _PING:
                if not self.closed:
                    self.write([encode_frame(payload, _PONG)])
            elif opcode != _PONG:
                if (opcode == CONTINUATION) is (kind == CONTINUATION):
                    raise _Violation(1002, "no message goes on like this")
                kind = kind or opcode
                message += payload
                if is_final:
                    return _decode(message) if kind == TEXT else bytes(message)

    def read_frame(self, limit: int) -> tuple[int, bool, bytes]:
        """Read one frame; for :meth:`receive`. Subclasses may count.

        Args:
            limit: Bytes that a message's part may have.

        Returns:
            Its opcode, whether it is its message's last, and its payload.
        """
        header = self._read_header()
        if header.flags or header.opcode not in _OPCODES:
            raise _Violation(1002, "reserved bits or opcodes are set")
        if not header.mask:
            raise _Violation(1002, "a client's frames are masked")  # section 5.1
        if header.length > limit and not header.opcode & 0x8:
            raise _Violation(1009, "the message is too long")
        payload = _unmask(self._read(header.length), header.mask)
        return header.opcode, header.fin, payload

    def _read_header(self) -> Any:
        try:
            return Header.decode_header(self._file)
        except ProtocolError:
            raise _Violation(1002, "control frames are short, and whole") from None
        except (OSError, ValueError) as error:  # WebSocketError is an OSError: the connection ended
            self.closed = True
            raise WebSocketClosed("the connection is broken, or ended") from error

    def answer_close(self, payload: bytes) -> NoReturn:
        """Note the client's code, and answer with the same. Section 5.5.1."""
        self.peer_close_code = 1005
        if payload:
            if len(payload) == 1:
                raise _Violation(1002, "half a close code")
            (self.peer_close_code,) = struct.unpack("!H", payload[:2])
            _decode(payload[2:])
            if not _is_close_code(self.peer_close_code):
                raise _Violation(1002, "no such close code")
        self.close(1000 if self.peer_close_code == 1005 else self.peer_close_code, payload[2:])
        raise WebSocketClosed("closed by the client")

    def _read(self, size: int) -> bytes:
        try:
            data: bytes = self._file.read(size) if size else b""
        except (OSError, ValueError) as error:  # ValueError: the file is closed
            self.closed = True
            raise WebSocketClosed("the connection is broken") from error
        if len(data) < size:
            self.closed = True
            raise WebSocketClosed("the connection ended")
        return data


class _Violation(Exception):
    """The client broke the rules of the protocol; a close frame says so."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def _decode(text: bytes | bytearray) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise _Violation(1007, "not UTF-8") from None


def _is_close_code(code: int) -> bool:
    """Return whether a close frame may have this code. Section 7.4, and IANA's registry."""
    return (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999


def _unmask(payload: bytes, mask: bytes) -> bytes:
    """XOR the whole payload as one integer, which is about ten times as fast as a loop."""
    length = len(payload)
    key = (mask * (length // 4 + 1))[:length]
    number = int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")
    return number.to_bytes(length, "little")

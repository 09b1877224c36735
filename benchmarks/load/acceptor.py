"""Handshakes like Zoom's: signaling and media sockets, answered by one loop."""

from __future__ import annotations

import base64
import hashlib
import json
import selectors
import socket
import ssl
from collections.abc import Callable

from .connection import Connection
from .frames import message

__all__ = ["Acceptor", "Visitor"]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BACKLOG = 4096

_SIGNALING_REQUEST, _SIGNALING_RESPONSE = 1, 2
_MEDIA_REQUEST, _MEDIA_RESPONSE = 3, 4
_CLIENT_READY = 7

#: All that the official SDK wants to be told of a medium.
_MEDIA_PARAMS = {
    "audio": {
        "content_type": 2,
        "sample_rate": 1,
        "channel": 1,
        "codec": 1,
        "data_opt": 2,
        "send_rate": 20,
    },
    "video": {"content_type": 3, "codec": 5, "resolution": 2, "fps": 5, "data_opt": 3},
}


class Visitor:
    """A connection on its way from the upgrade request to its RTMS handshake."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._buffer = bytearray()
        self._is_upgraded = False

    def read(self) -> list[dict[str, object]]:
        """Return the messages that have arrived.

        Raises:
            ConnectionError: the peer is gone, or closes the WebSocket.
        """
        self._buffer += self.connection.receive()
        if not self._is_upgraded:
            self._upgrade()
        documents = []
        while (payload := self._next_payload()) is not None:
            if payload:
                documents.append(json.loads(payload))
        return documents

    def _upgrade(self) -> None:
        head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not found:
            return
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        }
        key = hashlib.sha1(fields[b"sec-websocket-key"] + _GUID).digest()
        self.connection.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(key) + b"\r\n\r\n"
        )
        self._buffer[:] = rest
        self._is_upgraded = True

    def _next_payload(self) -> bytes | None:
        """Return the payload of the next frame, empty if it is no message; None if incomplete."""
        buffer = self._buffer
        if not self._is_upgraded or len(buffer) < 6:
            return None
        opcode, size, start = buffer[0] & 0x0F, buffer[1] & 0x7F, 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4], "big"), 4
        stop = start + 4 + size
        if len(buffer) < stop:
            return None
        payload = _unmask(buffer[start : start + 4], buffer[start + 4 : stop])
        del buffer[:stop]
        if opcode == 8:
            raise ConnectionError("closed by the peer")
        return payload if opcode in (1, 2) else b""


def _unmask(mask: bytes, payload: bytes) -> bytes:
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return number.to_bytes(len(payload), "big")


class Acceptor:
    """Listens on a free port of 127.0.0.1, and lets streams join."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        scheme, host = ("wss", "localhost") if context else ("ws", "127.0.0.1")
        #: Address for clients. Over TLS a name: the official SDK checks no addresses.
        self.url = f"{scheme}://{host}:{self._listener.getsockname()[1]}/"
        #: By stream id, in the order in which they came.
        self.signaling: dict[str, Connection] = {}
        self.media: dict[str, Connection] = {}
        self.ready: set[str] = set()

    def serve_until(self, is_enough: Callable[[], bool], timeout: float | None) -> None:
        """Answer whoever comes until ``is_enough()``.

        Raises:
            TimeoutError: nothing happened for ``timeout`` seconds.
        """
        while not is_enough():
            events = self._selector.select(timeout)
            if not events:
                raise TimeoutError(f"only {len(self.ready)} streams are ready")
            for key, _ in events:
                if key.data is None:
                    self._accept()
                else:
                    self._serve(key.data)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            visitor = Visitor(Connection(sock, self._context))
            self._selector.register(sock, selectors.EVENT_READ, visitor)

    def _serve(self, visitor: Visitor) -> None:
        try:
            for document in visitor.read():
                self._answer(visitor.connection, document)
        except ConnectionError:
            self._selector.unregister(visitor.connection.sock)
            visitor.connection.sock.close()

    def _answer(self, connection: Connection, document: dict[str, object]) -> None:
        number, stream = document["msg_type"], str(document.get("rtms_stream_id"))
        if number == _SIGNALING_REQUEST:
            self.signaling[stream] = connection
            urls = dict.fromkeys(_MEDIA_PARAMS, self.url)
            connection.send(
                message(
                    {
                        "msg_type": _SIGNALING_RESPONSE,
                        "protocol_version": 1,
                        "status_code": 0,
                        "reason": "",
                        "media_server": {"server_urls": urls},
                    }
                )
            )
        elif number == _MEDIA_REQUEST:
            self.media[stream] = connection
            connection.send(
                message(
                    {
                        "msg_type": _MEDIA_RESPONSE,
                        "protocol_version": 1,
                        "status_code": 0,
                        "reason": "",
                        "payload_encrypted": False,
                        "media_params": _MEDIA_PARAMS,
                    }
                )
            )
        elif number == _CLIENT_READY:
            self.ready.add(stream)

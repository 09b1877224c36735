"""One accepted connection, with TLS or without."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

__all__ = ["Connection"]

_READ = 64 * 1024


class Connection:
    """A socket; with TLS, records are made in memory, so that many can be sent at once."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        self.sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = (
            context.wrap_bio(self._incoming, self._outgoing, server_side=True) if context else None
        )
        self._is_secured = context is None

    def receive(self) -> bytes:
        """Return what has arrived, perhaps nothing.

        Raises:
            ConnectionError: the peer is gone.
        """
        try:
            data = self.sock.recv(_READ)
        except BlockingIOError:
            return b""
        if not data:
            raise ConnectionError("closed by the peer")
        return data if self._tls is None else self._decrypt(data)

    def _decrypt(self, data: bytes) -> bytes:
        self._incoming.write(data)
        plain = bytearray()
        try:
            if not self._is_secured:
                self._tls.do_handshake()
                self._is_secured = True
            while chunk := self._tls.read(_READ):
                plain += chunk
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as problem:
            raise ConnectionError(f"TLS: {problem}") from None
        self._flush()
        return bytes(plain)

    def send(self, data: bytes | bytearray) -> None:
        """Send ``data``; with TLS it is one record, if it is small enough."""
        if self._tls is None:
            self.sock.sendall(data)
        else:
            self._tls.write(data)
            self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self.sock.sendall(self._outgoing.read())

    def burst(self, data: bytes, count: int) -> Callable[[], None]:
        """Return what sends ``data`` so often, at once; with TLS each time as its own record."""
        if self._tls is None:
            chunk, sendall = data * count, self.sock.sendall
            return lambda: sendall(chunk)
        write = self._tls.write

        def send() -> None:
            for _ in range(count):
                write(data)
            self._flush()

        return send

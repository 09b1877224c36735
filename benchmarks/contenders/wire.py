"""Blocking sockets, and what a client writes on them, for contenders that are no RTMS clients."""

from __future__ import annotations

import socket
import ssl
import urllib.parse

from ..load.frames import frame
from .handshakes import tls_context
from .task import Task

__all__ = ["ask", "connect", "send"]

_MOST = 64 * 1024
#: Frames of a client are masked; this mask changes nothing.
_MASK = bytes(4)


def connect(task: Task) -> socket.socket | ssl.SSLSocket:
    """Return an upgraded connection."""
    where = urllib.parse.urlsplit(task.url)
    sock = socket.create_connection(("127.0.0.1", where.port))
    context = tls_context(task)
    if context:
        sock = context.wrap_socket(sock, server_hostname=where.hostname)
    sock.sendall(
        b"GET / HTTP/1.1\r\nHost: benchmark\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    sock.recv(_MOST)
    return sock


def send(sock: socket.socket, message: str) -> None:
    """Send a message."""
    plain = frame(message.encode())
    header = len(plain) - len(message)
    head = bytes([plain[0], plain[1] | 0x80]) + plain[2:header]
    sock.sendall(head + _MASK + plain[header:])


def ask(sock: socket.socket, message: str) -> None:
    """Send a message, and wait for an answer."""
    send(sock, message)
    sock.recv(_MOST)

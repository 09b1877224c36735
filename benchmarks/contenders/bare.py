"""No client at all: a loop that receives and forgets. It shows what the load generator can send.

One stream, flooded, only.
"""

from __future__ import annotations

import socket
import ssl
import urllib.parse

from ..load.frames import StampedFrame, frame
from ..workload import BEGIN, END
from .handshakes import client_ready, media_request, signaling_request, tls_context
from .meter import Meter
from .task import Task

_BUFFER = 256 * 1024
#: Frames of a client are masked; this mask changes nothing.
_MASK = bytes(4)


def main() -> None:
    """Do the task."""
    task = Task.from_command_line()
    meter = Meter(task, on_done=lambda: None)
    (stream,) = task.ids()
    meter.joining()
    signaling = connect(task)
    ask(signaling, signaling_request(stream))
    media = connect(task)
    ask(media, media_request(stream, task.workload.media))
    send(signaling, client_ready(stream))
    meter.joined()
    size = len(StampedFrame(task.workload.media, task.workload.payload).data)
    begin, end = b"%d}}" % BEGIN, b"%d}}" % END
    begin_at = size - len(begin)
    buffer = bytearray(_BUFFER)
    received = 0
    while True:
        count = media.recv_into(buffer)
        received += count
        # Before the first mark nothing was sent for a while, so it is the first in the buffer; with
        # TLS a record is received at a time, so it is the last, too.
        if buffer.startswith(begin, begin_at) or buffer.endswith(begin, 0, count):
            received = max(0, count - size)
            meter.mark(BEGIN)
        if buffer.endswith(end, 0, count):  # nothing follows it
            break
    meter.count((received - size) // size)
    meter.mark(END)
    meter.report()


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
    sock.recv(_BUFFER)
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
    sock.recv(_BUFFER)


main()

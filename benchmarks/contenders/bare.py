"""No client at all: a loop that receives and forgets. It shows what the load generator can send.

One stream, flooded, only.
"""

from __future__ import annotations

import socket

from ..load.frames import StampedFrame
from ..workload import BEGIN, END
from .handshakes import client_ready, media_request, signaling_request
from .meter import Meter
from .task import Task
from .wire import ask, connect, send

_BUFFER = 256 * 1024


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
    buffer = bytearray(_BUFFER)
    early = await_begin(media, buffer, size)
    meter.mark(BEGIN)
    received = receive_all(media, buffer, early)
    meter.count(received // size - 1)  # the last frame is a mark
    meter.mark(END)
    meter.report()


def await_begin(media: socket.socket, buffer: bytearray, size: int) -> bytes:
    """Forget all frames up to the mark; return what came after it."""
    ending, pending = _ending(BEGIN), b""
    while True:
        pending += buffer[: media.recv_into(buffer)]
        for start in range(0, len(pending) - size + 1, size):
            if pending.endswith(ending, start, start + size):
                return pending[start + size :]
        pending = pending[len(pending) // size * size :]


def receive_all(media: socket.socket, buffer: bytearray, early: bytes) -> int:
    """Return how many bytes come, up to the last mark: nothing follows it."""
    ending = _ending(END)
    received, last = len(early), early[-len(ending) :]
    while last != ending:
        count = media.recv_into(buffer)
        received += count
        if count < len(ending):
            last = (last + buffer[:count])[-len(ending) :]
        else:
            last = buffer[count - len(ending) : count]
    return received


def _ending(mark: int) -> bytes:
    """Return how the frame of a mark ends."""
    return b"%d}}" % mark


main()

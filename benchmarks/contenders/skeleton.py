"""No client at all: this package's reading and decoding on gevent's loop, and nothing around them.

It shows what the layers of the client cost where streams are paced. With the option ``greenlets``
each stream has a queue and a greenlet that calls the callback; else the hub calls it. Without TLS.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

import gevent
from gevent.event import Event

from rtms_gevent.protocol.fast_media import fast_media_decoder
from rtms_gevent.transport.frames import FrameReader, ReceiveBuffer

from .handshakes import client_ready, media_request, signaling_request
from .meter import Meter
from .task import Task
from .wire import ask, connect, send

_READ = 1
_LIMIT = 1024 * 1024


class Stream:
    """Reads one media socket."""

    def __init__(
        self,
        descriptor: int,
        callback: Callable[..., object],
        receive_buffer: ReceiveBuffer,
        *,
        greenlets: bool,
    ) -> None:
        self._descriptor = descriptor
        self._callback = callback
        self._reader = FrameReader(_LIMIT, buffer=receive_buffer)
        self._decode = fast_media_decoder().decode
        self._waiting = deque()
        self._hub = gevent.get_hub()
        self._greenlet = None
        self._is_asleep = False
        self._watcher = self._hub.loop.io(descriptor, _READ)
        self._watcher.start(self._queue if greenlets else self._call)

    def _call(self) -> None:
        for packet in self._read():
            _, data, timestamp, metadata = packet
            self._callback(data, len(data), timestamp, metadata)

    def _queue(self) -> None:
        self._waiting.extend(self._read())
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._deliver)
        elif self._is_asleep:
            self._greenlet.switch()

    def _read(self):
        reader, decode = self._reader, self._decode
        count = os.readv(self._descriptor, (reader.get_buffer(),))
        return [
            decode(buffer, start, stop) for _, buffer, start, stop in reader.buffer_updated(count)
        ]

    def _deliver(self) -> None:
        waiting, callback = self._waiting, self._callback
        while True:
            while waiting:
                _, data, timestamp, metadata = waiting.popleft()
                callback(data, len(data), timestamp, metadata)
            self._is_asleep = True
            self._hub.switch()
            self._is_asleep = False


def main() -> None:
    """Do the task."""
    task = Task.from_command_line()
    done = Event()
    meter = Meter(task, on_done=done.set)
    streams, receive_buffer = [], ReceiveBuffer()
    meter.joining()
    for stream in task.ids():
        signaling, media = connect(task), connect(task)
        ask(signaling, signaling_request(stream))
        ask(media, media_request(stream, task.workload.media))
        media.setblocking(False)
        greenlets = bool(task.options.get("greenlets"))
        reader = Stream(media.fileno(), meter.packet, receive_buffer, greenlets=greenlets)
        streams.append((signaling, media, reader))
        send(signaling, client_ready(stream))
        meter.joined()
    done.wait()
    meter.report()


main()

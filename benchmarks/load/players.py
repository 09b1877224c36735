"""Sending: a flood, or so many messages a second; both say what they cost and how late."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..workload import BEGIN, END, STAMP_ZERO, WARM_UP, Workload
from .connection import Connection
from .frames import StampedFrame, keep_alive

__all__ = ["flood", "pace"]

#: Bytes that a flood sends at once.
_CHUNK = 128 * 1024
#: Seconds without a message before those that count, so that the contender has no backlog.
_PAUSE = 0.3
#: One slot of paced sending, in seconds. In each, some of the streams get a message.
_SLOT = 0.001
#: Seconds between keep-alives.
_KEEP_ALIVE = 10.0


def flood(connection: Connection, workload: Workload) -> dict[str, float]:
    """Send as much as is read; return what was sent in the time that counts."""
    packet = StampedFrame(workload.media, workload.payload)
    copies = max(1, _CHUNK // len(packet.data))

    def send_for(seconds: float, timestamp: int) -> int:
        burst = connection.burst(bytes(packet.stamp(timestamp)), copies)
        sent, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            burst()
            sent += copies
        return sent

    send_for(workload.warm_up, WARM_UP)
    time.sleep(_PAUSE)
    connection.send(packet.stamp(BEGIN))
    wall, cpu = time.monotonic(), time.process_time()
    sent = send_for(workload.seconds, _now())
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    connection.send(packet.stamp(END))
    return {"sent": sent, "seconds": wall, "cpu_percent": 100 * cpu / wall}


def pace(
    media: Sequence[Connection], signaling: Sequence[Connection], workload: Workload
) -> dict[str, float]:
    """Send ``workload.rate`` messages a second on each socket; return how that went."""
    packet = StampedFrame(workload.media, workload.payload)
    slots = round(1 / workload.rate / _SLOT)
    turns = [media[slot::slots] for slot in range(slots)]

    def send_for(seconds: float, timestamp: int | None) -> list[int]:
        """Return how late each message was, in microseconds; ``None`` stamps the time."""
        late = []
        begin = time.monotonic()
        next_keep_alive = begin + _KEEP_ALIVE
        for number in range(round(seconds / _SLOT)):
            due = begin + number * _SLOT
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            due_stamp = STAMP_ZERO + int(due * 1e6)
            for connection in turns[number % slots]:
                now = _now()
                connection.send(packet.stamp(timestamp or now))
                late.append(now - due_stamp)
            if due > next_keep_alive:
                next_keep_alive += _KEEP_ALIVE
                for connection in signaling:
                    connection.send(keep_alive(number, int(time.time() * 1000)))
        return late

    send_for(workload.warm_up, WARM_UP)
    time.sleep(_PAUSE)
    _mark(media, packet, BEGIN)
    wall, cpu = time.monotonic(), time.process_time()
    late = sorted(send_for(workload.seconds, None))
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    _mark(media, packet, END)
    return {
        "sent": len(late),
        "seconds": wall,
        "cpu_percent": 100 * cpu / wall,
        "late_p50_us": late[len(late) // 2],
        "late_p99_us": late[len(late) * 99 // 100],
    }


def _mark(media: Sequence[Connection], packet: StampedFrame, mark: int) -> None:
    frame = packet.stamp(mark)
    for connection in media:
        connection.send(frame)


def _now() -> int:
    return STAMP_ZERO + time.monotonic_ns() // 1000

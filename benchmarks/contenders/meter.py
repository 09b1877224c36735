"""Counting, timing and reporting: the same for all contenders. Standard library only."""

from __future__ import annotations

import array
import json
import pathlib
import resource
import sys
import time
from collections.abc import Callable, Sequence

from ..workload import BEGIN, END, MARKS, STAMP_ZERO
from .task import Task

__all__ = ["Meter", "percentile"]


class Meter:
    """Has the callback for packets, and knows when the time that counts begins and ends.

    It begins with the first stream's BEGIN, and ends with the last one's END.
    """

    def __init__(
        self,
        task: Task,
        *,
        on_done: Callable[[], object],
        on_begin: Callable[[], object] = lambda: None,
    ) -> None:
        """Make a meter.

        Args:
            task: What is done.
            on_done: Called once, with the last packet that counts.
            on_begin: Called once, with the first.
        """
        self._task = task
        self._on_done = on_done
        self._on_begin = on_begin
        self._begun: Usage | None = None
        self._ended: Usage | None = None
        self._open = task.workload.streams  # streams whose END has not come
        self._count = 0
        self._latencies = array.array("q")
        self._sent = array.array("q")
        self._joined = _Joining(task.workload.streams)
        self._late = _Joining(task.late.count if task.late else 0)
        #: For each packet: ``packet(data, size, timestamp, metadata)``.
        timing = task.workload.kind == "paced" and task.workload.times_packets
        self.packet = self._time if timing else self._count_only

    # -- called by contenders ----------------------------------------------------------------------

    def joining(self, *, late: bool = False) -> None:
        """Note that joining begins."""
        (self._late if late else self._joined).begin()

    def joined(self, reason: int = 0) -> None:
        """Note that one stream is joined, or, with a reason, is not."""
        self._joined.one_more(reason)

    def late_joined(self, reason: int = 0) -> None:
        """Note that one of the late streams is joined, or is not."""
        self._late.one_more(reason)

    def _count_only(self, data: bytes, size: int, timestamp: int, metadata: object = None) -> None:
        if timestamp < MARKS:
            self.mark(timestamp)
        else:
            self._count += 1

    def _time(self, data: bytes, size: int, timestamp: int, metadata: object = None) -> None:
        if timestamp < MARKS:
            self.mark(timestamp)
        else:
            self._sent.append(timestamp)
            self._latencies.append(time.monotonic_ns() // 1000 + STAMP_ZERO - timestamp)

    def count(self, packets: int) -> None:
        """Note packets that were counted elsewhere."""
        self._count += packets

    def mark(self, mark: int) -> None:
        """Note the beginning or the end of one stream."""
        if mark == BEGIN:
            if self._begun is None:
                self._begun = Usage()
                self._on_begin()
        elif mark == END:
            self._open -= 1
            if not self._open:
                self._ended = Usage()
                self._on_done()

    # -- the result --------------------------------------------------------------------------------

    def report(self, **more: object) -> None:
        """Print the result as one line of JSON, with ``more`` in it."""
        begun, ended = self._begun, self._ended
        assert begun is not None
        assert ended is not None
        delivered = self._count or len(self._sent)
        wall, cpu = ended.wall - begun.wall, ended.cpu - begun.cpu
        result: dict[str, object] = {
            "delivered": delivered,
            "seconds": wall,
            "cpu_seconds": cpu,
            "rate": delivered / wall,
            "cpu_us": 1e6 * cpu / delivered,
            "cpu_percent": 100 * cpu / wall,
            "rss_begin_kb": begun.rss_kb,
            "rss_end_kb": ended.rss_kb,
            "rss_peak_kb": ended.rss_peak_kb,
            "join_seconds": self._joined.seconds,
            **more,
        }
        if self._latencies:
            result["p50_us"], result["p90_us"], result["p99_us"], result["max_us"] = (
                percentile(self._latencies, share) for share in (0.5, 0.9, 0.99, 1.0)
            )
        if self._late.wanted:
            result.update(self._late_report())
        print(json.dumps(result), flush=True)

    def _late_report(self) -> dict[str, float]:
        if self._late.seconds is None:
            raise RuntimeError(f"late streams: {self._late.wanted} wanted, not all are joined")
        begin, end = self._late.stamps
        pairs = list(zip(self._sent, self._latencies, strict=True))
        return {
            "late_seconds": self._late.seconds,
            "before_p99_us": percentile([late for sent, late in pairs if sent < begin], 0.99),
            "during_p99_us": percentile(
                [late for sent, late in pairs if begin <= sent <= end], 0.99
            ),
        }


class Usage:
    """What the process has used, now."""

    def __init__(self) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.cpu = usage.ru_utime + usage.ru_stime
        self.wall = time.monotonic()
        # Not ru_maxrss: it begins with what the parent had.
        status = pathlib.Path("/proc/self/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        self.rss_kb = int(fields["VmRSS"].split()[0])
        self.rss_peak_kb = int(fields["VmHWM"].split()[0])


class _Joining:
    """How long it took until so many streams were joined."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self._left = wanted
        self._begin = self._end = 0.0

    def begin(self) -> None:
        self._begin = time.monotonic()

    def one_more(self, reason: int) -> None:
        if reason:
            print(f"a stream was not joined: {reason}", file=sys.stderr)
            return
        self._left -= 1
        if not self._left:
            self._end = time.monotonic()

    @property
    def seconds(self) -> float | None:
        """None while not all are joined."""
        return self._end - self._begin if self._end else None

    @property
    def stamps(self) -> tuple[int, int]:
        """Begin and end, as timestamps of packets."""
        return tuple(STAMP_ZERO + int(1e6 * moment) for moment in (self._begin, self._end))


def percentile(values: Sequence[int], share: float) -> float:
    """Return the value that ``share`` of all values do not exceed; NaN if there is none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

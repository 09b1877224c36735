"""The table's rows: what is read from which experiment, and what we want it to be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from .contender import OFFICIAL
from .measure import Result

__all__ = ["ROWS", "Row", "Target"]


@dataclasses.dataclass(frozen=True)
class Target:
    """A limit, of our value or of its ratio to the official SDK's."""

    limit: float
    is_ratio: bool = False
    at_least: bool = False

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"{sign} {self.limit:g}{' x' if self.is_ratio else ''}"

    def is_met(self, ours: float, ratio: float | None) -> bool | None:
        """Return whether it is; None where that cannot be said."""
        value = ratio if self.is_ratio else ours
        if value is None:
            return None
        return value >= self.limit if self.at_least else value <= self.limit


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table."""

    title: str
    experiment: str
    unit: str
    value: str | Callable[[Result], float]  #: the result's key, or what makes it of the result
    target: Target | None = None
    more_is_better: bool = False
    against: str = ""  #: the contender that ratios are of; the better official one by default
    has_ratio: bool = True  #: False where a ratio says nothing

    def read(self, result: Result) -> float | None:
        """Return the value of one measurement, or None if it has none."""
        value = result.get(self.value) if isinstance(self.value, str) else self.value(result)
        return None if value is None else float(value)


def times(limit: float, *, at_least: bool = False) -> Target:
    """Make a target for the ratio ours / official."""
    return Target(limit, is_ratio=True, at_least=at_least)


def _undelivered(result: Result) -> float:
    return result["load"]["sent"] - result["delivered"]


def _slowdown(result: Result) -> float:
    return result["during_p99_us"] / result["before_p99_us"]


def _flood(title: str, experiment: str, rate: Target, cpu: Target | None = None) -> list[Row]:
    return [
        Row(f"{title}: rate", experiment, "msg/s", "rate", rate, more_is_better=True),
        Row(f"{title}: CPU per message", experiment, "µs", "cpu_us", cpu),
    ]


def _meetings(title: str, experiment: str, cpu_percent: float) -> list[Row]:
    return [
        Row(f"{title}: not delivered", experiment, "msgs", _undelivered, Target(0)),
        Row(f"{title}: latency p99", experiment, "ms", _milliseconds("p99_us"), Target(5)),
        Row(f"{title}: CPU of a core", experiment, "%", "cpu_percent", Target(cpu_percent)),
    ]


def _memory(title: str, experiment: str, kilobytes: float) -> list[Row]:
    return [
        Row(f"{title}, each", experiment, "kB", "kb_per_stream", Target(kilobytes)),
        Row(
            f"{title}, growth while streaming",
            experiment,
            "%",
            "growth_percent",
            Target(2),
            has_ratio=False,
        ),
    ]


def _milliseconds(key: str) -> Callable[[Result], float | None]:
    return lambda result: result[key] / 1000 if key in result else None


_ONE_HUNDRED = "100 meetings x 50 msg/s"

ROWS = (
    *_flood("flood, audio 160 B", "flood-160", times(5, at_least=True)),
    *_flood("flood, audio 1,920 B", "flood-1920", times(5, at_least=True)),
    *_flood("flood, video 20 kB", "flood-20k", times(8, at_least=True)),
    *_flood("TLS flood, audio 160 B", "tls-flood-160", times(1.2, at_least=True), times(0.5)),
    *_flood("TLS flood, video 20 kB", "tls-flood-20k", times(4, at_least=True)),
    Row(f"{_ONE_HUNDRED}, 160 B: CPU per message", "paced-160", "µs", "cpu_us", times(0.4)),
    Row(f"{_ONE_HUNDRED}, 640 B: CPU per message", "paced-640", "µs", "cpu_us", times(0.4)),
    Row(
        f"{_ONE_HUNDRED}, 160 B: latency p50",
        "paced-160",
        "ms",
        _milliseconds("p50_us"),
        times(0.5),
    ),
    Row(
        f"{_ONE_HUNDRED}, 160 B: latency p99, against the default loop",
        "paced-160",
        "ms",
        _milliseconds("p99_us"),
        times(0.1),
        against=OFFICIAL[0].name,
    ),
    Row(
        f"{_ONE_HUNDRED}, 160 B: latency p99, against the better loop",
        "paced-160",
        "ms",
        _milliseconds("p99_us"),
    ),
    *_meetings("1,000 meetings x 50 msg/s", "meetings-1000", 75),
    *_meetings("500 meetings x 50 msg/s, TLS", "tls-meetings-500", 70),
    *_memory("memory of 500 streaming meetings", "memory", 80),
    *_memory("memory of 500 streaming meetings, TLS", "tls-memory", 140),
    Row("joining 500 meetings at once", "joining", "s", "late_seconds", Target(1.5)),
    Row("meanwhile, p99 of 100 running ones", "joining", "ms", _milliseconds("during_p99_us")),
    Row("meanwhile, p99 of 100 running ones, times", "joining", "x", _slowdown, Target(2)),
    Row(
        "the same, in a process that is ours",
        "joining-tuned",
        "x",
        _slowdown,
        Target(10),
        has_ratio=False,
    ),
    Row("signal nobody hears, of a message's cost", "signal", "%", "signal_percent", Target(2)),
    Row("import: time", "import", "s", "import_seconds", Target(0.25)),
    Row("import: memory of the process", "import", "MB", "rss_mb", Target(45)),
)

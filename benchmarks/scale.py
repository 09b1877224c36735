"""``python -m benchmarks scale``: cost against meetings, and against the size of packets."""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys
from collections.abc import Callable, Sequence

from . import machine
from .contender import OFFICIAL, OURS, Contender
from .environments import EnvironmentProblem
from .measure import MeasurementFailed, Result, measure
from .workload import Workload

__all__ = ["add_arguments", "run"]

_MEETINGS = (1, 10, 50, 100, 200, 500, 1000, 1500, 2000)
_PAYLOADS = (160, 640, 1280, 1920, 5_000, 20_000, 60_000, 200_000)
#: Sizes from here on are video.
_VIDEO_FROM = 5_000
_CONTENDERS = (OURS, *OFFICIAL)
_KEPT = ("rate", "cpu_us", "cpu_percent", "p50_us", "p99_us", "delivered", "noise_percent")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=4.0, help="that count (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="fewer points, one short round each")
    parser.add_argument(
        "--json", type=pathlib.Path, default=pathlib.Path("scale.json"), help="(%(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure and write; return the exit status."""
    rounds, seconds, step = arguments.rounds, arguments.seconds, 1
    if arguments.quick:
        rounds, seconds, step = 1, 1.5, 2
    contenders = _available()

    def paced(streams: int) -> Workload:
        return Workload("paced", streams=streams, seconds=seconds)

    def secure(streams: int) -> Workload:
        return Workload("paced", streams=streams, tls=True, seconds=seconds)

    def flooded(payload: int) -> Workload:
        media = "video" if payload >= _VIDEO_FROM else "audio"
        return Workload("flood", payload=payload, media=media, seconds=seconds / 2)

    about = machine.describe()
    document = {
        "machine": about,
        "settings": {"rounds": rounds, "seconds": seconds},
        "meetings": _series(paced, _MEETINGS[::step], contenders, rounds),
        "tls_meetings": _series(secure, _MEETINGS[:-1:step], contenders, rounds),
        "payloads": _series(flooded, _PAYLOADS[::step], contenders, rounds),
    }
    arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    print(f"Written to {arguments.json}: python -m benchmarks charts --scale {arguments.json}")
    return 0


def _available() -> list[Contender]:
    available = []
    for contender in _CONTENDERS:
        try:
            contender.python()
            available.append(contender)
        except EnvironmentProblem as problem:
            print(f"{contender.name} is left out: {problem}")
    return available


def _series(
    workload: Callable[[int], Workload],
    sizes: Sequence[int],
    contenders: Sequence[Contender],
    rounds: int,
) -> dict[str, list[Result]]:
    """Return the medians for each size, by contender; a point that failed is left out."""
    series: dict[str, list[Result]] = {contender.name: [] for contender in contenders}
    for size in sizes:
        measured: dict[str, list[Result]] = {contender.name: [] for contender in contenders}
        for _ in range(rounds):
            for contender in contenders:
                try:
                    measured[contender.name].append(measure(contender, workload(size)))
                except MeasurementFailed as problem:
                    print(f"{contender.name} at {size}: {problem}", file=sys.stderr)
        for name, results in measured.items():
            if results:
                series[name].append({"size": size, **_medians(results)})
                print(f"{name} at {size}: {_words(series[name][-1])}", file=sys.stderr, flush=True)
    return series


def _medians(results: Sequence[Result]) -> Result:
    medians = {
        key: statistics.median(result[key] for result in results)
        for key in _KEPT
        if key in results[0]
    }
    medians["lost"] = max(result["load"]["sent"] - result["delivered"] for result in results)
    late = [result["load"].get("late_p99_us", 0) for result in results]
    return {**medians, "sender_late_p99_us": statistics.median(late)}


def _words(point: Result) -> str:
    latency = f", p99 {point['p99_us'] / 1000:.2f} ms" if "p99_us" in point else ""
    return (
        f"{point['cpu_us']:.1f} µs per message, {point['cpu_percent']:.0f} % of a core, "
        f"{point['rate']:,.0f} msg/s{latency}, {point['lost']} lost; "
        f"other processes {point['noise_percent']:.0f} %"
    )

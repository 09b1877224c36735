"""``python -m benchmarks workers``: what it costs that workers share streams, by store."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys

from .. import machine, report
from ..measure import MeasurementFailed, Result
from .fleet import Fleet
from .places import Place, places
from .rows import HEADER, rows_of
from .scenarios import SCENARIOS, Size

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "--claims", type=int, default=2000, help="streams to claim at once (%(default)s)"
    )
    parser.add_argument("--starts", type=int, default=500, help="starts, 50 a second (%(default)s)")
    parser.add_argument(
        "--held", type=int, default=400, help="streams to hold at rest (%(default)s)"
    )
    parser.add_argument(
        "--streams", type=int, default=10_000, help="to hold on Redis (%(default)s)"
    )
    parser.add_argument("--processes", type=int, default=8, help="workers (%(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="at rest (%(default)s)")
    parser.add_argument(
        "--lease",
        type=float,
        default=8.0,
        help="seconds until a silent worker is dead (%(default)s)",
    )
    parser.add_argument(
        "--only",
        metavar="NAMES",
        default="",
        help="what to measure, with commas: a name, or how names begin; " + ", ".join(SCENARIOS),
    )
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all results here")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; return the exit status."""
    about = machine.describe()
    size = Size(
        arguments.claims,
        arguments.starts,
        arguments.held,
        arguments.streams,
        arguments.seconds,
    )
    beginnings = tuple(arguments.only.split(","))
    results: list[Result] = []
    problems: list[str] = []
    for place in places(arguments.processes, arguments.lease, problems.append):
        for name, scenario in SCENARIOS.items():
            if not name.startswith(beginnings) or not scenario.is_possible(place):
                continue
            print(f"{place.title}: {name}", file=sys.stderr, flush=True)
            try:
                results.append(_measure(place, name, size))
            except MeasurementFailed as problem:
                problems.append(f"{place.title}, {name}: {problem}")
    print(report.machine_line(about))
    print()
    print(report.columns([HEADER, *rows_of(results)]))
    for problem in problems:
        print(f"left out: {problem}")
    if arguments.json:
        document = {"machine": about, "measurements": results, "left_out": problems}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def _measure(place: Place, name: str, size: Size) -> Result:
    noise = machine.Noise()
    with place.opened() as server, Fleet(place) as fleet:
        measured = SCENARIOS[name].run(fleet, server, size)
    return {
        "store": place.title,
        "scenario": name,
        "processes": place.processes,
        **measured,
        "noise_percent": noise.percent(),
    }

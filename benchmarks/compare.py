"""``python -m benchmarks compare``: everything side by side, and one table."""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
from collections.abc import Iterable, Sequence

from . import machine, report
from .contender import CONTENDERS, Contender
from .environments import EnvironmentProblem
from .experiments import EXPERIMENTS, Experiment, Pace
from .measure import MeasurementFailed, Result
from .rows import ROWS
from .summary import summarize

__all__ = ["add_arguments", "run"]

_FULL, _QUICK = Pace(5.0, 1.0), Pace(1.5, 0.5)
_FULL_ROUNDS, _QUICK_ROUNDS = 5, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--rounds", type=int, help="(5, or 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="short measurements")
    parser.add_argument(
        "--only",
        metavar="NAMES",
        help="experiments to run, with commas: a name, or how names begin; "
        + ", ".join(EXPERIMENTS),
    )
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all results here")


def run(arguments: argparse.Namespace) -> int:
    """Compare; return the exit status."""
    pace = _QUICK if arguments.quick else _FULL
    rounds = arguments.rounds or (_QUICK_ROUNDS if arguments.quick else _FULL_ROUNDS)
    chosen = _chosen(arguments.only)
    if not chosen:
        print(f"No experiment is called {arguments.only}.", file=sys.stderr)
        return 2
    about = machine.describe()
    available, left_out = _prepare(CONTENDERS.values())
    results: dict[str, dict[str, list[Result]]] = {}
    for experiment in chosen:
        results[experiment.name] = _interleave(experiment, available, pace, rounds)
    lines = [summarize(row, results) for row in ROWS if row.experiment in results]
    print(report.machine_line(about))
    print(f"Medians of {rounds} rounds of {pace.seconds:g} s (lowest - highest)\n")
    print(report.table(lines))
    print("\nofficial, poll 0: run(poll_interval=0). Ratios are of the better of its two loops.")
    for line in (report.noise(results), *report.calibration(results), *_problems(results)):
        print(line)
    for name, reason in left_out.items():
        print(f"{name} was left out: {reason}")
    if arguments.json:
        settings = {"rounds": rounds, "seconds": pace.seconds, "quick": arguments.quick}
        document = report.as_json(about, settings, lines, results, left_out)
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def _chosen(only: str | None) -> list[Experiment]:
    beginnings = tuple((only or "").split(","))
    return [found for name, found in EXPERIMENTS.items() if name.startswith(beginnings)]


def _prepare(contenders: Iterable[Contender]) -> tuple[set[str], dict[str, str]]:
    """Install what is missing; return the names of those that can run, and why others cannot."""
    available, left_out = set(), {}
    for contender in contenders:
        try:
            contender.python()
            available.add(contender.name)
        except EnvironmentProblem as problem:
            left_out[contender.name] = str(problem)
    return available, left_out


def _interleave(
    experiment: Experiment, available: set[str], pace: Pace, rounds: int
) -> dict[str, list[Result]]:
    """Let the contenders take turns: A B C, A B C, ..."""
    contenders = [contender for contender in experiment.contenders if contender.name in available]
    results: dict[str, list[Result]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            _say(f"{experiment.name}, round {number + 1} of {rounds}: {contender.name}")
            try:
                result = experiment.run(contender, pace)
            except (MeasurementFailed, subprocess.CalledProcessError) as problem:
                result = {"error": str(problem)}
                _say(f"  {problem}")
            results[contender.name].append(result)
    return results


def _problems(results: dict[str, dict[str, list[Result]]]) -> Sequence[str]:
    return [
        f"{experiment}: {result['error']}"
        for experiment, measured in results.items()
        for rounds in measured.values()
        for result in rounds
        if "error" in result
    ]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

"""What is run: each experiment is made with several contenders, in turns."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable

from .contender import BARE, OFFICIAL, OTHERS, OURS, OURS_TUNED, Contender
from .environments import ROOT
from .measure import Result, measure, run_script
from .workload import Workload

__all__ = ["EXPERIMENTS", "Experiment", "Pace"]


@dataclasses.dataclass(frozen=True)
class Pace:
    """How long the time that counts is, and what goes before it, in seconds."""

    seconds: float
    warm_up: float


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Something to do with each of ``contenders``."""

    name: str
    contenders: tuple[Contender, ...]
    run: Callable[[Contender, Pace], Result]


# -- the kinds of experiments ----------------------------------------------------------------------


def play(**workload: object) -> Callable[[Contender, Pace], Result]:
    """Send a workload."""

    def run(contender: Contender, pace: Pace) -> Result:
        return measure(contender, Workload(seconds=pace.seconds, warm_up=pace.warm_up, **workload))

    return run


def memory(tls: bool) -> Callable[[Contender, Pace], Result]:
    """Compare the memory of many streams with that of few; watch whether it grows."""
    few, many = 100, 500

    def run(contender: Contender, pace: Pace) -> Result:
        results = [
            measure(
                contender,
                Workload(
                    "paced",
                    streams=streams,
                    tls=tls,
                    seconds=pace.seconds,
                    warm_up=pace.warm_up,
                    times_packets=False,
                ),
            )
            for streams in (few, many)
        ]
        small, large = results
        return {
            **large,
            "kb_per_stream": (large["rss_end_kb"] - small["rss_end_kb"]) / (many - few),
            "growth_percent": 100 * (large["rss_end_kb"] / large["rss_begin_kb"] - 1),
        }

    return run


#: Seconds; streams that are not joined by then count as a failure.
_JOINING_MAY_TAKE = 10.0


def join_late(contender: Contender, pace: Pace) -> Result:
    """Join 500 streams at once while 100 are running, in the midst of the time that counts."""
    seconds = pace.seconds + _JOINING_MAY_TAKE
    workload = Workload("paced", streams=100, seconds=seconds, warm_up=pace.warm_up)
    return measure(contender, workload, late=500, late_after=pace.seconds)


def send_signal(contender: Contender, pace: Pace) -> Result:
    """Relate a signal that nobody hears to the cost of a message."""
    signal = run_script(dataclasses.replace(contender, script="signal_cost"), "")
    message = play(kind="flood", payload=160)(contender, pace)
    share = 100 * signal["signal_ns"] / 1000 / message["cpu_us"]
    return {**signal, "signal_percent": share}


_IMPORT = """
import time
begin = time.perf_counter()
import {package}
seconds = time.perf_counter() - begin
import json, resource
with open("/proc/self/statm") as file:
    pages = int(file.read().split()[1])
megabytes = pages * resource.getpagesize() / 1024**2
print(json.dumps({{"import_seconds": seconds, "rss_mb": megabytes}}))
"""


def import_it(contender: Contender, pace: Pace) -> Result:
    """Import the package in a fresh process."""
    command = [contender.python(), "-c", _IMPORT.format(package=contender.package)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


# -- all of them -----------------------------------------------------------------------------------

_TWO = (OURS, *OFFICIAL)
_ALL = (*_TWO, *OTHERS)

_LIST = (
    Experiment("flood-160", (*_ALL, BARE), play(kind="flood", payload=160)),
    Experiment("flood-1920", (*_ALL, BARE), play(kind="flood", payload=1920)),
    Experiment("flood-20k", (*_ALL, BARE), play(kind="flood", payload=20_000, media="video")),
    Experiment("tls-flood-160", (*_ALL, BARE), play(kind="flood", payload=160, tls=True)),
    Experiment(
        "tls-flood-20k",
        (*_ALL, BARE),
        play(kind="flood", payload=20_000, media="video", tls=True),
    ),
    Experiment("paced-160", _ALL, play(kind="paced", streams=100, payload=160)),
    Experiment("paced-640", _ALL, play(kind="paced", streams=100, payload=640)),
    Experiment("meetings-1000", _TWO, play(kind="paced", streams=1000)),
    Experiment("tls-meetings-500", _TWO, play(kind="paced", streams=500, tls=True)),
    Experiment("memory", _TWO, memory(tls=False)),
    Experiment("tls-memory", _TWO, memory(tls=True)),
    Experiment("joining", _TWO, join_late),
    Experiment("joining-tuned", (OURS_TUNED,), join_late),
    Experiment("signal", (OURS,), send_signal),
    Experiment("import", (OURS, OFFICIAL[0]), import_it),
)
#: By name, in the order in which they are run.
EXPERIMENTS = {experiment.name: experiment for experiment in _LIST}

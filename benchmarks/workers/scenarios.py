"""What is measured of a store."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

from ..contenders.meter import percentile
from ..measure import MeasurementFailed, Result
from .fleet import Fleet
from .places import Place, RedisServer

__all__ = ["SCENARIOS", "Scenario", "Size"]

#: Starts a second, where they come one by one.
_STARTS_PER_SECOND = 50
#: Looks for streams of silent owners, whose cost is measured.
_SWEEPS = 100
#: Seconds that a take-over may take, beside the lease.
_TAKE_OVER = 30.0


@dataclasses.dataclass(frozen=True)
class Size:
    """How many streams there are in each scenario, and for how many seconds they are held."""

    claims: int
    starts: int
    held: int
    streams: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Something to do with a fleet."""

    run: Callable[[Fleet, RedisServer | None, Size], Result]
    processes: int = 1  #: how many it needs
    needs_redis: bool = False

    def is_possible(self, place: Place) -> bool:
        """Return whether it can be done there."""
        return place.processes >= self.processes and (place.is_redis or not self.needs_redis)


def burst(fleet: Fleet, server: RedisServer | None, size: Size) -> Result:
    """Let all claim at once what one has offered."""
    (offered,) = fleet.ask("offer", fleet.workers[:1], count=size.claims)
    results = fleet.ask("claim")
    _check(sum(result["streams"] for result in results), size.claims)
    begin = min(result["begin"] for result in results)
    seconds = max(result["end"] for result in results) - begin
    return {
        "offers_per_second": offered["rate"],
        "claims_per_second": size.claims / seconds,
        **_times("claim", results, "took"),
    }


def one_by_one(fleet: Fleet, server: RedisServer | None, size: Size) -> Result:
    """Offer as webhooks come, while the others wait for it."""
    front, others = fleet.workers[0], fleet.workers[1:]
    seconds = size.starts / _STARTS_PER_SECOND + 1
    for worker in others:
        worker.start("listen", seconds=seconds)
    fleet.ask("offer", [front], count=size.starts, gap=1 / _STARTS_PER_SECOND)
    results = [worker.result() for worker in others]
    _check(sum(result["streams"] for result in results), size.starts)
    return {**_times("claim", results, "took"), **_times("waited", results, "waited")}


def take_over(fleet: Fleet, server: RedisServer | None, size: Size) -> Result:
    """Kill half of the workers, and let the others have their streams."""
    fleet.ask("offer", fleet.workers[:1], count=size.claims)
    results = fleet.ask("claim")
    half = len(fleet.workers) // 2
    lost = sum(result["streams"] for result in results[:half])
    for worker in fleet.workers[:half]:
        worker.kill()
    killed = time.monotonic()
    limit = fleet.place.lease + _TAKE_OVER
    results = fleet.ask("take_over", fleet.workers[half:], seconds=limit)
    times = sorted(moment for result in results for moment in result["times"])
    _check(len(times), lost)
    if not times:
        raise MeasurementFailed("those that were killed had no streams")
    return {
        "taken_over": lost,
        "first_after": times[0] - killed,
        "last_after": times[-1] - killed,
        "per_second": len(times) / max(times[-1] - times[0], 1e-3),
    }


def hold(streams: Callable[[Size], int]) -> Callable[..., Result]:
    """Renew streams, and do nothing else."""

    def run(fleet: Fleet, server: RedisServer | None, size: Size) -> Result:
        wanted, workers = streams(size), len(fleet.workers)
        fleet.ask(
            "hold", seconds=min(1.0, size.seconds)
        )  # connections, and code for the first time
        empty = server and server.usage()
        idle = fleet.ask("hold", seconds=size.seconds / 2)
        fleet.ask("offer", fleet.workers[:1], count=wanted)
        fleet.ask("claim")
        before, begin = server and server.usage(), time.monotonic()
        held = fleet.ask("hold", seconds=size.seconds)
        seconds = time.monotonic() - begin
        _check(sum(result["streams"] for result in held), wanted)
        cpu = sum(result["cpu"] for result in held)
        measured = {
            "streams": wanted,
            "idle_percent": 100 * sum(result["cpu"] for result in idle) / workers,
            "cpu_percent": 100 * cpu / workers,
            "us_per_stream": 1e6 * (cpu - sum(result["cpu"] for result in idle)) / wanted,
            "rss_kb": max(worker.rss_kb for worker in fleet.workers),
            **_times("renew", held, "renewals"),
        }
        if server is not None and before is not None and empty is not None:
            after = server.usage()
            (swept,) = fleet.ask("sweep", fleet.workers[:1], count=_SWEEPS)
            sweeping = server.usage()["cpu"] - after["cpu"]
            spent = {name: (after[name] - before[name]) / seconds for name in after}
            measured |= {
                "redis_scripts": spent["scripts"],
                "redis_commands": spent["commands"],
                "redis_percent": 100 * spent["cpu"],
                "redis_mb_per_second": spent["network"] / 1e6,
                "sweep_ms": 1000 * swept["each"],
                "redis_sweep_ms": 1000 * sweeping / _SWEEPS,
                "redis_kb_per_stream": (after["bytes"] - empty["bytes"]) / wanted / 1e3,
                "redis_mb": after["bytes"] / 1e6,
            }
        return measured

    return run


def _times(name: str, results: Sequence[Mapping[str, Sequence[float]]], key: str) -> Result:
    """Return the median and the 99th percentile of times, in ms."""
    times = [seconds for result in results for seconds in result[key]]
    return {
        f"{name}_p50_ms": 1000 * percentile(times, 0.5),
        f"{name}_p99_ms": 1000 * percentile(times, 0.99),
    }


def _check(found: float, wanted: int) -> None:
    if found != wanted:
        raise MeasurementFailed(f"{found} streams have an owner instead of {wanted}")


#: By name, in the order in which they are run.
SCENARIOS = {
    "claims at once": Scenario(burst),
    "starts one by one": Scenario(one_by_one, processes=2),
    "take-overs": Scenario(take_over, processes=2),
    "at rest": Scenario(hold(lambda size: size.held)),
    "many at rest": Scenario(hold(lambda size: size.streams), needs_redis=True),
}

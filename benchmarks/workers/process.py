"""One worker: opens a store, reads tasks from its standard input, and prints their results.

Streams are simulated: their claims are renewed, with other numbers each time, and nothing is
joined. So what is measured is what the store costs.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterator

import gevent

from rtms_gevent.cluster.opening import make_store
from rtms_gevent.cluster.records import Claim, Progress, Worker
from rtms_gevent.config import ClusterSettings
from rtms_gevent.runtime import garbage

#: Seconds between two renewals, and between two looks for streams to claim: those of a worker.
_RENEW_EVERY, _SWEEP_EVERY = 1.0, 0.5
#: Seconds without a stream to take over, after the first one, after which there are no more.
_QUIET = 1.0

_HOSTS = ",".join(f"wss://rtms-{region}.zoom.us:443/signaling" for region in ("sjc1", "iad2"))


def _document(number: int) -> dict[str, object]:
    """Return a start, as long as Zoom's."""
    return {
        "event": "meeting.rtms_started",
        "event_ts": int(time.monotonic() * 1e6),  # of this machine: tells when it was offered
        "payload": {
            "meeting_uuid": f"4444AAAiAAAAAiAi{number:06}==",
            "rtms_stream_id": f"stream-{number:024}",
            "operator_id": "xA1dBc2eFf3gHh4i",
            "server_urls": _HOSTS,
        },
    }


class StoreWorker:
    """A store, and the tasks that can be done with it."""

    def __init__(self, url: str, lease: float, worker_id: str) -> None:
        """Open the store."""
        self._worker = Worker(worker_id, socket.gethostname(), os.getpid(), time.time())
        settings = ClusterSettings(store=url, namespace="benchmark", lease=lease)
        self._store = make_store(settings, has_siblings=True)
        self._store.open(self._worker)
        self._claims: dict[str, Claim] = {}
        self._times: list[float] = []  # when each claim was made
        self._took: list[float] = []  # and how many seconds it took

    # -- tasks -------------------------------------------------------------------------------------

    def offer(self, count: int, gap: float = 0.0) -> dict[str, float]:
        """Offer streams, ``gap`` seconds apart."""
        begin = time.monotonic()
        for number in range(count):
            document = _document(number)
            self._store.offer(document["payload"]["rtms_stream_id"], document)
            gevent.sleep(max(0.0, begin + (number + 1) * gap - time.monotonic()) if gap else 0)
        return {"rate": count / (time.monotonic() - begin)}

    def claim(self) -> dict[str, float]:
        """Claim one stream after the other until there is none."""
        begin = time.monotonic()
        while self._claim():
            pass
        return {**self._claimed(), "begin": begin, "end": time.monotonic()}

    def listen(self, seconds: float) -> dict[str, float]:
        """Claim what is offered meanwhile, as soon as hints tell of it."""
        waited, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            if not self._store.wait(_SWEEP_EVERY).has_offers:
                continue
            while (claim := self._claim()) is not None:
                waited.append(time.monotonic() - claim.document["event_ts"] / 1e6)
        return {**self._claimed(), "waited": waited}

    def hold(self, seconds: float) -> dict[str, float]:
        """Renew all, and look for more, as a worker does."""
        took: list[float] = []
        begin, before = time.monotonic(), _cpu()
        with self._alive(took):
            gevent.sleep(seconds)
        wall = time.monotonic() - begin
        return {"cpu": (_cpu() - before) / wall, "renewals": took, "streams": len(self._claims)}

    def sweep(self, count: int) -> dict[str, float]:
        """Look for streams to take over, of which there are none."""
        begin = time.monotonic()
        for _ in range(count):
            self._claim(may_expire=True)
        return {"each": (time.monotonic() - begin) / count, "streams": len(self._claims)}

    def take_over(self, seconds: float) -> dict[str, float]:
        """Take over what other workers had, until nothing more comes; for so long at most."""
        begin, before = time.monotonic(), len(self._times)
        with self._alive([]):
            while (now := time.monotonic()) < begin + seconds:
                if self._claim(may_expire=now - begin > self._store.lease) is not None:
                    continue
                if len(self._times) > before and now - self._times[-1] > _QUIET:
                    break
                gevent.sleep(0.02)
        return {"times": self._times[before:]}

    # -- what they have in common ------------------------------------------------------------------

    def _claim(self, *, may_expire: bool = False) -> Claim | None:
        begin = time.monotonic()
        claim = self._store.claim(may_expire=may_expire)
        if claim is not None:
            self._times.append(time.monotonic())
            self._took.append(self._times[-1] - begin)
            self._claims[claim.stream_id] = claim
        return claim

    def _claimed(self) -> dict[str, object]:
        return {"streams": len(self._claims), "took": self._took}

    def _alive(self, took: list[float]) -> _Alive:
        def renew() -> None:
            now = int(time.time() * 1000)
            for number, (stream_id, claim) in enumerate(list(self._claims.items())):
                progress = Progress({"audio": now}, is_joined=True, received=now % 10_000_000)
                self._claims[stream_id] = dataclasses.replace(claim, progress=progress)
                if not number % 100:
                    gevent.sleep(0)
            begin = time.monotonic()
            worker = dataclasses.replace(self._worker, streams=len(self._claims))
            lost = self._store.renew(worker, list(self._claims.values()))
            took.append(time.monotonic() - begin)
            for stream_id in lost:
                del self._claims[stream_id]
            self._store.workers()

        return _Alive(
            (renew, _RENEW_EVERY),
            (lambda: self._claim(may_expire=True), _SWEEP_EVERY),
            (lambda: self._store.wait(_RENEW_EVERY), 0.0),
        )


class _Alive:
    """Does again and again what a worker does, while it is entered."""

    def __init__(self, *routines: tuple[Callable[[], object], float]) -> None:
        self._routines = routines
        self._greenlets: list[gevent.Greenlet] = []

    def __enter__(self) -> None:
        self._greenlets = [gevent.spawn(self._repeat, *routine) for routine in self._routines]

    def __exit__(self, *_: object) -> None:
        gevent.killall(self._greenlets)
        for failed in filter(None, (greenlet.exception for greenlet in self._greenlets)):
            raise failed

    @staticmethod
    def _repeat(function: Callable[[], object], interval: float) -> None:
        pause = random.uniform(0.0, interval)  # workers do not go in step
        while True:
            gevent.sleep(pause)
            begin = time.monotonic()
            function()
            pause = max(0.0, begin + interval - time.monotonic())


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _lines() -> Iterator[str]:
    """Yield lines of the standard input, without holding up the hub."""
    pool = gevent.get_hub().threadpool
    while line := pool.apply(sys.stdin.readline):
        yield line


def main() -> None:
    """Do what the standard input says."""
    about = json.loads(sys.argv[1])
    worker = StoreWorker(about["url"], about["lease"], about["id"])
    garbage.tune()
    print(json.dumps({}), flush=True)
    for line in _lines():
        task = json.loads(line)
        print(json.dumps(getattr(worker, task.pop("do"))(**task)), flush=True)


if __name__ == "__main__":
    main()

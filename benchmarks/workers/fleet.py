"""Processes that share a store, and do what they are told."""

from __future__ import annotations

import json
import os
import pathlib
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence

from ..environments import ROOT
from ..measure import MeasurementFailed, Result
from .places import Place

__all__ = ["Fleet", "WorkerProcess"]

#: Seconds that one task may take, beside those that it is told to.
_TIMEOUT = 120.0


class WorkerProcess:
    """A process with a store of its own."""

    def __init__(self, place: Place, number: int) -> None:
        """Start it; it opens the store.

        Args:
            place: Where the store is.
            number: Tells the processes of a fleet apart.
        """
        task = json.dumps({"url": place.url, "lease": place.lease, "id": f"worker-{number}"})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.workers.process", task],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def start(self, do: str, **options: float) -> None:
        """Let it begin with a task; :meth:`result` waits for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **options}).encode() + b"\n")
        self._process.stdin.flush()

    def result(self, timeout: float = _TIMEOUT) -> Result:
        """Return the result of the task.

        Raises:
            MeasurementFailed: there is none.
        """
        stdout = self._process.stdout
        assert stdout is not None
        if not select.select([stdout], [], [], timeout)[0]:
            raise MeasurementFailed(f"a worker has no result after {timeout:.0f} s")
        line = stdout.readline()
        if not line:
            raise MeasurementFailed("a worker has crashed")
        return json.loads(line)

    @property
    def rss_kb(self) -> int:
        """Memory that it has now."""
        status = pathlib.Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)

    def kill(self) -> None:
        """Kill it, as ``kill -9`` does."""
        self._process.kill()
        self._process.communicate()


class Fleet:
    """All workers of a measurement."""

    def __init__(self, place: Place) -> None:
        """Start them."""
        self.place = place
        self.workers = [WorkerProcess(place, number) for number in range(place.processes)]

    def __enter__(self) -> Fleet:
        for worker in self.workers:
            worker.result()  # it is ready
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()

    def ask(
        self, do: str, workers: Sequence[WorkerProcess] | None = None, **options: float
    ) -> list[Mapping[str, float]]:
        """Let workers, by default all of them, do the same at once; return the results."""
        chosen = self.workers if workers is None else workers
        for worker in chosen:
            worker.start(do, **options)
        return [worker.result(_TIMEOUT + options.get("seconds", 0)) for worker in chosen]

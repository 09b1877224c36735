"""What the numbers were measured on."""

from __future__ import annotations

import os
import pathlib
import platform
import resource
import time

__all__ = ["Noise", "describe"]


def describe() -> dict[str, object]:
    """Return what matters of this machine, now."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


class Noise:
    """How much all processes but this one and its children use, from now on."""

    def __init__(self) -> None:
        self._begin, self._used = time.monotonic(), _used_by_others()

    def percent(self) -> float:
        """Return the share of one core; children that still run count as others."""
        seconds = time.monotonic() - self._begin
        return max(0.0, 100 * (_used_by_others() - self._used) / seconds)


def _used_by_others() -> float:
    """Return seconds of CPU since boot."""
    first = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0]
    user, nice, system, _idle, _waiting, *interrupts = map(int, first.split()[1:9])
    everybody = (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        everybody -= usage.ru_utime + usage.ru_stime
    return everybody


def _cpu_model() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()

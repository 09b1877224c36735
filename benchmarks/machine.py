"""What the numbers were measured on."""

from __future__ import annotations

import os
import pathlib
import platform

__all__ = ["describe"]


def describe() -> dict[str, object]:
    """Return what matters of this machine, now."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def _cpu_model() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()

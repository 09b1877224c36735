"""Milliseconds since the epoch, and a time limit for a block, for the simulator."""

from __future__ import annotations

import time

import gevent

__all__ = ["milliseconds", "move_on_after"]


def milliseconds() -> int:
    """Return the time since the epoch, as all timestamps on the wire are counted."""
    return time.time_ns() // 1_000_000


def move_on_after(seconds: float) -> gevent.Timeout:
    """Return a context manager that leaves its block after ``seconds``, without an error."""
    return gevent.Timeout(seconds, False)  # type: ignore[arg-type]  # documented, not in the stubs

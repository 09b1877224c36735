"""Deadlines: one point in time by which all steps of an operation must be done."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["MIN_TIMEOUT", "Deadline", "clamp_timeout"]

#: The least that can be waited for: libuv's timers count milliseconds, and warn of less.
MIN_TIMEOUT = 0.001


def clamp_timeout(seconds: float) -> float:
    """Return ``seconds``, or what can be waited for instead: not less than a moment, unless 0."""
    return 0.0 if seconds <= 0 else max(seconds, MIN_TIMEOUT)


class Deadline:
    """A moment in monotonic time; ``None`` seconds means never."""

    __slots__ = ("_at", "_clock", "seconds")

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Set the moment ``seconds`` from now."""
        self.seconds = seconds
        self._clock = clock
        self._at = None if seconds is None else clock() + seconds

    def left(self) -> float | None:
        """Return the seconds that are left, as :func:`clamp_timeout`; ``None`` means no limit."""
        return None if self._at is None else clamp_timeout(self._at - self._clock())

    def within(self, seconds: float) -> Deadline:
        """Return the earlier of this deadline and ``seconds`` from now."""
        left = self.left()
        return Deadline(seconds if left is None else min(left, seconds), self._clock)

    def share(self, among: int) -> Deadline:
        """Return when the first of so many has used its fair share of what is left."""
        left = self.left()
        return self if left is None else self.within(left / among)

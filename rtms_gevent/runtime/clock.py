"""The time, and waiting for it."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Any

import gevent
from gevent.event import AsyncResult, Event

from .deadline import Deadline, clamp_timeout

__all__ = ["SYSTEM_CLOCK", "Clock"]


class Clock:
    """The system's clock. A subclass may have another idea of time, so that tests need not wait.

    Whoever waits here waits cooperatively, in a greenlet.
    """

    __slots__ = ()

    #: Seconds that nobody sets. No method of Python, since it is called for each read.
    monotonic = staticmethod(time.monotonic)

    def time(self) -> float:
        """Return the seconds since the epoch; somebody may set them."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        gevent.sleep(clamp_timeout(seconds))

    def wait(self, event: Event | AsyncResult[Any], seconds: float | None) -> bool:
        """Wait for an event, ``seconds`` at most; return whether it is set."""
        event.wait(None if seconds is None else clamp_timeout(seconds))
        return event.ready()

    def limit(self, seconds: float | None, error: type[Exception]) -> AbstractContextManager[Any]:
        """Return what raises ``error`` in this greenlet where its block lasts longer."""
        return gevent.Timeout(seconds, error)

    def deadline(self, seconds: float | None) -> Deadline:
        """Return the moment that is ``seconds`` from now; ``None`` means never."""
        return Deadline(seconds, self.monotonic)


SYSTEM_CLOCK = Clock()

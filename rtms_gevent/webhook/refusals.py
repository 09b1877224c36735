"""Logs webhooks that were refused, but only a limited number a minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

__all__ = ["RefusalLog"]

_PERIOD = 60.0


class RefusalLog:
    """Warns a limited number of times a minute, and then says how many warnings it kept back.

    May be used from any thread and greenlet; counts may be off by a few where threads meet.
    """

    def __init__(
        self,
        logger: logging.Logger,
        *,
        limit: int = 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a log.

        Args:
            logger: Where warnings go.
            limit: How many of them a minute.
            clock: Returns seconds.
        """
        self._logger = logger
        self._limit = limit
        self._clock = clock
        self._since = clock()
        self._count = 0

    def warning(self, text: str, *arguments: object) -> None:
        """Log a warning, as a logger's ``warning`` does, unless there were too many."""
        now = self._clock()
        if now - self._since >= _PERIOD:
            if self._count > self._limit:
                self._logger.warning(
                    "%d more webhooks were refused, and not logged", self._count - self._limit
                )
            self._since, self._count = now, 0
        self._count += 1
        if self._count <= self._limit:
            self._logger.warning(text, *arguments)
        if self._count == self._limit:
            self._logger.warning("what else is refused within this minute is only counted")

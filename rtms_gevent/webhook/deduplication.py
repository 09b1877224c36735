"""What was delivered already: Zoom sends a webhook again when our answer was late or got lost."""

from __future__ import annotations

import threading
from typing import Protocol

__all__ = ["DeliveryStore", "RecentDeliveries"]


class DeliveryStore(Protocol):
    """Remembers deliveries. An implementation may be shared by several processes."""

    def remember(self, key: str, now: float) -> bool:
        """Note a delivery, and tell whether it is new.

        Asking and noting must be one step, since two deliveries may come at the same time.

        Args:
            key: Stands for one delivery; a short text of letters and digits.
            now: Seconds since the epoch.
        """

    def forget(self, key: str) -> None:
        """Take a delivery as not received; one that is not remembered is no error."""


class RecentDeliveries:
    """Remembers the deliveries of this process for a while, and not more than a number of them.

    May be used from any thread and greenlet: the lock is never held across a switch.
    """

    def __init__(self, seconds: float = 2 * 60 * 60, limit: int = 10_000) -> None:
        """Make an empty memory.

        Args:
            seconds: How long to remember. Zoom's last retry comes about 90 minutes after the event.
            limit: How many deliveries to remember; the oldest are forgotten first.
        """
        self._seconds = seconds
        self._limit = limit
        self._lock = threading.Lock()
        self._noted: dict[str, float] = {}  # dicts keep their order: the oldest come first

    def remember(self, key: str, now: float) -> bool:
        """Note a delivery, and tell whether it is new."""
        with self._lock:
            noted = self._noted.get(key)
            if noted is not None and now - noted <= self._seconds:
                return False
            self._noted.pop(key, None)
            self._noted[key] = now
            self._tidy(now)
            return True

    def forget(self, key: str) -> None:
        """Take a delivery as not received; one that is not remembered is no error."""
        with self._lock:
            self._noted.pop(key, None)

    def __len__(self) -> int:
        """Return how many deliveries are remembered."""
        return len(self._noted)

    def _tidy(self, now: float) -> None:
        """Drop what is too old or too much. The lock must be held."""
        while self._noted:
            oldest = next(iter(self._noted))
            if len(self._noted) <= self._limit and now - self._noted[oldest] <= self._seconds:
                return
            del self._noted[oldest]

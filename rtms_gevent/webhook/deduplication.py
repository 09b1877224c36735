"""Recognises webhooks that Zoom sends again because our answer was late or got lost."""

from __future__ import annotations

import threading
from typing import Protocol

__all__ = ["DeliveryStore", "RecentDeliveries"]


class DeliveryStore(Protocol):
    """Holds what was delivered. An implementation may be shared by several processes."""

    def add(self, key: str, now: float) -> bool:
        """Add a delivery, and return whether it is new.

        Asking and adding must be one step, since two deliveries may come at the same time.

        Args:
            key: Stands for one delivery; a short text of letters and digits.
            now: Seconds since the epoch.
        """

    def discard(self, key: str) -> None:
        """Remove a delivery, as if it was not received; one that is not there is no error."""


class RecentDeliveries:
    """Holds the deliveries of this process for a while, and not more than a number of them.

    May be used from any thread and greenlet: the lock is never held across a switch.
    """

    def __init__(self, seconds: float = 2 * 60 * 60, limit: int = 10_000) -> None:
        """Make an empty store.

        Args:
            seconds: How long to hold each. Zoom's last retry comes about 90 minutes after the
                event.
            limit: How many to hold; the oldest are dropped first.
        """
        self._seconds = seconds
        self._limit = limit
        self._lock = threading.Lock()
        self._added: dict[str, float] = {}  # when; dicts keep their order, the oldest come first

    def add(self, key: str, now: float) -> bool:
        """Add a delivery, and return whether it is new."""
        with self._lock:
            added = self._added.get(key)
            if added is not None and now - added <= self._seconds:
                return False
            self._added.pop(key, None)
            self._added[key] = now
            self._expire(now)
            return True

    def discard(self, key: str) -> None:
        """Remove a delivery, as if it was not received; one that is not there is no error."""
        with self._lock:
            self._added.pop(key, None)

    def __len__(self) -> int:
        """Return how many deliveries are held."""
        return len(self._added)

    def _expire(self, now: float) -> None:
        """Drop what is too old or too much. The lock must be held."""
        while self._added:
            oldest = next(iter(self._added))
            if len(self._added) <= self._limit and now - self._added[oldest] <= self._seconds:
                return
            del self._added[oldest]

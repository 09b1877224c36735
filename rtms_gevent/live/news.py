"""What one viewer has not seen yet, of the streams of this process."""

from __future__ import annotations

import time
from typing import Any

from .feed import Feed
from .model import Picture

__all__ = ["News"]

#: Seconds between two looks at the counters.
COUNTERS_INTERVAL = 0.5


class News:
    """Fetches from a feed what is new to one viewer, who may watch one stream.

    There is no queue: who comes seldom gets the newest picture instead of all of them, and who
    comes for the first time gets what is newer than nothing.

    Greenlet-safety: one greenlet at a time; nothing here switches.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._watched = ""
        self._since = 0
        self._since_detail = 0
        self._counters: dict[str, list[int]] = {}
        self._counters_due = 0.0

    def watch(self, stream_id: str) -> None:
        """Tell a stream in detail from now on, from its beginning; "" is none."""
        self._feed.watch(self._watched, -1)
        self._feed.watch(stream_id, 1)
        self._watched = stream_id
        self._since_detail = 0
        self._counters = {}
        self._counters_due = 0.0

    def fetch(self) -> tuple[dict[str, Any], list[Picture]]:
        """Return ``ids``, ``streams`` and ``detail`` as far as they are new, and new pictures."""
        full = not self._since_detail
        changes = self._feed.changes(self._since, self._watched, self._since_detail)
        message: dict[str, Any] = {}
        if changes.ids is not None:
            message["ids"] = changes.ids
        if changes.streams:
            message["streams"] = changes.streams
        detail: dict[str, Any] = {**changes.detail, **self._new_counters()}
        if self._watched and (full or detail):
            message["detail"] = {"id": self._watched, **({"full": True} if full else {}), **detail}
        self._since = changes.revision
        self._since_detail = changes.revision
        return message, changes.pictures

    def _new_counters(self) -> dict[str, Any]:
        now = time.monotonic()
        if not self._watched or now < self._counters_due:
            return {}
        self._counters_due = now + COUNTERS_INTERVAL
        counters = self._feed.counters(self._watched)
        if counters == self._counters:
            return {}
        self._counters = counters
        return {"counters": counters}

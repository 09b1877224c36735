"""The streams of all workers as one list. Pure."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["StreamList"]

#: Seconds that a stream stays in the list without a worker: so long may a take-over last.
KEEP_LOST = 20.0

_About = dict[str, Any]  # what LiveStream.about returns, with its worker


@dataclasses.dataclass(slots=True)
class _Entry:
    about: _About
    lost_at: float | None = None  #: monotonic; when its worker was not heard of any more

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """What makes one worker's word on a stream count more than another's."""
        return self.about["ended"] is None, self.lost_at is None, self.about["began"]


class StreamList:
    """Merges the lists of several workers, of which a stream may come from more than one.

    A stream that went from one worker to another is known to both. One that its worker does not
    know any more, though it has not ended, is probably on its way: it stays, as interrupted.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._known: dict[str, dict[str, _Entry]] = {}  # by worker, by stream
        self._sent: dict[str, _About] | None = None
        self._is_changed = True
        self._has_lost = False

    def update(
        self, worker: str, ids: Iterable[str] | None = None, streams: Iterable[_About] = ()
    ) -> None:
        """Note what a worker says.

        Args:
            worker: Who.
            ids: All streams that it has; ``None`` where that did not change.
            streams: Those that changed.
        """
        known = self._known.setdefault(worker, {})
        for about in streams:
            known[about["id"]] = _Entry(about)
            self._is_changed = True
        if ids is not None:
            self._lose(known, known.keys() - set(ids))

    def lose(self, worker: str) -> None:
        """Note that a worker is not heard of any more."""
        known = self._known.get(worker, {})
        self._lose(known, list(known))

    def _lose(self, known: dict[str, _Entry], ids: Iterable[str]) -> None:
        self._is_changed = True
        for stream_id in list(ids):
            entry = known[stream_id]
            if entry.about["ended"] is not None:
                del known[stream_id]
            elif entry.lost_at is None:
                about = {**entry.about, "state": "interrupted", "reason": "between two workers"}
                known[stream_id] = _Entry(about, self._now())
                self._has_lost = True

    def worker_of(self, stream_id: str) -> str | None:
        """Return the worker that has a stream now; ``None`` where nobody is known to have it."""
        found = [
            (entry.rank, worker)
            for worker, known in self._known.items()
            if (entry := known.get(stream_id)) is not None and entry.lost_at is None
        ]
        return max(found)[1] if found else None

    def changes(self) -> dict[str, Any]:
        """Return ``ids`` and ``streams``, as far as they are new since the last call."""
        if not self._is_changed and not self._has_lost:
            return {}
        self._forget_lost()
        best: dict[str, _Entry] = {}
        for known in self._known.values():
            for stream_id, entry in known.items():
                if stream_id not in best or entry.rank > best[stream_id].rank:
                    best[stream_id] = entry
        entries = sorted(best.values(), key=lambda entry: int(entry.about["began"]))
        streams = {entry.about["id"]: entry.about for entry in entries}
        sent, self._sent, self._is_changed = self._sent, streams, False
        changes: dict[str, Any] = {}
        if sent is None or list(sent) != list(streams):
            changes["ids"] = list(streams)
        if changed := [about for key, about in streams.items() if (sent or {}).get(key) != about]:
            changes["streams"] = changed
        return changes

    def _forget_lost(self) -> None:
        """Forget lost streams that another worker has, or that nobody took over in time."""
        oldest = self._now() - KEEP_LOST
        found = {
            stream_id
            for known in self._known.values()
            for stream_id, entry in known.items()
            if entry.lost_at is None
        }
        self._has_lost = False
        for known in self._known.values():
            for stream_id, entry in list(known.items()):
                if entry.lost_at is not None:
                    if stream_id in found or entry.lost_at < oldest:
                        del known[stream_id]
                    else:
                        self._has_lost = True

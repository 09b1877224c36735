"""The live page's data: the streams of this process, and what changed since a viewer last asked.

Viewers come by a few times a second and fetch what is new to them. A viewer that is too slow
fetches less often and gets only the newest picture and level; it costs no memory, and no stream
notices.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

from .model import Picture
from .streams import LiveStream

__all__ = ["Changes", "Feed"]

#: Seconds that a stream stays on the page after its end.
KEEP_ENDED = 600.0
#: Streams that stay on the page after their end, the newest ones.
MAX_ENDED = 20


@dataclasses.dataclass(slots=True)
class Changes:
    """What is new to a viewer."""

    revision: int  #: up to which the viewer knows everything now
    streams: list[dict[str, Any]]  #: what the list of streams shows, for those that changed
    ids: list[str] | None  #: all streams in order of arrival, where a stream came or went
    detail: dict[str, Any]  #: of the stream that the viewer watches; see LiveStream.detail
    pictures: list[Picture]


class Feed:
    """The streams that the page shows: those that run, and the latest that have ended.

    Thread-safety: any greenlet and any thread; streams may run on another thread's hub than the
    web server. No call waits for anything but the lock, which is never held across a switch of
    greenlets.

    Args:
        now: The clock, seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.lock = threading.Lock()  #: hold it while you read or change a stream
        self._streams: dict[str, LiveStream] = {}
        self._revision = 0
        self._ids_revision = 0

    # -- for viewers -------------------------------------------------------------------------------

    def changes(self, since: int, stream_id: str = "", since_detail: int = 0) -> Changes:
        """Return what is new to a viewer.

        Args:
            since: The revision that the viewer got last, 0 at first.
            stream_id: The stream that the viewer watches.
            since_detail: The same for that stream; 0 again whenever the viewer turns to another.
        """
        with self.lock:
            self._forget_old()
            revision = self._revision
            abouts = (stream.about(since) for stream in self._streams.values())
            watched = self._streams.get(stream_id)
            return Changes(
                revision=revision,
                streams=[about for about in abouts if about is not None],
                ids=list(self._streams) if self._ids_revision > since or not since else None,
                detail=watched.detail(since_detail, time.monotonic()) if watched else {},
                pictures=watched.pictures(since_detail) if watched else [],
            )

    def counters(self, stream_id: str) -> dict[str, list[int]]:
        """Return messages, bytes and dropped messages per media type; empty if not known."""
        with self.lock:
            stream = self._streams.get(stream_id)
            return stream.counters() if stream else {}

    def watch(self, stream_id: str, by: int) -> None:
        """Note that one viewer more (``by=1``) or less (``by=-1``) looks at a stream."""
        with self.lock:
            stream = self._streams.get(stream_id)
            if stream is not None:
                stream.watchers = max(0, stream.watchers + by)

    def stats(self) -> list[dict[str, Any]]:
        """Return the numbers of every stream."""
        with self.lock:
            self._forget_old()
            return [stream.stats() for stream in self._streams.values()]

    # -- for the recorder --------------------------------------------------------------------------

    def find(self, stream_id: str) -> LiveStream | None:
        """Return a stream that is shown. Needs no lock."""
        return self._streams.get(stream_id)

    def add(self, stream_id: str, uuid: str) -> LiveStream:
        """Return the stream with this id, a new one where there is none. Takes the lock."""
        with self.lock:
            if stream_id not in self._streams:
                self._forget_old()
                self._streams[stream_id] = LiveStream(
                    stream_id, uuid, self._next_revision, self.now()
                )
                self._ids_revision = self._next_revision()
            return self._streams[stream_id]

    def remove(self, stream_id: str) -> None:
        """Forget a stream. To be called with the lock held."""
        if self._streams.pop(stream_id, None) is not None:
            self._ids_revision = self._next_revision()

    def _next_revision(self) -> int:
        self._revision += 1
        return self._revision

    def _forget_old(self) -> None:
        ended = [stream for stream in self._streams.values() if stream.ended is not None]
        if not ended:
            return
        too_many = len(ended) - MAX_ENDED
        oldest_kept = self.now() - KEEP_ENDED
        for place, stream in enumerate(sorted(ended, key=lambda item: item.ended or 0.0)):
            if place < too_many or (stream.ended or 0.0) < oldest_kept:
                del self._streams[stream.id]
                self._ids_revision = self._next_revision()

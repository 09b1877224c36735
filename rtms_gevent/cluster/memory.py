"""The store of a process that is alone: dictionaries."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from gevent.event import Event

from .records import NO_PROGRESS, Claim, Letter, Progress, StreamRow, Wakeup, Worker
from .store import DELIVERIES_KEPT, ENDED_KEPT, OFFERS_KEPT, Store

__all__ = ["MemoryCluster", "MemoryStore"]


@dataclasses.dataclass(slots=True)
class _Stream:
    """A stream that is known."""

    document: Mapping[str, Any]
    since: float  #: when it was offered, claimed or ended
    owner: str | None = None
    fence: int = 0
    is_takeover: bool = False  #: whoever claims it is not the first
    has_ended: bool = False
    is_over: bool = False  #: it has ended, and is forgotten when its owner has got its letters
    progress: Progress = NO_PROGRESS
    letters: list[Mapping[str, Any]] = dataclasses.field(default_factory=list)


class MemoryCluster:
    """What the stores of several workers share, where they live in one process. For tests.

    Nothing here switches, so each method of a store is one step.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Know nobody.

        Args:
            clock: Returns seconds.
        """
        self.clock = clock
        self.streams: dict[str, _Stream] = {}
        self.workers: dict[str, tuple[Worker, float]] = {}  # and when it was heard of
        self.deliveries: dict[str, float] = {}
        self.stores: list[MemoryStore] = []

    def wake_all(self) -> None:
        """Tell all workers that there are offers."""
        for store in self.stores:
            store.has_offers = True
            store.wake()


class MemoryStore(Store):
    """Ownership within one process: nothing is shared, unless a :class:`MemoryCluster` is."""

    name = "memory"

    def __init__(self, cluster: MemoryCluster | None = None, lease: float = 8.0) -> None:
        """Make a store.

        Args:
            cluster: What other stores of this process use, too.
            lease: Seconds without a renewal after which another worker may take a stream over.
        """
        self.is_shared = cluster is not None
        self.lease = lease
        self.has_offers = False
        self._cluster = cluster or MemoryCluster()
        self._id = ""
        self._woken = Event()

    # -- workers -----------------------------------------------------------------------------------

    def open(self, worker: Worker) -> None:
        """Make a worker known."""
        self._id = worker.id
        self._cluster.workers[worker.id] = (worker, self._cluster.clock())
        self._cluster.stores.append(self)

    def close(self) -> None:
        """Forget the worker."""
        self._cluster.workers.pop(self._id, None)
        if self in self._cluster.stores:
            self._cluster.stores.remove(self)
        self._offer_lost()
        self.wake()

    def _offer_lost(self) -> None:
        """Let those streams wait whose owners have died."""
        for stream in self._cluster.streams.values():
            if stream.owner is not None and not (stream.has_ended or self._lives(stream.owner)):
                stream.owner, stream.since = None, self._cluster.clock()
                self._cluster.wake_all()

    def workers(self) -> list[Worker]:
        """Return the workers that live."""
        now = self._cluster.clock()
        living = [
            dataclasses.replace(worker, age=now - seen)
            for worker, seen in self._cluster.workers.values()
            if now - seen <= self.lease
        ]
        return sorted(living, key=lambda worker: worker.started)

    def _lives(self, worker_id: str | None) -> bool:
        return worker_id in self._cluster.workers

    def _silence(self, worker_id: str | None) -> float:
        """Return for how long an owner was not heard of; endless where it has died."""
        known = self._cluster.workers.get(worker_id or "")
        return float("inf") if known is None else self._cluster.clock() - known[1]

    # -- streams -----------------------------------------------------------------------------------

    def offer(self, stream_id: str, document: Mapping[str, Any]) -> bool:
        """Note a start; return whether the stream waits for a worker now."""
        now = self._cluster.clock()
        stream = self._cluster.streams.get(stream_id)
        if stream is None or stream.has_ended:
            fence = 0 if stream is None else stream.fence
            stream = self._cluster.streams[stream_id] = _Stream(document, now, fence=fence)
        stream.document = document
        if stream.owner is not None:
            self._put_letter(stream, document)
            return False
        stream.since = now
        self._cluster.wake_all()
        return True

    def send(self, stream_id: str, document: Mapping[str, Any], *, ends: bool = False) -> bool:
        """Send a webhook to the owner of a stream; return whether it has one, or waits for one."""
        stream = self._cluster.streams.get(stream_id)
        if stream is None:
            return False
        is_lost = stream.has_ended and not self._lives(stream.owner)
        if is_lost or (ends and stream.owner is None):
            del self._cluster.streams[stream_id]
            return False
        self._put_letter(stream, document)
        if ends and stream.has_ended:
            stream.is_over = True
        return True

    def _put_letter(self, stream: _Stream, document: Mapping[str, Any]) -> None:
        stream.letters.append(document)
        for store in self._cluster.stores:
            if store._id == stream.owner:
                store.wake()

    def claim(self, *, may_expire: bool) -> Claim | None:
        """Claim one stream that waits, or whose owner has died."""
        now = self._cluster.clock()
        for stream_id, stream in self._by_age():
            if stream.has_ended:
                continue
            if stream.owner is None:
                is_free = now - stream.since <= OFFERS_KEPT
            else:
                is_free = stream.owner != self._id and (
                    not self._lives(stream.owner)
                    or (may_expire and self._silence(stream.owner) > self.lease)
                )
            if is_free:
                return self._take(stream_id, stream)
        return None

    def _by_age(self) -> list[tuple[str, _Stream]]:
        return sorted(self._cluster.streams.items(), key=lambda item: item[1].since)

    def _take(self, stream_id: str, stream: _Stream) -> Claim:
        is_takeover = stream.is_takeover or stream.owner is not None
        stream.owner, stream.is_takeover = self._id, True
        stream.fence += 1
        stream.since = self._cluster.clock()
        if stream.letters:
            self.wake()
        return Claim(stream_id, stream.fence, stream.document, is_takeover, stream.progress)

    def renew(self, worker: Worker, claims: Collection[Claim]) -> Collection[str]:
        """Say that this worker lives, and how far it got; return the streams that it has lost."""
        now = self._cluster.clock()
        self._cluster.workers[self._id] = (worker, now)
        lost = []
        for claim in claims:
            stream = self._cluster.streams.get(claim.stream_id)
            if stream is None:
                stream = _Stream(claim.document, now, self._id, claim.fence, is_takeover=True)
                self._cluster.streams[claim.stream_id] = stream
            elif stream.owner is None and stream.fence < claim.fence:
                # It was forgotten, and a start came before this renewal: that is the owner's.
                stream.owner, stream.fence, stream.is_takeover = self._id, claim.fence, True
                self._put_letter(stream, stream.document)
            if self._is_ours(stream, claim):
                stream.progress = claim.progress
            else:
                lost.append(claim.stream_id)
        return lost

    def _is_ours(self, stream: _Stream, claim: Claim) -> bool:
        return stream.owner == self._id and stream.fence == claim.fence

    def release(self, claim: Claim, *, has_ended: bool) -> bool:
        """Give a claim up; return whether it was ours."""
        stream = self._cluster.streams.get(claim.stream_id)
        if stream is None or not self._is_ours(stream, claim):
            return False
        stream.progress = claim.progress
        stream.since = self._cluster.clock()
        if has_ended:
            stream.has_ended = True
        else:
            stream.owner = None
            self._cluster.wake_all()
        return True

    def take_expired(self) -> list[StreamRow]:
        """Forget, and return, the offers that nobody has claimed in time."""
        self._offer_lost()
        now = self._cluster.clock()
        expired = []
        for stream_id, stream in list(self._cluster.streams.items()):
            age = now - stream.since
            if stream.has_ended:
                if stream.letters and not self._lives(stream.owner):
                    stream.owner = self._id
                    self.wake()
                elif age > ENDED_KEPT and not stream.letters:
                    del self._cluster.streams[stream_id]
            elif stream.owner is None and age > OFFERS_KEPT:
                expired.append(self._row(stream_id, stream))
                del self._cluster.streams[stream_id]
        return expired

    def streams(self) -> list[StreamRow]:
        """Return all streams that are known."""
        return [self._row(*item) for item in self._by_age()]

    def _row(self, stream_id: str, stream: _Stream) -> StreamRow:
        return StreamRow(
            stream_id,
            stream.document,
            stream.owner,
            stream.fence,
            stream.has_ended,
            stream.progress,
            age=self._cluster.clock() - stream.since,
            silent=0.0 if stream.owner is None else self._silence(stream.owner),
        )

    # -- news --------------------------------------------------------------------------------------

    def wait(self, timeout: float) -> Wakeup:
        """Wait for letters to streams of this worker, or for offers."""
        self._woken.wait(timeout)
        self._woken.clear()
        letters = []
        for stream_id, stream in list(self._cluster.streams.items()):
            if stream.owner == self._id and stream.letters:
                letters += [Letter(stream_id, document) for document in stream.letters]
                stream.letters = []
                if stream.is_over:
                    del self._cluster.streams[stream_id]
        has_offers, self.has_offers = self.has_offers, False
        return Wakeup(tuple(letters), has_offers)

    def wake(self) -> None:
        """Let :meth:`wait` return soon."""
        self._woken.set()

    # -- deliveries --------------------------------------------------------------------------------

    def add(self, key: str, now: float) -> bool:
        """Add a delivery, and return whether it is new."""
        deliveries = self._cluster.deliveries
        while deliveries and now - next(iter(deliveries.values())) > DELIVERIES_KEPT:
            del deliveries[next(iter(deliveries))]
        if key in deliveries:
            return False
        deliveries[key] = now
        return True

    def discard(self, key: str) -> None:
        """Remove a delivery, as if it was not received."""
        self._cluster.deliveries.pop(key, None)

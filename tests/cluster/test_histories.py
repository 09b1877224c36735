"""Random histories of several workers: each store does what a plain model of the rules does."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rtms_gevent.cluster.records import Claim, Letter, Progress
from rtms_gevent.cluster.store import ENDED_KEPT, OFFERS_KEPT

from .backends import PLACES

WORKERS = 3
worker_numbers = st.integers(0, WORKERS - 1)
stream_ids = st.sampled_from(["a", "b", "c"])


@dataclasses.dataclass
class Stream:
    """What everybody should know of a stream."""

    document: dict
    since: float
    owner: str | None = None
    fence: int = 0
    is_takeover: bool = False
    has_ended: bool = False
    is_over: bool = False
    progress: Progress = dataclasses.field(default_factory=Progress)
    letters: list = dataclasses.field(default_factory=list)


class Histories(RuleBasedStateMachine):
    """Workers come, go and fall silent, while streams start and end."""

    make_place = None

    @initialize()
    def begin(self):
        self.place = self.make_place()
        self.now = 0.0
        self.counter = 0
        self.streams = {}
        self.heard = {}  # when, by worker's id
        self.claims = {}  # of each worker's id: what it was given, by stream
        self.stores = [self.open() for _ in range(WORKERS)]
        self.last = self.stores[0]

    def teardown(self):
        if hasattr(self, "place"):
            self.place.close()

    # -- what the rules are made of ----------------------------------------------------------------

    def open(self):
        store = self.place.worker()
        self.heard[self.id_of(store)] = self.now
        self.claims[self.id_of(store)] = {}
        return store

    def id_of(self, store):
        return self.place.records[store].id

    def pick(self, number):
        self.last = store = self.stores[number]
        return store, self.id_of(store)

    def document(self):
        self.counter += 1
        return {"number": self.counter}

    def is_silent(self, worker_id):
        return self.now - self.heard[worker_id] > self.place.lease

    def lives(self, worker_id):
        """Whether it gets letters to what has ended."""
        return worker_id in self.heard and (self.place.sees_deaths or not self.is_silent(worker_id))

    def is_free(self, stream, worker_id, may_expire):
        if stream.has_ended:
            return False
        if stream.owner is None:
            return self.now - stream.since <= OFFERS_KEPT
        if stream.owner == worker_id:
            return False
        return may_expire and self.is_silent(stream.owner)

    # -- rules -------------------------------------------------------------------------------------

    @rule(number=worker_numbers, stream_id=stream_ids)
    def offer(self, number, stream_id):
        store, _ = self.pick(number)
        document = self.document()
        stream = self.streams.get(stream_id)
        if stream is None or stream.has_ended:
            fence = 0 if stream is None else stream.fence
            stream = self.streams[stream_id] = Stream(document, self.now, fence=fence)
        stream.document = document
        if stream.owner is None:
            stream.since = self.now
        else:
            stream.letters.append(Letter(stream_id, document))
        assert store.offer(stream_id, document) is (stream.owner is None)

    @rule(number=worker_numbers, stream_id=stream_ids, ends=st.booleans())
    def send(self, number, stream_id, ends):
        store, _ = self.pick(number)
        document = self.document()
        stream = self.streams.get(stream_id)
        arrives = stream is not None
        if stream is not None:
            if stream.has_ended:
                arrives = self.lives(stream.owner)
            elif stream.owner is None:
                arrives = not ends
            if arrives:
                stream.letters.append(Letter(stream_id, document))
                stream.is_over = stream.is_over or (stream.has_ended and ends)
            else:
                del self.streams[stream_id]
        assert store.send(stream_id, document, ends=ends) is arrives

    @rule(number=worker_numbers, may_expire=st.booleans())
    def claim(self, number, may_expire):
        store, worker_id = self.pick(number)
        if self.is_silent(worker_id):
            self.renew(number)  # who claims is in touch with the store
        free = {
            stream_id
            for stream_id, stream in self.streams.items()
            if self.is_free(stream, worker_id, may_expire)
        }
        claimed = store.claim(may_expire=may_expire)
        if claimed is None:
            assert free == set()
            return
        assert claimed.stream_id in free
        stream = self.streams[claimed.stream_id]
        stream.fence += 1
        is_takeover = stream.is_takeover
        stream.owner, stream.since, stream.is_takeover = worker_id, self.now, True
        assert claimed == Claim(
            claimed.stream_id, stream.fence, stream.document, is_takeover, stream.progress
        )
        self.claims[worker_id][claimed.stream_id] = claimed

    @rule(number=worker_numbers)
    def renew(self, number):
        store, worker_id = self.pick(number)
        self.heard[worker_id] = self.now
        self.counter += 1
        progress = Progress({"audio": self.counter}, received=self.counter)
        lost = set()
        for stream_id, claim in self.claims[worker_id].items():
            claim = dataclasses.replace(claim, progress=progress)
            stream = self.streams.get(stream_id)
            if stream is not None and (stream.owner, stream.fence) == (worker_id, claim.fence):
                stream.progress = progress
                self.claims[worker_id][stream_id] = claim
            else:
                lost.add(stream_id)
        assert self.place.renew(store, *self.claims[worker_id].values()) == lost
        for stream_id in lost:
            del self.claims[worker_id][stream_id]

    @rule(number=worker_numbers, stream_id=stream_ids, has_ended=st.booleans())
    def release(self, number, stream_id, has_ended):
        store, worker_id = self.pick(number)
        claim = self.claims[worker_id].pop(stream_id, None)
        if claim is None:
            return
        stream = self.streams.get(stream_id)
        is_ours = stream is not None and (stream.owner, stream.fence) == (worker_id, claim.fence)
        if is_ours:
            stream.progress, stream.since = claim.progress, self.now
            stream.has_ended = has_ended
            stream.owner = worker_id if has_ended else None
        assert store.release(claim, has_ended=has_ended) is is_ours

    @rule(number=worker_numbers)
    def read(self, number):
        store, worker_id = self.pick(number)
        wakeup = self.place.read(store)
        for stream_id, stream in list(self.streams.items()):
            if stream.owner == worker_id:
                got = [letter for letter in wakeup.letters if letter.stream_id == stream_id]
                assert got == stream.letters
                stream.letters = []
                if stream.is_over:
                    del self.streams[stream_id]
            else:
                assert all(letter.stream_id != stream_id for letter in wakeup.letters)

    @rule(number=worker_numbers)
    def expire(self, number):
        store, worker_id = self.pick(number)
        expired = set()
        for stream_id, stream in list(self.streams.items()):
            age = self.now - stream.since
            if stream.has_ended:
                if stream.letters and not self.lives(stream.owner):
                    stream.owner = worker_id
                if stream.letters or age <= ENDED_KEPT:
                    continue
            elif stream.owner is None and age > OFFERS_KEPT:
                expired.add(stream_id)
            else:
                continue
            del self.streams[stream_id]
        assert {row.stream_id for row in store.take_expired()} == expired

    @rule(number=worker_numbers)
    def replace(self, number):
        store, worker_id = self.pick(number)
        store.close()
        del self.heard[worker_id], self.claims[worker_id]
        for stream in self.streams.values():
            if stream.owner == worker_id and not stream.has_ended:
                stream.owner, stream.since = None, self.now
        self.last = self.stores[number] = self.open()

    @rule(leases=st.sampled_from([0.4, 1.1]))
    def wait_for_leases(self, leases):
        self.pass_time(leases * self.place.lease)

    @precondition(lambda self: any(stream.owner is None for stream in self.streams.values()))
    @rule()
    def wait_for_offers(self):
        self.pass_time(OFFERS_KEPT + 1)

    @precondition(lambda self: any(stream.has_ended for stream in self.streams.values()))
    @rule()
    def wait_for_ends(self):
        self.pass_time(ENDED_KEPT + 1)

    def pass_time(self, seconds):
        self.place.advance(seconds)
        self.now += seconds

    # -- what holds always -------------------------------------------------------------------------

    @invariant()
    def all_is_known(self):
        if not hasattr(self, "streams"):
            return
        rows = {
            row.stream_id: (row.document, row.owner, row.fence, row.has_ended, row.progress)
            for row in self.last.streams()
        }
        assert rows == {
            stream_id: (s.document, s.owner, s.fence, s.has_ended, s.progress)
            for stream_id, s in self.streams.items()
        }
        assert {worker.id for worker in self.last.workers()} == {
            worker_id
            for worker_id, heard in self.heard.items()
            if self.now - heard <= self.place.lease
        }


@pytest.mark.parametrize("name", PLACES)
def test_any_history(name):
    machine = type(name, (Histories,), {"make_place": PLACES[name]})
    limits = settings(max_examples=PLACES[name].histories, stateful_step_count=40)
    run_state_machine_as_test(machine, settings=limits)

"""The store in Redis, where its data is damaged or lost, or it stands still."""

from __future__ import annotations

import dataclasses

import gevent
import pytest
from support.recorder import wait_until

from rtms_gevent.cluster import redis_scripts
from rtms_gevent.cluster.records import Progress
from rtms_gevent.errors import StoreError

from .redis_steps import NEWS, START, OwnPlace, break_run, claim_all, letters, owned, pending

# -- operators, and data that is lost --------------------------------------------------------------

DAMAGES = {
    "entries are deleted": lambda place: place.client.execute(
        "XTRIM", place.key("starts"), "MAXLEN", 0
    ),
    "the group is deleted": lambda place: place.client.execute(
        "XGROUP", "DESTROY", place.key("starts"), "workers"
    ),
    "the starts are deleted": lambda place: place.client.execute("DEL", place.key("starts")),
    "all is deleted": lambda place: place.client.execute("FLUSHALL"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_owners_keep_their_streams(own, damage):
    owner, other = own.workers(2)
    own.client.execute("SCRIPT", "FLUSH")
    claims = [owned(owner, stream_id) for stream_id in "abc"]
    DAMAGES[damage](own)
    assert own.renew(owner, *claims) == set()
    own.renew(other)
    assert claim_all(other) == []
    assert {row.owner for row in other.streams()} == {"worker-1"}
    assert pending(own) == [("worker-1", 1)] * 3
    assert own.renew(owner, *claims) == set()
    owner.release(claims[0], has_ended=False)
    assert claim_all(other) == ["a"]
    for claim in claims[1:]:
        assert owner.release(claim, has_ended=True) is True
    assert pending(own) == [("worker-2", 2)]


@pytest.mark.parametrize("damage", list(DAMAGES)[:3])
def test_streams_of_dead_owners_are_found(own, damage):
    dead, other = own.workers(2)
    for stream_id in "abc":
        owned(dead, stream_id)
    own.kill(dead)
    DAMAGES[damage](own)
    own.renew(other)
    claimed = claim_all(other)  # a group that is new gives them to their owners first
    own.advance(own.lease + 1)
    own.renew(other)
    assert sorted(claimed + claim_all(other)) == ["a", "b", "c"]


@pytest.mark.parametrize("damage", list(DAMAGES)[1:3])
def test_offers_are_found_after_damage(own, damage):
    store = own.worker()
    for stream_id in "abc":
        store.offer(stream_id, START)
    DAMAGES[damage](own)
    assert sorted(claim_all(store)) == ["a", "b", "c"]


def test_an_offer_whose_entry_was_deleted_is_told_as_missed(own):
    store = own.worker()
    store.offer("s", START)
    DAMAGES["entries are deleted"](own)
    assert store.claim(may_expire=True) is None
    own.advance(61)
    assert [row.stream_id for row in store.take_expired()] == ["s"]
    assert store.take_expired() == store.streams() == []


def test_documents_that_redis_evicted(own):
    store = own.worker()
    for stream_id in "ab":
        store.offer(stream_id, START)
    own.client.execute("DEL", own.key("documents"))
    assert [row.document for row in store.streams()] == [{}, {}]
    assert store.claim(may_expire=False).document == {}
    own.advance(61)
    assert [row.stream_id for row in store.take_expired()] == ["b"]


def test_an_expired_offer_whose_teller_died_is_told_by_another(own, monkeypatch):
    dead, other = own.workers(2)
    dead.offer("s", START)
    own.advance(61)
    break_run(monkeypatch, dead, redis_scripts.EXPIRED, after=1)
    with pytest.raises(StoreError):
        dead.take_expired()
    assert other.take_expired() == []
    own.advance(own.lease + 1)
    assert [row.stream_id for row in other.take_expired()] == ["s"]


# -- restarts and pauses ---------------------------------------------------------------------------


def test_a_restart_without_data(own):
    owner, other = own.workers(2)
    claim = dataclasses.replace(owned(owner), progress=Progress({"audio": 7}, is_joined=True))
    waiting = gevent.spawn(other.wait, 100)
    gevent.sleep(0)
    own.server.kill()
    with pytest.raises(StoreError):
        own.renew(owner, claim)
    with pytest.raises(StoreError):
        waiting.get(timeout=20)
    own.server.start()
    assert own.renew(owner, claim) == own.renew(other) == set()
    assert claim_all(other) == []
    (row,) = other.streams()
    assert (row.owner, row.fence, row.progress) == ("worker-1", 1, claim.progress)
    assert other.send("s", NEWS) is True
    assert letters(owner, 1) == [NEWS]
    assert owner.release(claim, has_ended=False) is True
    assert other.wait(10).has_offers
    taken = other.claim(may_expire=False)
    assert (taken.fence, taken.progress, taken.is_takeover) == (2, claim.progress, True)


def test_a_restart_with_data():
    with OwnPlace("--appendonly", "yes", "--appendfsync", "always") as place:
        owner, other = place.workers(2)
        claim = owned(owner)
        other.offer("t", START)
        place.server.kill()
        place.server.start()
        wait_until(lambda: _works(other))
        assert pending(place) == [("worker-1", 1)]
        assert claim_all(other) == ["t"]
        assert place.renew(owner, claim) == set()


def _works(store):
    try:
        return store.streams() or True
    except StoreError:
        return False


def test_a_pause(own):
    owner, other = own.workers(2)
    claim = owned(owner)
    owner.wait(0)
    own.server.pause()
    with pytest.raises(StoreError, match="[Tt]imeout"):
        own.renew(owner, claim)
    with pytest.raises(StoreError):
        other.claim(may_expire=True)
    own.server.resume()
    assert own.renew(owner, claim) == set()
    assert other.claim(may_expire=True) is None
    other.send("s", NEWS)
    assert letters(owner, 1) == [NEWS]

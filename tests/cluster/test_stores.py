"""What holds in every store: one table of rules, see rtms_gevent/cluster/store.py."""

from __future__ import annotations

import dataclasses

import gevent
import pytest

from rtms_gevent.cluster.records import Claim, Progress
from rtms_gevent.cluster.store import DELIVERIES_KEPT, ENDED_KEPT, OFFERS_KEPT

START = {"event": "meeting.rtms_started", "payload": {"server_urls": "wss://a", "title": "Grüße"}}
AGAIN = {"event": "meeting.rtms_started", "payload": {"server_urls": "wss://b"}}
STOP = {"event": "meeting.rtms_stopped", "payload": {"stop_reason": 6}}
NEWS = {"event": "meeting.rtms_interrupted", "payload": {}}
FAR = Progress({"audio": 1_738_392_000_123, "video": 7}, True, 50, 2, 340, 1)


def claim(store, *, may_expire=False):
    return store.claim(may_expire=may_expire)


def claim_ids(store, **options):
    """Claim all that there is."""
    return [found.stream_id for found in iter(lambda: claim(store, **options), None)]


def owned(store, stream_id="s"):
    """Offer a stream, and claim it."""
    assert store.offer(stream_id, START)
    claimed = claim(store)
    assert claimed.stream_id == stream_id
    return claimed


def take_letters(store, count, timeout=1.0):
    """Wait until so many have come; return what they say, by stream, in their order."""
    letters = []
    with gevent.Timeout(10):
        while len(letters) < count:
            letters += store.wait(timeout).letters
    return [(letter.stream_id, letter.document) for letter in letters]


def has_offers(store):
    """Wait until it is told that there are some."""
    with gevent.Timeout(10):
        while not store.wait(1000).has_offers:
            pass
    return True


def rows(store):
    return {row.stream_id: row for row in store.streams()}


# -- offers and claims -----------------------------------------------------------------------------


def test_a_stream_is_claimed_once_with_what_was_offered(place):
    first, second = place.workers(2)
    assert first.offer("s", START) is True
    assert claim(second) == Claim("s", 1, START)
    assert claim(second) is None
    assert claim(first) is None


def test_nothing_is_known_at_first(place):
    store = place.worker()
    assert claim(store, may_expire=True) is None
    assert store.streams() == []
    assert store.take_expired() == []
    assert store.wait(0) == store.wait(0.01)
    assert store.wait(0).letters == ()


def test_those_that_wait_longest_come_first(place):
    first, second = place.workers(2)
    for stream_id in ("c", "a", "b"):
        first.offer(stream_id, START)
        place.advance(0.02)
    claimed = claim(second)
    assert claimed.stream_id == "c"
    second.release(claimed, has_ended=False)  # it waits anew
    assert claim_ids(second) == ["a", "b", "c"]


def test_one_that_waits_gets_the_latest_start_and_more_time(place):
    store = place.worker()
    store.offer("s", START)
    place.advance(OFFERS_KEPT - 5)
    assert store.offer("s", AGAIN) is True
    place.advance(10)
    assert store.take_expired() == []
    assert claim(store) == Claim("s", 1, AGAIN)


def test_a_start_of_one_that_is_owned_is_a_letter_to_its_owner(place):
    owner, other = place.workers(2)
    owned(owner)
    assert other.offer("s", AGAIN) is False
    assert claim(other) is None
    assert take_letters(owner, 1) == [("s", AGAIN)]
    assert rows(other)["s"].document == AGAIN


def test_the_next_owner_gets_the_latest_start(place):
    owner, other = place.workers(2)
    claimed = owned(owner)
    other.offer("s", AGAIN)
    owner.release(claimed, has_ended=False)
    assert claim(other).document == AGAIN


def test_one_that_has_ended_is_offered_anew(place):
    owner, other = place.workers(2)
    owner.release(dataclasses.replace(owned(owner), progress=FAR), has_ended=True)
    assert claim(other, may_expire=True) is None
    assert owner.offer("s", AGAIN) is True
    assert claim(other) == Claim("s", 2, AGAIN, is_takeover=False)


def test_offers_that_are_too_old_are_not_claimed(place):
    store = place.worker()
    store.offer("s", START)
    place.advance(OFFERS_KEPT + 1)
    place.renew(store)
    assert claim(store, may_expire=True) is None


def test_an_expired_offer_is_told_to_one_worker(place):
    stores = place.workers(3)
    stores[0].offer("s", START)
    stores[0].offer("t", START)
    owned_by_dead = claim(stores[2])
    place.advance(OFFERS_KEPT + 1)
    for store in stores:
        place.renew(store, *([owned_by_dead] if store is stores[2] else []))
    told = [row for store in stores for row in store.take_expired()]
    assert [(row.stream_id, row.document, row.owner) for row in told] == [("t", START, None)]
    assert told[0].age > OFFERS_KEPT
    assert list(rows(stores[0])) == ["s"]
    assert stores[1].offer("t", AGAIN) is True


# -- fences ----------------------------------------------------------------------------------------


def test_the_fence_grows_with_each_claim(place):
    stores = place.workers(2)
    stores[0].offer("s", START)
    for fence, store in enumerate([*stores, *stores, *stores], 1):
        claimed = claim(store)
        assert claimed.fence == fence
        assert claimed.is_takeover == (fence > 1)
        store.release(claimed, has_ended=False)


def test_what_an_older_owner_writes_is_refused(place):
    older, newer = place.workers(2)
    old = dataclasses.replace(owned(older), progress=FAR)
    place.advance(place.lease + 0.5)
    place.renew(newer)
    new = claim(newer, may_expire=True)
    assert (new.fence, new.is_takeover) == (old.fence + 1, True)
    assert place.renew(older, old) == {"s"}
    assert older.release(old, has_ended=True) is False
    assert older.release(old, has_ended=False) is False
    row = rows(older)["s"]
    assert (row.owner, row.fence, row.has_ended) == (place.records[newer].id, 2, False)
    assert row.progress == Progress()
    assert place.renew(newer, new) == set()


def test_an_old_claim_of_the_same_worker_is_refused(place):
    store = place.worker()
    old = owned(store)
    store.release(old, has_ended=False)
    new = claim(store)
    assert store.release(old, has_ended=True) is False
    assert place.renew(store, dataclasses.replace(old, progress=FAR)) == {"s"}
    assert rows(store)["s"].progress == Progress()
    assert place.renew(store, new) == set()


# -- hand-overs ------------------------------------------------------------------------------------


def test_a_stream_that_is_handed_over_has_its_progress(place):
    owner, other = place.workers(2)
    claimed = owned(owner)
    while owner.wait(0).has_offers or other.wait(0).has_offers:
        pass
    assert owner.release(dataclasses.replace(claimed, progress=FAR), has_ended=False) is True
    assert has_offers(other)
    assert claim(other) == Claim("s", 2, START, True, FAR)
    assert owner.release(claimed, has_ended=False) is False


def test_a_hand_over_waits_as_long_as_an_offer(place):
    owner, other = place.workers(2)
    claimed = owned(owner)
    place.advance(OFFERS_KEPT - 5)
    place.renew(owner, claimed)
    owner.release(claimed, has_ended=False)
    place.advance(10)
    assert other.take_expired() == []
    place.advance(OFFERS_KEPT)
    assert [row.fence for row in other.take_expired()] == [1]


# -- renewals --------------------------------------------------------------------------------------


def test_progress_is_seen_by_all_and_by_the_next_owner(place):
    owner, other = place.workers(2)
    claimed = dataclasses.replace(owned(owner), progress=FAR)
    assert place.renew(owner, claimed) == set()
    assert rows(other)["s"].progress == FAR
    place.advance(place.lease + 0.5)
    place.renew(other)
    assert claim(other, may_expire=True) == Claim("s", 2, START, True, FAR)


def test_only_what_is_lost_is_told(place):
    owner, other = place.workers(2)
    kept, lost = owned(owner, "kept"), owned(owner, "lost")
    owner.release(lost, has_ended=False)
    claim(other)
    assert place.renew(owner, kept, lost) == {"lost"}


def test_what_was_released_is_not_taken_back(place):
    owner, other = place.workers(2)
    claimed = owned(owner)
    owner.release(claimed, has_ended=False)
    assert place.renew(owner, claimed) == {"s"}
    assert claim(other).fence == 2


def test_a_stream_that_was_forgotten_is_noted_anew(place):
    owner, other = place.workers(2)
    claimed = dataclasses.replace(owned(owner), progress=FAR)
    place.forget_streams()
    assert place.renew(owner, claimed) == set()
    row = rows(other)["s"]
    assert (row.owner, row.fence, row.progress) == (place.records[owner].id, 1, FAR)
    assert other.send("s", NEWS) is True
    assert take_letters(owner, 1) == [("s", NEWS)]
    owner.release(claimed, has_ended=False)
    assert claim(other) == Claim("s", 2, START, True, FAR)


def test_one_that_was_forgotten_and_claimed_by_another_is_lost(place):
    owner, other = place.workers(2)
    claimed = owned(owner)
    place.forget_streams()
    other.offer("s", AGAIN)
    new = claim(other)
    assert place.renew(owner, claimed) == {"s"}
    assert place.renew(other, new) == set()


def test_a_start_that_came_while_a_stream_was_forgotten_reaches_its_owner(place):
    owner, other = place.workers(2)
    claimed = owned(owner)
    place.forget_streams()
    assert other.offer("s", AGAIN) is True
    assert place.renew(owner, claimed) == set()
    assert claim(other) is None
    assert take_letters(owner, 1) == [("s", AGAIN)]


def test_the_age_of_a_stream_begins_with_its_offer_its_claim_and_its_end(place):
    store = place.worker()
    store.offer("s", START)
    place.advance(0.4 * place.lease)
    assert rows(store)["s"].age > 0.39 * place.lease
    claimed = claim(store)
    assert rows(store)["s"].age < 0.39 * place.lease
    place.advance(0.4 * place.lease)
    place.renew(store, claimed)
    assert rows(store)["s"].age > 0.39 * place.lease
    store.release(claimed, has_ended=True)
    assert rows(store)["s"].age < 0.39 * place.lease


# -- dead and silent owners ------------------------------------------------------------------------


def test_a_dead_worker_leaves_its_streams_to_others(place):
    dead, alive, another = place.workers(3)
    for stream_id in ("a", "b"):
        owned(dead, stream_id)
    place.renew(dead, dataclasses.replace(Claim("a", 1, START), progress=FAR))
    place.kill(dead)
    if not place.sees_deaths:
        place.advance(place.lease + 0.5)
    place.renew(alive)
    first = claim(alive, may_expire=not place.sees_deaths)
    second = claim(another, may_expire=not place.sees_deaths)
    assert {first.stream_id, second.stream_id} == {"a", "b"}
    for claimed in (first, second):
        assert (claimed.fence, claimed.is_takeover) == (2, True)
        assert claimed.progress == (FAR if claimed.stream_id == "a" else Progress())
    assert claim(alive, may_expire=True) is None


def test_a_worker_that_closed_leaves_its_streams_at_once(place):
    owner, other = place.workers(2)
    owned(owner)
    while other.wait(0).has_offers:
        pass
    owner.close()
    assert has_offers(other)
    assert claim(other).fence == 2


def test_a_silent_owner_keeps_its_streams_where_they_may_not_expire(place):
    silent, other = place.workers(2)
    claimed = owned(silent)
    place.advance(place.lease + 0.5)
    place.renew(other)
    assert claim(other) is None
    assert claim(silent, may_expire=True) is None
    assert rows(other)["s"].silent > place.lease
    assert place.renew(silent, claimed) == set()
    assert claim(other, may_expire=True) is None
    assert rows(other)["s"].silent < place.lease


def test_an_owner_that_renews_keeps_its_streams(place):
    owner, other = place.workers(2)
    claimed = owned(owner)
    for _ in range(3):
        place.advance(place.lease / 2)
        place.renew(owner, claimed)
        assert claim(other, may_expire=True) is None


# -- letters ---------------------------------------------------------------------------------------


def test_letters_come_in_their_order_to_their_owners(place):
    one, two, sender = place.workers(3)
    owned(one, "a"), owned(one, "b"), owned(two, "c")
    for number in range(5):
        for stream_id in "abc":
            assert sender.send(stream_id, {"number": number}) is True
    letters = take_letters(one, 10)
    for stream_id in "ab":
        numbers = [document["number"] for to, document in letters if to == stream_id]
        assert numbers == [0, 1, 2, 3, 4]
    assert take_letters(two, 5) == [("c", {"number": number}) for number in range(5)]
    assert one.wait(0).letters == two.wait(0).letters == sender.wait(0).letters == ()


def test_a_letter_wakes_its_owner(place):
    owner, sender = place.workers(2)
    owned(owner)
    take_all = gevent.spawn(take_letters, owner, 1, timeout=1000)
    gevent.sleep(0)
    sender.send("s", NEWS)
    assert take_all.get() == [("s", NEWS)]


def test_an_owner_can_write_to_itself(place):
    owner = place.worker()
    owned(owner)
    assert owner.send("s", STOP, ends=True) is True
    assert take_letters(owner, 1) == [("s", STOP)]


def test_letters_to_one_that_waits_come_to_its_next_owner(place):
    first, second = place.workers(2)
    first.offer("s", START)
    assert first.send("s", NEWS) is True
    claim(second)
    assert take_letters(second, 1) == [("s", NEWS)]


def test_letters_that_an_owner_did_not_get_come_to_the_next(place):
    owner, other, sender = place.workers(3)
    claimed = owned(owner)
    sender.send("s", {"number": 1})
    sender.offer("s", AGAIN)
    assert take_letters(owner, 2) == [("s", {"number": 1}), ("s", AGAIN)]
    sender.send("s", {"number": 3})
    owner.release(claimed, has_ended=False)
    sender.send("s", {"number": 4})
    assert owner.wait(0).letters == ()
    claim(other)
    assert take_letters(other, 2) == [("s", {"number": 3}), ("s", {"number": 4})]


def test_letters_to_a_dead_owner_come_to_the_next(place):
    owner, other = place.workers(2)
    owned(owner)
    place.kill(owner)
    assert other.send("s", STOP, ends=True) is True
    if not place.sees_deaths:
        place.advance(place.lease + 0.5)
        place.renew(other)
    claim(other, may_expire=not place.sees_deaths)
    assert take_letters(other, 1) == [("s", STOP)]


@pytest.mark.parametrize("ends", [False, True])
def test_nobody_gets_a_letter_to_what_is_not_known(place, ends):
    store = place.worker()
    assert store.send("s", NEWS, ends=ends) is False
    assert store.streams() == []


def test_the_end_of_one_that_waits_forgets_it(place):
    store = place.worker()
    store.offer("s", START)
    assert store.send("s", STOP, ends=True) is False
    assert store.streams() == []
    assert claim(store) is None
    assert store.take_expired() == []


# -- ends ------------------------------------------------------------------------------------------


def test_one_that_has_ended_keeps_its_owner_for_the_webhook_of_the_end(place):
    owner, other = place.workers(2)
    claimed = owned(owner)
    assert owner.release(dataclasses.replace(claimed, progress=FAR), has_ended=True) is True
    row = rows(other)["s"]
    assert (row.has_ended, row.owner, row.progress) == (True, place.records[owner].id, FAR)
    assert other.send("s", NEWS) is True
    assert take_letters(owner, 1) == [("s", NEWS)]
    assert list(rows(owner)) == ["s"]
    assert other.send("s", NEWS) is True
    assert other.send("s", STOP, ends=True) is True
    assert take_letters(owner, 2) == [("s", NEWS), ("s", STOP)]
    assert owner.streams() == []


def test_one_that_has_ended_is_forgotten_after_a_while(place):
    owner, other = place.workers(2)
    owner.release(owned(owner), has_ended=True)
    place.advance(ENDED_KEPT - 10)
    place.renew(owner)
    assert other.take_expired() == []
    assert list(rows(other)) == ["s"]
    place.advance(20)
    place.renew(owner)
    assert other.take_expired() == []
    assert rows(other) == {}
    assert other.send("s", STOP, ends=True) is False


def test_a_letter_to_one_that_has_ended_is_not_forgotten_while_its_owner_lives(place):
    owner, other = place.workers(2)
    owner.release(owned(owner), has_ended=True)
    other.send("s", STOP, ends=True)
    place.advance(ENDED_KEPT + 1)
    place.renew(owner)
    other.take_expired()
    assert take_letters(owner, 1) == [("s", STOP)]


def test_nobody_gets_the_end_of_one_whose_owner_is_gone(place):
    owner, other = place.workers(2)
    owner.release(owned(owner), has_ended=True)
    owner.close()
    assert other.send("s", STOP, ends=True) is False
    assert other.streams() == []


def test_a_letter_to_one_that_has_ended_is_read_by_another_where_its_owner_is_gone(place):
    owner, other, third = place.workers(3)
    owner.release(owned(owner), has_ended=True)
    other.send("s", NEWS)
    other.send("s", STOP, ends=True)
    place.renew(other)
    assert other.take_expired() == []
    assert other.wait(0).letters == ()
    place.kill(owner)
    place.advance(place.lease + 1)
    place.renew(other)
    assert other.take_expired() == []
    place.renew(third)
    assert third.take_expired() == []
    assert take_letters(other, 2) == [("s", NEWS), ("s", STOP)]
    assert third.wait(0).letters == ()
    assert rows(other) == {}


def test_what_a_dead_worker_had_expires_where_nobody_claims_it(place):
    owner, other = place.workers(2)
    owned(owner)
    place.kill(owner)
    place.advance(10 * place.lease + 1)
    place.renew(other)
    assert other.take_expired() == []
    assert rows(other)["s"].owner is None
    place.advance(OFFERS_KEPT + 1)
    place.renew(other)
    assert [row.stream_id for row in other.take_expired()] == ["s"]
    assert rows(other) == {}


# -- workers ---------------------------------------------------------------------------------------


def test_workers_are_known_as_they_were_last(place):
    first, second = (place.worker(started=started) for started in (20, 10))
    record = dataclasses.replace(
        place.records[first], streams=3, max_streams=9, is_draining=True, live_socket="/x"
    )
    first.renew(record, ())
    seen = [dataclasses.replace(worker, age=0) for worker in second.workers()]
    assert seen == [place.records[second], record]
    assert all(0 <= worker.age <= place.lease for worker in first.workers())


def test_workers_that_closed_or_died_or_are_silent_are_not_listed(place):
    closed, dead, silent, alive = place.workers(4)
    closed.close()
    place.kill(dead)
    place.advance(place.lease + 0.5)
    place.renew(alive)
    assert [worker.id for worker in alive.workers()] == [place.records[alive].id]
    place.renew(silent)
    assert len(alive.workers()) == 2


# -- news ------------------------------------------------------------------------------------------


def test_offers_wake_all(place):
    stores = place.workers(3)
    waiting = [gevent.spawn(has_offers, store) for store in stores]
    gevent.sleep(0)
    stores[0].offer("s", START)
    assert [greenlet.get() for greenlet in waiting] == [True] * 3


def test_who_waits_can_be_woken(place):
    store = place.worker()
    waiting = gevent.spawn(store.wait, 1000)
    gevent.sleep(0)
    store.wake()
    with gevent.Timeout(10):
        assert waiting.get().letters == ()


def test_a_wake_up_before_the_wait_counts(place):
    store = place.worker()
    store.wake()
    with gevent.Timeout(10):
        store.wait(1000)


# -- deliveries ------------------------------------------------------------------------------------


def test_a_delivery_is_new_to_one_worker(place):
    one, two = place.workers(2)
    now = 1_738_392_000.0
    assert one.add("a", now) is True
    assert two.add("a", now + 1) is False
    assert one.add("a", now + 5000) is False
    assert two.add("b", now) is True


def test_a_delivery_that_was_discarded_is_new(place):
    one, two = place.workers(2)
    one.add("a", 1_738_392_000.0)
    two.discard("a")
    two.discard("never")
    assert one.add("a", 1_738_392_001.0) is True


def test_deliveries_are_forgotten_in_the_end(place):
    one, two = place.workers(2)
    now = 1_738_392_000.0
    one.add("a", now)
    one.add("b", now + 60)
    place.advance(DELIVERIES_KEPT + 1)
    assert two.add("a", now + DELIVERIES_KEPT + 1) is True
    assert two.add("b", now + DELIVERIES_KEPT + 1) is False


# -- many at once ----------------------------------------------------------------------------------


def test_each_stream_goes_to_one_of_many_who_claim_at_once(place):
    stores = place.workers(5)
    offers = [gevent.spawn(stores[n % 5].offer, f"s{n}", START) for n in range(40)]
    claims = [gevent.spawn(claim_ids, store) for store in stores for _ in range(4)]
    gevent.joinall([*offers, *claims], raise_error=True)
    claimed = [stream_id for greenlet in claims for stream_id in greenlet.value]
    claimed += claim_ids(stores[0])  # offered when all others had looked
    assert sorted(claimed) == sorted(f"s{n}" for n in range(40))


def test_the_same_start_that_many_offer_at_once_is_one_stream(place):
    stores = place.workers(4)
    offers = [gevent.spawn(store.offer, "s", START) for store in stores * 3]
    gevent.joinall(offers, raise_error=True)
    claims = [gevent.spawn(claim_ids, store) for store in stores]
    gevent.joinall(claims, raise_error=True)
    assert [stream_id for greenlet in claims for stream_id in greenlet.value] == ["s"]


def test_letters_that_many_send_at_once_arrive_once(place):
    owner, *senders = place.workers(4)
    owned(owner)
    sent = [
        gevent.spawn(sender.send, "s", {"from": number, "number": n})
        for n in range(20)
        for number, sender in enumerate(senders)
    ]
    letters = [document for _, document in take_letters(owner, 60)]
    gevent.joinall(sent, raise_error=True)
    assert len(letters) == 60
    assert {tuple(letter.values()) for letter in letters} == {
        (number, n) for number in range(3) for n in range(20)
    }


def test_a_delivery_that_comes_to_many_at_once_is_new_to_one(place):
    stores = place.workers(4)
    added = [gevent.spawn(store.add, "a", 1_738_392_000.0) for store in stores * 5]
    gevent.joinall(added, raise_error=True)
    assert sum(greenlet.value for greenlet in added) == 1


def test_dead_owners_streams_go_to_one_of_many_who_claim_at_once(place):
    dead, *others = place.workers(4)
    for number in range(12):
        owned(dead, f"s{number}")
    place.kill(dead)
    if not place.sees_deaths:
        place.advance(place.lease + 0.5)
    for other in others:
        place.renew(other)
    claims = [gevent.spawn(claim_ids, store, may_expire=True) for store in others * 3]
    gevent.joinall(claims, raise_error=True)
    claimed = [stream_id for greenlet in claims for stream_id in greenlet.value]
    assert sorted(claimed) == sorted(f"s{n}" for n in range(12))

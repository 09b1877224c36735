"""One worker among others: who claims, who gets which webhook, and what happens when one ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from support.recorder import wait_until
from support.webhooks import stopped

from rtms_gevent import signals
from rtms_gevent.cluster import routing as module
from rtms_gevent.cluster.memory import MemoryStore
from rtms_gevent.cluster.records import Worker
from rtms_gevent.cluster.store import Store
from rtms_gevent.errors import StoreError
from rtms_gevent.protocol.webhook_events import WebhookKind, parse_event

from .standins import Shop, opened_shop, start_of

STOP = parse_event(stopped("a"))
INTERRUPTION = parse_event(
    {
        "event": "meeting.rtms_interrupted",
        "event_ts": 1,
        "payload": {"meeting_uuid": "m", "rtms_stream_id": "a", "server_urls": "wss://x.zoom.us"},
    }
)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with opened_shop(monkeypatch) as shop:
        yield shop


@pytest.fixture
def missed() -> Iterator[list[dict[str, Any]]]:
    told: list[dict[str, Any]] = []

    def note(sender: Any, **news: Any) -> None:
        told.append(news)

    signals.missed.connect(note)
    yield told
    signals.missed.disconnect(note)


class FailingStore(MemoryStore):
    """A store that does not answer while it has a problem."""

    problem: StoreError | None = None

    def __getattribute__(self, name: str) -> Any:
        if name in Store.__abstractmethods__ - {"close", "wake"}:
            problem = object.__getattribute__(self, "problem")
            if problem is not None:
                raise problem
        return super().__getattribute__(name)


def owned(shop: Shop, stream_id: str = "a") -> bool:
    owner = shop.owner_of(stream_id)
    return owner is not None and stream_id in owner.host.clients


def test_a_start_that_comes_to_all_is_joined_by_one(shop: Shop) -> None:
    workers = [shop.add() for _ in range(4)]
    for worker in workers:
        worker.member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    gevent.sleep(0.1)  # others would have claimed it by now
    started = [event for worker in workers for event in worker.host.events]
    assert {event.stream_id for event in started} == {"a"}
    assert [len(worker.host.clients) for worker in workers].count(1) == 1


def test_what_comes_later_reaches_the_owner_once_with_its_client(shop: Shop) -> None:
    workers = [shop.add() for _ in range(3)]
    workers[0].member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    owner = shop.owner_of("a")
    assert owner is not None
    other = next(one for one in workers if one is not owner)
    other.member.route(start_of("a", "wss://rtms.zoom.us/another"))
    other.member.route(INTERRUPTION)
    other.member.route(STOP)
    kinds = [WebhookKind.STARTED, WebhookKind.STARTED, WebhookKind.INTERRUPTED, WebhookKind.STOPPED]
    wait_until(lambda: owner.host.kinds == kinds)
    assert owner.host.events[1].server_urls == "wss://rtms.zoom.us/another"
    assert not other.host.events


def test_a_stream_that_has_ended_is_forgotten_once_its_stop_has_reached_the_owner(
    shop: Shop,
) -> None:
    first, second = shop.add(), shop.add()
    first.member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    owner = shop.owner_of("a")
    assert owner is not None
    owner.host.end("a")
    wait_until(lambda: shop.cluster.streams["a"].has_ended)
    other = second if owner is first else first
    other.member.route(STOP)
    wait_until(lambda: owner.host.kinds[-1:] == [WebhookKind.STOPPED])
    wait_until(lambda: not shop.cluster.streams)
    assert not other.host.events


def test_nothing_is_left_where_the_stop_comes_before_the_end(shop: Shop) -> None:
    worker = shop.add()
    worker.member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    worker.member.route(STOP)
    wait_until(lambda: worker.host.kinds[-1:] == [WebhookKind.STOPPED])
    worker.host.end("a")
    wait_until(lambda: not shop.cluster.streams)


def test_a_stream_that_zoom_starts_again_is_joined_again(shop: Shop) -> None:
    workers = [shop.add(), shop.add()]
    workers[0].member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    owner = shop.owner_of("a")
    assert owner is not None
    owner.host.end("a")
    wait_until(lambda: shop.cluster.streams["a"].has_ended)
    workers[1].member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    assert not any(worker.host.taken_over for worker in workers)


def test_who_has_no_owner_for_a_stop_calls_the_app_itself(shop: Shop) -> None:
    worker = shop.add()
    shop.add()
    worker.member.route(STOP)
    wait_until(lambda: worker.host.kinds == [WebhookKind.STOPPED])


def test_a_stop_waits_for_owners_where_the_store_has_just_lost_everything(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SETTLED", 60.0)
    first, second = shop.add(), shop.add()
    first.member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    owner, other = (first, second) if "a" in first.host.clients else (second, first)
    renew = owner.member.store.renew
    owner.member.store.renew = lambda worker, claims: []  # type: ignore[method-assign]
    shop.cluster.streams.clear()
    routed = gevent.spawn(other.member.route, STOP)
    gevent.sleep(0.05)
    assert not other.host.events
    owner.member.store.renew = renew  # type: ignore[method-assign]
    routed.join()
    wait_until(lambda: owner.host.kinds[-1:] == [WebhookKind.STOPPED])
    assert not other.host.events


def test_an_interruption_without_an_owner_leads_to_a_take_up(shop: Shop) -> None:
    shop.add().member.route(INTERRUPTION)
    wait_until(lambda: owned(shop))
    assert shop.workers[0].host.events[0].server_urls == "wss://x.zoom.us"


def test_an_app_that_joins_no_streams_gets_its_events_all_the_same(shop: Shop) -> None:
    worker = shop.add()
    worker.host.wants_streams = False
    worker.member.route(start_of("a"))
    wait_until(lambda: worker.host.kinds == [WebhookKind.STARTED])
    assert not shop.cluster.streams


def test_streams_are_spread(shop: Shop) -> None:
    workers = [shop.add() for _ in range(4)]
    wait_until(lambda: all(len(worker.member._peers.others) == 3 for worker in workers))
    for number in range(24):  # one worker gets all webhooks
        workers[0].member.route(start_of(str(number)))
    wait_until(lambda: sum(len(worker.member.owned) for worker in workers) == 24)
    assert max(len(worker.member.owned) for worker in workers) <= 9


def test_who_is_full_or_ends_claims_nothing(
    shop: Shop, missed: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    full, ending = shop.add(max_streams=1), shop.add()
    ending.is_ending = True
    for name in "ab":
        full.member.route(start_of(name))
    wait_until(lambda: len(full.member.owned) == 1)
    gevent.sleep(0.1)
    assert len(full.member.owned) == 1
    assert not ending.member.owned
    waiting = next(name for name in "ab" if not owned(shop, name))
    shop.cluster.streams[waiting].since -= 100
    wait_until(lambda: len(missed) == 1)  # by one of the two
    assert missed[0]["event"].stream_id == waiting
    assert full.member.missed + ending.member.missed == 1
    assert waiting not in shop.cluster.streams


def test_the_streams_of_a_worker_that_died_are_taken_over(shop: Shop) -> None:
    first = shop.add()
    for name in "abcd":
        first.member.route(start_of(name))
    wait_until(lambda: len(first.host.clients) == 4)
    first.host.clients["a"].delivered = {"audio": 1000}
    wait_until(lambda: shop.cluster.streams["a"].progress.delivered == {"audio": 1000})
    others = [shop.add(), shop.add()]
    wait_until(lambda: all(len(one.member._peers.others) == 2 for one in others))
    assert not any(one.member.owned for one in others)
    first.die()
    wait_until(lambda: sum(len(one.host.taken_over) for one in others) == 4)
    taken = {event.stream_id: event for one in others for event in one.host.taken_over}
    assert all(event.is_takeover for event in taken.values())
    assert taken["a"].delivered == {"audio": 1000}
    assert taken["b"].delivered == {}
    assert not any(one.host.events for one in others)  # no webhook came


def test_a_worker_that_ends_hands_over(shop: Shop) -> None:
    first = shop.add()
    first.member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    client = first.host.clients["a"]
    client.delivered = {"audio": 7}
    second = shop.add()
    first.member.drain()
    assert client.calls == ["hand over"]
    wait_until(lambda: second.host.taken_over)
    assert second.host.taken_over[0].delivered == {"audio": 7}
    assert not first.member.owned


def test_a_media_type_that_is_quiet_lacks_nothing_of_that_time(shop: Shop) -> None:
    first, second = shop.add(), shop.add()
    first.member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    owner, other = (first, second) if "a" in first.host.clients else (second, first)
    client = owner.host.clients["a"]
    client.delivered = {"audio": 900_000, "transcript": 1000, "chat": 2000, "video": 899_000}
    client.waiting = {"chat"}
    owner.member.drain()
    wait_until(lambda: other.host.taken_over)
    assert other.host.taken_over[0].delivered == {
        "audio": 900_000,
        "transcript": 898_000,
        "chat": 2000,
        "video": 899_000,
    }


def test_a_worker_that_ends_waits_for_those_that_its_server_has_just_started(shop: Shop) -> None:
    """Until they have imported their app, its streams go on."""
    first = shop.add()
    first.member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    client = first.host.clients["a"]
    first.siblings = {0, 1}
    draining = gevent.spawn(first.member.drain)
    wait_until(lambda: first.member.worker.is_draining)
    gevent.sleep(0.1)
    assert not client.calls
    second = shop.add()
    wait_until(lambda: second.host.taken_over)
    assert client.calls == ["hand over"]
    draining.get(timeout=5)


def test_a_stream_that_ends_while_it_is_handed_over_is_not_taken_up(shop: Shop) -> None:
    first = shop.add()
    first.member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    client = first.host.clients["a"]
    client.goes_on = False
    shop.add()
    first.member.drain()
    assert shop.cluster.streams["a"].has_ended


def test_a_stream_that_has_just_ended_is_not_handed_over(shop: Shop) -> None:
    first = shop.add()
    first.member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    first.host.end("a")
    assert not first.member.owned  # at once
    first.member.drain()
    first.member.close()
    assert shop.cluster.streams["a"].has_ended


def test_who_was_silent_too_long_leaves_what_another_has_taken(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    first = shop.add(MemoryStore(shop.cluster, lease=0.2))
    first.member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    client = first.host.clients["a"]
    first.member._greenlets.kill()  # as a process that is stopped
    second = shop.add(MemoryStore(shop.cluster, lease=0.2))
    wait_until(lambda: "a" in second.member.owned)
    first.member.start()
    wait_until(lambda: client.calls == ["taken over"])
    wait_until(lambda: not first.member.owned)
    assert second.member.owned == ["a"]
    assert "taken over by another worker" in caplog.text


def test_who_was_out_of_touch_itself_takes_nothing_at_once(shop: Shop) -> None:
    store = FailingStore(shop.cluster, lease=60.0)
    worker = shop.add(store)
    claims: list[bool] = []
    store.claim = lambda *, may_expire: claims.append(may_expire)  # type: ignore
    worker.member._access._in_touch_since -= 61
    wait_until(lambda: True in claims)
    store.problem = StoreError("away")
    wait_until(lambda: worker.member._access._away_since is not None)
    store.problem = None
    claims.clear()
    wait_until(lambda: len(claims) > 3)
    assert True not in claims[1:]


def test_starts_wait_for_a_store_that_is_away(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    store = FailingStore(shop.cluster)
    worker = shop.add(store)
    worker.member.route(start_of("a"))
    wait_until(lambda: "a" in worker.host.clients)
    store.problem = StoreError("connection refused")
    routed = gevent.spawn(worker.member.route, start_of("b"))
    failover = gevent.spawn(worker.member.route, start_of("a", "wss://rtms.zoom.us/b"))
    wait_until(lambda: len(worker.host.events) == 2)  # what is ours needs no store
    failover.join()
    assert not routed.dead
    assert "a" in worker.host.clients
    store.problem = None
    wait_until(lambda: "b" in worker.member.owned)
    routed.join()
    told = [record.message for record in caplog.records if "store" in record.message]
    assert len(told) == 2
    assert "does not work" in told[0]
    assert "connection refused" in told[0]
    assert "works again" in told[1]


def test_a_start_is_missed_where_the_store_stays_away(
    shop: Shop, missed: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OFFERS_KEPT", 0.1)
    monkeypatch.setattr(module, "_RETRY", 0.01)
    store = FailingStore(shop.cluster)
    store.problem = StoreError("away")
    worker = shop.add(store)
    worker.member.route(start_of("a"))
    wait_until(lambda: [news["event"].stream_id for news in missed] == ["a"])
    assert missed[0]["reason"] == "away"
    assert worker.member.missed == 1
    worker.member.route(STOP)  # the app is to hear of that, whoever has the stream
    wait_until(lambda: worker.host.kinds == [WebhookKind.STOPPED])


def test_a_store_that_is_broken_for_good_leaves_a_worker_alone(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    store = FailingStore(shop.cluster)
    store.may_fall_back = True
    worker = shop.add(store)
    worker.member.route(start_of("a"))
    wait_until(lambda: "a" in worker.host.clients)
    store.problem = StoreError("the disk is full", is_lasting=True)
    worker.member.route(start_of("b"))
    wait_until(lambda: sorted(worker.member.owned) == ["a", "b"])
    worker.member.route(STOP)
    wait_until(lambda: worker.host.kinds[-1:] == [WebhookKind.STOPPED])
    assert [record.levelno for record in caplog.records].count(logging.WARNING) == 1
    assert "the disk is full" in caplog.text


def test_a_step_that_fails_is_made_again(
    shop: Shop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = shop.add()
    worker.member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    client = worker.host.clients["a"]
    with monkeypatch.context() as patch:
        patch.setattr(client, "stats", lambda: 1 / 0)
        wait_until(lambda: "a worker's step failed" in caplog.text)
    client.delivered = {"audio": 5}
    wait_until(lambda: shop.cluster.streams["a"].progress.delivered == {"audio": 5})


def test_a_start_that_cannot_be_read_is_told_and_forgotten(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.add()
    store = MemoryStore(shop.cluster)
    store.open(Worker("foreign", "elsewhere", 2, 0.0, max_streams=0))
    store.offer("a", {"event": "nonsense"})
    wait_until(lambda: "malformed" in caplog.text)
    wait_until(lambda: shop.cluster.streams["a"].has_ended)

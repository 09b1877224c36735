"""Nothing is lost, and nothing is joined twice, where a worker ends in the midst of something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event
from support.recorder import wait_until

from rtms_gevent import signals
from rtms_gevent.cluster.memory import MemoryStore
from rtms_gevent.cluster.records import Claim
from rtms_gevent.errors import StoreError
from rtms_gevent.protocol.webhook_events import WebhookEvent, WebhookKind

from .standins import Shop, StandInClient, opened_shop, start_of
from .test_member import STOP, FailingStore, missed, owned

__all__ = ["missed"]  # a fixture


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with opened_shop(monkeypatch) as shop:
        yield shop


class SlowStore(MemoryStore):
    """A store whose claims are answered late."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.has_claimed = False
        self.may_answer = Event()

    def claim(self, *, may_expire: bool) -> Claim | None:
        claim = super().claim(may_expire=may_expire)
        if claim is not None:
            self.has_claimed = True
            self.may_answer.wait()
        return claim


def test_a_claim_that_is_answered_while_the_worker_ends_is_given_back(shop: Shop) -> None:
    store = SlowStore(shop.cluster)
    first = shop.add(store)
    first.member.route(start_of("a"))
    wait_until(lambda: store.has_claimed)
    first.member.drain()
    store.may_answer.set()
    second = shop.add()
    wait_until(lambda: "a" in second.host.clients)
    assert not first.host.events
    assert not first.member.owned


def test_a_stream_is_handed_over_when_its_start_was_handled(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the app would join it here, too, when another worker has it already."""
    first = shop.add()
    handling, may_join = Event(), Event()

    def handle(event: WebhookEvent) -> None:
        handling.set()
        may_join.wait()
        first.host.clients["a"] = StandInClient("a", first.host)

    monkeypatch.setattr(first.host, "handle_event", handle)
    first.member.route(start_of("a"))
    handling.wait()
    draining = gevent.spawn(first.member.drain)
    second = shop.add()
    wait_until(lambda: len(second.member._peers.others) == 1)
    gevent.sleep(0.1)  # it would have been released, and claimed, by now
    assert not second.member.owned
    may_join.set()
    draining.get(timeout=5)
    wait_until(lambda: "a" in second.host.clients)
    assert "a" not in first.host.clients


def test_a_stream_whose_stop_has_come_is_not_handed_over(shop: Shop) -> None:
    first = shop.add()
    first.member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    first.member.route(STOP)
    wait_until(lambda: first.host.kinds[-1:] == [WebhookKind.STOPPED])
    second = shop.add()
    first.member.drain()
    gevent.sleep(0.1)
    assert not second.host.taken_over
    assert not shop.cluster.streams


def test_who_is_told_of_a_missed_start_holds_up_no_renewals(shop: Shop) -> None:
    worker = shop.add(MemoryStore(shop.cluster, lease=0.2), max_streams=1)
    worker.member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    told, may_return = Event(), Event()

    def note(sender: object, **news: object) -> None:
        told.set()
        may_return.wait()

    with signals.missed.connected_to(note):
        worker.member.route(start_of("b"))  # it is full
        shop.cluster.streams["b"].since -= 1000
        told.wait()
        worker.host.clients["a"].delivered = {"audio": 7}
        wait_until(lambda: shop.cluster.streams["a"].progress.delivered == {"audio": 7})
        may_return.set()


def test_what_waits_for_the_store_is_told_when_the_process_ends(
    shop: Shop, missed: list[dict[str, Any]]
) -> None:
    store = FailingStore(shop.cluster)
    worker = shop.add(store)
    wait_until(lambda: len(worker.member._peers.others) == 0 and store._id)
    store.problem = StoreError("away")
    waiting = [gevent.spawn(worker.member.route, event) for event in (start_of("a"), STOP)]
    gevent.sleep(0.01)
    gevent.killall(waiting)  # as at the interpreter's exit
    wait_until(lambda: [news["event"].stream_id for news in missed] == ["a"])
    wait_until(lambda: worker.host.kinds == [WebhookKind.STOPPED])


def test_a_stop_that_nobody_has_read_is_read_by_another(shop: Shop) -> None:
    first = shop.add()
    first.member.route(start_of("a"))
    wait_until(lambda: owned(shop))
    first.host.end("a")
    wait_until(lambda: shop.cluster.streams["a"].has_ended)
    second = shop.add(max_streams=0)
    first.member._greenlets.kill()
    second.member.route(STOP)
    gevent.sleep(0.1)
    assert not second.host.events
    first.die()
    wait_until(lambda: second.host.kinds == [WebhookKind.STOPPED])
    wait_until(lambda: not shop.cluster.streams)

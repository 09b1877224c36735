"""For how long a store has answered without a break, which decides who may rob silent workers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from rtms_gevent.cluster import store_access as module
from rtms_gevent.cluster.memory import MemoryStore
from rtms_gevent.cluster.records import Worker
from rtms_gevent.cluster.store import Store
from rtms_gevent.cluster.store_access import StoreAccess
from rtms_gevent.errors import StoreError

LEASE = 8.0


def workers_of(store: Store) -> object:
    return store.workers()


def fail(store: Store) -> None:
    raise StoreError("away")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # seconds until each question, and whether it is answered
        ([(1, True)] * 9, 9),
        ([(1, True)] * 5 + [(1, False)], 0),
        ([(1, True)] * 5 + [(1, False), (1, True), (1, True)], 2),
        ([(1, True)] * 5 + [(60, True)], 0),  # the process stood still
        ([(1, True)] * 5 + [(60, True), (1, True), (1, True)], 2),
        ([(1, True)] * 5 + [(3.9, True)], 8.9),
    ],
)
def test_in_touch(
    steps: list[tuple[float, bool]], expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    worker = Worker("a", "here", 1, 0.0)
    access = StoreAccess(MemoryStore(lease=LEASE), lambda: worker, lambda: None, lambda _: None)
    for seconds, is_answered in steps:
        now[0] += seconds
        with contextlib.suppress(StoreError):
            access.ask(workers_of if is_answered else fail)
    assert access.in_touch == pytest.approx(expected)


def test_a_process_that_stood_still_is_out_of_touch_before_it_asks_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    worker = Worker("a", "here", 1, 0.0)
    access = StoreAccess(MemoryStore(lease=LEASE), lambda: worker, lambda: None, lambda _: None)
    for _ in range(9):
        now[0] += 1
        access.ask(workers_of)
    now[0] += 60
    assert access.in_touch == 0


def test_news_that_do_not_come_are_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker("a", "here", 1, 0.0)
    backs: list[bool] = []
    access = StoreAccess(MemoryStore(), lambda: worker, lambda: backs.append(True), lambda _: None)
    with contextlib.suppress(StoreError):
        access.ask(fail)
    access.wait(0)
    assert backs == []
    assert "works again" not in caplog.text
    access.ask(workers_of)
    assert backs == [True]
    assert "works again" in caplog.text


def test_a_store_that_is_broken_is_replaced_once_though_many_notice() -> None:
    class Broken(MemoryStore):
        may_fall_back = True

        def offer(self, stream_id: str, document: Mapping[str, Any]) -> bool:
            raise StoreError("the disk is full", is_lasting=True)

        def close(self) -> None:
            gevent.sleep(0)

    worker = Worker("a", "here", 1, 0.0)
    replaced: list[Store] = []
    access = StoreAccess(Broken(), lambda: worker, lambda: None, replaced.append)
    offers = [
        gevent.spawn(access.ask, lambda store, name=name: store.offer(name, {})) for name in "ab"
    ]
    gevent.joinall(offers, raise_error=True)
    assert replaced == [access.store]
    assert sorted(row.stream_id for row in access.store.streams()) == ["a", "b"]


def test_a_store_that_was_closed_is_not_replaced() -> None:
    store = MemoryStore()
    store.may_fall_back = True
    worker = Worker("a", "here", 1, 0.0)
    access = StoreAccess(store, lambda: worker, lambda: None, lambda _: None)

    def fail_for_good(_: Store) -> None:
        raise StoreError("it is not open", is_lasting=True)

    access.close()
    with pytest.raises(StoreError, match="not open"):
        access.ask(fail_for_good)

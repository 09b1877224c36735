"""A cluster as an app has it: alone, among others, and from any thread."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import gevent
import pytest
from support.recorder import wait_until
from support.script import Script
from support.webhooks import started, stopped

from rtms_gevent import ConfigurationError, MissingExtra
from rtms_gevent.cluster import Cluster, all_clusters
from rtms_gevent.cluster import cluster as module
from rtms_gevent.cluster.memory import MemoryCluster, MemoryStore
from rtms_gevent.config import ClusterSettings
from rtms_gevent.protocol.webhook_events import WebhookKind, parse_event
from rtms_gevent.runtime.hub_context import HubContext, context_of

from .standins import StandInHost

START, STOP = parse_event(started(rtms_stream_id="a")), parse_event(stopped("a"))


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> HubContext:
    """Let streams live on the test's own hub."""
    here = context_of(gevent.get_hub())
    monkeypatch.setattr(module, "streams_context", lambda: here)
    return here


@pytest.fixture
def shared(context: HubContext) -> Iterator[MemoryCluster]:
    memory = MemoryCluster()
    yield memory
    for cluster in all_clusters():
        cluster.drain()


def test_alone_nothing_is_stored_and_nothing_runs(context: HubContext) -> None:
    host = StandInHost()
    cluster = Cluster(host, ClusterSettings(store="memory"))
    cluster.handle_event(START)
    cluster.handle_event(STOP)
    assert host.kinds == [WebhookKind.STARTED, WebhookKind.STOPPED]
    assert cluster.store is None
    assert cluster.worker is None
    assert cluster.streams() == []
    assert cluster.workers() == []
    assert cluster.deliveries.add("key", 1.0)
    assert cluster.deliveries.add("key", 1.0)  # the receiver's own store knows repetitions
    cluster.drain()
    assert list(host.clients) == ["a"]


@pytest.mark.parametrize(
    "store", ["local://relative/path", "redis://127.0.0.1:port/0", "sentinel://127.0.0.1/"]
)
def test_an_address_that_cannot_be_used_is_refused_before_there_are_webhooks(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not store.startswith("local"):
        pytest.importorskip("redis")
    monkeypatch.delitem(sys.modules, "gunicorn.arbiter", raising=False)
    with pytest.raises(ConfigurationError):
        Cluster(StandInHost(), ClusterSettings(store=store))


def test_a_package_that_is_missing_is_told_before_there_are_webhooks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "gunicorn.arbiter", raising=False)
    for name in ("redis_store", "redis_connection"):
        monkeypatch.delitem(sys.modules, f"rtms_gevent.cluster.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingExtra, match=r"rtms-gevent\[redis\]"):
        Cluster(StandInHost(), ClusterSettings(store="redis://127.0.0.1/0"))


def test_the_number_of_streams_is_limited_alone_too(context: HubContext) -> None:
    host = StandInHost()
    cluster = Cluster(host, ClusterSettings(store="memory", max_streams=1))
    for name in "ab":
        cluster.handle_event(parse_event(started(rtms_stream_id=name)))
    wait_until(lambda: len(host.clients) == 1)
    assert cluster.worker is not None
    wait_until(lambda: cluster.worker.is_full)
    assert sorted(row.stream_id for row in cluster.streams()) == ["a", "b"]
    cluster.drain()


def test_two_workers(shared: MemoryCluster) -> None:
    hosts = [StandInHost(), StandInHost()]
    first, second = (Cluster(host, store=MemoryStore(shared)) for host in hosts)
    first.start()
    second.start()
    second.start()  # does nothing
    wait_until(lambda: len(first.workers()) == 2)
    assert first.deliveries.add("key", 1.0)
    assert not second.deliveries.add("key", 1.0)
    second.deliveries.discard("key")
    assert first.deliveries.add("key", 1.0)
    first.handle_event(START)
    wait_until(lambda: hosts[0].clients or hosts[1].clients)
    owner, other = (first, second) if hosts[0].clients else (second, first)
    other.handle_event(STOP)
    wait_until(lambda: WebhookKind.STOPPED in hosts[0].kinds + hosts[1].kinds)
    assert [row.owner for row in first.streams()] == [owner.worker.id]  # type: ignore[union-attr]
    assert owner.worker is not None
    assert owner.worker.streams == 1
    assert not (hosts[0].clients and hosts[1].clients)


def test_events_about_no_stream_stay_where_they_came(shared: MemoryCluster) -> None:
    host = StandInHost()
    cluster = Cluster(host, store=MemoryStore(shared))
    Cluster(StandInHost(), store=MemoryStore(shared)).start()
    cluster.handle_event(parse_event({"event": "rtms.concurrency_limited", "payload": {}}))
    assert host.kinds == [WebhookKind.CONCURRENCY_LIMITED]


def test_from_other_threads(shared: MemoryCluster) -> None:
    host = StandInHost()
    cluster = Cluster(host, store=MemoryStore(shared))
    cluster.start()
    rows: list[int] = []

    def ask() -> None:
        cluster.handle_event(START)
        rows.append(len(cluster.streams()))

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: rows == [1])
    thread.join()
    wait_until(lambda: host.clients)


def test_after_it_has_drained_webhooks_are_for_the_app_alone(shared: MemoryCluster) -> None:
    hosts = [StandInHost(), StandInHost()]
    first, second = (Cluster(host, store=MemoryStore(shared)) for host in hosts)
    first.start()
    second.start()
    wait_until(lambda: len(first.workers()) == 2)
    first.drain()
    first.drain()
    assert [worker.id for worker in second.workers()] == [second.worker.id]  # type: ignore[union-attr]
    first.handle_event(STOP)
    assert hosts[0].kinds == [WebhookKind.STOPPED]


@pytest.mark.parametrize("server_says", [False, True])
def test_auto_is_local_where_the_server_has_several_processes(
    context: HubContext, monkeypatch: pytest.MonkeyPatch, server_says: bool
) -> None:
    asked: list[bool] = []

    def make_store(settings: ClusterSettings, *, has_siblings: bool) -> MemoryStore:
        asked.append(has_siblings)
        return MemoryStore()

    monkeypatch.setattr(module, "make_store", make_store)
    cluster = Cluster(StandInHost(), ClusterSettings())
    cluster.has_siblings = server_says
    cluster.start()
    assert asked[-1] is server_says  # what was asked before only checks the settings
    assert len(asked) <= 2


def test_a_process_that_ends_takes_part_no_more_though_it_has_joined_nothing() -> None:
    script = Script(
        """
        from gevent import monkey; monkey.patch_all()
        import time
        from rtms_gevent.cluster import Cluster
        from rtms_gevent.cluster.memory import MemoryCluster, MemoryStore
        from rtms_gevent.webhook import StreamHandlers, StreamManager

        class Store(MemoryStore):
            def close(self):
                print("closed", flush=True)

        cluster = Cluster(StreamManager(StreamHandlers()), store=Store(MemoryCluster()))
        cluster.start()
        while not cluster.workers():
            time.sleep(0.01)
        """
    )
    assert script.finish() == ["closed", ""]

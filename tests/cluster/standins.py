"""A host whose clients join nothing, and workers of one process that share a store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import gevent
from support.webhooks import started

from rtms_gevent.cluster import member as module
from rtms_gevent.cluster import routing
from rtms_gevent.cluster.member import Member
from rtms_gevent.cluster.memory import MemoryCluster, MemoryStore
from rtms_gevent.cluster.records import Worker
from rtms_gevent.cluster.store import Store
from rtms_gevent.protocol.webhook_events import WebhookEvent, WebhookKind, parse_event
from rtms_gevent.runtime.hub_context import context_of


class StandInClient:
    """A client whose stream got as far as the test says."""

    def __init__(self, stream_id: str, host: StandInHost) -> None:
        self.calls: list[str] = []
        self.delivered: dict[str, int] = {}
        self.waiting: set[str] = set()  #: media types of which something was not delivered yet
        self.goes_on = True  #: whether another may join, once it was handed over
        self._stream_id = stream_id
        self._host = host

    def stream_id(self) -> str:
        return self._stream_id

    def stats(self) -> Any:
        media = {
            name: SimpleNamespace(
                delivered_timestamp=timestamp,
                received=1,
                waiting=name in self.waiting,
                gaps=(),
                missing_ms=0,
            )
            for name, timestamp in self.delivered.items()
        }
        return SimpleNamespace(media=media, is_joined=True, outages=0)

    def taken_over(self) -> None:
        self.calls.append("taken over")
        self._host.end(self._stream_id)

    def hand_over(self, timeout: float | None = None) -> bool:
        self.calls.append("hand over")
        self._host.end(self._stream_id)
        return self.goes_on


class StandInHost:
    """Keeps clients as a manager of streams does, and notes what it is asked for."""

    def __init__(self) -> None:
        self.on_gone: Callable[[str], object] = lambda stream_id: None
        self.wants_streams = True
        self.events: list[WebhookEvent] = []  #: that came by webhook
        self.taken_over: list[WebhookEvent] = []
        self.clients: dict[str, StandInClient] = {}

    def handle_event(self, event: WebhookEvent) -> None:
        self.events.append(event)
        if event.kind is WebhookKind.STARTED:
            self.clients.setdefault(
                event.stream_id or "", StandInClient(event.stream_id or "", self)
            )

    def take_over(self, event: WebhookEvent) -> None:
        self.taken_over.append(event)
        self.clients[event.stream_id or ""] = StandInClient(event.stream_id or "", self)

    def end(self, stream_id: str) -> None:
        """Let a stream end, as a client reports it."""
        del self.clients[stream_id]
        self.on_gone(stream_id)

    @property
    def kinds(self) -> list[WebhookKind]:
        return [event.kind for event in self.events]


class StandInWorker:
    """A worker with a host of its own."""

    def __init__(self, pid: int, store: Store, max_streams: int | None = None) -> None:
        self.host = StandInHost()
        self.is_ending = False
        self.siblings = {pid}
        self.member = Member(
            self.host,  # type: ignore[arg-type]
            store,
            context_of(gevent.get_hub()),
            Worker(f"worker {pid}", "here", pid, 0.0, max_streams=max_streams),
            lambda: self.is_ending,
            lambda: self.siblings,
        )
        self.member.start()

    def die(self) -> None:
        """End as a killed process does: nothing is released, and its store is gone."""
        self.member.abandon()
        self.member.store.close()


class Shop:
    """Workers that share a store of this process."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.workers: list[StandInWorker] = []

    def add(self, store: Store | None = None, max_streams: int | None = None) -> StandInWorker:
        worker = StandInWorker(len(self.workers), store or MemoryStore(self.cluster), max_streams)
        self.workers.append(worker)
        return worker

    def owner_of(self, stream_id: str) -> StandInWorker | None:
        owners = [one for one in self.workers if stream_id in one.member.owned]
        assert len(owners) <= 1, f"{stream_id} has {len(owners)} owners"
        return owners[0] if owners else None


@contextlib.contextmanager
def opened_shop(monkeypatch: Any) -> Iterator[Shop]:
    """Let time pass quickly for the workers, and end them."""
    for name in ("RENEW_EVERY", "SWEEP_EVERY"):
        monkeypatch.setattr(module, name, 0.02)
    monkeypatch.setattr(module, "_EXPIRE_EVERY", 1)
    monkeypatch.setattr(routing, "_SETTLED", 0.0)
    shop = Shop()
    try:
        yield shop
    finally:
        for worker in shop.workers:
            worker.member.abandon()


def start_of(stream_id: str, urls: str = "wss://rtms.zoom.us/a") -> WebhookEvent:
    return parse_event(started(rtms_stream_id=stream_id, server_urls=urls))

"""Handlers of two processes that share a store: both are applications of this process here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event
from support.recorder import wait_until
from support.webhooks import SECRET, encode, headers_for, started, stopped
from werkzeug.test import create_environ, run_wsgi_app

from rtms_gevent import signals
from rtms_gevent.cluster.memory import MemoryCluster, MemoryStore
from rtms_gevent.config import WebhookSettings
from rtms_gevent.errors import ConfigurationError
from rtms_gevent.webhook import WebhookPayload, WebhookRequest, WebhookResponse, WebhookServer
from rtms_gevent.webhook import application as module
from rtms_gevent.webhook.application import WebhookApplication

SETTINGS = WebhookSettings(secret=SECRET)


class Process:
    """An application, and the events that its handlers got."""

    def __init__(self) -> None:
        self.app = WebhookApplication(SETTINGS, is_local=True)
        self.events: list[str] = []
        self.payloads: list[WebhookPayload] = []
        self.go_on = Event()

    def handle(self, payload: WebhookPayload) -> None:
        """Keep the stream for as long as the test wants: one that joins does so, too."""
        self.events.append(payload["event"].rpartition("_")[2])
        self.payloads.append(payload)
        if payload["event"] == "meeting.rtms_started":
            self.go_on.wait()

    def decide(
        self, payload: WebhookPayload, request: WebhookRequest, response: WebhookResponse
    ) -> None:
        self.events.append(payload["event"].rpartition("_")[2])
        response.set_status(202)

    def serve(self) -> None:
        """Begin to take part, on the hub of this thread, as a server does."""
        gevent.spawn(self.app.start).get()

    def post(self, document: Any) -> int:
        body = encode(document)
        environ = create_environ(
            "/rtms/webhook", method="POST", headers=headers_for(body, now=time.time()), data=body
        )
        return int(run_wsgi_app(self.app, environ, buffered=True)[1].split()[0])


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> MemoryCluster:
    shared = MemoryCluster()
    monkeypatch.setattr(module, "make_store", lambda *_, **__: MemoryStore(shared))
    return shared


@pytest.fixture
def pair(shared: MemoryCluster) -> Iterator[tuple[Process, Process]]:
    processes = Process(), Process()
    yield processes
    for process in processes:
        process.go_on.set()
        process.app.stop()
        for route in process.app._routes.values():
            route.cluster.drain()
        process.app.greenlets.kill()


def settle() -> None:
    for _ in range(20):
        gevent.sleep(0.002)


def test_a_start_is_for_one_and_so_is_what_follows(pair: tuple[Process, Process]) -> None:
    for process in pair:
        process.app.add(process.handle)
        process.serve()
    for process in pair:
        assert process.post(started()) == 200
    wait_until(lambda: pair[0].events or pair[1].events)
    owner, other = pair if pair[0].events else pair[::-1]
    moved = started(server_urls="wss://rtms.zoom.us/b")
    for document in (started(), moved, stopped()):
        for process in (other, owner):
            assert process.post(document) == 200
    wait_until(lambda: len(owner.events) == 3)
    settle()
    assert owner.events == ["started", "started", "stopped"]
    assert other.events == []
    assert owner.payloads[1] == moved
    assert str(owner.payloads[1]) == encode(moved).decode()


def test_what_nobody_has_is_for_one(pair: tuple[Process, Process]) -> None:
    for process in pair:
        process.app.add(process.handle)
        process.serve()
    for document in (stopped(), {"event": "rtms.concurrency_limited", "payload": {}}):
        for process in pair:
            process.post(document)
    wait_until(lambda: len(pair[0].events + pair[1].events) == 2)
    settle()
    assert sorted(pair[0].events + pair[1].events) == ["limited", "stopped"]


def test_a_start_that_no_handler_joins_is_nobodys_again(pair: tuple[Process, Process]) -> None:
    for process in pair:
        process.app.add(process.handle)
        process.go_on.set()
        process.serve()
    pair[0].post(started())
    wait_until(lambda: pair[0].events or pair[1].events)
    (route,) = pair[0].app._routes.values()
    wait_until(lambda: all(row.has_ended for row in route.cluster.streams()))
    again = started(event_ts=1_760_000_009_000)
    pair[1].post(again)
    wait_until(lambda: pair[0].events + pair[1].events == ["started", "started"])


def test_the_signal_is_sent_once_and_receivers_that_block_delay_no_handler(
    pair: tuple[Process, Process],
) -> None:
    received: list[object] = []

    def note(sender: object, event: Any, **extra: object) -> None:
        received.append(event.event)
        gevent.sleep(60)

    with signals.webhook_received.connected_to(note):
        for process in pair:
            process.app.add(process.handle)
            process.post(stopped())
        wait_until(lambda: pair[0].events + pair[1].events == ["stopped"])
        settle()
    assert received == ["meeting.rtms_stopped"]


def test_who_decides_the_answer_is_called_where_a_webhook_comes_first(
    pair: tuple[Process, Process],
) -> None:
    for process in pair:
        process.app.add(process.decide)
        process.app.add(process.handle)
    assert pair[0].post(started()) == 202
    assert pair[1].post(started()) == 200
    wait_until(lambda: pair[0].payloads or pair[1].payloads)  # the others run where it lives
    assert pair[1].post(stopped()) == 202
    assert pair[0].post(stopped()) == 200
    wait_until(lambda: len(pair[0].payloads + pair[1].payloads) == 2)
    settle()
    assert len(pair[0].events + pair[1].events) == 4


def test_what_a_handler_refuses_is_new_to_all(pair: tuple[Process, Process]) -> None:
    statuses = [503, 202, 202]

    def decide(payload: object, request: object, response: WebhookResponse) -> None:
        response.set_status(statuses.pop(0))

    for process in pair:
        process.app.add(decide)
    assert pair[0].post(stopped()) == 503
    wait_until(lambda: pair[1].post(stopped()) == 202)
    assert statuses == [202]


def test_a_store_that_does_not_answer_keeps_nobody_from_deciding(
    pair: tuple[Process, Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryStore, "add", lambda *_: gevent.sleep(60))
    monkeypatch.setattr(module, "_STORE_TIMEOUT", 0.01)
    pair[0].app.add(pair[0].decide)
    assert pair[0].post(stopped()) == 202


def test_each_path_has_its_own_streams(pair: tuple[Process, Process]) -> None:
    pair[0].app.add(pair[0].handle)
    pair[0].app.add(pair[0].handle, "/video")
    namespaces = [route.cluster.settings.namespace for route in pair[0].app._routes.values()]
    assert len(set(namespaces)) == 2


def test_a_handler_that_comes_late_takes_part(pair: tuple[Process, Process]) -> None:
    pair[0].serve()
    gevent.spawn(pair[0].app.add, pair[0].handle).get()
    (route,) = pair[0].app._routes.values()
    wait_until(lambda: len(route.cluster.workers()) == 1)


def test_a_store_that_cannot_be_used_shows_with_the_first_handler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConfigurationError("no such store")

    monkeypatch.setattr(module, "make_store", fail)
    server = WebhookServer(0, host="127.0.0.1", settings=SETTINGS)
    with pytest.raises(ConfigurationError, match="no such store"):
        server.start(print)
    server.stop()  # nothing is open

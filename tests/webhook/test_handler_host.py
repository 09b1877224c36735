"""Which streams handlers of scripts have joined, with real clients and a cluster that listens."""

from __future__ import annotations

import dataclasses
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.pool import Group
from support.recorder import wait_until
from support.streams import (  # noqa: F401 - fixtures
    environment,
    meeting,
    no_greenlet_left_behind,
    simulator,
)
from support.webhooks import started, stopped

from rtms_gevent import Client, EventLoop, NotJoinedError
from rtms_gevent.protocol.webhook_events import WebhookEvent, parse_event
from rtms_gevent.stream.join_request import EarlierWorker
from rtms_gevent.webhook import WebhookPayload
from rtms_gevent.webhook.handler_host import HandlerHost

STREAM = started()["payload"]["rtms_stream_id"]


class Listener:
    """Hears what the host tells its cluster."""

    def __init__(self) -> None:
        self.gone: list[str] = []
        self.host = HandlerHost(Group())
        self.host.on_gone = self.gone.append

    def settle(self) -> None:
        """Let run what can run."""
        for _ in range(10):
            gevent.sleep(0)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, simulator: Any) -> None:  # noqa: F811
    monkeypatch.setenv("ZM_RTMS_CLIENT", simulator.client_id)
    monkeypatch.setenv("ZM_RTMS_SECRET", simulator.client_secret)


def start_of(meeting: Any) -> WebhookEvent:  # noqa: F811
    return parse_event(meeting.started_event)


def test_a_stream_is_here_until_its_client_has_reported_the_end(
    listener: Listener,
    meeting: Any,  # noqa: F811
    credentials: None,
) -> None:
    go_on, may_end = Event(), Event()

    def handle(payload: WebhookPayload) -> None:
        go_on.wait()
        client = Client()
        client.on_transcript_data(lambda *_: None)
        client.on_leave(lambda reason: may_end.wait())
        client.join(payload["payload"])

    listener.host.handlers.append(handle)
    listener.host.handle_event(start_of(meeting))
    listener.settle()
    assert listener.gone == []
    go_on.set()
    assert meeting.wait_ready(10)
    client = listener.host.clients[meeting.stream_id]
    meeting.stop(6)
    wait_until(lambda: not client.is_joined)
    listener.settle()
    assert listener.gone == []
    may_end.set()
    wait_until(lambda: listener.gone == [meeting.stream_id])
    assert listener.host.clients == {}


def test_a_stream_that_is_joined_again_stays(
    listener: Listener,
    meeting: Any,  # noqa: F811
    credentials: None,
) -> None:
    clients: list[Client] = []

    def handle(payload: WebhookPayload) -> None:
        if len(clients) < 2:
            client = Client()
            client.on_transcript_data(lambda *_: None)
            client.on_end(lambda reason: handle(payload))
            client.join(payload)
            clients.append(client)

    listener.host.handlers.append(handle)
    listener.host.handle_event(start_of(meeting))
    for number in range(2):
        wait_until(lambda number=number: len(clients) > number and clients[number].is_joined)
        assert listener.gone == []
        clients[number].leave()
    wait_until(lambda: listener.gone == [meeting.stream_id])


def test_a_start_that_no_handler_joins_is_given_up_when_all_have_returned(
    listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = Event()
    listener.host.handlers += [lambda payload: go_on.wait(), lambda payload: 1 / 0]
    listener.host.handle_event(parse_event(started()))
    listener.settle()
    assert listener.gone == []
    assert "division by zero" in caplog.text
    go_on.set()
    wait_until(lambda: listener.gone == [STREAM])


def test_a_second_start_may_join_instead_of_the_first(listener: Listener) -> None:
    """A handler that leaves its client at a failover start joins the next one when it likes."""
    going_on = [Event(), Event()]
    waiting = list(going_on)
    listener.host.handlers.append(lambda payload: waiting.pop(0).wait())
    listener.host.handle_event(parse_event(started()))
    listener.settle()
    listener.host.handle_event(parse_event(started(server_urls="wss://rtms.zoom.us/b")))
    listener.settle()
    going_on[0].set()
    listener.settle()
    assert listener.gone == []
    going_on[1].set()
    wait_until(lambda: listener.gone == [STREAM])


def test_handlers_of_a_stop_do_not_keep_the_stream(listener: Listener) -> None:
    never = Event()
    listener.host.handlers.append(
        lambda payload: never.wait() if payload["event"].endswith("stopped") else None
    )
    listener.host.handle_event(parse_event(started()))
    listener.host.handle_event(parse_event(stopped(STREAM)))
    wait_until(lambda: listener.gone == [STREAM])
    never.set()


def test_what_was_not_joined_when_handlers_are_killed_is_for_others(listener: Listener) -> None:
    greenlets = listener.host._greenlets
    listener.host.handlers.append(lambda payload: gevent.sleep(60))
    listener.host.handle_event(parse_event(started()))
    listener.settle()
    listener.host.stop()
    assert not listener.host.wants_streams
    greenlets.kill()
    wait_until(lambda: not listener.host._held)
    assert listener.gone == []


def test_a_client_on_a_loop_that_does_not_run_yet(
    listener: Listener,
    meeting: Any,  # noqa: F811
    credentials: None,
) -> None:
    loop, clients = EventLoop(), []

    def handle(payload: WebhookPayload) -> None:
        client = Client()
        clients.append(client)
        loop.add(client)
        client.join(payload["payload"])

    listener.host.handlers.append(handle)
    listener.host.handle_event(start_of(meeting))
    wait_until(lambda: clients)
    with pytest.raises(NotJoinedError):
        clients[0].wait()
    assert listener.host.clients == {meeting.stream_id: clients[0]}
    clients[0].leave()
    wait_until(lambda: listener.gone == [meeting.stream_id])


def test_alone_nothing_is_kept() -> None:
    host, seen = HandlerHost(Group()), []
    host.handlers.append(seen.append)
    host.handle_event(parse_event(started()))
    wait_until(lambda: seen)
    assert host._held == {}


def test_a_take_over_tells_handlers_and_join_how_far_the_other_got(listener: Listener) -> None:
    seen: list[WebhookPayload] = []
    listener.host.handlers.append(seen.append)
    document = started()
    event = parse_event(document)
    listener.host.handle_event(event)
    wait_until(lambda: len(seen) == 1)
    delivered = {"audio": 1_700_000_000_000}
    listener.host.take_over(dataclasses.replace(event, is_takeover=True, delivered=delivered))
    wait_until(lambda: len(seen) == 2)
    assert seen[0] == seen[1] == document
    for part in (seen[1], seen[1]["payload"]):
        assert part.is_takeover
        assert EarlierWorker.of(part) == EarlierWorker(
            {"audio": 1_700_000_000_000}, 1_700_000_000_000
        )
    for part in (seen[0], seen[0]["payload"]):
        assert EarlierWorker.of(part) is None

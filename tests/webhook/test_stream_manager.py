"""The bookkeeping of streams without any framework; functions and ends with Flask's extension."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from typing import Any

import pytest
from support.script import Script
from support.webhooks import started, stopped

from rtms_gevent import Client, EventLoop, LeaveReason, WebhookEvent
from rtms_gevent.webhook import JoinOptions, StreamHandlers, StreamManager, parse_event
from rtms_gevent.webhook import stream_manager as module

from .standins import StandInClient

STREAM = "609340fb"


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> queue.Queue[tuple[Any, ...]]:
    happened: queue.Queue[tuple[Any, ...]] = queue.Queue()
    kind = type("Client", (StandInClient,), {"journal": happened})
    monkeypatch.setattr(module, "Client", kind)
    return happened


@pytest.fixture
def handlers() -> StreamHandlers:
    handlers = StreamHandlers()
    handlers.on_stream_started(lambda client, event: None)
    return handlers


def test_a_start_is_joined_with_the_options_inside_the_context(
    handlers: StreamHandlers, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    options = JoinOptions("id", "secret", ["127.0.0.1"])
    manager = StreamManager(handlers, options, contextlib.nullcontext)
    manager.handle_event(parse_event(started()))
    client = manager.clients[STREAM]
    assert journal.get_nowait() == ("join", client, "wss://rtms.zoom.us/a")
    assert client.context is contextlib.nullcontext
    assert client.options == {"client": "id", "secret": "secret", "allowed_hosts": ["127.0.0.1"]}
    assert "secret" not in repr(options)


def test_by_default_the_environment_says_what_to_join_with(
    handlers: StreamHandlers, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    manager = StreamManager(handlers)
    manager.handle_event(parse_event(started()))
    assert set(manager.clients[STREAM].options.values()) == {None}


def test_streams_may_end_in_another_thread_while_others_start(
    handlers: StreamHandlers, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    manager = StreamManager(handlers)

    def start(names: range) -> None:
        for name in names:
            manager.handle_event(parse_event(started(rtms_stream_id=str(name))))

    start(range(500))
    first = manager.clients
    ending = threading.Thread(target=lambda: [each.end() for each in first.values()])
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        ending.start()
        start(range(500, 1000))
        ending.join()
    finally:
        sys.setswitchinterval(interval)
    assert set(manager.clients) == set(map(str, range(500, 1000)))


def test_a_stream_is_taken_over_while_its_earlier_client_still_leaves(
    handlers: StreamHandlers, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    """Another worker had it for a while, and has handed it over."""
    gone: list[str] = []
    manager = StreamManager(handlers)
    manager.on_gone = gone.append
    manager.handle_event(parse_event(started()))
    earlier = manager.clients[STREAM]
    manager.take_over(parse_event(started()))
    later = manager.clients[STREAM]
    assert later is not earlier
    earlier.end()
    assert manager.clients == {STREAM: later}
    assert not gone


def test_the_end_of_a_client_is_that_of_its_stream_alone(
    handlers: StreamHandlers, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    ends: list[tuple[Any, ...]] = []
    stops: list[Any] = []

    @handlers.on_stream_ended
    def ended(client: Any, reason: LeaveReason) -> None:
        ends.append((client, reason, client in manager.clients.values()))

    handlers.on_stream_stopped(lambda client, event: stops.append(client))
    manager = StreamManager(handlers)
    for stream_id in (STREAM, "another"):
        manager.handle_event(parse_event(started(rtms_stream_id=stream_id)))
    first, second = manager.clients.values()
    first.end()
    assert ends == [(first, LeaveReason.left(), True)]
    assert manager.clients == {"another": second}
    # Zoom's webhook comes later, and Zoom may start the stream again.
    manager.handle_event(parse_event(stopped()))
    assert stops == [first]
    manager.handle_event(parse_event(started()))
    assert manager.clients[STREAM] is not first


def test_a_client_that_is_left_on_a_loop_that_never_ran_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ZM_RTMS_CLIENT", "id")
    monkeypatch.setenv("ZM_RTMS_SECRET", "secret")
    handlers, clients, ends = StreamHandlers(), [], []

    @handlers.on_stream_started
    def join_elsewhere(client: Client, event: WebhookEvent) -> None:
        EventLoop().add(client)
        client.on_end(lambda reason: ends.append("on_end"))
        client.join(event)
        clients.append(client)

    @handlers.on_stream_ended
    def end(client: Client, reason: LeaveReason) -> None:
        assert reason.by_us
        assert not reason.was_joined
        ends.append("on_stream_ended")

    manager = StreamManager(handlers)
    manager.handle_event(parse_event(started()))
    assert manager.clients == {STREAM: clients[0]}
    clients[0].leave()
    assert ends == ["on_end", "on_stream_ended"]
    assert manager.clients == {}


def test_a_forked_child_has_no_streams() -> None:
    """They are the parent's: a child that passed a stop on to them would leave them, too."""
    code = """
        import os
        from rtms_gevent.webhook import StreamHandlers, StreamManager, parse_event
        from rtms_gevent.webhook import stream_manager

        class Client:
            def __init__(self, context): pass
            def join(self, *_, **__): pass
            def stream_id(self): return "s"

        stream_manager.Client = Client
        handlers = StreamHandlers()
        handlers.on_stream_started(lambda client, event: None)
        manager = StreamManager(handlers)
        payload = {"meeting_uuid": "m", "rtms_stream_id": "s", "server_urls": "wss://zoom.us"}
        manager.handle_event(parse_event({"event": "meeting.rtms_started", "payload": payload}))
        child = os.fork()
        if not child:
            os._exit(len(manager.clients))
        print(len(manager.clients), os.waitpid(child, 0)[1])
    """
    assert Script(code).line() == "1 0"

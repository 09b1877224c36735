"""From a signed webhook of the simulator to a callback, over real sockets, with real clients."""

from __future__ import annotations

import gc
import pathlib
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, current_app
from gevent import sleep
from gevent.pywsgi import WSGIServer
from gevent.queue import Queue
from support.webhooks import SECRET, encode, headers_for, started

from rtms_gevent import Client, LeaveReason, StopReason, signals
from rtms_gevent.config import WebhookSettings
from rtms_gevent.errors import ConnectError, HandshakeRejected, ServerUrlError
from rtms_gevent.flask import RTMS
from rtms_gevent.simulator import Simulator
from rtms_gevent.webhook import WebhookEvent, WebhookServer

CLIENT_SECRET = "a client secret"
RELIABILITY = pathlib.Path(__file__).parents[2] / "docs" / "reliability.md"


@pytest.fixture
def rtms() -> RTMS:
    return RTMS()


@pytest.fixture
def app(rtms: RTMS) -> Flask:
    app = Flask("shop")
    app.config.update(
        RTMS_WEBHOOK_SECRET=SECRET,
        RTMS_CLIENT_ID="simulated-client",
        RTMS_CLIENT_SECRET=CLIENT_SECRET,
        RTMS_ALLOWED_HOSTS=["127.0.0.1"],
    )
    rtms.init_app(app)
    return app


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    """Where the app is served, on the hub of the test's thread."""
    server = WSGIServer(("127.0.0.1", 0), app, log=None, environ={"SERVER_NAME": "localhost"})
    server.start()
    yield f"http://127.0.0.1:{server.address[1]}/rtms/webhook"
    server.stop()


def simulate(url: str, scenario: str = "short") -> Simulator:
    return Simulator(
        scenario,
        client_secret=CLIENT_SECRET,
        webhook_url=url,
        webhook_secret=SECRET,
        speed=50.0,
    )


def test_flask(rtms: RTMS, url: str) -> None:
    heard: Queue[Any] = Queue()

    @rtms.on_stream_started
    def prepare(client: Client, event: WebhookEvent) -> None:
        @client.on_transcript_data
        def transcript(data: bytes, size: int, timestamp: int, metadata: Any) -> None:
            heard.put((data.decode(), current_app.name))

    @rtms.on_stream_stopped
    def over(client: Client | None, event: WebhookEvent) -> None:
        assert client is not None
        heard.put((client.wait(10), current_app.name))

    with simulate(url) as simulator:
        assert simulator.validate_webhook()
        assert simulator.meeting.start() == 200
        text, name = heard.get(timeout=20)
        assert text
        assert name == "shop"
        assert list(rtms.clients) == [simulator.meeting.stream_id]
        while isinstance(text, str):
            text, name = heard.get(timeout=20)
        assert name == "shop"
        assert text.stop_reason == 6
        assert rtms.clients == {}


@pytest.mark.parametrize("how", ["stop", "leave", "refused", "unreachable"])
def test_the_end_is_told_once_whatever_the_cause(how: str, rtms: RTMS, url: str) -> None:
    ends: Queue[Any] = Queue()

    @rtms.on_stream_started
    def prepare(client: Client, event: WebhookEvent) -> object:
        client.enable_transcript()
        client.on_end(lambda reason: ends.put(("client", client, reason, current_app.name)))
        options = {"client": "wrong", "secret": "wrong", "allowed_hosts": "127.0.0.1"}
        if how == "unreachable":
            client.join(event, server_urls="ws://127.0.0.1:1", **options)
        elif how == "refused":
            client.join(event, **options)
        return True

    @rtms.on_stream_ended
    def broken(client: Client, reason: LeaveReason) -> None:
        raise KeyError("user's own")

    @rtms.on_stream_ended
    def ended(client: Client, reason: LeaveReason) -> None:
        ends.put(("app", client, reason, current_app.name))

    with simulate(url, "empty") as simulator:
        assert simulator.meeting.start() == 200
        if how in ("stop", "leave"):
            assert simulator.meeting.wait_ready(10)
            (live,) = rtms.clients.values()
            simulator.meeting.stop(6) if how == "stop" else live.leave()
        who, client, reason, name = ends.get(timeout=20)
        assert (who, name) == ("client", "shop")
        assert ends.get(timeout=20) == ("app", client, reason, "shop")
        assert client.wait(10) is reason
    expected: dict[str, Any] = {
        "stop": (6, False, True, type(None)),
        "leave": (20, True, True, type(None)),
        "refused": (reason.code, False, False, HandshakeRejected),
        "unreachable": (1, False, False, ConnectError),
    }
    reported = (reason.code, reason.by_us, reason.was_joined, type(reason.error))
    assert reported == expected[how]
    sleep(0.01)
    assert ends.empty()


def test_receivers_that_are_defined_inside_a_factory(rtms: RTMS, url: str) -> None:
    heard: Queue[Any] = Queue()

    def create_app() -> None:
        rtms.on_stream_started(lambda client, event: client.enable_transcript())

        @signals.transcript_data.connect
        def transcript(client: Client, data: bytes, **extra: Any) -> None:
            heard.put((client.stream_id(), data.decode(), current_app.name))

    create_app()
    gc.collect()
    try:
        with simulate(url) as simulator:
            assert simulator.meeting.start() == 200
            stream_id, text, name = heard.get(timeout=20)
            assert (stream_id, name) == (simulator.meeting.stream_id, "shop")
            assert text
            rtms.clients[stream_id].leave()
    finally:
        for receiver in list(signals.transcript_data.receivers_for(rtms)):
            signals.transcript_data.disconnect(receiver)


@pytest.fixture
def recordings() -> Iterator[dict[str, list[str]]]:
    """The recorder of docs/reliability.md, word for word."""
    (block,) = re.findall(
        r"^```python\n(.*?)^```", RELIABILITY.read_text(), re.DOTALL | re.MULTILINE
    )
    names: dict[str, Any] = {}
    exec(block, names)
    yield names["recordings"]
    signals.joined.disconnect(names["begin"])
    signals.left.disconnect(names["end"])


def tell(rtms: RTMS) -> Queue[Any]:
    """Return what the streams of an app tell from now on: stream id, and what it is."""
    reported: Queue[Any] = Queue()

    @rtms.on_stream_started
    def prepare(client: Client, event: WebhookEvent) -> None:
        client.on_join_confirm(lambda reason: reported.put((client.stream_id(), "joined", reason)))
        client.on_leave(lambda reason: reported.put((client.stream_id(), "left", reason)))
        client.on_transcript_data(
            lambda data, *rest: reported.put((client.stream_id(), "said", data.decode()))
        )

    return reported


def test_a_new_host_is_a_second_stream_of_the_same_meeting(
    rtms: RTMS, url: str, recordings: dict[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    reported = tell(rtms)
    with simulate(url, "empty") as simulator:
        first = simulator.meeting
        first.start()
        assert first.wait_ready(10)
        old = rtms.clients[first.stream_id]
        first.send_transcript("before")
        first.stop(StopReason.HOST_TRIGGERED)
        assert old.wait(10)
        second = simulator.add_meeting(same_as=first)
        second.start()
        assert second.wait_ready(10)
        new = rtms.clients[second.stream_id]
        assert new is not old
        assert new.uuid() == old.uuid() == first.uuid
        assert recordings == {first.uuid: [first.stream_id, second.stream_id]}
        second.send_transcript("after")
        second.stop(StopReason.MEETING_ENDED)
        assert new.wait(10)
    assert [reported.get(timeout=10) for _ in range(6)] == [
        (first.stream_id, "joined", 0),
        (first.stream_id, "said", "before"),
        (first.stream_id, "left", StopReason.HOST_TRIGGERED),
        (second.stream_id, "joined", 0),
        (second.stream_id, "said", "after"),
        (second.stream_id, "left", StopReason.MEETING_ENDED),
    ]
    assert recordings == {}
    assert str([first.stream_id, second.stream_id]) in capsys.readouterr().out


def test_a_new_host_may_come_before_the_old_goes(rtms: RTMS, url: str) -> None:
    reported = tell(rtms)
    with simulate(url, "empty") as simulator:
        first = simulator.meeting
        second = simulator.add_meeting(same_as=first)
        for meeting in (first, second):
            meeting.start()
            assert meeting.wait_ready(10)
        assert {client.uuid() for client in rtms.clients.values()} == {first.uuid}
        assert set(rtms.clients) == {first.stream_id, second.stream_id}
        assert [reported.get(timeout=10)[1:] for _ in range(2)] == [("joined", 0)] * 2
        first.stop(StopReason.HOST_TRIGGERED)
        assert reported.get(timeout=10) == (first.stream_id, "left", StopReason.HOST_TRIGGERED)
        second.send_transcript("goes on")
        assert reported.get(timeout=10) == (second.stream_id, "said", "goes on")
        second.stop(StopReason.MEETING_ENDED)
        assert reported.get(timeout=10) == (second.stream_id, "left", StopReason.MEETING_ENDED)


def test_own_server() -> None:
    heard: Queue[str] = Queue()

    def handle(payload: Any) -> None:
        if payload["event"] == "meeting.rtms_started":
            client = Client()
            client.on_transcript_data(lambda data, *rest: heard.put(data.decode()))
            client.join(
                payload,
                client="simulated-client",
                secret=CLIENT_SECRET,
                allowed_hosts="127.0.0.1",
            )
            client.wait()
            heard.put("over")

    settings = WebhookSettings(secret=SECRET)
    server = WebhookServer(0, "/zoom", host="127.0.0.1", settings=settings)
    server.start(handle)
    try:
        with simulate(server.url) as simulator:
            assert simulator.validate_webhook()
            assert simulator.meeting.start() == 200
            assert heard.get(timeout=20) != "over"
            while heard.get(timeout=20) != "over":
                pass
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("urls", "where", "kind"),
    [
        ("wss://evil.example", "join", ServerUrlError),
        ("wss://zoom.us.evil.example", "join", ServerUrlError),
        ("ws://127.0.0.1:1", "join", ConnectError),
    ],
)
def test_a_stream_that_cannot_be_joined_is_told_and_forgotten(
    urls: str, where: str, kind: type[Exception], rtms: RTMS, app: Flask
) -> None:
    errors: Queue[tuple[Exception, str]] = Queue()
    rtms.on_stream_started(lambda client, event: client.enable_transcript())

    def note(sender: object, error: Exception, where: str, **extra: object) -> None:
        errors.put((error, where))

    body = encode(started(server_urls=urls))
    with signals.error.connected_to(note):
        from gevent import spawn  # the work lands on the hub of the greenlet that asks for it

        def deliver() -> int:
            headers = headers_for(body, now=time.time())
            client = app.test_client()
            return client.post(
                "/rtms/webhook", data=body, headers=headers, buffered=True
            ).status_code

        assert spawn(deliver).get(timeout=10) == 200
        error, place = errors.get(timeout=20)
    assert (type(error), place) == (kind, where)
    for client in rtms.clients.values():
        client.wait(10)
    assert rtms.clients == {}

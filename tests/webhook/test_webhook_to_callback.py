"""From a signed webhook of the simulator to a callback, over real sockets, with real clients."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, current_app
from gevent.pywsgi import WSGIServer
from gevent.queue import Queue

from rtms_gevent import Client, signals
from rtms_gevent.config import WebhookSettings
from rtms_gevent.errors import ConnectError, ServerUrlError
from rtms_gevent.flask import RTMS
from rtms_gevent.simulator import Simulator
from rtms_gevent.webhook import WebhookEvent, WebhookServer

from .conftest import SECRET, encode, headers_for, started

CLIENT_SECRET = "a client secret"


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


def simulate(url: str) -> Simulator:
    return Simulator(
        "short",
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

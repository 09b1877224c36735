"""Requests of one stranger who sends as fast as he can: nobody else waits, and he is cut off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from gevent.pywsgi import WSGIServer
from gevent.queue import Queue
from support.floods import BUFFERS, FLOODS, MALFORMED, Flood, are_refused, send_malformed
from support.webhooks import SECRET, encode, headers_for, stopped

from rtms_gevent.config import WebhookSettings
from rtms_gevent.flask import RTMS
from rtms_gevent.webhook import WebhookServer

from .test_mutated_requests import send


class Served:
    """A server, and what it takes."""

    def __init__(self, port: int, handled: Queue[Any]) -> None:
        self.port = port
        self._handled = handled

    def takes_a_webhook(self) -> bool:
        body = encode(stopped())
        fields = {**headers_for(body, now=time.time()), "Content-Length": str(len(body))}
        head = "".join(f"{name}: {text}\r\n" for name, text in fields.items())
        request = f"POST /hook HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode() + body
        return send(self.port, request) == 200 and self._handled.get(timeout=10) is not None


@pytest.fixture
def own_server() -> Iterator[Served]:
    handled: Queue[Any] = Queue()
    settings = WebhookSettings(secret=SECRET)
    server = WebhookServer(0, "/hook", host="127.0.0.1", settings=settings)
    server.start(handled.put)
    yield Served(server.port, handled)
    server.stop()


@pytest.fixture
def flask_app() -> Iterator[Served]:
    """The extension on gevent's own WSGI server, as gevent-websocket's worker has it."""
    handled: Queue[Any] = Queue()
    app = Flask("shop")
    app.config.update(RTMS_WEBHOOK_SECRET=SECRET, RTMS_WEBHOOK_PATH="/hook")
    RTMS(app).on_event(handled.put)
    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.start()
    yield Served(server.server_port, handled)
    server.stop(timeout=0)


@pytest.mark.parametrize("kind", FLOODS)
@pytest.mark.parametrize("path", ["/hook", "/nowhere"])
def test_a_flood_does_not_freeze_the_own_server(own_server: Served, path: str, kind: str) -> None:
    flood = Flood(own_server.port, path, kind)
    assert flood.most_between_two_turns() < BUFFERS
    assert flood.was_stopped
    assert own_server.takes_a_webhook()


@pytest.mark.parametrize("kind", ["chunks", "trailers", "extensions", "an extension", "a length"])
def test_a_flood_of_webhooks_does_not_freeze_flask(flask_app: Served, kind: str) -> None:
    flood = Flood(flask_app.port, "/hook", kind)
    assert flood.most_between_two_turns() < BUFFERS
    assert flood.was_stopped
    assert flask_app.takes_a_webhook()


@pytest.mark.parametrize("kind", ["own_server", "flask_app"])
@pytest.mark.parametrize("body", MALFORMED)
def test_a_malformed_body_is_a_400(
    kind: str, body: bytes, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    served: Served = request.getfixturevalue(kind)
    assert are_refused(send_malformed(served.port, "/hook", body))
    assert "Traceback" not in capfd.readouterr().err
    assert served.takes_a_webhook()

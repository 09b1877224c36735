"""The own server's WSGI application, called as a server calls it, without a socket."""

from __future__ import annotations

import io
import time
from typing import Any

import gevent
import pytest
from support.recorder import wait_until
from support.webhooks import SECRET, encode, headers_for, stopped
from werkzeug.test import create_environ, run_wsgi_app

from rtms_gevent import signals
from rtms_gevent.config import WebhookSettings
from rtms_gevent.errors import ConfigurationError
from rtms_gevent.webhook import WebhookPayload
from rtms_gevent.webhook.application import WebhookApplication

SETTINGS = WebhookSettings(secret=SECRET)


@pytest.fixture
def app() -> WebhookApplication:
    return WebhookApplication(SETTINGS, is_local=True)


def environ_of(body: bytes, path: str = "/rtms/webhook", **options: Any) -> dict[str, Any]:
    headers = headers_for(body, now=time.time())
    return create_environ(path, method="POST", headers=headers, data=body, **options)


def post(app: WebhookApplication, body: bytes, path: str = "/rtms/webhook") -> tuple[int, bytes]:
    pieces, status, _ = run_wsgi_app(app, environ_of(body, path), buffered=True)
    return int(status.split()[0]), b"".join(pieces)


def test_handlers_run_when_the_answer_was_closed(app: WebhookApplication) -> None:
    happened: list[object] = []

    def first(payload: WebhookPayload) -> None:
        happened.append(("first", payload["event"], str(payload)))
        gevent.sleep(60)  # which delays nobody

    app.add(first)
    app.add(lambda payload: happened.append("second"))

    def note(sender: object, event: Any, **extra: object) -> None:
        happened.append("received")

    body = encode(stopped())
    with signals.webhook_received.connected_to(note):
        answer: Any = app(environ_of(body), lambda status, headers: happened.append(status))
        assert b"".join(answer) == b'{"status": "ok"}'
        for _ in range(5):
            gevent.sleep(0)
        assert happened == ["200 OK"]
        answer.close()
        wait_until(lambda: len(happened) == 4)
    assert happened[1] == "received"
    assert {"second", ("first", "meeting.rtms_stopped", body.decode())} == set(happened[2:])
    app.greenlets.kill()


def test_what_a_handler_refuses_is_new_again(app: WebhookApplication) -> None:
    statuses = [503, 200]
    seen: list[object] = []

    def decide(payload: object, request: object, response: Any) -> None:
        response.set_status(statuses.pop(0))
        response.send("decided")

    app.add(decide)
    app.add(seen.append)
    assert post(app, encode(stopped())) == (503, b"decided")
    assert post(app, encode(stopped())) == (200, b"decided")
    assert post(app, encode(stopped())) == (200, b'{"status": "ok"}')  # a repetition
    app.greenlets.join(10)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [
        (b"{", "/rtms/webhook", 400),
        (b"{}", "/", 400),
        (b"{}", "/nowhere", 404),
        (b"{}", "/healthz", 404),
        (b" " * (SETTINGS.max_body + 1), "/rtms/webhook", 413),
    ],
)
def test_refusals(app: WebhookApplication, body: bytes, path: str, status: int) -> None:
    app.add(print)
    assert post(app, body, path) == (status, b"")


def test_a_body_that_breaks_off(app: WebhookApplication) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("gone")

    app.add(print)
    environ = {**environ_of(b"{}"), "wsgi.input": Broken()}
    _, status, _ = run_wsgi_app(app, environ, buffered=True)
    assert status == "400 Bad Request"


@pytest.mark.parametrize("path", ["zoom", "", "/healthz", 7])
def test_wrong_paths(app: WebhookApplication, path: Any) -> None:
    with pytest.raises(ConfigurationError, match="path"):
        app.add(print, path)

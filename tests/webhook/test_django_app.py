"""examples/django_app with Django's test client: from a webhook to a callback."""

from __future__ import annotations

import importlib.util
import pathlib
import queue
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.recorder import wait_until
from support.webhooks import SECRET, encode, headers_for, started

from rtms_gevent import signals
from rtms_gevent.simulator import Simulator
from rtms_gevent.webhook import WebhookEvent

django_test = pytest.importorskip("django.test")

APP = pathlib.Path(__file__).parents[2] / "examples" / "django_app" / "app.py"
PATH = "/rtms/webhook"


@pytest.fixture(scope="module")
def app() -> Any:
    """The example, set up once: a process has one set of Django's settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZM_RTMS_WEBHOOK_SECRET", SECRET)
        spec = importlib.util.spec_from_file_location("django_app", APP)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "django_app", module)  # for its ROOT_URLCONF
        spec.loader.exec_module(module)
        yield module


@pytest.fixture
def received() -> Iterator[queue.Queue[WebhookEvent]]:
    events: queue.Queue[WebhookEvent] = queue.Queue()

    def note(sender: object, event: WebhookEvent, **extra: object) -> None:
        events.put(event)

    with signals.webhook_received.connected_to(note):
        yield events


def post(app: Any, body: bytes, **options: Any) -> Any:
    return django_test.Client(enforce_csrf_checks=True).post(
        PATH, body, content_type="application/json", headers=headers_for(body, **options)
    )


def test_from_webhook_to_callback(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZM_RTMS_CLIENT", "simulated-client")
    monkeypatch.setenv("ZM_RTMS_SECRET", "simulated-secret")
    monkeypatch.setenv("ZM_RTMS_ALLOWED_HOSTS", "127.0.0.1")
    app.lines.clear()
    with Simulator("empty", client_secret="simulated-secret") as simulator:
        meeting = simulator.meeting
        meeting.start()
        response = post(app, encode(meeting.started_event), now=time.time())
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
        assert meeting.wait_ready(10)
        meeting.send_transcript("Good morning", 5, "Ana")
        wait_until(lambda: "Ana: Good morning" in app.lines, 10)
        meeting.stop(6)
        wait_until(lambda: len(app.lines) == 2, 10)
    assert django_test.Client().get("/").content.decode() == "\n".join(app.lines)


@pytest.mark.parametrize(
    ("body", "options", "status"),
    [
        (encode(started()), {"secret": "another"}, 401),
        (b"{", {}, 400),
        (b" " * (256 * 1024 + 1), {}, 413),
        (encode({"event": "user.created"}), {}, 204),
    ],
)
def test_what_is_answered(
    body: bytes, options: dict[str, Any], status: int, app: Any, received: queue.Queue[WebhookEvent]
) -> None:
    response = post(app, body, now=time.time(), **options)
    assert response.status_code == status
    if status == 204:
        event = received.get(timeout=10)
        assert (event.event, event.body) == ("user.created", body)
    assert received.empty()


def test_other_methods(app: Any) -> None:
    assert django_test.Client().get(PATH).status_code == 405

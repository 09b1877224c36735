"""Signed webhooks, and an inbox that keeps the events of a receiver."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rtms_gevent.config import WebhookSettings
from rtms_gevent.webhook import WebhookEvent, WebhookReceiver, sign

SECRET = "a secret token of an app"
NOW = 1_760_000_000.0


def started(**changes: Any) -> dict[str, Any]:
    """Return a start webhook as Zoom sends it."""
    payload = {
        "meeting_uuid": "4444AAAiAAAAAiAiAiiAii==",
        "operator_id": "xxxx",
        "rtms_stream_id": "609340fb",
        "server_urls": "wss://rtms.zoom.us/a",
    }
    payload.update({key: changes.pop(key) for key in list(changes) if key in payload})
    return {
        "event": "meeting.rtms_started",
        "event_ts": int(NOW * 1000),
        "payload": payload,
        **changes,
    }


def stopped(stream_id: str = "609340fb", **changes: Any) -> dict[str, Any]:
    return {
        "event": "meeting.rtms_stopped",
        "event_ts": int(NOW * 1000) + 5000,
        "payload": {
            "meeting_uuid": "4444AAAiAAAAAiAiAiiAii==",
            "rtms_stream_id": stream_id,
            "stop_reason": 6,
        },
        **changes,
    }


def encode(document: object) -> bytes:
    return json.dumps(document).encode()


def headers_for(body: bytes, *, now: float = NOW, secret: str = SECRET) -> dict[str, str]:
    timestamp = str(int(now))
    return {
        "X-Zm-Request-Timestamp": timestamp,
        "X-Zm-Signature": sign(secret, timestamp, body),
        "Content-Type": "application/json",
    }


class Inbox(list[WebhookEvent]):
    """Events that a receiver handed over, and the receiver."""

    receiver: WebhookReceiver

    def deliver(self, document: object, **options: Any) -> int:
        """Sign and deliver a document, accept the event, and return the status."""
        body = document if isinstance(document, bytes) else encode(document)
        answer = self.receiver.handle("POST", body, headers_for(body, **options))
        self.receiver.accept(answer.event)
        return answer.status


@pytest.fixture
def make_inbox() -> Callable[..., Inbox]:
    def make(clock: Callable[[], float] = lambda: NOW, store: Any = None, **settings: Any) -> Inbox:
        inbox = Inbox()
        inbox.receiver = WebhookReceiver(
            WebhookSettings(**{"secret": SECRET, **settings}),
            inbox.append,
            clock=clock,
            store=store,
        )
        return inbox

    return make


@pytest.fixture
def inbox(make_inbox: Callable[..., Inbox]) -> Inbox:
    return make_inbox()

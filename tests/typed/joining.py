"""What type checkers let through to ``join()`` and ``notify()``. Checked by mypy, never run.

A mapping's keys are not looked at: what comes from JSON is a ``dict[str, object]`` or worse, and
so is a literal without any known key. No checker can be made to take the former and refuse the
latter, since a literal takes on whatever type is wanted. ``StartPayload`` is for who wants more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtms_gevent import Client, StartPayload, WebhookEvent
from rtms_gevent.webhook import WebhookPayload


def what_is_taken(
    client: Client,
    from_json: dict[str, object],
    from_json_too: dict[str, Any],
    anything: Any,
    mapping: Mapping[str, str],
    payload: WebhookPayload,
    event: WebhookEvent,
) -> None:
    for given in (from_json, from_json_too, anything, mapping, payload, event):
        client.join(given, client="id", secret="secret")
    for reported in (from_json, from_json_too, anything, payload, event):
        client.notify(reported)
    client.join(payload["payload"])
    client.join(event.payload, timeout=5000)
    client.join({"meeting_uuid": "u", "rtms_stream_id": "s", "server_urls": "wss://a.zoom.us"})
    client.join({"event": "meeting.rtms_started", "event_ts": 1, "payload": from_json})
    client.join("uuid", rtms_stream_id="s", server_urls="wss://a.zoom.us")
    client.join(**from_json_too)
    by_hand: StartPayload = {"session_id": "s", "rtms_stream_id": "r", "server_urls": "wss://z"}
    client.join(by_hand)
    client.join(**by_hand)


def what_is_refused(client: Client, listed: list[str], numbered: dict[int, str]) -> None:
    client.join(5)  # type: ignore[arg-type]
    client.join(b"uuid")  # type: ignore[arg-type]
    client.join(listed)  # type: ignore[arg-type]
    client.join(numbered)  # type: ignore[arg-type]
    client.join(client)  # type: ignore[arg-type]
    client.notify("meeting.rtms_stopped")  # type: ignore[arg-type]
    client.notify(None)  # type: ignore[arg-type]
    misspelt: StartPayload = {"meeting_uid": "u"}  # type: ignore[typeddict-unknown-key]
    wrong: StartPayload = {"x": 1}  # type: ignore[typeddict-unknown-key]
    number: StartPayload = {"rtms_stream_id": 5}  # type: ignore[typeddict-item]
    for payload in (misspelt, wrong, number):
        client.join(payload)

"""Webhook documents to events: names, aliases, shapes, and what is refused."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from support.webhooks import started, stopped

from rtms_gevent.enums import Product, StopReason
from rtms_gevent.errors import WebhookError
from rtms_gevent.protocol.webhook_events import flatten, product_of
from rtms_gevent.webhook import WebhookKind, parse_event

K, P = WebhookKind, Product
NAMES = [
    ("meeting.rtms_started", K.STARTED, P.MEETING),
    ("meeting.rtms_stopped", K.STOPPED, P.MEETING),
    ("meeting.rtms_interrupted", K.INTERRUPTED, P.MEETING),
    ("meeting.rtms.started", K.STARTED, P.MEETING),
    ("webinar.rtms_started", K.STARTED, P.WEBINAR),
    ("webinar.rtms_stopped", K.STOPPED, P.WEBINAR),
    ("webinar.rtms_interrupted", K.INTERRUPTED, P.WEBINAR),
    ("session.rtms_started", K.STARTED, P.VIDEO_SDK),
    ("session.rtms_stopped", K.STOPPED, P.VIDEO_SDK),
    ("session.rtms_interrupted", K.INTERRUPTED, P.VIDEO_SDK),
    ("contact_center.voice_rtms_started", K.STARTED, P.CONTACT_CENTER),
    ("contact_center.voice_rtms_stopped", K.STOPPED, P.CONTACT_CENTER),
    ("contact_center.voice_rtms_interrupted", K.INTERRUPTED, P.CONTACT_CENTER),
    ("contactcenter.rtms_started", K.STARTED, P.CONTACT_CENTER),
    ("phone.rtms_started", K.STARTED, P.PHONE),
    ("phone.rtms_stopped", K.STOPPED, P.PHONE),
    ("phone.rtms_interrupted", K.INTERRUPTED, P.PHONE),
    ("phone.call_rtms_started", K.STARTED, P.PHONE),
    ("phone.call_rtms_stopped", K.STOPPED, P.PHONE),
    ("phone.call_rtms_interrupted", K.INTERRUPTED, P.PHONE),
]


@pytest.mark.parametrize(("name", "kind", "product"), NAMES)
def test_names(name: str, kind: WebhookKind, product: Product) -> None:
    ids = {product.value: "an id", "rtms_stream_id": "s", "server_urls": "wss://rtms.zoom.us"}
    event = parse_event({"event": name, "event_ts": 5, "payload": ids})
    assert (event.event, event.kind, event.product) == (name, kind, product)
    assert (event.uuid, event.stream_id, event.event_ts) == ("an id", "s", 5)
    assert product_of(name) is product


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("webinar.registration_created", P.WEBINAR),
        ("contact_center.engagement_ended", P.CONTACT_CENTER),
        ("rtms.start_failed", None),
        ("endpoint.url_validation", None),
        ("meetings.rtms_started", None),
        ("", None),
    ],
)
def test_the_product_of_other_names(name: str, product: Product | None) -> None:
    assert product_of(name) is product


@pytest.mark.parametrize("name", ["rtms_started", "meeting.rtms_started2", "x.rtms_started"])
def test_names_that_zoom_does_not_use(name: str) -> None:
    assert parse_event({"event": name, "payload": {}}).kind is K.OTHER


def test_started() -> None:
    document = started()
    event = parse_event(document)
    assert event.operator_id == "xxxx"
    assert event.server_urls == "wss://rtms.zoom.us/a"
    assert event.payload == document["payload"]
    assert event.raw == document
    assert event.stop_reason is None
    assert not event.is_stale
    assert pickle.loads(pickle.dumps(event)) == event
    assert "wss" not in repr(event)


def test_object_is_laid_beside_the_rest() -> None:
    inner = started()["payload"]
    document = {"event": "meeting.rtms_started", "payload": {"account_id": "a", "object": inner}}
    event = parse_event(document)
    assert event.payload == {"account_id": "a", **inner}
    assert event.raw == document
    assert event.event_ts is None


def test_webinar_with_a_meeting_uuid_is_a_webinar() -> None:
    event = parse_event(started(event="webinar.rtms_started"))
    assert (event.product, event.uuid) == (P.WEBINAR, "4444AAAiAAAAAiAiAiiAii==")


def test_first_of_several_ids_counts() -> None:
    ids = {product.value: product.value for product in reversed(Product)}
    for product in Product:
        event = parse_event({"event": "unknown", "payload": ids})
        assert (event.product, event.uuid) == (product, product.value)
        del ids[product.value]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [(6, StopReason.MEETING_ENDED), ("18", 18), (99, 99), (None, None), (True, None), (1.5, None)],
)
def test_stop_reason(sent: object, reason: object) -> None:
    document = stopped()
    document["payload"]["stop_reason"] = sent
    event = parse_event(document)
    assert event.stop_reason == reason
    assert event.uuid


@pytest.mark.parametrize("name", ["rtms.concurrency_limited", "meeting.rtms_concurrency_limited"])
def test_concurrency_limited(name: str) -> None:
    payload = {
        "operator_id": "o",
        "concurrency_number": 2001,
        "id_field": {"webinar_uuid": "w"},
    }
    event = parse_event({"event": name, "event_ts": 1, "payload": payload})
    assert event.kind is K.CONCURRENCY_LIMITED
    assert (event.concurrency_number, event.product, event.uuid) == (2001, P.WEBINAR, "w")


@pytest.mark.parametrize(
    "name", ["rtms.concurrency_near_limit", "meeting.rtms_concurrency_near_limit"]
)
def test_concurrency_near_limit(name: str) -> None:
    payload = {"concurrency_limit": 2000, "concurrency_number": 1601, "percentage": 80}
    event = parse_event({"event": name, "event_ts": 1, "payload": payload})
    assert event.kind is K.CONCURRENCY_NEAR_LIMIT
    assert (event.concurrency_limit, event.concurrency_number) == (2000, 1601)
    assert (event.percentage, event.product, event.uuid) == (80, None, None)


def test_other_names_survive() -> None:
    event = parse_event({"event": "meeting.participant_joined", "payload": {"object": {"id": 5}}})
    assert (event.kind, event.payload, event.stream_id) == (K.OTHER, {"id": 5}, None)
    assert parse_event({"event": "rtms.start_failed"}).kind is K.START_FAILED


def _without(key: str, **changes: Any) -> dict[str, Any]:
    document = started(**changes)
    del document["payload"][key]
    return document


@pytest.mark.parametrize(
    "document",
    [
        None,
        7,
        "text",
        [],
        {},
        {"event": ""},
        {"event": 7},
        {"event": None, "payload": {}},
        {"event": "meeting.rtms_started"},
        {"event": "meeting.rtms_started", "payload": []},
        {"event": "anything", "payload": "text"},
        {"event": "meeting.rtms_stopped", "payload": {}},
        {"event": "meeting.rtms_interrupted", "payload": {"rtms_stream_id": 7}},
        _without("rtms_stream_id"),
        _without("server_urls"),
        _without("meeting_uuid"),
        started(server_urls=""),
        started(server_urls=["wss://rtms.zoom.us"]),
        started(meeting_uuid=5),
    ],
)
def test_what_cannot_be_used_is_a_bad_request(document: object) -> None:
    with pytest.raises(WebhookError) as caught:
        parse_event(document)
    assert caught.value.status == 400


@pytest.mark.parametrize("event_ts", ["x", 1e999, 1.5, True, [], {}, 10**400, "9" * 400])
def test_odd_times_are_left_out(event_ts: object) -> None:
    assert parse_event(started(event_ts=event_ts)).event_ts is None


@pytest.mark.parametrize(
    ("payload", "flat"),
    [
        ({"meeting_uuid": "m", "a": 1}, {"meeting_uuid": "m", "a": 1}),
        (
            {"account_id": "x", "object": {"meeting_uuid": "m"}},
            {"account_id": "x", "meeting_uuid": "m"},
        ),
        ({"id": "outer", "object": {"id": "inner"}}, {"id": "inner"}),
        ({"object": "text", "a": 1}, {"object": "text", "a": 1}),
        ({"object": None}, {"object": None}),
        ({"object": {}}, {}),
        ({}, {}),
    ],
)
def test_flatten(payload: dict[str, Any], flat: dict[str, Any]) -> None:
    before = repr(payload)
    assert flatten(payload) == flat
    assert repr(payload) == before
    assert flatten(payload) is not payload

"""What join() is asked for, as a table: arguments to request, or to error. No sockets."""

from __future__ import annotations

import dataclasses
import types

import pytest

from rtms_gevent.config import Limits, Reconnect, Timeouts
from rtms_gevent.enums import Product
from rtms_gevent.errors import ConfigurationError, ServerUrlError
from rtms_gevent.protocol.identity import handshake_signature
from rtms_gevent.protocol.webhook_events import parse_event
from rtms_gevent.stream.connection import ConnectOptions
from rtms_gevent.stream.join_request import EarlierWorker, JoinRequest, read_payload
from rtms_gevent.transport.memory import MemoryTransport

URL = "wss://a.zoom.us/x"
NOWHERE = MemoryTransport(print)
PAYLOAD = {"meeting_uuid": "m", "rtms_stream_id": "s", "server_urls": URL}
EVENT = {"event": "meeting.rtms_started", "payload": PAYLOAD}


@pytest.fixture(scope="module")
def options():
    return ConnectOptions(Timeouts(join=7.0), Limits(), Reconnect())


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("CLIENT", "SECRET", "ALLOWED_HOSTS", "PROXY"):
        monkeypatch.delenv(f"ZM_RTMS_{name}", raising=False)


def make(options, target=None, stream=None, **others):
    return JoinRequest.from_arguments(
        target,
        stream or {},
        options,
        NOWHERE,
        **{"client": "c", "secret": "s", **others},
    )


@pytest.mark.parametrize(
    ("target", "stream", "expected"),
    [
        ("m", {"rtms_stream_id": "s"}, (Product.MEETING, "m", "s", "meeting_uuid")),
        (None, {"webinar_uuid": "w", "rtms_stream_id": "s"}, (Product.WEBINAR, "w", "s")),
        (None, {"session_id": "v", "rtms_stream_id": "s"}, (Product.VIDEO_SDK, "v", "s")),
        (None, {"engagement_id": "e", "rtms_stream_id": "s"}, (Product.CONTACT_CENTER, "e", "s")),
        (None, {"call_id": "p", "rtms_stream_id": "s"}, (Product.PHONE, "p", "s")),
        (PAYLOAD, {}, (Product.MEETING, "m", "s")),
        (EVENT, {}, (Product.MEETING, "m", "s")),
        ({**EVENT, "event": "webinar.rtms_started"}, {}, (Product.WEBINAR, "m", "s")),
        ({"payload": {"account_id": "a", "object": PAYLOAD}}, {}, (Product.MEETING, "m", "s")),
        (types.SimpleNamespace(**EVENT), {}, (Product.MEETING, "m", "s")),
        (PAYLOAD, {"rtms_stream_id": "other"}, (Product.MEETING, "m", "other")),
        (PAYLOAD, {"rtms_stream_id": None}, (Product.MEETING, "m", "s")),
    ],
)
def test_which_stream_is_meant(target, stream, expected, options):
    stream = {"server_urls": URL, **stream}
    identity = make(options, target, stream).identity
    product, uuid, stream_id, *id_field = expected
    assert (identity.product, identity.uuid, identity.stream_id) == (product, uuid, stream_id)
    if id_field:
        assert identity.id_field == id_field[0]


def test_keywords_win_over_the_payload(options):
    request = make(options, PAYLOAD, {"server_urls": "wss://b.zoom.us"})
    assert [endpoint.host for endpoint in request.endpoints] == ["b.zoom.us"]


@pytest.mark.parametrize(
    ("given", "seconds"), [(-1, 7.0), (0, 0.0), (1500, 1.5), (2.5, 0.0025)], ids=repr
)
def test_milliseconds_become_seconds(given, seconds, options):
    assert make(options, PAYLOAD, timeout=given).timeout == seconds


def test_the_signature_is_made_or_taken(options):
    assert make(options, PAYLOAD).signature == handshake_signature("c", "s", "m", "s")
    assert make(options, PAYLOAD, signature="x", client=None, secret=None).signature == "x"


def test_what_else_was_asked_for_is_kept(options):
    request = make(
        options, PAYLOAD, unified=True, buffer_data=False, id_field="f", hosts="h.example"
    )
    assert (request.unified, request.buffer_data) == (True, False)
    assert request.identity.fields == {"f": "m", "rtms_stream_id": "s"}
    assert "h.example" in request.allowed_hosts
    several = make(options, PAYLOAD, hosts=["a.example", "b.example"])
    assert {"a.example", "b.example"} <= set(several.allowed_hosts)


def test_logs_name_the_stream_by_the_beginning_of_its_id(options):
    assert make(options, PAYLOAD, {"rtms_stream_id": "x" * 40}).stream == "x" * 12


def test_no_secret_is_shown(options):
    shown = repr(make(options, PAYLOAD, signature="hush"))
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("target", "arguments", "error", "text"),
    [
        (5, {}, ConfigurationError, "webhook event, not int"),
        ({"payload": 5}, {}, ConfigurationError, "webhook event, not dict"),
        (None, {}, ConfigurationError, "no id of the meeting"),
        ({**PAYLOAD, "rtms_stream_id": 7}, {}, ConfigurationError, "rtms_stream_id must be"),
        ({**PAYLOAD, "server_urls": None}, {}, ServerUrlError, "server_urls is missing"),
        ({**PAYLOAD, "server_urls": "wss://e.example"}, {}, ServerUrlError, "is not allowed"),
        (PAYLOAD, {"timeout": "1"}, ConfigurationError, "must be milliseconds, not str"),
        (PAYLOAD, {"timeout": True}, ConfigurationError, "must be milliseconds, not bool"),
        (PAYLOAD, {"timeout": -2}, ConfigurationError, "-1 or milliseconds from 0 on"),
        (PAYLOAD, {"client": None}, ConfigurationError, "ZM_RTMS_CLIENT"),
        (PAYLOAD, {"others": {"timeuot": 1}}, ConfigurationError, "is 'timeout' meant"),
        (PAYLOAD, {"others": {"server_url": 1}}, ConfigurationError, "is 'server_urls' meant"),
        (PAYLOAD, {"others": {"meeting_uid": 1}}, ConfigurationError, "is 'meeting_uuid' meant"),
    ],
)
def test_what_is_refused(target, arguments, error, text, options):
    with pytest.raises(error, match=text):
        make(options, target, **arguments)


def test_fields_of_payloads_that_are_not_needed_are_ignored(options):
    assert make(options, PAYLOAD, others={"operator_id": 1, "event_ts": 2}).identity.uuid == "m"


@pytest.mark.parametrize("name", ["signature", "client", "secret", "allowed_hosts", "unified"])
def test_a_payload_chooses_nothing_but_the_stream(name, options):
    plain, smuggled = make(options, PAYLOAD), make(options, {**PAYLOAD, name: "evil"})
    assert smuggled == plain


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (PAYLOAD, (None, PAYLOAD)),
        (EVENT, ("meeting.rtms_started", PAYLOAD)),
        ({"event": 5, "payload": {}}, (None, {})),
        ({"payload": {"a": 1, "object": {"a": 2}}}, (None, {"a": 2})),
    ],
)
def test_payloads(given, expected):
    assert read_payload(given) == expected


class TestAnEarlierWorker:
    def test_what_a_webhook_event_tells_of_it(self, options):
        event = dataclasses.replace(
            parse_event({**EVENT, "event_ts": 5}),
            is_takeover=True,
            delivered={"audio": 7, "chat": 9},
        )
        assert make(options, event).earlier == EarlierWorker({"audio": 7, "chat": 9}, 9)
        event = dataclasses.replace(event, delivered={})
        assert make(options, event).earlier == EarlierWorker({}, 5)  # since the stream began

    def test_there_was_none(self, options):
        for target in (EVENT, PAYLOAD, parse_event(EVENT), {**PAYLOAD, "is_takeover": True}):
            assert make(options, target).earlier is None

"""The receiver: which requests are accepted, refused, or known already."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.webhooks import NOW, SECRET, Inbox, encode, headers_for, started, stopped

from rtms_gevent import signals
from rtms_gevent.config import WebhookSettings
from rtms_gevent.errors import ConfigurationError
from rtms_gevent.webhook import RecentDeliveries, WebhookKind, WebhookReceiver, sign

START = encode(started())
SIGNED = headers_for(START)
JSON = {"Content-Type": "application/json"}
VALIDATION = encode(
    {"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}
)


def _bad(**changes: str) -> dict[str, str]:
    return {**SIGNED, **{name.replace("_", "-"): value for name, value in changes.items()}}


def _signed(body: bytes) -> tuple[bytes, dict[str, str]]:
    return body, headers_for(body)


REQUESTS = [
    ("start", START, SIGNED, 200),
    ("lower case names", START, {name.lower(): value for name, value in SIGNED.items()}, 200),
    ("upper case names", START, {name.upper(): value for name, value in SIGNED.items()}, 200),
    ("unknown event", *_signed(encode({"event": "user.created", "payload": {}})), 204),
    ("no headers", START, {}, 401),
    ("no timestamp", START, {"X-Zm-Signature": SIGNED["X-Zm-Signature"]}, 401),
    ("word as timestamp", START, _bad(X_Zm_Request_Timestamp="soon"), 401),
    ("old timestamp", START, headers_for(START, now=NOW - 301), 401),
    ("future timestamp", START, headers_for(START, now=NOW + 301), 401),
    ("wrong secret", START, headers_for(START, secret="another"), 401),
    ("not ASCII", START, _bad(X_Zm_Signature="v0=é\ud800"), 401),
    ("other body", START + b" ", SIGNED, 401),
    ("malformed, unsigned", b"{", {}, 401),
    ("malformed, wrong signature", b"{", SIGNED, 401),
    ("malformed", *_signed(b"{"), 400),
    ("empty", *_signed(b""), 400),
    ("no object", *_signed(b"[]"), 400),
    ("no event", *_signed(b"{}"), 400),
    ("not UTF-8", *_signed(b'{"event": "\xff"}'), 400),
    ("UTF-16", *_signed('{"event": "x"}'.encode("utf-16")), 400),
    ("NaN", *_signed(b'{"event": "x", "event_ts": NaN}'), 400),
    ("nested", *_signed(b"[" * 100_000), 400),
    ("long number", *_signed(b'{"event": "x", "event_ts": ' + b"9" * 20_000 + b"}"), None),
    ("lone surrogate", *_signed(b'{"event": "\\ud800", "payload": {}}'), 204),
    ("surrogate in the id", *_signed(encode(started(rtms_stream_id="\ud800"))), 200),
    ("too long", *_signed(b" " * (256 * 1024 + 1)), 413),
    ("validation", VALIDATION, {}, 200),
    ("validation, signed", *_signed(VALIDATION), 200),
    ("validation, wrong signature", VALIDATION, SIGNED, 401),
    ("validation, empty signature", VALIDATION, {"X-Zm-Signature": ""}, 401),
    ("validation, long and unsigned", VALIDATION + b" " * 4096, {}, 401),
]


@pytest.mark.parametrize(
    ("body", "headers", "status"), [row[1:] for row in REQUESTS], ids=[row[0] for row in REQUESTS]
)
def test_requests(body: bytes, headers: dict[str, str], status: int | None, inbox: Inbox) -> None:
    answer = inbox.receiver.handle("POST", body, headers)
    if status is None:  # newer Pythons refuse to parse such a number, older ones take it
        assert answer.status in (204, 400)
    else:
        assert answer.status == status
    assert (answer.event is not None) == (answer.status in (200, 204) and body != VALIDATION)
    assert inbox == []  # nothing happens before the answer was sent
    inbox.receiver.accept(answer.event)
    assert len(inbox) == (answer.event is not None)


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "post", "", "é"])
def test_other_methods(method: str, inbox: Inbox) -> None:
    assert inbox.receiver.handle(method, START, SIGNED).status == 405


def test_refusals_say_nothing_to_the_caller_and_no_secret_to_the_log(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for _, body, headers, _ in REQUESTS:
            answer = inbox.receiver.handle("POST", body, headers)
            if answer.status >= 400:
                assert answer.body == b""
    assert "signature is not right" in caplog.text
    assert "301 s old" in caplog.text
    for hidden in (SECRET, SIGNED["X-Zm-Signature"][3:], "rtms.zoom.us", "4444AAAi"):
        assert hidden not in caplog.text


def test_url_validation_is_answered_with_the_encrypted_token(inbox: Inbox) -> None:
    answer = inbox.receiver.handle("POST", VALIDATION, {})
    assert answer.content_type == "application/json"
    token = "qgg8vlvZRS6UYooatFL8Aw"
    assert json.loads(answer.body) == {
        "plainToken": token,
        "encryptedToken": hmac.new(SECRET.encode(), token.encode(), hashlib.sha256).hexdigest(),
    }


def test_url_validation_is_no_signing_oracle(inbox: Inbox) -> None:
    """A forger asks us to encrypt the very text that a webhook signature is made of."""
    forged = encode(started(server_urls="wss://evil.example"))
    timestamp = str(int(NOW))
    token = f"v0:{timestamp}:{forged.decode()}"
    assert "v0=" + hmac.new(SECRET.encode(), token.encode(), hashlib.sha256).hexdigest() == sign(
        SECRET, timestamp, forged
    ), "the attack is real: such an answer would be a valid signature"

    for text in (token, f"v0:{timestamp}:", "v0:1:{}", ":", f"v0%3A{timestamp}%3A"):
        request = encode({"event": "endpoint.url_validation", "payload": {"plainToken": text}})
        answer = inbox.receiver.handle("POST", request, {})
        assert answer.status == 400
        assert answer.body == b""
    # nor may a token hide in a nested payload, or be of another type
    for payload in ({"object": {"plainToken": token}}, {"plainToken": [token]}, {}):
        request = encode({"event": "endpoint.url_validation", "payload": payload})
        assert inbox.receiver.handle("POST", request, {}).status == 400


def test_without_secret_a_handler_may_answer_the_validation(
    make_inbox: Callable[..., Inbox], caplog: pytest.LogCaptureFixture
) -> None:
    inbox = make_inbox(secret=None, verify=False)
    for _ in range(2):  # asking again is no repeated delivery
        answer = inbox.receiver.handle("POST", VALIDATION, JSON)
        assert answer.status == 204
        assert answer.event is not None
        assert answer.event.kind is WebhookKind.URL_VALIDATION
    assert "no webhook secret is set" in caplog.text
    assert inbox.receiver.handle("POST", START, JSON).status == 200


def test_verify_off_keeps_the_validation(make_inbox: Callable[..., Inbox]) -> None:
    receiver = make_inbox(verify=False).receiver
    assert receiver.handle("POST", START, JSON).status == 200
    assert b"encryptedToken" in receiver.handle("POST", VALIDATION, JSON).body


@pytest.mark.parametrize("secret", [None, "", "  "])
def test_it_does_not_fail_open(secret: str | None) -> None:
    with pytest.raises(ConfigurationError, match="no webhook secret"):
        WebhookReceiver(WebhookSettings(secret=secret))
    with pytest.raises(ConfigurationError, match="no webhook secret"):
        WebhookReceiver(WebhookSettings.from_environment({"ZM_RTMS_WEBHOOK_SECRET": secret or ""}))


def test_that_nothing_is_checked_is_logged(
    make_inbox: Callable[..., Inbox], caplog: pytest.LogCaptureFixture
) -> None:
    make_inbox()
    assert caplog.text == ""
    make_inbox(verify=False)
    assert "signatures are NOT checked" in caplog.text


#: What a page of another site can have its reader's browser post, and what it cannot.
UNSIGNED = [
    ("as Zoom sends it", {"Content-Type": "application/json; charset=utf-8"}, 200),
    ("any case", {"CONTENT-TYPE": "Application/JSON"}, 200),
    ("text, which needs no leave", {"Content-Type": "text/plain"}, 415),
    ("a form", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ("a form with files", {"Content-Type": "multipart/form-data; boundary=application/json"}, 415),
    ("JSON as a parameter", {"Content-Type": "text/plain; application/json"}, 415),
    ("like JSON", {"Content-Type": "application/json-patch+json"}, 415),
    ("no type", {}, 415),
    ("another site", {"Content-Type": "application/json", "Origin": "http://evil.example"}, 403),
    ("no site", {"Content-Type": "application/json", "origin": "null"}, 403),
    (
        "a site whose name was bound anew",
        {
            "Content-Type": "application/json",
            "Origin": "http://evil.example",
            "Host": "evil.example",
        },
        403,
    ),
]


@pytest.mark.parametrize(
    ("headers", "status"), [row[1:] for row in UNSIGNED], ids=[row[0] for row in UNSIGNED]
)
def test_a_web_page_cannot_forge_where_nothing_is_checked(
    headers: dict[str, str], status: int, make_inbox: Callable[..., Inbox]
) -> None:
    answer = make_inbox(verify=False).receiver.handle("POST", START, headers)
    assert answer.status == status
    assert (answer.event is None) is (status != 200)


def test_refusals_do_not_flood_the_log(inbox: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(1000):
        assert inbox.receiver.handle("POST", START, {}).status == 401
    assert 1 < len(caplog.records) < 50
    assert "refused with 401: the header x-zm-signature is missing" in caplog.text


def test_tolerance_is_configurable(make_inbox: Callable[..., Inbox]) -> None:
    assert make_inbox(tolerance=7200.0).deliver(started(), now=NOW - 5400) == 200
    assert make_inbox(tolerance=10.0).deliver(started(), now=NOW - 11) == 401


def test_repeated_delivery_is_answered_and_ignored(inbox: Inbox) -> None:
    assert [inbox.deliver(started()), inbox.deliver(started(), now=NOW + 299)] == [200, 200]
    assert len(inbox) == 1


@pytest.mark.parametrize(
    "other",
    [
        started(server_urls="wss://rtms.zoom.us/b"),
        started(event_ts=int(NOW * 1000) + 1),
        started(rtms_stream_id="another"),
        stopped(),
    ],
)
def test_what_is_no_repetition(other: dict[str, Any], inbox: Inbox) -> None:
    inbox.deliver(started())
    inbox.deliver(other)
    assert len(inbox) == 2


def test_events_without_a_stream_are_told_apart_by_their_body(inbox: Inbox) -> None:
    first, second = (
        {"event": "meeting.participant_joined", "event_ts": 1, "payload": {"user": user}}
        for user in ("a", "b")
    )
    assert [inbox.deliver(one) for one in (first, second, first)] == [204, 204, 204]
    assert [event.payload for event in inbox] == [{"user": "a"}, {"user": "b"}]


def test_refused_delivery_is_not_held(inbox: Inbox) -> None:
    assert inbox.deliver(started(), secret="another") == 401
    assert inbox.deliver(started()) == 200
    assert len(inbox) == 1


def test_late_start_is_marked_and_still_handed_over(
    make_inbox: Callable[..., Inbox], caplog: pytest.LogCaptureFixture
) -> None:
    time = [NOW + 59]
    inbox = make_inbox(clock=lambda: time[0])
    inbox.deliver(started(), now=NOW + 59)
    time[0] = NOW + 301
    inbox.deliver(started(server_urls="wss://rtms.zoom.us/b"), now=NOW + 301)
    inbox.deliver(stopped(), now=NOW + 301)
    inbox.deliver(started(event_ts=None), now=NOW + 301)
    assert [event.is_stale for event in inbox] == [False, True, False, False]
    assert "301 s late" in caplog.text


def test_store_drops_what_is_old_or_too_much() -> None:
    store = RecentDeliveries(seconds=100, limit=3)
    assert store.add("a", 0)
    assert not store.add("a", 100)
    assert store.add("a", 101)
    assert store.add("b", 102)
    assert store.add("c", 103)
    assert store.add("d", 104)
    assert store.add("a", 105), "the oldest goes first"
    assert not store.add("d", 106)
    assert len(store) == 3


def test_broken_store_loses_nothing(
    make_inbox: Callable[..., Inbox], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def add(self, key: str, now: float) -> bool:
            raise OSError("no route to host")

    inbox = make_inbox(store=Broken())
    assert inbox.deliver(started()) == 200
    assert len(inbox) == 1
    assert "store of deliveries failed" in caplog.text


def test_accept_emits_and_survives(caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: object) -> None:
        raise RuntimeError("disk full")

    receiver = WebhookReceiver(WebhookSettings(secret=SECRET), fail, clock=lambda: NOW)
    seen = []

    def note(sender: object, event: object, **extra: object) -> None:
        seen.append((sender, event))

    answer = receiver.handle("POST", START, SIGNED)
    with signals.webhook_received.connected_to(note):
        receiver.accept(answer.event)
        receiver.accept(None)
    assert seen == [(receiver, answer.event)]
    assert "disk full" in caplog.text


_TEXT = st.text(st.characters(), max_size=40)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_subnormal=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_FIELDS = st.sampled_from(
    ["meeting_uuid", "rtms_stream_id", "server_urls", "object", "id_field", "stop_reason"]
)
_DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "event": st.sampled_from(["meeting.rtms_started", "phone.rtms_stopped"]) | _JSON,
        "event_ts": _JSON,
        "payload": st.dictionaries(_FIELDS, _JSON, max_size=6) | _JSON,
    },
)


@given(
    method=st.just("POST") | _TEXT,
    body=st.binary(max_size=200) | _DOCUMENTS.map(encode),
    headers=st.dictionaries(
        st.sampled_from(["x-zm-signature", "X-ZM-REQUEST-TIMESTAMP"]) | _TEXT,
        _TEXT | st.just(str(int(NOW))),
        max_size=4,
    ),
)
def test_forged_requests_never_raise_and_never_pass(
    method: str, body: bytes, headers: dict[str, str]
) -> None:
    receiver = WebhookReceiver(WebhookSettings(secret=SECRET), print, clock=lambda: NOW)
    answer = receiver.handle(method, body, headers)
    assert answer.status in (401, 405)
    assert answer.event is None


@given(body=st.binary(max_size=200) | _DOCUMENTS.map(encode))
def test_signed_requests_never_raise(body: bytes) -> None:
    receiver = WebhookReceiver(WebhookSettings(secret=SECRET), print, clock=lambda: NOW)
    answer = receiver.handle("POST", body, headers_for(body))
    assert answer.status in (200, 204, 400)
    if answer.event is not None:  # every name for a field works, whatever is in it
        for name in ("uuid", "stream_id", "server_urls", "stop_reason", "percentage"):
            getattr(answer.event, name)

"""At the lowest level nothing that is secret, personal or media reaches a log record."""

from __future__ import annotations

import base64
import json
import logging

import pytest
from support.recorder import EVENTS, MEDIA, Recorder

from rtms_gevent import Client
from rtms_gevent.config import WebhookSettings
from rtms_gevent.official.functions import generate_signature
from rtms_gevent.simulator import Simulator
from rtms_gevent.webhook import WebhookReceiver, sign

CLIENT_SECRET = "the-client-secret-of-the-app"
WEBHOOK_SECRET = "the-webhook-secret-of-the-app"
NOW = 1_760_000_000.0

#: Messages that cannot be read in full, each with something personal where it is odd.
PRIVATE = "Zsuzsanna Privata"
ODD_SIGNALING = [
    {"msg_type": 6, "event": {"event_type": 3, "participants": PRIVATE}},
    {"msg_type": 6, "event": {"event_type": PRIVATE, "user_name": PRIVATE}},
    {"msg_type": 6, "event": PRIVATE},
    {"msg_type": 8, "state": PRIVATE, "reason": PRIVATE},
    {"msg_type": 9, "state": 2, "rtms_session_id": {"name": PRIVATE}},
    {"msg_type": 12, "timestamp": PRIVATE},
    {"msg_type": 29, "user_id": PRIVATE, "status_code": PRIVATE},
    {"msg_type": PRIVATE},
    {"msg_type": 4711, "user_name": PRIVATE},
    {"user_name": PRIVATE},
    f'{{"msg_type": 6, "event": "{PRIVATE}'.encode(),
    f'{{"msg_type": 12, "{PRIVATE}": NaN, "{PRIVATE}": 1}}'.encode(),
]
ODD_MEDIA = [
    {"msg_type": 14, "content": {"user_name": PRIVATE, "data": PRIVATE, "timestamp": 1}},
    {"msg_type": 14, "content": {"user_name": PRIVATE, "data": "AAAA", "timestamp": PRIVATE}},
    {"msg_type": 14, "content": PRIVATE},
    {"msg_type": 17, "content": {"data": [PRIVATE], "timestamp": 1}},
]


class Everything(logging.Handler):
    """Keeps all that a record of this package could show to anyone."""

    def __init__(self):
        super().__init__(level=1)
        self.lines = []

    def emit(self, record):
        text = logging.Formatter().format(record)
        self.lines.append(f"{record.levelname} {record.name} {text} {record.args!r}")

    @property
    def text(self):
        return "\n".join(self.lines)


@pytest.fixture
def log():
    handler, logger = Everything(), logging.getLogger("rtms_gevent")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(1)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture
def join(monkeypatch):
    monkeypatch.setenv("ZM_RTMS_ALLOWED_HOSTS", "127.0.0.1,localhost")

    def run(simulator, client):
        recorder = Recorder(client, *MEDIA, *EVENTS)
        client.join(
            simulator.meeting.started_event, client=simulator.client_id, secret=CLIENT_SECRET
        )
        client.wait_joined(10)
        assert simulator.meeting.wait_ready(5)
        return recorder

    return run


def handshake_signature_of(simulator):
    meeting = simulator.meeting
    return generate_signature(simulator.client_id, CLIENT_SECRET, meeting.uuid, meeting.stream_id)


def test_a_whole_session(log, join):
    with (
        Simulator("short", speed=10, client_secret=CLIENT_SECRET, record=True) as simulator,
        Client() as client,
    ):
        recorder = join(simulator, client)
        simulator.meeting.start()
        assert client.wait(30) is not None
        names = {participant.name for _, participant in recorder.of("user_update")}
        private = [CLIENT_SECRET, handshake_signature_of(simulator), *names]
        for name in MEDIA:
            payloads = recorder.payloads(name)
            assert payloads, f"the scenario has no {name}"
            private += [base64.b64encode(payload).decode()[:40] for payload in payloads]
            if name in ("transcript_data", "chat_data"):
                private += [payload.decode() for payload in payloads]
    assert {"Ada Moreau", "Goodbye!"} <= set(private)
    assert "is joined" in log.text, "nothing was logged at all"
    assert [text for text in private if text and text in log.text] == []


def test_messages_that_cannot_be_read(log, join):
    with Simulator("empty", client_secret=CLIENT_SECRET) as simulator, Client() as client:
        recorder = join(simulator, client)
        for message in ODD_SIGNALING:
            simulator.meeting.send_message("signaling", message)
        for message in ODD_MEDIA:
            simulator.meeting.send_message("audio", message)
        simulator.meeting.send_transcript("after all of them")
        simulator.meeting.send_event({"event_type": 7, "timestamp": 5}, to_all=True)
        recorder.wait_for("transcript_data")
        recorder.wait_for("media_connection_interrupted")
        assert client.skipped
    assert "socket: " in log.text, "nothing was logged about what was skipped"
    assert PRIVATE not in log.text
    assert "after all of them" not in log.text


def test_a_join_that_is_refused(log, join, monkeypatch):
    monkeypatch.setenv("ZM_RTMS_ALLOWED_HOSTS", "127.0.0.1")
    with Simulator("empty", client_secret="another") as simulator, Client() as client:
        with pytest.raises(Exception, match="signature"):
            join(simulator, client)
        private = [CLIENT_SECRET, handshake_signature_of(simulator)]
    assert log.lines
    assert [text for text in private if text in log.text] == []


BODY = json.dumps(
    {
        "event": "meeting.rtms_started",
        "payload": {
            "rtms_stream_id": "stream",
            "operator_id": PRIVATE,
            "meeting_uuid": "uuid",
            "server_urls": "wss://zoom.us",
        },
    }
).encode()
STAMP = str(int(NOW))
RIGHT, WRONG = sign(WEBHOOK_SECRET, STAMP, BODY), sign("another secret of another app", STAMP, BODY)
REFUSED = [
    ("wrong signature", BODY, {"x-zm-signature": WRONG, "x-zm-request-timestamp": STAMP}),
    ("other body", BODY + b" ", {"x-zm-signature": RIGHT, "x-zm-request-timestamp": STAMP}),
    ("odd time", BODY, {"x-zm-signature": RIGHT, "x-zm-request-timestamp": PRIVATE}),
    ("no time", BODY, {"x-zm-signature": RIGHT}),
    ("no headers", BODY, {}),
]
BROKEN = [PRIVATE.encode(), b'{"event": "' + PRIVATE.encode(), b'"' + PRIVATE.encode() + b'"']


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("body", "headers"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_webhooks_that_are_refused(body, headers, debug, log):
    settings = WebhookSettings(secret=WEBHOOK_SECRET, debug_signatures=debug)
    receiver = WebhookReceiver(settings, clock=lambda: NOW)
    assert receiver.handle("POST", body, headers).status == 401
    private = [WEBHOOK_SECRET, RIGHT[3:], WRONG[3:], PRIVATE, BODY.decode()]
    assert [text for text in private if text in log.text] == []
    assert ("secret_length=29" in log.text) is debug


@pytest.mark.parametrize("body", BROKEN)
def test_webhooks_that_are_no_json(body, log):
    receiver = WebhookReceiver(WebhookSettings(secret=WEBHOOK_SECRET), clock=lambda: NOW)
    headers = {
        "x-zm-signature": sign(WEBHOOK_SECRET, STAMP, body),
        "x-zm-request-timestamp": STAMP,
    }
    assert receiver.handle("POST", body, headers).status == 400
    assert log.lines
    assert PRIVATE not in log.text


def test_a_mismatch_is_explained_where_it_is_asked_for(log):
    """Lengths, age and ends of the texts, to compare with Zoom's page by eye."""
    settings = WebhookSettings(secret=WEBHOOK_SECRET, debug_signatures=True)
    receiver = WebhookReceiver(settings, clock=lambda: NOW + 7)
    receiver.handle("POST", BODY, {"X-Zm-Signature": WRONG, "X-Zm-Request-Timestamp": STAMP})
    for part in (
        f"body_length={len(BODY)}",
        "seconds_old=7",
        f"{RIGHT[3:5]!r}...{RIGHT[-2:]!r}",
        f"{WRONG[3:5]!r}...{WRONG[-2:]!r}",
    ):
        assert part in log.text


def test_a_right_signature_is_not_explained(log):
    settings = WebhookSettings(secret=WEBHOOK_SECRET, debug_signatures=True)
    receiver = WebhookReceiver(settings, clock=lambda: NOW)
    headers = {"x-zm-signature": RIGHT, "x-zm-request-timestamp": STAMP}
    assert receiver.handle("POST", BODY, headers).status == 200
    assert "secret_length" not in log.text

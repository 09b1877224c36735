"""Webhooks as a receiver gets them, verified by hand."""

from __future__ import annotations

import hashlib
import hmac
import json

import gevent
import pytest
from gevent import socket
from gevent.pywsgi import WSGIServer
from gevent.queue import Queue

from rtms_gevent.errors import ConfigurationError

from ..raw import RawClient

SECRET = "webhook secret"


class Receiver:
    """An HTTP server that keeps what was posted, and answers as the test says."""

    def __init__(self, listener):
        self.posts = Queue()
        self.answer = lambda body: ("200 OK", b"")
        self.server = WSGIServer(listener, self.receive, log=None)
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?x=1"

    def receive(self, environ, start_response):
        body = environ["wsgi.input"].read()
        signed = f"v0:{environ['HTTP_X_ZM_REQUEST_TIMESTAMP']}:".encode() + body
        expected = "v0=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert environ["HTTP_X_ZM_SIGNATURE"] == expected
        assert environ["PATH_INFO"] == "/hook"
        assert environ["QUERY_STRING"] == "x=1"
        event = json.loads(body)
        self.posts.put(event)
        status, answer = self.answer(event)
        start_response(status, [("Content-Type", "application/json")])
        return [answer]


@pytest.fixture
def receiver():
    receiver = Receiver(("127.0.0.1", 0))
    yield receiver
    receiver.server.stop()


def test_started_and_stopped(simulate, receiver):
    simulator = simulate(webhook_url=receiver.url, webhook_secret=SECRET)
    meeting = simulator.meeting
    assert meeting.start() == 200
    started = receiver.posts.get(timeout=5)
    assert started == meeting.started_event
    assert started["event"] == "meeting.rtms_started"
    flat = {
        "meeting_uuid": meeting.uuid,
        "operator_id": meeting.operator_id,
        "rtms_stream_id": meeting.stream_id,
        "server_urls": simulator.signaling_url,
    }
    assert started["payload"] == {
        **flat,
        "account_id": "simulated-account",
        "object": {**flat, "meeting_id": meeting.meeting_id, "is_original_host": True},
    }
    meeting.stop(1)
    stopped = receiver.posts.get(timeout=5)
    assert stopped["event"] == "meeting.rtms_stopped"
    assert stopped["payload"] == {
        "meeting_uuid": meeting.uuid,
        "rtms_stream_id": meeting.stream_id,
        "stop_reason": 1,
    }


@pytest.mark.parametrize(
    ("product", "account", "numbers"),
    [
        ("webinar", "simulated-account", {"meeting_id", "webinar_id"}),
        ("video_sdk", "simulated-account", set()),
        ("contact_center", None, set()),
        ("phone", None, set()),
    ],
)
def test_what_start_webhooks_have_since_may_2026(simulator, product, account, numbers):
    payload = simulator.add_meeting(product=product).started_event["payload"]
    assert payload.get("account_id") == account
    inner = payload.get("object", {})
    assert {name for name in inner if name.endswith("_id") and name not in payload} == numbers
    assert ("is_original_host" in inner) == bool(numbers)


def test_another_stream_of_a_meeting_has_its_number(simulator):
    again = simulator.add_meeting(same_as=simulator.meeting)
    reported = again.started_event["payload"]["object"]
    assert reported["meeting_id"] == simulator.meeting.meeting_id
    assert reported["meeting_uuid"] == simulator.meeting.uuid


@pytest.mark.parametrize(
    ("product", "name", "key"),
    [
        ("webinar", "webinar.rtms_started", "webinar_uuid"),
        ("video_sdk", "session.rtms_started", "session_id"),
        ("contact_center", "contact_center.voice_rtms_started", "engagement_id"),
        ("phone", "phone.rtms_started", "call_id"),
    ],
)
def test_names_of_the_other_products(simulate, receiver, product, name, key):
    simulator = simulate(webhook_url=receiver.url, webhook_secret=SECRET)
    meeting = simulator.add_meeting(product=product)
    meeting.start()
    event = receiver.posts.get(timeout=5)
    assert event["event"] == name
    assert event["payload"][key] == meeting.uuid


def test_a_lost_client_is_announced(simulate, receiver):
    simulator = simulate(webhook_url=receiver.url, webhook_secret=SECRET)
    with RawClient(simulator):
        simulator.meeting.reset_sockets("signaling")
        event = receiver.posts.get(timeout=5)
    assert event["event"] == "meeting.rtms_interrupted"
    assert event["payload"] == {
        "meeting_uuid": simulator.meeting.uuid,
        "rtms_stream_id": simulator.meeting.stream_id,
    }


def test_a_receiver_that_is_not_up_yet_is_tried_again(simulate):
    with socket.socket() as place:  # a port that is bound, and refuses connections
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
        simulator = simulate(webhook_url=f"http://127.0.0.1:{port}/hook?x=1", webhook_secret=SECRET)
        starting = gevent.spawn(simulator.meeting.start)
        gevent.sleep(0)
        assert not starting.ready()
        place.listen(5)
        receiver = Receiver(place)
        try:
            assert receiver.posts.get(timeout=8)["event"] == "meeting.rtms_started"
            assert starting.get(timeout=5) == 200
        finally:
            receiver.server.stop()


def test_refusals_are_returned_and_logged(simulate, receiver, caplog):
    receiver.answer = lambda event: ("401 Unauthorized", b"")
    simulator = simulate(webhook_url=receiver.url, webhook_secret=SECRET)
    assert simulator.meeting.start() == 401
    assert "meeting.rtms_started was answered with 401" in caplog.text
    assert SECRET not in caplog.text


def test_url_validation(simulate, receiver):
    simulator = simulate(webhook_url=receiver.url, webhook_secret=SECRET)

    def encrypt(event):
        plain = event["payload"]["plainToken"]
        assert ":" not in plain
        encrypted = hmac.new(SECRET.encode(), plain.encode(), hashlib.sha256).hexdigest()
        return "200 OK", json.dumps({"plainToken": plain, "encryptedToken": encrypted}).encode()

    receiver.answer = encrypt
    assert simulator.validate_webhook()
    for wrong in (b"{}", b"no json", b'{"plainToken": "x", "encryptedToken": "y"}'):
        receiver.answer = lambda event, wrong=wrong: ("200 OK", wrong)
        assert not simulator.validate_webhook()


def test_without_a_url_nothing_is_posted(simulator):
    assert simulator.meeting.start() is None
    with pytest.raises(ConfigurationError):
        simulator.validate_webhook()


@pytest.mark.parametrize("url", ["", "ftp://x/", "http://", "/hook"])
def test_wrong_urls(simulate, url):
    with pytest.raises(ConfigurationError, match="webhook URL"):
        simulate(webhook_url=url)


@pytest.mark.parametrize(
    "options",
    [{"speed": 0}, {"speed": "1"}, {"keep_alive": -1}, {"media_window": True}, {"fragment": 0},
     {"fragment": 1.5}, {"client_id": ""}, {"port": 99999}, {"binary": "text"}, {"binary": []}],
)  # fmt: skip
def test_wrong_options(simulate, options):
    with pytest.raises(ConfigurationError):
        simulate(**options)


def test_a_simulator_must_be_started_and_only_once(simulate):
    simulator = simulate()
    with pytest.raises(ConfigurationError):
        simulator.start()
    simulator.stop()
    simulator.stop()
    with pytest.raises(ConfigurationError):
        simulator.add_meeting()

"""A server that breaks the rules of WebSockets or of RTMS, seen from the user's side."""

from __future__ import annotations

import base64
import json
import logging

import pytest
from gevent.event import Event
from support.rawserver import CLOSE, PING, TEXT, RawServer, frame, join_raw
from support.recorder import Recorder, wait_until

from rtms_gevent import Client, Limits, signals
from rtms_gevent.config import Reconnect
from rtms_gevent.errors import ConnectionLost, HandshakeMalformed
from rtms_gevent.stream.tracker import MediaTracker

TIME = 1738392033699
ONCE = Reconnect(enabled=False, join_attempts=1)

#: WebSocket violations; what each is called; the close code that answers it.
VIOLATIONS = [
    (frame(TEXT, b"{}", mask=b"abcd"), "must not mask", 1002),
    (frame(TEXT, b"{}", rsv=4), "reserved bits", 1002),
    (frame(3), "opcode", 1002),
    (frame(PING, b"x" * 126), "longer than 125", 1002),
    (frame(0, b"{}"), "continuation of nothing", 1002),
    (frame(CLOSE, b"\x03\xe8\xff"), "not UTF-8", 1007),
    (frame(CLOSE, b"\x03\xee"), "1006", 1002),
    (b"\x82\x7f\x00\x00\x01\x00\x00\x00\x00\x00", "the limit is", 1009),
]
violations = pytest.mark.parametrize(
    ("violation", "text", "code"),
    VIOLATIONS,
    ids=[
        "masked",
        "compressed",
        "reserved",
        "long ping",
        "continuation",
        "close reason",
        "close code",
        "big",
    ],
)


class Zoom:
    """A server whose handshakes are right, and which then does what it is told."""

    def __init__(self, signaling=lambda peer: None, transcript=lambda peer: None, **answer):
        self._then = {1: signaling, 3: transcript}
        self._answer = answer  # what more is in the answers to handshakes
        self.codes = []
        self.closed = Event()
        self.server = RawServer(self._serve)

    def _serve(self, peer):
        peer.upgrade()
        number = peer.receive_json()["msg_type"]
        urls = {"all": self.server.url("/media")}
        answer = {"msg_type": number + 1, "status_code": 0, "media_server": {"server_urls": urls}}
        peer.send_json({**answer, **self._answer})
        self._then[number](peer)
        self.codes.append(peer.receive_close())
        self.closed.set()
        peer.close()

    def join(self, client):
        join_raw(client, self.server)


def line(text, **changes):
    return {"msg_type": 17, "content": {"data": text, "timestamp": TIME}, **changes}


@violations
@pytest.mark.parametrize("where", ["signaling", "transcript"])
def test_a_broken_rule_of_websockets_ends_the_stream_and_says_which(where, violation, text, code):
    may_go = Event()

    def break_the_rule(peer):
        may_go.wait()
        if where == "transcript":
            peer.send_json(line("before"))
        peer.sock.sendall(violation)

    zoom = Zoom(**{where: break_the_rule})
    with zoom.server, Client(reconnect=ONCE) as client:
        recorder = Recorder(client, "transcript_data", "leave")
        zoom.join(client)
        client.wait_joined(5)
        may_go.set()
        end = client.wait(5)
        assert isinstance(end.error, ConnectionLost)
        assert end.error.socket == where
        assert text in str(end)
        assert zoom.closed.wait(5)
    assert code in zoom.codes
    assert recorder.payloads("transcript_data") == [b"before"] * (where == "transcript")
    assert len(recorder.of("leave")) == 1


@violations
def test_a_broken_rule_of_websockets_costs_only_its_socket(violation, text, code):
    """The default: that socket is opened anew."""
    may_go = Event()
    behaviors = [lambda peer: peer.sock.sendall(violation), lambda peer: None]

    def transcript(peer):
        may_go.wait()
        peer.send_json(line("before" if len(behaviors) == 2 else "after"))
        behaviors.pop(0)(peer)

    zoom = Zoom(transcript=transcript)
    with zoom.server, Client() as client:
        recorder = Recorder(client, "transcript_data", "interrupted")
        zoom.join(client)
        client.wait_joined(5)
        may_go.set()
        wait_until(lambda: recorder.payloads("transcript_data") == [b"before", b"after"])
        ((where, problem),) = recorder.of("interrupted")
        assert (where, type(problem)) == ("transcript", ConnectionLost)
        assert text in str(problem)
        assert client.is_joined
        wait_until(lambda: zoom.codes == [code])


@violations
def test_a_broken_rule_in_place_of_the_handshakes_answer(violation, text, code):
    codes = []

    def script(peer):
        peer.upgrade()
        peer.receive_json()
        peer.sock.sendall(violation)
        codes.append(peer.receive_close())

    zoom = Zoom()
    zoom.server = RawServer(script)
    with zoom.server, Client(reconnect=ONCE) as client:
        zoom.join(client)
        with pytest.raises(HandshakeMalformed, match=text):
            client.wait_joined(5)
        wait_until(lambda: codes == [code])


def test_messages_that_cannot_be_used_harm_nothing():
    told = []

    def note(sender, error, **extra):
        told.append(str(error))

    bad = [
        {"msg_type": 8, "rtms_stream_id": "another", "state": 4, "reason": 6, "timestamp": TIME},
        {"msg_type": 2, "status_code": 0},
        {"msg_type": 14, "content": {"data": "AAAA", "timestamp": TIME}},
    ]
    unknown = [{"msg_type": 4711, "x": [1]}, {"msg_type": "x"}, {}, {"msg_type": 10**30}]
    sent = Event()

    def signaling(peer):
        for document in [*bad, *unknown]:
            peer.send_json(document)
        sent.set()

    def transcript(peer):
        sent.wait()
        peer.send_json({"msg_type": 4, "status_code": 0})  # a second answer
        peer.send_json(line("odd", content=[]))
        peer.sock.sendall(
            frame(TEXT, b"\xff") + frame(TEXT, b"[" * 5000) + frame(TEXT, b'{"a":NaN}')
        )
        peer.send_json(line("good"))

    zoom = Zoom(signaling, transcript)
    with zoom.server, Client() as client, signals.error.connected_to(note):
        recorder = Recorder(client, "transcript_data")
        zoom.join(client)
        client.wait_joined(5)
        wait_until(lambda: recorder.payloads("transcript_data") == [b"good"])
        wait_until(lambda: client.skipped.get("signaling") == len(bad))
        assert client.is_joined
        assert client.skipped == {"signaling": len(bad), "transcript": 5}
    assert len(told) == len(bad) + 5
    assert "a state of another stream" in told


# -- numbers and sizes -----------------------------------------------------------------------------


def audio(number, data=b"audio", kind=14, **content):
    content = {"data": base64.b64encode(data).decode(), "timestamp": TIME + number, **content}
    return json.dumps({"msg_type": kind, "content": content}, separators=(",", ":")).encode()


def frames(payloads):
    return b"".join(frame(TEXT, payload) for payload in payloads)


MANY = 3000


@pytest.mark.parametrize("time", [10**400, 10**17, -1], ids=["huge", "no date", "negative"])
def test_times_that_are_none_cost_only_their_messages(time, caplog):
    """One in each ten: all else arrives in order, each is counted, and the log stays short."""

    def media(peer):
        messages = [
            audio(at, **({"timestamp": time} if at % 10 == 5 else {})) for at in range(MANY)
        ]
        peer.sock.sendall(frames(messages))

    zoom = Zoom(transcript=media)
    with zoom.server, Client() as client, caplog.at_level(logging.DEBUG):
        recorder = Recorder(client, "audio_data")
        zoom.join(client)
        wait_until(lambda: len(recorder.calls) == MANY * 9 // 10)
        times = [arguments[2] - TIME for arguments in recorder.of("audio_data")]
        assert times == [at for at in range(MANY) if at % 10 != 5]
        assert client.skipped == {"audio": MANY // 10}
        assert client.stats().skipped == {"audio": MANY // 10}
    check_log(caplog, tracebacks=0)


def check_log(caplog, tracebacks):
    skipped = [record for record in caplog.records if "skipped" in record.getMessage()]
    assert 0 < len(skipped) <= 30
    assert len([record for record in caplog.records if record.exc_info]) == tracebacks
    assert sum(len(record.getMessage()) for record in skipped) < 5000


def test_our_own_failures_are_told_at_a_limited_rate(caplog, monkeypatch):
    def count(*_):
        raise ArithmeticError

    monkeypatch.setattr(MediaTracker, "count", count)
    zoom = Zoom(transcript=lambda peer: peer.sock.sendall(frames(map(audio, range(MANY)))))
    with zoom.server, Client() as client, caplog.at_level(logging.DEBUG):
        Recorder(client, "audio_data")
        zoom.join(client)
        wait_until(lambda: client.skipped == {"audio": MANY})
        assert client.is_joined
    check_log(caplog, tracebacks=20)


@pytest.mark.parametrize(
    "rate", [10**400, -(10**400), 10**17, 0, "x", None, 1.5, True], ids=range(8)
)
def test_parameters_that_are_none_cost_no_join(rate):
    params = {"audio": {"send_rate": rate, "fps": rate, "codec": rate}, "video": rate}
    zoom = Zoom(transcript=lambda peer: peer.send(TEXT, audio(1)), media_params=params)
    with zoom.server, Client() as client:
        recorder = Recorder(client, "audio_data")
        zoom.join(client)
        client.wait_joined(5)
        recorder.wait_for("audio_data")
        assert client.negotiated == params


def test_events_with_times_that_are_none_have_none():
    def signaling(peer):
        for event in (1, 2, 7):
            peer.send_json({"msg_type": 6, "event": {"event_type": event, "timestamp": 10**17}})

    zoom = Zoom(signaling)
    with zoom.server, Client() as client:
        recorder = Recorder(client, "transcript_data", "active_speaker_event", "event_ex")
        zoom.join(client)
        recorder.wait_for("event_ex", 3)
        assert recorder.of("active_speaker_event") == [(0, 0, "")]
        assert client.skipped == {}


def test_large_messages_are_skipped_and_cost_nothing_else():
    people = {"event_type": 3, "timestamp": TIME, "participants": [{"user_id": 1}] * 5000}
    large = [
        {"msg_type": 6, "event": people},
        {"msg_type": 12, "timestamp": [TIME] * 5000},
        {"msg_type": 4711, "x": [[]] * 20_000},
    ]
    picture = audio(1, b"x" * 100_000, kind=15, new_field={"a": 1})

    def signaling(peer):
        for document in large:
            peer.send_json(document)
        peer.send_json({"msg_type": 6, "event": {"event_type": 1, "timestamp": TIME}})

    def media(peer):
        for document in [*large, line("x" * 50_000)]:
            peer.send_json(document)
        peer.send(TEXT, picture)

    zoom = Zoom(signaling, media)
    with zoom.server, Client(limits=Limits(document_size=40_000)) as client:
        recorder = Recorder(client, "video_data", "event_ex", "user_update", "interrupted")
        zoom.join(client)
        recorder.wait_for("video_data")
        recorder.wait_for("event_ex")
        assert recorder.payloads("video_data") == [b"x" * 100_000]
        assert client.skipped == {"signaling": 3, "video": 4}
        assert not zoom.closed.is_set()
    assert recorder.of("user_update") == recorder.of("interrupted") == []


def test_one_message_of_32_mb_is_never_parsed(monkeypatch):
    """By default: what is parsed is a thirtieth of it."""
    parsed = []
    real = json.JSONDecoder.decode
    monkeypatch.setattr(
        json.JSONDecoder, "decode", lambda self, text: parsed.append(len(text)) or real(self, text)
    )
    bomb = b'{"msg_type":14,"content":{"timestamp":1738392033699,"data":"","x":[' + b"[]," * 10**7

    def media(peer):
        peer.send(TEXT, bomb + b"[]]}}")
        peer.send(TEXT, audio(1, new_field=1))

    zoom = Zoom(transcript=media)
    with zoom.server, Client() as client:
        recorder = Recorder(client, "audio_data")
        zoom.join(client)
        recorder.wait_for("audio_data", seconds=30)
        assert client.skipped == {"audio": 1}
    assert max(parsed) <= 1024 * 1024

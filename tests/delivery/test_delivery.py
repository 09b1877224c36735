"""What reaches callbacks and signals: all of it, in order, and isolated from each other."""

from __future__ import annotations

import contextlib
import resource
import time

import gevent
import pytest
from gevent.event import Event
from support.rawserver import RawServer, join_raw
from support.recorder import MEDIA, Recorder, wait_until
from support.streams import QUICK

from rtms_gevent import (
    Client,
    Inboxes,
    InboxLimits,
    InboxOverflow,
    Limits,
    MessageAttribute,
    RemoteProtocolError,
    TranscriptLanguage,
    UsageError,
    signals,
)
from rtms_gevent.simulator import Simulator

SENDERS = {
    "audio_data": "send_audio",
    "video_data": "send_video",
    "deskshare_data": "send_deskshare",
    "transcript_data": "send_transcript",
    "chat_data": "send_chat",
}


@pytest.mark.parametrize("unified", [False, True], ids=["split", "unified"])
@pytest.mark.parametrize(
    "options", [{}, {"binary": True}, {"fragment": 7}, {"binary": True, "fragment": 1000}]
)
def test_every_byte_arrives_in_order(unified, options, client):
    """Text and binary frames, whole and fragmented, on split and unified sockets."""
    with Simulator("empty", record=True, **options) as simulator:
        meeting = simulator.meeting
        recorder = Recorder(client, *MEDIA, "leave")
        client.join(
            meeting.payload,
            client=simulator.client_id,
            secret=simulator.client_secret,
            unified=unified,
        )
        client.wait_joined()
        assert meeting.wait_ready(5)
        for number in range(20):
            meeting.send_audio(bytes([number]) * (number * 40))
            meeting.send_video(bytes([number]) * (number * 1500))
            meeting.send_deskshare(bytes([number]) * (number * 700))
            meeting.send_transcript(f"line {number} ünd 🎉")
            meeting.send_chat(f"chat {number}")
        meeting.stop(6)
        assert client.wait(10).code == 6
        for kind, sent in meeting.sent.items():
            assert recorder.payloads(f"{kind.name.lower()}_data") == sent.payloads
        assert recorder.calls[-1] == ("leave", (6,))


def test_the_arguments_of_media_callbacks(join, meeting, client):
    recorder = Recorder(client, *MEDIA)
    join()
    now = int(time.time() * 1000)
    meeting.send_audio(b"\x00\x01", 7, "Ana", timestamp=now)
    meeting.send_transcript(
        "hallo",
        8,
        "Bo",
        start_time=now - 900,
        end_time=now,
        timestamp=now,
        language=14,
        attribute=2,
    )
    meeting.send_chat("hi", 9, "Cy", timestamp=now)
    ((data, size, timestamp, metadata),) = recorder.wait_for("audio_data")
    assert (data, size, timestamp) == (b"\x00\x01", 2, now)
    assert (metadata.userId, metadata.userName, metadata.startTs) == (7, "Ana", 0)
    ((data, size, timestamp, metadata),) = recorder.wait_for("transcript_data")
    assert (data, size, timestamp) == (b"hallo", 5, now)
    assert (metadata.startTs, metadata.endTs) == (now - 900, now)
    assert metadata.language is TranscriptLanguage.GERMAN
    assert metadata.attribute == 2
    ((data, _, _, metadata),) = recorder.wait_for("chat_data")
    assert (data, metadata.userId, metadata.userName) == (b"hi", 9, "Cy")
    assert metadata.chat.message_id


def test_revisions_of_a_transcript_name_the_piece_that_they_replace(join, meeting, client):
    lines, now = {}, int(time.time() * 1000)
    seen = []

    @client.on_transcript_data
    def transcript(data, size, timestamp, metadata):
        if metadata.attribute is MessageAttribute.DELETE:
            del lines[metadata.pieceId]
        else:
            lines[metadata.pieceId] = data.decode()
        seen.append(data)

    join()
    for text, start, attribute in (
        ("I scream", now, MessageAttribute.NEW),
        ("said another piece", now + 1000, MessageAttribute.NEW),
        ("a mistake", now + 2000, MessageAttribute.NEW),
        ("Ice cream", now, MessageAttribute.UPDATE),
    ):
        meeting.send_transcript(text, 8, "Bo", start_time=start, attribute=attribute)
    wait_until(lambda: len(seen) == 4)
    # A revision after an outage is one of what was said before.
    meeting.connections("transcript")[0].reset()
    wait_until(lambda: client.stats().outages == 1)
    taken_back = {"start_time": now + 2000, "attribute": MessageAttribute.DELETE}
    wait_until(lambda: meeting.send_transcript("", 8, "Bo", **taken_back))
    wait_until(lambda: len(seen) == 5)
    assert list(lines.values()) == ["Ice cream", "said another piece"]


def test_unknown_fields_are_visible():
    with Simulator("empty", stamp=True) as simulator, Client() as client:
        recorder = Recorder(client, "audio_data")
        client.join(
            simulator.meeting.payload, client=simulator.client_id, secret=simulator.client_secret
        )
        client.wait_joined()
        assert simulator.meeting.wait_ready(5)
        simulator.meeting.send_audio(b"x")
        metadata = recorder.wait_for("audio_data")[0][3]
    assert metadata.extra["simulator"]["sequence"] == 1


class TestIsolation:
    def test_a_slow_video_callback_does_not_delay_audio_or_events(self, join, meeting, client):
        go = Event()
        client.on_video_data(lambda *_: go.wait())
        recorder = Recorder(client, "audio_data", "session_update")
        join()
        meeting.send_video(b"v")
        meeting.send_video(b"v")
        meeting.send_audio(b"a")
        meeting.set_session_state(2)
        recorder.wait_for("audio_data")
        recorder.wait_for("session_update")
        go.set()

    def test_keep_alives_are_answered_while_every_callback_blocks(self, client):
        go = Event()
        with Simulator("empty", keep_alive=0.02) as simulator:
            meeting = simulator.meeting
            for name in MEDIA:
                getattr(client, f"on_{name}")(lambda *_: go.wait())
            client.on_event_ex(lambda *_: go.wait())
            client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
            client.wait_joined()
            assert meeting.wait_ready(5)
            for sender in SENDERS.values():
                getattr(meeting, sender)(
                    "x" if sender in ("send_chat", "send_transcript") else b"x"
                )
            meeting.send_event({"event_type": 1, "timestamp": 1}, to_all=True)
            answered = sum(m["msg_type"] == 13 for m in meeting.received)
            # Six sockets, three unanswered requests each would end the stream.
            wait_until(lambda: sum(m["msg_type"] == 13 for m in meeting.received) > answered + 30)
            assert client.is_joined
            go.set()

    def test_an_exception_hurts_nobody_else(self, join, meeting, client, caplog):
        recorder = Recorder(client, "transcript_data")
        problems = []

        @client.on_audio_data
        def fails(data, size, timestamp, metadata):
            problems.append(data)
            raise RuntimeError("in the callback")

        reported = []

        def keep(sender, error, where, **extra):
            reported.append((str(error), where))

        with signals.error.connected_to(keep, sender=client):
            join()
            meeting.send_audio(b"1")
            meeting.send_audio(b"2")
            meeting.send_transcript("still here")
            recorder.wait_for("transcript_data")
            wait_until(lambda: len(problems) == 2)
        assert reported == [("in the callback", "on_audio_data")] * 2
        assert "Traceback" in caplog.text
        assert client.callback_errors == {"audio_data": 2}

    def test_a_time_limit_in_a_callback_is_an_error_of_the_callback(self, join, meeting, client):
        calls = []

        @client.on_audio_data
        def late(data, size, timestamp, metadata):
            calls.append(data)
            with gevent.Timeout(0.001):
                gevent.sleep(5)

        join()
        meeting.send_audio(b"1")
        meeting.send_audio(b"2")
        wait_until(lambda: calls == [b"1", b"2"])

    def test_a_message_over_the_limit_costs_its_socket_only(self, simulator, join, client):
        """It is refused, its socket is opened anew, and other streams do not notice."""
        recorder = Recorder(client, "audio_data", "interrupted")
        join()
        other_meeting = simulator.add_meeting()
        with Client(limits=Limits(message_size=1000), reconnect=QUICK) as other:
            heard = Recorder(other, "audio_data", "interrupted", "reconnected")
            join(other, meeting=other_meeting)
            other_meeting.send_audio(b"x" * 2000)
            heard.wait_for("reconnected")
            ((what, error),) = heard.of("interrupted")
            assert what == "audio"
            assert "limit is 1000" in str(error)
            wait_until(lambda: other_meeting.send_audio(b"goes on"))
            assert heard.wait_for("audio_data")[0][0] == b"goes on"
        simulator.meeting.send_audio(b"fine")
        assert recorder.wait_for("audio_data")[0][0] == b"fine"
        assert recorder.of("interrupted") == []

    def test_a_message_of_100_mb_is_refused_before_it_is_buffered(self, simulator, join, client):
        recorder = Recorder(client, "audio_data", "interrupted")
        join()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with contextlib.suppress(OSError):
            connection = simulator.meeting.connections("audio")[0]
            connection._socket.write([b"\x81\x7f" + (100_000_000).to_bytes(8, "big")])
        ((_, error),) = recorder.wait_for("interrupted")
        assert "100000000 bytes" in str(error)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000

    def test_what_cannot_be_used_is_skipped_counted_and_told(self, join, meeting, client):
        recorder = Recorder(client, "audio_data")
        reported = []

        def keep(sender, error, where, **extra):
            reported.append((type(error), where))

        with signals.error.connected_to(keep, sender=client):
            join()
            (connection,) = meeting.connections("audio")
            for bad in ("{", "[1]", '{"msg_type":14,"content":{"timestamp":1,"data":"@@"}}'):
                connection.send(bad.encode())
            meeting.send_audio(b"good")
            recorder.wait_for("audio_data")
        assert client.skipped == {"audio": 3}
        assert reported == [(RemoteProtocolError, "audio")] * 3

    def test_a_flood_of_garbage_is_counted_and_told_in_part(self, join, meeting, client):
        recorder = Recorder(client, "audio_data")
        reported = []

        def keep(sender, error, **extra):
            reported.append(error)

        with signals.error.connected_to(keep, sender=client):
            join()
            (connection,) = meeting.connections("audio")
            for _ in range(3000):
                connection.send(b"{")
            meeting.send_audio(b"good")
            recorder.wait_for("audio_data")
        assert client.skipped == {"audio": 3000}
        assert len(reported) == 23

    def test_a_full_inbox_drops_the_oldest_and_says_so_once_per_burst(self, simulator, join):
        go, entered = Event(), Event()
        got, reported = [], []

        def slow(data, *_):
            entered.set()
            go.wait()
            got.append(data)

        def keep(sender, error, **extra):
            reported.append(error)

        with Client(inboxes=Inboxes(audio=InboxLimits(packets=100, size=1000))) as client:
            client.on_audio_data(slow)
            transcripts = Recorder(client, "transcript_data")
            with signals.error.connected_to(keep, sender=client):
                join(client)
                for number in range(21):
                    simulator.meeting.send_audio(bytes([number]) * 100)
                    entered.wait()
                    simulator.meeting.send_transcript("t" * 100)  # these are never dropped
                transcripts.wait_for("transcript_data", 21)
                wait_until(lambda: client.dropped["audio"] == 10)
                go.set()
                wait_until(lambda: len(got) == 11)
        assert [data[0] for data in got] == [0, *range(11, 21)]
        assert [type(error) for error in reported] == [InboxOverflow]


def test_the_context_is_entered_around_each_callback_and_receiver(meeting, simulator):
    depth, seen = [], []

    @contextlib.contextmanager
    def context():
        depth.append(1)
        yield
        depth.pop()

    def receiver(sender, **_):
        seen.append(("signal", len(depth)))

    with Client(context=context) as client, signals.audio_data.connected_to(receiver):
        client.on_audio_data(lambda *_: seen.append(("callback", len(depth))))
        client.on_join_confirm(lambda *_: seen.append(("join", len(depth))))
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        client.wait_joined()
        assert meeting.wait_ready(5)
        meeting.send_audio(b"x")
        wait_until(lambda: len(seen) == 3)
    assert seen == [("join", 1), ("callback", 1), ("signal", 1)]
    assert depth == []


def test_what_was_sent_before_the_end_is_delivered_before_the_end(simulator, join, client):
    """Even where callbacks are slower than the stream."""
    got = []

    @client.on_audio_data
    def slow(data, size, timestamp, metadata):
        gevent.sleep(0.001)
        got.append(data)

    client.on_leave(lambda reason: got.append(reason))
    join()
    for number in range(50):
        simulator.meeting.send_audio(b"%d" % number)
    simulator.meeting.stop(6)
    assert client.wait(10).code == 6
    assert got == [*(b"%d" % number for number in range(50)), 6]


def test_wait_in_a_callback_says_that_it_would_wait_for_itself(join, meeting, client):
    problems = []

    @client.on_audio_data
    def waits(data, size, timestamp, metadata):
        try:
            client.wait()
        except UsageError as problem:
            problems.append(str(problem))

    join()
    meeting.send_audio(b"x")
    wait_until(lambda: problems)
    assert "cannot be called from a callback" in problems[0]


def test_a_broken_context_does_not_stop_delivery(meeting, simulator, caplog):
    calls = []

    @contextlib.contextmanager
    def context():
        calls.append(1)
        raise RuntimeError("no context")
        yield

    with Client(context=context) as client:
        client.on_audio_data(lambda *_: pytest.fail("must not run outside of its context"))
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        client.wait_joined()
        assert meeting.wait_ready(5)
        meeting.send_audio(b"1")
        meeting.send_audio(b"2")
        wait_until(lambda: len(calls) >= 2)
    assert "no context" in caplog.text


def test_skipping_survives_a_server_that_talks_nonsense_after_joining():
    """Duplicate handshake answers, requests that are ours to make, states of other streams."""

    def script(peer):
        peer.upgrade()
        peer.receive_json()
        peer.send_json({"msg_type": 2, "status_code": 0, "media_server": {}})
        for nonsense in (
            {"msg_type": 2, "status_code": 3},
            {"msg_type": 4, "status_code": 0},
            {"msg_type": 1},
            {"msg_type": 8, "state": 4, "reason": 6, "rtms_stream_id": "another"},
            {"msg_type": 14, "content": {"data": "", "timestamp": 1}},
            {"msg_type": 6},
            {"msg_type": 6, "event": []},
            {"msg_type": 9},
        ):
            peer.send_json(nonsense)
        peer.send_json({"msg_type": 12, "timestamp": 5, "sequence": 9, "new": [1]})
        while (reply := peer.receive_json())["msg_type"] != 13:
            pass
        assert reply == {"msg_type": 13, "timestamp": 5, "sequence": 9, "new": [1]}
        peer.send_json({"msg_type": 8, "state": 4, "reason": 6})
        peer.receive_close()
        peer.close()

    with RawServer(script) as server, Client() as client:
        join_raw(client, server)
        assert client.wait(5).code == 6
        assert client.skipped == {"signaling": 8}

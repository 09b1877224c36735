"""What reaches callbacks and signals: all of it, in order, and isolated from each other."""

from __future__ import annotations

import contextlib
import json
import resource
import time

import gevent
import pytest
from gevent.event import Event
from support.rawserver import RawServer
from support.recorder import EVENTS, MEDIA, Recorder, wait_until
from support.streams import QUICK

from rtms_gevent import (
    AudioParams,
    Client,
    Codec,
    ConfigurationError,
    ContactCenterEventType,
    DataOption,
    EventType,
    Inboxes,
    InboxLimits,
    InboxOverflow,
    Limits,
    MediaDataType,
    MessageAttribute,
    Product,
    RemoteProtocolError,
    StatusCode,
    StreamState,
    TranscriptLanguage,
    UsageError,
    VideoParams,
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


class TestEvents:
    def test_each_callback(self, join, meeting, client):
        recorder = Recorder(client, *(name for name in EVENTS if name != "join_confirm"))
        join()
        wait_until(lambda: any(m["msg_type"] == 5 for m in meeting.received))
        people = [{"user_id": "11", "user_name": "Ana"}]
        for event in (
            {"event_type": 3, "timestamp": 1738392033699, "participants": people},
            {"event_type": 2, "timestamp": 1738392033700, "user_id": 11, "user_name": "Ana"},
            {"event_type": 5, "timestamp": 1738392033701, "user_id": 11, "user_name": "Ana"},
            {"event_type": 6, "timestamp": 1738392033702},
            {"event_type": 7, "timestamp": 1738392033703},
            {"event_type": 8, "timestamp": 1738392033704, "participants": [{"user_id": 11}]},
            {"event_type": 9, "timestamp": 1738392033705, "participants": [{"user_id": 11}]},
            {"event_type": 4, "timestamp": 1738392033706, "participants": [{"user_id": 11}]},
            {"event_type": 99, "timestamp": 1738392033707, "something": "new"},
        ):
            assert meeting.send_event(event, to_all=True)
        recorder.wait_for("event_ex", 9)
        assert recorder.of("participant_event") == [
            ("join", 1738392033699, [{"user_id": 11, "user_name": "Ana"}]),
            ("leave", 1738392033706, [{"user_id": 11, "user_name": "Ana"}]),
        ]
        joined, left = recorder.of("user_update")
        assert (joined[0], joined[1].id, joined[1].name) == (0, 11, "Ana")
        assert (left[0], left[1].id, left[1].name) == (1, 11, "Ana")
        assert recorder.of("active_speaker_event") == [(1738392033700, 11, "Ana")]
        assert recorder.of("sharing_event") == [
            ("start", 1738392033701, 11, "Ana"),
            ("stop", 1738392033702, None, None),
        ]
        assert recorder.of("media_connection_interrupted") == [(1738392033703,)]
        assert recorder.of("participant_video") == [([11], True), ([11], False)]
        assert json.loads(recorder.payloads("event_ex")[-1]) == {
            "event_type": 99,
            "timestamp": 1738392033707,
            "something": "new",
        }

    def test_registering_subscribes_before_and_after_joining(self, join, meeting, client):
        def asked():
            return [
                (item["event_type"], item["subscribe"])
                for message in meeting.received
                if message["msg_type"] == 5
                for item in message["events"]
            ]

        client.on_active_speaker_event(print)
        client.on_media_connection_interrupted(print)  # Zoom sends that unasked
        join()
        wait_until(asked)
        assert asked() == [(2, True)]
        client.on_sharing_event(print)
        wait_until(lambda: len(asked()) == 3)
        client.on_sharing_event(lambda *_: None)  # nothing new
        client.subscribe_event([EventType.PARTICIPANT_JOIN, EventType.SHARING_START])
        client.unsubscribe_event(EventType.ACTIVE_SPEAKER_CHANGE)
        wait_until(lambda: len(asked()) == 5)
        assert asked()[1:] == [(5, True), (6, True), (3, True), (2, False)]

    def test_sessions(self, join, meeting, client):
        recorder = Recorder(client, "session_update")
        client.on_audio_data(print)
        join()
        for state in (2, 2, 3, 4, 5):
            meeting.set_session_state(state)
        updates = wait_until(
            lambda: len(recorder.of("session_update")) >= 4 and recorder.of("session_update")
        )
        assert [op for op, _ in updates] == [1, 3, 4, 2]
        session = updates[1][1]
        assert session.isPaused
        assert not session.isActive
        assert session.streamId == meeting.stream_id
        assert session.meetingId == meeting.uuid
        assert session.sessionId == meeting.session_id
        assert session.statTime > 1_700_000_000_000

    def test_individual_video(self, join, meeting, client):
        client.set_video_params(VideoParams(data_opt=DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM))
        recorder = Recorder(client, "video_data", "video_subscribed")
        client.subscribe_video(21)  # before joining: kept
        join()
        assert recorder.wait_for("video_subscribed")[0] == (21, StatusCode.OK, "OK")
        client.subscribe_video(22)
        client.subscribe_video(22)
        answers = recorder.wait_for("video_subscribed", 3)
        assert [status for _, status, _ in answers] == [0, 0, 44]
        with pytest.raises(ConfigurationError, match="user_id"):
            client.subscribe_video("22")

    @pytest.mark.parametrize("binary", ["all", "media", "messages"])
    def test_binary_frames(self, client, binary):
        recorder = Recorder(client, "audio_data", "event_ex")
        with Simulator("empty", binary=binary) as simulator:
            meeting = simulator.meeting
            client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
            client.wait_joined(10)
            assert meeting.wait_ready(5)
            meeting.send_audio(b"x")
            assert recorder.wait_for("audio_data")[0][0] == b"x"
            recorder.wait_for("event_ex")  # the first packet
            client.leave()

    def test_contact_center_channels(self, simulator, join, client):
        meeting = simulator.add_meeting(product=Product.CONTACT_CENTER)
        recorder = Recorder(client, "audio_data", "event_ex", "user_update", "participant_video")
        updates = []

        def keep(sender, update, **extra):
            updates.append(update)

        with signals.event_ex.connected_to(keep, sender=client):
            join(meeting=meeting)
            who = {"channel_id": "ch-1", "display_name": "Agent Ann", "user_id": "a1"}
            meeting.send_event(
                {"event_type": 8, "event_ts": 1738392033699, "participant_info": who}, to_all=True
            )
            recorder.wait_for("event_ex")
        assert updates[0].event_type is ContactCenterEventType.CONSUMER_ANSWERED
        assert recorder.of("participant_video") == []  # 8 means something else here
        meeting.send_audio(b"x", channel_id="ch-1")
        metadata = recorder.wait_for("audio_data")[0][3]
        assert (metadata.channelId, metadata.userName) == ("ch-1", "Agent Ann")
        assert metadata.channel.user_id == "a1"

    def test_contact_center_events_without_a_public_name(self, simulator, join, client):
        """Zoom numbers them up to 34: they come as they are, and hurt nothing."""
        meeting = simulator.add_meeting(product=Product.CONTACT_CENTER)
        numbers = range(30, 35)
        client.subscribe_event(numbers)
        recorder = Recorder(client, "audio_data", "event_ex")
        updates = []

        def keep(sender, update, **extra):
            updates.append(update)

        with signals.event_ex.connected_to(keep, sender=client):
            join(meeting=meeting)
            wait_until(lambda: meeting.signaling.subscriptions >= set(numbers))
            who = {"channel_id": "ch-1", "display_name": "Caller Cal"}
            meeting.send_event({"event_type": 8, "participant_info": who}, to_all=True)
            for number in numbers:
                event = {
                    "event_type": number,
                    "event_ts": 1738392033699,
                    "paticipant_info": {"channel_id": "ch-1"},
                    "dtmf": "5",
                }
                assert meeting.send_event(event)
            told = [json.loads(text) for (text,) in recorder.wait_for("event_ex", 6)[1:]]
            wait_until(lambda: len(updates) == 6)
        assert [event["event_type"] for event in told] == list(numbers)
        assert all(event["dtmf"] == "5" for event in told)
        assert [type(update.event_type) for update in updates[1:]] == [int] * 5
        assert {update.timestamp for update in updates[1:]} == {1738392033699}
        meeting.send_audio(b"x", channel_id="ch-1")
        assert recorder.wait_for("audio_data")[0][3].userName == "Caller Cal"
        assert client.skipped == {}

    def test_contact_center_interruptions_are_told(self, simulator, join, client):
        meeting = simulator.add_meeting(product=Product.CONTACT_CENTER)
        recorder = Recorder(client, "audio_data", "media_connection_interrupted")
        join(meeting=meeting)
        meeting.send_event({"event_type": 7, "timestamp": 1738392033699})
        assert recorder.wait_for("media_connection_interrupted") == [(1738392033699,)]

    def test_contact_center_audio_and_transcript(self, simulator, join, client):
        """Only the former has an address of its own."""
        meeting = simulator.add_meeting(product=Product.CONTACT_CENTER)
        recorder = Recorder(client, "audio_data", "transcript_data")
        join(meeting=meeting)
        meeting.send_audio(b"x", channel_id="ch-1")
        meeting.send_transcript("hello", 5)
        assert recorder.wait_for("audio_data")[0][0] == b"x"
        assert recorder.wait_for("transcript_data")[0][0] == b"hello"


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

        told = []

        def keep(sender, error, where, **extra):
            told.append((str(error), where))

        with signals.error.connected_to(keep, sender=client):
            join()
            meeting.send_audio(b"1")
            meeting.send_audio(b"2")
            meeting.send_transcript("still here")
            recorder.wait_for("transcript_data")
            wait_until(lambda: len(problems) == 2)
        assert told == [("in the callback", "on_audio_data")] * 2
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
            connection._socket.raw_write(b"\x81\x7f" + (100_000_000).to_bytes(8, "big"))
        ((_, error),) = recorder.wait_for("interrupted")
        assert "100000000 bytes" in str(error)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000

    def test_what_cannot_be_used_is_skipped_counted_and_told(self, join, meeting, client):
        recorder = Recorder(client, "audio_data")
        told = []

        def keep(sender, error, where, **extra):
            told.append((type(error), where))

        with signals.error.connected_to(keep, sender=client):
            join()
            (connection,) = meeting.connections("audio")
            for bad in ("{", "[1]", '{"msg_type":14,"content":{"timestamp":1,"data":"@@"}}'):
                connection._socket.send(bad.encode())
            meeting.send_audio(b"good")
            recorder.wait_for("audio_data")
        assert client.skipped == {"audio": 3}
        assert told == [(RemoteProtocolError, "audio")] * 3

    def test_a_flood_of_garbage_is_counted_and_told_in_part(self, join, meeting, client):
        recorder = Recorder(client, "audio_data")
        told = []

        def keep(sender, error, **extra):
            told.append(error)

        with signals.error.connected_to(keep, sender=client):
            join()
            (connection,) = meeting.connections("audio")
            for _ in range(3000):
                connection._socket.send(b"{")
            meeting.send_audio(b"good")
            recorder.wait_for("audio_data")
        assert client.skipped == {"audio": 3000}
        assert len(told) == 23

    def test_a_full_inbox_drops_the_oldest_and_says_so_once_per_burst(self, simulator, join):
        go, entered = Event(), Event()
        got, told = [], []

        def slow(data, *_):
            entered.set()
            go.wait()
            got.append(data)

        def keep(sender, error, **extra):
            told.append(error)

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
        assert [type(error) for error in told] == [InboxOverflow]


class TestSignals:
    def test_of_a_blinker_that_cannot_mute_them(self, monkeypatch):
        monkeypatch.delattr(signals.audio_data, "is_muted", raising=False)  # before 1.6
        got = []
        with signals.audio_data.connected_to(lambda sender, data: got.append((sender, data))):
            signals.emit(signals.audio_data, self, data=b"x")
        assert got == [(self, b"x")]

    def test_media_and_life(self, join, meeting, client):
        got = []

        def listen(name):
            def receiver(sender, **arguments):
                got.append((name, sender, arguments))

            return receiver

        listeners = {
            name: listen(name)
            for name in ("joining", "joined", "audio_data", "stream_state", "left", "session_state")
        }
        with contextlib.ExitStack() as stack:
            for name, listener in listeners.items():
                stack.enter_context(getattr(signals, name).connected_to(listener))
            client.enable_audio()
            join()
            meeting.send_audio(b"x")
            meeting.stop(6)
            client.wait(5)
        names = [name for name, _, _ in got]
        assert names[:2] == ["joining", "joined"]
        assert names[-1] == "left"
        assert {"audio_data", "stream_state"} <= set(names)
        assert all(sender is client for _, sender, _ in got)
        arguments = {name: arguments for name, _, arguments in got}
        assert arguments["joined"] == {"stream_id": meeting.stream_id, "uuid": meeting.uuid}
        assert arguments["audio_data"]["data"] == b"x"
        assert arguments["stream_state"]["state"] is StreamState.TERMINATED
        assert arguments["left"]["reason"].code == 6

    def test_a_receiver_that_raises_is_logged_and_the_others_run(
        self, join, meeting, client, caplog
    ):
        got = []

        def bad(sender, **_):
            raise RuntimeError("in the receiver")

        def good(sender, data, **_):
            got.append(data)

        client.enable_audio()
        with signals.audio_data.connected_to(bad), signals.audio_data.connected_to(good):
            join()
            meeting.send_audio(b"1")
            meeting.send_audio(b"2")
            wait_until(lambda: got == [b"1", b"2"])
        assert "in the receiver" in caplog.text

    def test_messages_that_nobody_knows_are_visible(self, join, meeting, client):
        got = []

        def keep(sender, message, socket, **_):
            got.append((message.msg_type, dict(message.raw), socket))

        client.on_audio_data(print)
        with signals.other_message.connected_to(keep):
            join()
            meeting.connections("audio")[0].send({"msg_type": 23, "meta": 1})
            meeting.connections("signaling")[0].send({"msg_type": 77, "new": True})
            wait_until(lambda: len(got) == 2)
        assert sorted(got) == [
            (23, {"msg_type": 23, "meta": 1}, "audio"),
            (77, {"msg_type": 77, "new": True}, "signaling"),
        ]


class TestRegistering:
    def test_decorators_return_the_function(self, client):
        def function(data, size, timestamp, metadata): ...

        assert client.on_audio_data(function) is function

    @pytest.mark.parametrize("name", [*MEDIA, *EVENTS])
    def test_only_functions(self, name, client):
        with pytest.raises(ConfigurationError, match=f"on_{name} needs a function"):
            getattr(client, f"on_{name}")("no function")

    def test_a_coroutine_function_says_that_nobody_awaits_it(self, join, meeting, client, caplog):
        @client.on_audio_data
        async def function(data, size, timestamp, metadata): ...

        join()
        meeting.send_audio(b"x")
        wait_until(lambda: client.callback_errors == {"audio_data": 1})
        assert "run only under run_async" in caplog.text

    def test_a_newer_function_replaces_the_older(self, join, meeting, client):
        client.on_audio_data(lambda *_: pytest.fail("replaced"))
        recorder = Recorder(client, "audio_data")
        join()
        meeting.send_audio(b"x")
        recorder.wait_for("audio_data")

    def test_media_can_be_asked_for_after_joining(self, join, meeting, client):
        recorder = Recorder(client, "audio_data")
        join()
        late = Recorder(client, "video_data")
        wait_until(lambda: meeting.media_socket(MediaDataType.VIDEO))
        wait_until(lambda: meeting.send_video(b"v"))
        late.wait_for("video_data")
        meeting.send_audio(b"a")
        recorder.wait_for("audio_data")

    def test_media_that_is_refused_later_can_be_asked_for_again(self, join, meeting, client):
        told = []

        def keep(sender, error, where, **_):
            told.append(where)

        client.on_audio_data(print)
        join()
        client.set_video_params(VideoParams(fps=6))
        (signaling,) = meeting.connections("signaling")
        del meeting, signaling
        with signals.error.connected_to(keep, sender=client):
            client._session._sockets._offered.pop(MediaDataType.VIDEO)
            client._session._sockets._offered.pop(MediaDataType.ALL)
            client.on_video_data(print)
            wait_until(lambda: told)
        assert told == ["join"]
        assert client.is_joined

    def test_events_alone_need_no_media(self, simulator, meeting, client, caplog):
        recorder = Recorder(client, "join_confirm", "event_ex")
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        client.wait_joined()
        recorder.wait_for("join_confirm")
        assert "only events will arrive" in caplog.text

    def test_wrong_parameter_classes(self, client):
        with pytest.raises(ConfigurationError, match="expected VideoParams, not AudioParams"):
            client.set_video_params(AudioParams())
        with pytest.raises(ConfigurationError, match="Zoom takes"):
            client.set_audio_params(AudioParams(codec=Codec.G711))


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
        client.join(
            meeting_uuid="u",
            rtms_stream_id="s",
            server_urls=server.url(),
            client="c",
            secret="s",
        )
        assert client.wait(5).code == 6
        assert client.skipped == {"signaling": 8}

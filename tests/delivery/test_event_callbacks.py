"""Which callbacks get which events."""

from __future__ import annotations

import json

import pytest
from support.recorder import EVENTS, Recorder, wait_until

from rtms_gevent import (
    ConfigurationError,
    ContactCenterEventType,
    DataOption,
    EventType,
    Product,
    StatusCode,
    VideoParams,
    signals,
)
from rtms_gevent.simulator import Simulator


def test_each_callback(join, meeting, client):
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


def test_registering_subscribes_before_and_after_joining(join, meeting, client):
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


def test_sessions(join, meeting, client):
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


def test_individual_video(join, meeting, client):
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
def test_binary_frames(client, binary):
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


def test_contact_center_channels(simulator, join, client):
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


def test_contact_center_events_without_a_public_name(simulator, join, client):
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
        reported = [json.loads(text) for (text,) in recorder.wait_for("event_ex", 6)[1:]]
        wait_until(lambda: len(updates) == 6)
    assert [event["event_type"] for event in reported] == list(numbers)
    assert all(event["dtmf"] == "5" for event in reported)
    assert [type(update.event_type) for update in updates[1:]] == [int] * 5
    assert {update.timestamp for update in updates[1:]} == {1738392033699}
    meeting.send_audio(b"x", channel_id="ch-1")
    assert recorder.wait_for("audio_data")[0][3].userName == "Caller Cal"
    assert client.skipped == {}


def test_contact_center_interruptions_are_told(simulator, join, client):
    meeting = simulator.add_meeting(product=Product.CONTACT_CENTER)
    recorder = Recorder(client, "audio_data", "media_connection_interrupted")
    join(meeting=meeting)
    meeting.send_event({"event_type": 7, "timestamp": 1738392033699})
    assert recorder.wait_for("media_connection_interrupted") == [(1738392033699,)]


def test_contact_center_audio_and_transcript(simulator, join, client):
    """Only the former has an address of its own."""
    meeting = simulator.add_meeting(product=Product.CONTACT_CENTER)
    recorder = Recorder(client, "audio_data", "transcript_data")
    join(meeting=meeting)
    meeting.send_audio(b"x", channel_id="ch-1")
    meeting.send_transcript("hello", 5)
    assert recorder.wait_for("audio_data")[0][0] == b"x"
    assert recorder.wait_for("transcript_data")[0][0] == b"hello"

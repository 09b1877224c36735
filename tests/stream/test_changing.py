"""What the user changes after joining, and what only the session can know."""

from __future__ import annotations

import pytest
from support.rawserver import unused_port
from support.recorder import Recorder, wait_until

from rtms_gevent import (
    AudioParams,
    Codec,
    ConfigurationError,
    DataOption,
    EventType,
    MediaDataType,
    TranscriptLanguage,
    TranscriptParams,
    VideoParams,
    signals,
)


def asked_for(meeting, kind):
    """Return the parameters of the handshakes for a media type, in their order."""
    return [
        message.get("media_params", {}).get(kind.name.lower())
        for message in meeting.received
        if message["msg_type"] == 3 and message["media_type"] in (kind, MediaDataType.ALL)
    ]


@pytest.mark.parametrize("unified", [False, True], ids=["split", "unified"])
def test_new_parameters_take_effect_on_a_new_socket(unified, join, meeting, client):
    recorder = Recorder(client, "audio_data", "transcript_data")
    join(unified=unified)
    meeting.send_audio(b"before")
    recorder.wait_for("audio_data")
    client.set_audio_params(AudioParams(codec=Codec.L16))
    wait_until(lambda: client.negotiated["audio"]["codec"] == Codec.L16)
    wait_until(lambda: meeting.send_audio(b"after"))
    recorder.wait_for("audio_data", 2)
    wait_until(lambda: meeting.send_transcript("still here"))
    recorder.wait_for("transcript_data")
    assert recorder.payloads("audio_data") == [b"before", b"after"]
    assert [params["codec"] for params in asked_for(meeting, MediaDataType.AUDIO)] == [4, 1]
    assert client.is_joined


def test_media_that_are_asked_for_later_come_with_their_parameters_on_a_unified_socket(
    join, meeting, client
):
    client.on_transcript_data(print)
    join(unified=True)
    client.set_audio_params(AudioParams(codec=Codec.L16))
    client.on_audio_data(print)
    wait_until(lambda: asked_for(meeting, MediaDataType.AUDIO)[-1])
    assert asked_for(meeting, MediaDataType.AUDIO)[-1]["codec"] == 1


def test_the_same_parameters_change_nothing(join, meeting, client):
    client.on_audio_data(print)
    join()
    client.set_audio_params(AudioParams())
    client.set_transcript_params(TranscriptParams(src_language=TranscriptLanguage.GERMAN))
    client.on_transcript_data(print)
    wait_until(lambda: asked_for(meeting, MediaDataType.TRANSCRIPT))
    assert len(asked_for(meeting, MediaDataType.AUDIO)) == 1
    assert asked_for(meeting, MediaDataType.TRANSCRIPT)[0]["src_language"] == 14


def test_a_combination_that_zoom_refuses_raises_and_changes_nothing(join, meeting, client):
    recorder = Recorder(client, "audio_data")
    join()
    with pytest.raises(ConfigurationError, match="Zoom takes"):
        client.set_audio_params(AudioParams(codec=Codec.G711))
    meeting.send_audio(b"x")
    recorder.wait_for("audio_data")
    assert client.negotiated["audio"]["codec"] == Codec.OPUS


def test_two_changes_at_once_end_with_the_last(join, meeting, client):
    client.on_video_data(print)
    join()
    client.set_video_params(VideoParams(fps=10))
    client.set_video_params(VideoParams(fps=20))
    wait_until(lambda: client.negotiated["video"]["fps"] == 20)
    wait_until(lambda: meeting.send_video(b"v"))
    assert len(meeting.connections("video")) == 1


def test_a_change_that_fails_is_told_and_can_be_tried_again(join, meeting, client):
    recorder = Recorder(client, "audio_data", "transcript_data")
    told = []

    def keep(sender, error, where, **_):
        told.append(where)

    join()
    offered = client._session._connections.plan.offered
    good, gone = offered[MediaDataType.AUDIO], []
    for endpoint in good:
        gone.append(type(endpoint)("ws", "127.0.0.1", unused_port(), "/"))
    with signals.error.connected_to(keep, sender=client):
        offered[MediaDataType.AUDIO] = tuple(gone)
        client.set_audio_params(AudioParams(codec=Codec.L16))
        wait_until(lambda: told)
    assert told[0] == "renegotiate"
    meeting.send_transcript("the others go on")
    recorder.wait_for("transcript_data")
    offered[MediaDataType.AUDIO] = good
    client.enable_audio()
    wait_until(lambda: meeting.send_audio(b"again"))
    recorder.wait_for("audio_data")


def test_a_chosen_participant_stays_chosen(join, meeting, client):
    individual = DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM
    client.set_video_params(VideoParams(data_opt=individual))
    recorder = Recorder(client, "video_data", "video_subscribed")
    join()
    client.subscribe_video(21)
    recorder.wait_for("video_subscribed")
    client.set_video_params(VideoParams(data_opt=individual, fps=10))
    wait_until(lambda: client.negotiated["video"]["fps"] == 10)
    recorder.wait_for("video_subscribed", 2)
    wait_until(lambda: meeting.send_video(b"v", 21))
    recorder.wait_for("video_data")


class TestMixedAudio:
    def test_the_active_speaker_gives_the_name_and_it_is_marked(self, join, meeting, client):
        client.set_audio_params(AudioParams(data_opt=DataOption.AUDIO_MIXED_STREAM))
        recorder = Recorder(client, "audio_data")
        join()
        subscribed = {"event_type": EventType.ACTIVE_SPEAKER_CHANGE, "subscribe": True}
        wait_until(lambda: any(subscribed in m.get("events", ()) for m in meeting.received))
        meeting.send_audio(b"nobody yet", 0, "")
        recorder.wait_for("audio_data")
        meeting.send_event({"event_type": 2, "timestamp": 1, "user_id": 7, "user_name": "Ana"})
        wait_until(lambda: client._session._translator._speaker == "Ana")
        meeting.send_audio(b"Ana speaks", 0, "")
        (_, _, _, before), (_, _, _, after) = recorder.wait_for("audio_data", 2)
        assert (before.userName, before.isActiveSpeaker) == ("", False)
        assert (after.userName, after.isActiveSpeaker, after.userId) == ("Ana", True, 0)

    def test_audio_of_participants_keeps_its_own_names(self, join, meeting, client):
        recorder = Recorder(client, "audio_data", "active_speaker_event")
        join()
        wait_until(lambda: any(m["msg_type"] == 5 for m in meeting.received))
        meeting.send_event({"event_type": 2, "timestamp": 1, "user_id": 7, "user_name": "Ana"})
        recorder.wait_for("active_speaker_event")
        meeting.send_audio(b"x", 8, "Bo")
        ((_, _, _, metadata),) = recorder.wait_for("audio_data")
        assert (metadata.userName, metadata.isActiveSpeaker) == ("Bo", False)

    def test_nothing_is_subscribed_to_without_need(self, join, meeting, client):
        client.on_audio_data(print)
        join()
        client.set_audio_params(AudioParams(data_opt=DataOption.AUDIO_MIXED_STREAM))
        wait_until(lambda: any(m["msg_type"] == 5 for m in meeting.received))
        client.set_audio_params(AudioParams())
        wait_until(lambda: sum(m["msg_type"] == 5 for m in meeting.received) == 2)
        assert [m["events"] for m in meeting.received if m["msg_type"] == 5] == [
            [{"event_type": 2, "subscribe": True}],
            [{"event_type": 2, "subscribe": False}],
        ]

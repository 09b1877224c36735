"""Registering functions before and after joining."""

from __future__ import annotations

import pytest
from support.recorder import EVENTS, MEDIA, Recorder, wait_until

from rtms_gevent import (
    AudioParams,
    Codec,
    ConfigurationError,
    MediaDataType,
    VideoParams,
    signals,
)


def test_decorators_return_the_function(client):
    def function(data, size, timestamp, metadata): ...

    assert client.on_audio_data(function) is function


@pytest.mark.parametrize("name", [*MEDIA, *EVENTS])
def test_only_functions(name, client):
    with pytest.raises(ConfigurationError, match=f"on_{name} needs a function"):
        getattr(client, f"on_{name}")("no function")


def test_a_coroutine_function_says_that_nobody_awaits_it(join, meeting, client, caplog):
    @client.on_audio_data
    async def function(data, size, timestamp, metadata): ...

    join()
    meeting.send_audio(b"x")
    wait_until(lambda: client.callback_errors == {"audio_data": 1})
    assert "run only under run_async" in caplog.text


def test_a_newer_function_replaces_the_older(join, meeting, client):
    client.on_audio_data(lambda *_: pytest.fail("replaced"))
    recorder = Recorder(client, "audio_data")
    join()
    meeting.send_audio(b"x")
    recorder.wait_for("audio_data")


def test_media_can_be_asked_for_after_joining(join, meeting, client):
    recorder = Recorder(client, "audio_data")
    join()
    late = Recorder(client, "video_data")
    wait_until(lambda: meeting.sockets.carrying(MediaDataType.VIDEO))
    wait_until(lambda: meeting.send_video(b"v"))
    late.wait_for("video_data")
    meeting.send_audio(b"a")
    recorder.wait_for("audio_data")


def test_media_that_is_refused_later_can_be_asked_for_again(join, meeting, client):
    reported = []

    def keep(sender, error, where, **_):
        reported.append(where)

    client.on_audio_data(print)
    join()
    client.set_video_params(VideoParams(fps=6))
    (signaling,) = meeting.connections("signaling")
    del meeting, signaling
    with signals.error.connected_to(keep, sender=client):
        client._session._connections.plan.offered.pop(MediaDataType.VIDEO)
        client._session._connections.plan.offered.pop(MediaDataType.ALL)
        client.on_video_data(print)
        wait_until(lambda: reported)
    assert reported == ["join"]
    assert client.is_joined


def test_events_alone_need_no_media(simulator, meeting, client, caplog):
    recorder = Recorder(client, "join_confirm", "event_ex")
    client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
    client.wait_joined()
    recorder.wait_for("join_confirm")
    assert "only events will arrive" in caplog.text


def test_wrong_parameter_classes(client):
    with pytest.raises(ConfigurationError, match="expected VideoParams, not AudioParams"):
        client.set_video_params(AudioParams())
    with pytest.raises(ConfigurationError, match="Zoom takes"):
        client.set_audio_params(AudioParams(codec=Codec.G711))

"""What is registered and asked for, and which of it reaches a joined session."""

from __future__ import annotations

from unittest import mock

import pytest
from support.recorder import EVENTS, MEDIA, Recorder, wait_until

from rtms_gevent import (
    AudioParams,
    Codec,
    ConfigurationError,
    EventType,
    MediaDataType,
    VideoParams,
    signals,
)
from rtms_gevent.callbacks import CallbackRegistration
from rtms_gevent.stream.changes import LiveChanges

JOINED, LEFT = EventType.PARTICIPANT_JOIN, EventType.PARTICIPANT_LEAVE


class Registration(CallbackRegistration):
    """Notes what the session is told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def _change(self, change):
        live = mock.create_autospec(LiveChanges, instance=True)
        change(live)
        self.told += [(name, *arguments) for name, arguments, _ in live.mock_calls]


@pytest.fixture
def registration():
    return Registration()


def callback(*_):
    pass


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda it: it.on_audio_data(callback), [("catch_up",)]),
        (lambda it: it.enable_video(), [("catch_up",)]),
        (lambda it: it.enable_video(False), []),
        (lambda it: it.on_join_confirm(callback), []),
        (lambda it: it.on_user_update(callback), [("subscribe", (JOINED, LEFT), True)]),
        (lambda it: it.subscribe_event(JOINED), [("subscribe", (JOINED,), True)]),
        (lambda it: it.subscribe_event([LEFT, JOINED]), [("subscribe", (JOINED, LEFT), True)]),
        (lambda it: it.unsubscribe_event(JOINED), []),  # it was not wanted
        (lambda it: it.subscribe_event(JOINED) and it.subscribe_event(JOINED),
         [("subscribe", (JOINED,), True)]),
        (lambda it: it.subscribe_event(JOINED) and it.unsubscribe_event(JOINED),
         [("subscribe", (JOINED,), True), ("subscribe", (JOINED,), False)]),
        (lambda it: it.subscribe_video(7), [("subscribe_video", 7, True)]),
        (lambda it: it.subscribe_video(7, False), [("subscribe_video", 7, False)]),
        (lambda it: it.set_audio_params(AudioParams(codec=Codec.L16)),
         [("renegotiate", MediaDataType.AUDIO)]),
        (lambda it: it.set_audio_params(AudioParams()), []),  # as it is by default
    ],
)  # fmt: skip
def test_what_the_session_is_told(change, told, registration):
    change(registration)
    assert registration.told == told


def test_a_callback_is_given_back_and_the_newer_one_counts(registration):
    assert registration.on_audio_data(print) is print
    assert registration.on_audio_data(callback) is callback
    assert registration._callbacks.get("audio_data") is callback


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda it: it.on_audio_data(lambda: None), "cannot be called so"),
        (lambda it: it.subscribe_event(["x"]), "events must be numbers"),
        (lambda it: it.subscribe_video(True), "user_id must be an int, not bool"),
        (lambda it: it.set_audio_params(VideoParams()), "expected AudioParams, not VideoParams"),
        (lambda it: it.set_proxy("socks", "x"), "must be http, https or env"),
        (lambda it: it.set_proxy("env", "http://x"), "comes from HTTPS_PROXY"),
    ],
)
def test_what_is_refused_changes_nothing(change, text, registration):
    with pytest.raises(ConfigurationError, match=text):
        change(registration)
    assert registration.told == []
    assert registration._callbacks.functions == {}
    assert registration._proxy is None


# -- on a client -----------------------------------------------------------------------------------


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

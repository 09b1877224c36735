"""What is registered and asked for, and which of it reaches a joined session. No sockets."""

from __future__ import annotations

import pytest

from rtms_gevent import (
    AudioParams,
    Codec,
    ConfigurationError,
    EventType,
    MediaDataType,
    VideoParams,
)
from rtms_gevent.callbacks import CallbackRegistration

JOINED, LEFT = EventType.PARTICIPANT_JOIN, EventType.PARTICIPANT_LEAVE


class Registration(CallbackRegistration):
    """Notes what the session is told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def _change(self, method, *arguments):
        self.told.append((method.__name__, *arguments))


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

"""What viewers get of the feed: streams that come, live and go."""

from __future__ import annotations

import json
import threading

import pytest

from rtms_gevent import signals
from rtms_gevent.enums import ChatOperation, Product, StreamState
from rtms_gevent.errors import HandshakeRejected, InboxOverflow
from rtms_gevent.live import feed as feed_module
from rtms_gevent.stream.leave_reason import LeaveReason

from .page_app import FakeClient
from .recording import JPG, LOUD, Recording, texts

# -- life of a stream ------------------------------------------------------------------------------


def test_a_stream_appears_and_lives_and_ends(recording: Recording) -> None:
    about = recording.about()
    assert (about["uuid"], about["product"], about["state"]) == ("abc==", "meeting", "live")
    before = recording.feed.changes(0).revision

    recording.now = 1030.0
    recording.emit("left", stream_id="one", reason=LeaveReason.stopped(6))

    (about,) = recording.feed.changes(before).streams
    assert (about["state"], about["reason"]) == ("ended", "meeting ended")
    assert (about["began"], about["ended"]) == (1_000_000, 1_030_000)


def test_a_stream_that_another_worker_goes_on_with_is_shown_there(recording: Recording) -> None:
    before = recording.feed.changes(0).revision
    recording.emit("left", stream_id="one", reason=LeaveReason.handed_over())
    changes = recording.feed.changes(before)
    assert (changes.ids, changes.streams) == ([], [])


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (LeaveReason.left(), "we left"),
        (LeaveReason.stopped(99), "99"),
        (LeaveReason.stopped(None), ""),
        (LeaveReason.failed(HandshakeRejected("signaling", 3)), "handshake rejected"),
    ],
)
def test_the_end_has_a_reason_in_a_few_words(
    recording: Recording, reason: LeaveReason, expected: str
) -> None:
    recording.emit("left", stream_id="one", reason=reason)
    assert recording.about()["reason"] == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (StreamState.INTERRUPTED, "interrupted"),
        (StreamState.PAUSED, "paused"),
        (StreamState.TERMINATING, "ending"),
        (StreamState.ACTIVE, "live"),
        (99, "live"),
    ],
)
def test_states_of_the_stream_are_shown(recording: Recording, state: int, expected: str) -> None:
    recording.emit("stream_state", state=state, reason=None, timestamp=None)
    assert recording.about()["state"] == expected


def test_media_end_an_interruption(recording: Recording) -> None:
    recording.emit("media_connection_interrupted", timestamp=1)
    assert recording.about()["state"] == "interrupted"
    recording.media("audio_data", LOUD)
    assert recording.about()["state"] == "live"


def test_nothing_revives_a_stream_but_joining_it(recording: Recording) -> None:
    recording.emit("left", stream_id="one", reason=None)
    recording.emit("stream_state", state=StreamState.ACTIVE, reason=None, timestamp=None)
    assert recording.about()["state"] == "ended"
    recording.emit("joining", stream_id="one", uuid="abc==", product=Product.MEETING)
    assert (recording.about()["state"], recording.about()["ended"]) == ("joining", None)


def test_ended_streams_are_forgotten_after_a_while(recording: Recording) -> None:
    recording.emit("left", stream_id="one", reason=None)
    before = recording.feed.changes(0).revision
    recording.now += feed_module.KEEP_ENDED + 1
    assert recording.feed.changes(before).ids == []


def test_only_the_newest_ended_streams_are_kept(recording: Recording) -> None:
    for number in range(feed_module.MAX_ENDED + 5):
        client = FakeClient(f"more-{number}")
        recording.now += 1
        recording.emit("joining", client, stream_id=client.stream_id(), uuid="u", product=None)
        recording.emit("left", client, stream_id=client.stream_id(), reason=None)
    ids = recording.feed.changes(0).ids
    assert ids is not None
    assert len(ids) == feed_module.MAX_ENDED + 1  # and the live one
    assert (ids[0], ids[-1]) == ("one", f"more-{feed_module.MAX_ENDED + 4}")


def test_the_app_chooses_which_streams_are_shown() -> None:
    recording = Recording(shows=lambda client: client.stream_id() != "secret")
    for name in ("one", "secret"):
        client = FakeClient(name)
        recording.emit("joining", client, stream_id=name, uuid="u", product=None)
        recording.media("chat_data", b"hello", client)
    assert recording.feed.changes(0).ids == ["one"]
    assert [numbers["stream_id"] for numbers in recording.feed.stats()] == ["one"]
    recording.recorder.disconnect()


def test_streams_that_were_joined_before_are_found(recording: Recording) -> None:
    recording.media("audio_data", LOUD, FakeClient("earlier"))
    assert recording.feed.changes(0).ids == ["one", "earlier"]


# -- numbers and problems --------------------------------------------------------------------------


def test_counters_and_stats(recording: Recording) -> None:
    recording.media("audio_data", LOUD)
    recording.media("audio_data", LOUD)
    recording.say("hello")
    recording.emit("error", error=InboxOverflow("audio", 3), where="inbox")
    counters = recording.feed.counters("one")
    assert counters["audio"] == [2, 1280, 3]
    assert counters["transcript"] == [1, 5, 0]
    (stats,) = recording.feed.stats()
    assert stats["media"]["audio"] == {"messages": 2, "bytes": 1280, "dropped": 3}
    assert stats["transcript_lines"] == 1
    assert recording.feed.counters("unknown") == {}


def test_problems_tell_nothing_that_somebody_said(recording: Recording) -> None:
    recording.emit("error", error=ValueError("Ada said: my password is 1234"), where="on_chat_data")
    recording.emit("error", error=InboxOverflow("video", 3), where="inbox")
    problems = texts(recording.detail()["problems"])
    assert problems[0] == "ValueError in on_chat_data"
    assert problems[1].startswith("the inbox for video is full")


def test_an_error_of_another_sender_is_none_of_ours(recording: Recording) -> None:
    signals.emit(signals.error, object(), error=ValueError(), where="webhook")
    assert "problems" not in recording.detail()


# -- viewers ---------------------------------------------------------------------------------------


def test_a_viewer_that_knows_everything_gets_nothing(recording: Recording) -> None:
    recording.say("hello")
    recording.media("video_data", JPG)
    first = recording.feed.changes(0, "one", 0)
    again = recording.feed.changes(first.revision, "one", first.revision)
    assert (again.streams, again.ids, again.detail, again.pictures) == ([], None, {}, [])


def test_all_of_it_is_json(recording: Recording) -> None:
    recording.say("hello")
    recording.chat("<b>", ChatOperation.NEW, "a")
    recording.media("audio_data", LOUD)
    changes = recording.feed.changes(0, "one", 0)
    assert json.loads(json.dumps([changes.streams, changes.ids, changes.detail]))


def test_streams_and_viewers_may_be_on_different_threads(recording: Recording) -> None:
    errors: list[BaseException] = []

    def speak() -> None:
        try:
            for number in range(500):
                client = FakeClient(f"thread-{number % 30}")
                recording.media("chat_data", b"x", client, userId=number)
                recording.emit("left", client, stream_id=client.stream_id(), reason=None)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=speak) for _ in range(3)]
    for thread in threads:
        thread.start()
    since = 0
    while any(thread.is_alive() for thread in threads):
        since = recording.feed.changes(since, "thread-1", since).revision
        recording.feed.stats()
    for thread in threads:
        thread.join()
    assert errors == []

"""What the feed makes of signals, and what viewers get of it."""

from __future__ import annotations

import json
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from rtms_gevent import signals
from rtms_gevent.enums import ChatOperation, Codec, MessageAttribute, Product, StreamState
from rtms_gevent.errors import HandshakeRejected, InboxOverflow
from rtms_gevent.live import feed as feed_module
from rtms_gevent.live import model, streams
from rtms_gevent.live.feed import Feed
from rtms_gevent.live.recorder import Recorder
from rtms_gevent.protocol.metadata import ChatDetails, Metadata
from rtms_gevent.protocol.people import ChannelParticipant
from rtms_gevent.stream.leave_reason import LeaveReason

from .stage import Actor

NEW, UPDATE, DELETE = MessageAttribute.NEW, MessageAttribute.UPDATE, MessageAttribute.DELETE
JPG = b"\xff\xd8\xff\xe0"
LOUD = b"\xff\x7f" * 320


class Stage:
    """A feed, and one stream whose signals a test sends."""

    def __init__(self, **options: Any) -> None:
        self.now = 1000.0
        self.feed = Feed(now=lambda: self.now)
        self.recorder = Recorder(self.feed, **options)
        self.recorder.connect()
        self.client = Actor("one")

    def emit(self, name: str, client: Actor | None = None, **arguments: Any) -> None:
        signals.emit(getattr(signals, name), client or self.client, **arguments)

    def media(self, name: str, data: bytes, client: Actor | None = None, **fields: Any) -> None:
        metadata = Metadata(**{"userId": 7, "userName": "Ada", **fields})
        self.emit(name, client, data=data, size=len(data), timestamp=5000, metadata=metadata)

    def say(self, text: str, attribute: int | None = NEW, start: int = 1) -> None:
        self.media("transcript_data", text.encode(), startTs=start, attribute=attribute)

    def chat(self, text: str, operation: int | None, message_id: str) -> None:
        details = ChatDetails(operation=operation, message_id=message_id)
        self.media("chat_data", text.encode(), chat=details)

    def detail(self, since: int = 0) -> dict[str, Any]:
        return self.feed.changes(since, "one", since).detail

    def about(self) -> dict[str, Any]:
        return next(about for about in self.feed.changes(0).streams if about["id"] == "one")


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    stage.emit("joining", stream_id="one", uuid="abc==", product=Product.MEETING)
    stage.emit("joined", stream_id="one", uuid="abc==")
    yield stage
    stage.recorder.disconnect()


def texts(lines: list[dict[str, Any]]) -> list[str]:
    return [line["text"] for line in lines]


# -- life of a stream ------------------------------------------------------------------------------


def test_a_stream_appears_and_lives_and_ends(stage: Stage) -> None:
    about = stage.about()
    assert (about["uuid"], about["product"], about["state"]) == ("abc==", "meeting", "live")
    before = stage.feed.changes(0).revision

    stage.now = 1030.0
    stage.emit("left", stream_id="one", reason=LeaveReason.stopped(6))

    (about,) = stage.feed.changes(before).streams
    assert (about["state"], about["reason"]) == ("ended", "meeting ended")
    assert (about["began"], about["ended"]) == (1_000_000, 1_030_000)


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
    stage: Stage, reason: LeaveReason, expected: str
) -> None:
    stage.emit("left", stream_id="one", reason=reason)
    assert stage.about()["reason"] == expected


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
def test_states_of_the_stream_are_shown(stage: Stage, state: int, expected: str) -> None:
    stage.emit("stream_state", state=state, reason=None, timestamp=None)
    assert stage.about()["state"] == expected


def test_media_end_an_interruption(stage: Stage) -> None:
    stage.emit("media_connection_interrupted", timestamp=1)
    assert stage.about()["state"] == "interrupted"
    stage.media("audio_data", LOUD)
    assert stage.about()["state"] == "live"


def test_nothing_revives_a_stream_but_joining_it(stage: Stage) -> None:
    stage.emit("left", stream_id="one", reason=None)
    stage.emit("stream_state", state=StreamState.ACTIVE, reason=None, timestamp=None)
    assert stage.about()["state"] == "ended"
    stage.emit("joining", stream_id="one", uuid="abc==", product=Product.MEETING)
    assert (stage.about()["state"], stage.about()["ended"]) == ("joining", None)


def test_ended_streams_are_forgotten_after_a_while(stage: Stage) -> None:
    stage.emit("left", stream_id="one", reason=None)
    before = stage.feed.changes(0).revision
    stage.now += feed_module.KEEP_ENDED + 1
    assert stage.feed.changes(before).ids == []


def test_only_the_newest_ended_streams_are_kept(stage: Stage) -> None:
    for number in range(feed_module.MAX_ENDED + 5):
        client = Actor(f"more-{number}")
        stage.now += 1
        stage.emit("joining", client, stream_id=client.stream_id(), uuid="u", product=None)
        stage.emit("left", client, stream_id=client.stream_id(), reason=None)
    ids = stage.feed.changes(0).ids
    assert ids is not None
    assert len(ids) == feed_module.MAX_ENDED + 1  # and the live one
    assert (ids[0], ids[-1]) == ("one", f"more-{feed_module.MAX_ENDED + 4}")


def test_the_app_chooses_which_streams_are_shown() -> None:
    stage = Stage(shows=lambda client: client.stream_id() != "secret")
    for name in ("one", "secret"):
        client = Actor(name)
        stage.emit("joining", client, stream_id=name, uuid="u", product=None)
        stage.media("chat_data", b"hello", client)
    assert stage.feed.changes(0).ids == ["one"]
    assert [numbers["stream_id"] for numbers in stage.feed.stats()] == ["one"]
    stage.recorder.disconnect()


def test_streams_that_were_joined_before_are_found(stage: Stage) -> None:
    stage.media("audio_data", LOUD, Actor("earlier"))
    assert stage.feed.changes(0).ids == ["one", "earlier"]


# -- transcript and chat ---------------------------------------------------------------------------


def test_lines_are_revised_and_deleted_by_later_messages(stage: Stage) -> None:
    stage.say("helo", start=1)
    stage.say("second", start=2)
    stage.say("third", None, start=3)
    seen = stage.feed.changes(0).revision

    stage.say("hello", UPDATE, start=1)
    stage.say("", DELETE, start=2)

    changed = stage.detail(seen)["transcript"]
    assert [
        (line["id"], line["text"], line.get("edited"), line.get("deleted")) for line in changed
    ] == [
        (1, "hello", True, None),
        (2, "", None, True),
    ]
    assert texts(stage.detail()["transcript"]) == ["hello", "", "third"]


def test_revisions_of_unknown_lines_do_no_harm(stage: Stage) -> None:
    stage.say("late", UPDATE, start=1)
    stage.say("", DELETE, start=2)
    assert texts(stage.detail()["transcript"]) == ["late"]


def test_chat_follows_its_message_ids(stage: Stage) -> None:
    stage.chat("one", ChatOperation.NEW, "a")
    stage.chat("two", ChatOperation.NEW, "b")
    stage.chat("TWO", ChatOperation.UPDATE, "b")
    stage.chat("👍", ChatOperation.ADD_EMOJI, "a")
    stage.chat("", ChatOperation.DELETE, "a")
    assert texts(stage.detail()["chat"]) == ["", "TWO"]


def test_chat_without_ids_is_kept_too(stage: Stage) -> None:
    stage.media("chat_data", b"plain")
    (line,) = stage.detail()["chat"]
    assert (line["text"], line["name"], line["user"], line["at"]) == ("plain", "Ada", "7", 5000)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (0, 0),
        (1_700_000_000_000, 1_700_000_000_000),
        (8_640_000_000_000_000, 8_640_000_000_000_000),
        (8_640_000_000_000_001, None),
        (10**17, None),
        (10**400, None),
        (-1, None),
        (float("inf"), None),
        (float("nan"), None),
    ],
    ids=lambda value: f"{value!r:.20}",
)
def test_a_time_that_no_browser_can_show_is_left_out(
    stage: Stage, at: Any, expected: int | None
) -> None:
    metadata = Metadata(userId=7)
    for kind in ("chat", "transcript"):
        stage.emit(f"{kind}_data", data=b"x", size=1, timestamp=at, metadata=metadata)
        (line,) = stage.detail()[kind]
        assert line["at"] == expected
    json.dumps(stage.detail(), allow_nan=False)


def test_history_is_bounded(stage: Stage) -> None:
    for number in range(model.HISTORY + 50):
        stage.say(str(number), start=number + 1)
    lines = texts(stage.detail()["transcript"])
    assert (len(lines), lines[0], lines[-1]) == (model.HISTORY, "50", str(model.HISTORY + 49))
    stage.say("gone", UPDATE, start=1)  # its line is no longer there: a line of its own
    assert texts(stage.detail()["transcript"])[-1] == "gone"


def test_long_text_is_cut(stage: Stage) -> None:
    stage.say("x" * (model.MAX_TEXT + 1))
    assert len(texts(stage.detail()["transcript"])[0]) == model.MAX_TEXT


def test_text_that_is_no_utf8_is_shown_all_the_same(stage: Stage) -> None:
    stage.media("transcript_data", b"caf\xe9", startTs=1)
    assert texts(stage.detail()["transcript"]) == ["caf�"]


# -- participants ----------------------------------------------------------------------------------


def people(stage: Stage, since: int = 0) -> dict[str, dict[str, Any]]:
    return {person["id"]: person for person in stage.detail(since).get("participants", [])}


def test_participants_come_speak_share_and_go(stage: Stage) -> None:
    roster = [{"user_id": 7, "user_name": "Ada"}, {"user_id": "8", "user_name": "Bob"}]
    stage.emit("participant_event", event="join", timestamp=1, participants=roster)
    stage.emit("active_speaker_event", timestamp=1, user_id=7, user_name="Ada")
    stage.emit("participant_video", user_ids=[8], is_on=True)
    stage.emit("sharing_event", event="start", timestamp=1, user_id=8, user_name="Bob")
    found = people(stage)
    assert [found["7"]["speaking"], found["8"]["speaking"]] == [True, False]
    assert (found["8"]["video"], found["8"]["sharing"]) == (True, True)
    assert stage.about()["speaker"] == "Ada"

    seen = stage.feed.changes(0).revision
    stage.emit("active_speaker_event", timestamp=2, user_id=8, user_name="Bob")
    assert [found["speaking"] for found in people(stage, seen).values()] == [False, True]

    seen = stage.feed.changes(0).revision
    stage.emit("sharing_event", event="stop", timestamp=3, user_id=None, user_name=None)
    stage.emit("participant_event", event="leave", timestamp=3, participants=[{"user_id": 8}])
    changed = people(stage, seen)
    assert list(changed) == ["8"]
    assert changed["8"]["name"] == "Bob"
    assert not any(changed["8"][what] for what in ("present", "speaking", "sharing", "video"))


def test_participants_are_bounded(stage: Stage) -> None:
    for number in range(streams.MAX_PARTICIPANTS + 3):
        roster = [{"user_id": number, "user_name": "x"}]
        stage.emit("participant_event", event="join", timestamp=1, participants=roster)
        if number in (5, 6):
            stage.emit("participant_event", event="leave", timestamp=1, participants=roster)
    found = people(stage)
    assert len(found) == streams.MAX_PARTICIPANTS
    assert "5" not in found
    assert "6" not in found
    assert "0" not in found  # nobody had left any more: the oldest went
    assert stage.detail()["forgotten"] == 3
    assert stage.feed.stats()[0]["participants_forgotten"] == 3
    seen = stage.feed.changes(0).revision
    assert "forgotten" not in stage.detail(seen)


def test_no_id_or_name_is_kept_at_any_length(stage: Stage) -> None:
    long = "x" * 300_000
    for number in range(2):
        who = ChannelParticipant(channel_id="c", display_name=long)
        stage.media("audio_data", LOUD, channelId=f"{long}{number}", channel=who)
        stage.media("transcript_data", b"x", userName=long, channelId=long, startTs=number)
        roster = [{"user_id": f"{number}{long}", "user_name": long}]
        stage.emit("participant_event", event="join", timestamp=1, participants=roster)
    stage.emit("joining", stream_id="one", uuid=long, product=Product.MEETING)
    told = json.dumps([stage.about(), stage.detail()])
    assert len(told) < 5000
    assert len(people(stage)) == 4  # they are told apart all the same


@pytest.mark.parametrize("kind", ["channel", "user", "message", "name", "picture", "text"])
def test_a_stream_costs_little_whatever_it_sends(stage: Stage, kind: str) -> None:
    """What is kept of it is bounded by count and by bytes, and so is what viewers are told."""
    stage.feed.watch("one", 1)
    tracemalloc.start()
    try:
        for number in range(60 if kind == "picture" else 600):
            long = f"{number:06}" * 50_000  # 300 kB
            if kind == "channel":
                stage.media("audio_data", LOUD, channelId=long)
                stage.media("chat_data", b"x", channelId=long)
            elif kind == "user":
                roster = [{"user_id": long, "user_name": long}]
                stage.emit("participant_event", event="join", timestamp=1, participants=roster)
                stage.emit("active_speaker_event", timestamp=1, user_id=long, user_name=long)
                stage.emit("sharing_event", event="start", timestamp=1, user_id=long)
                stage.emit("participant_video", user_ids=[long], is_on=True)
            elif kind == "message":
                stage.chat("x", ChatOperation.NEW, long)
            elif kind == "name":
                stage.media("transcript_data", b"x", userId=number, userName=long)
            elif kind == "picture":
                stage.media("video_data", JPG + bytes(min(number, 20) * 300_000))
            else:
                stage.say("\N{GRINNING FACE}" * 10_000, start=number)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 10_000_000
    assert len(json.dumps(stage.detail(), ensure_ascii=False)) < 2_000_000


def test_channels_of_a_contact_center_are_participants(stage: Stage) -> None:
    who = ChannelParticipant(channel_id="c1", display_name="Agent Ada")
    stage.media("audio_data", LOUD, userId=0, userName="", channelId="c1", channel=who)
    assert people(stage)["channel c1"]["name"] == "Agent Ada"


# -- levels and pictures ---------------------------------------------------------------------------


def test_levels_are_measured_only_while_somebody_watches(stage: Stage) -> None:
    stage.media("audio_data", LOUD)
    assert "levels" not in stage.detail()
    stage.feed.watch("one", 1)
    stage.media("audio_data", LOUD)
    assert stage.detail()["levels"] == {"7": 100}
    stage.feed.watch("one", -1)
    seen = stage.feed.changes(0).revision
    stage.media("audio_data", LOUD)
    assert "levels" not in stage.detail(seen)


def test_audio_that_cannot_be_measured_shows_activity(stage: Stage) -> None:
    stage.feed.watch("one", 1)
    stage.client.negotiated = {"audio": {"codec": Codec.OPUS}}
    stage.media("audio_data", LOUD)
    assert stage.detail()["levels"] == {"7": None}


def test_the_latest_picture_is_kept_and_encoded_once(stage: Stage) -> None:
    stage.media("video_data", JPG + b"1")
    stage.media("video_data", JPG + b"2")
    stage.media("deskshare_data", b"\x89PNG\r\n\x1a\n", userId=8, userName="Bob")
    changes = stage.feed.changes(0, "one", 0)
    video, share = changes.pictures
    assert (share.kind, share.mime) == ("deskshare", "image/png")
    length = int.from_bytes(video.message[:2], "big")
    header = json.loads(video.message[2 : 2 + length])
    assert header == {
        "stream": "one",
        "kind": "video",
        "user": "7",
        "name": "Ada",
        "mime": "image/jpeg",
        "number": 2,
    }
    assert video.message[2 + length :] == JPG + b"2"
    again = stage.feed.changes(0, "one", 0).pictures[0]
    assert again.message is video.message
    assert stage.feed.changes(0, "one", changes.revision).pictures == []


@pytest.mark.parametrize(
    ("signal", "arguments", "kind"),
    [
        ("participant_video", {"user_ids": [7], "is_on": False}, "video"),
        ("sharing_event", {"event": "stop", "timestamp": 1}, "deskshare"),
    ],
)
def test_pictures_go_when_they_are_switched_off(
    stage: Stage, signal: str, arguments: dict[str, Any], kind: str
) -> None:
    stage.media(f"{kind}_data", JPG)
    stage.emit(signal, **arguments)
    changes = stage.feed.changes(0, "one", 0)
    assert changes.pictures == []
    assert changes.detail["clear"] == [kind]


def test_a_picture_of_any_size_is_counted_and_not_kept(stage: Stage) -> None:
    stage.media("video_data", JPG)
    seen = stage.feed.changes(0).revision
    stage.media("video_data", JPG + bytes(streams.MAX_PICTURE))
    assert stage.feed.changes(0, "one", 0).pictures == []
    assert stage.detail(seen)["clear"] == ["video"]
    assert stage.about()["formats"] == {"video": "too large"}
    assert stage.feed.counters("one")["video"][0] == 2
    stage.media("video_data", JPG)
    assert stage.about()["formats"] == {"video": "image/jpeg"}


def test_h264_is_counted_and_named_but_not_kept(stage: Stage) -> None:
    stage.media("video_data", b"\x00\x00\x00\x01\x67")
    assert stage.about()["formats"] == {"video": "video/h264"}
    assert stage.feed.changes(0, "one", 0).pictures == []
    assert stage.feed.counters("one")["video"] == [1, 5, 0]


# -- numbers and problems --------------------------------------------------------------------------


def test_counters_and_stats(stage: Stage) -> None:
    stage.media("audio_data", LOUD)
    stage.media("audio_data", LOUD)
    stage.say("hello")
    stage.emit("error", error=InboxOverflow("audio", 3), where="inbox")
    counters = stage.feed.counters("one")
    assert counters["audio"] == [2, 1280, 3]
    assert counters["transcript"] == [1, 5, 0]
    (stats,) = stage.feed.stats()
    assert stats["media"]["audio"] == {"messages": 2, "bytes": 1280, "dropped": 3}
    assert stats["transcript_lines"] == 1
    assert stage.feed.counters("unknown") == {}


def test_problems_tell_nothing_that_somebody_said(stage: Stage) -> None:
    stage.emit("error", error=ValueError("Ada said: my password is 1234"), where="on_chat_data")
    stage.emit("error", error=InboxOverflow("video", 3), where="inbox")
    problems = texts(stage.detail()["problems"])
    assert problems[0] == "ValueError in on_chat_data"
    assert problems[1].startswith("the inbox for video is full")


def test_an_error_of_another_sender_is_none_of_ours(stage: Stage) -> None:
    signals.emit(signals.error, object(), error=ValueError(), where="webhook")
    assert "problems" not in stage.detail()


# -- viewers ---------------------------------------------------------------------------------------


def test_a_viewer_that_knows_everything_gets_nothing(stage: Stage) -> None:
    stage.say("hello")
    stage.media("video_data", JPG)
    first = stage.feed.changes(0, "one", 0)
    again = stage.feed.changes(first.revision, "one", first.revision)
    assert (again.streams, again.ids, again.detail, again.pictures) == ([], None, {}, [])


def test_all_of_it_is_json(stage: Stage) -> None:
    stage.say("hello")
    stage.chat("<b>", ChatOperation.NEW, "a")
    stage.media("audio_data", LOUD)
    changes = stage.feed.changes(0, "one", 0)
    assert json.loads(json.dumps([changes.streams, changes.ids, changes.detail]))


def test_streams_and_viewers_may_be_on_different_threads(stage: Stage) -> None:
    errors: list[BaseException] = []

    def speak() -> None:
        try:
            for number in range(500):
                client = Actor(f"thread-{number % 30}")
                stage.media("chat_data", b"x", client, userId=number)
                stage.emit("left", client, stream_id=client.stream_id(), reason=None)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=speak) for _ in range(3)]
    for thread in threads:
        thread.start()
    since = 0
    while any(thread.is_alive() for thread in threads):
        since = stage.feed.changes(since, "thread-1", since).revision
        stage.feed.stats()
    for thread in threads:
        thread.join()
    assert errors == []

"""What the recorder makes of signals."""

from __future__ import annotations

import gc
import json
import tracemalloc
from typing import Any

import pytest

from rtms_gevent.enums import ChatOperation, Codec, MessageAttribute, Product
from rtms_gevent.live import model, streams
from rtms_gevent.protocol.metadata import Metadata
from rtms_gevent.protocol.people import ChannelParticipant

from .recording import JPG, LOUD, Recording, texts

UPDATE, DELETE = MessageAttribute.UPDATE, MessageAttribute.DELETE


# -- transcript and chat ---------------------------------------------------------------------------


def test_lines_are_revised_and_deleted_by_later_messages(recording: Recording) -> None:
    recording.say("helo", start=1)
    recording.say("second", start=2)
    recording.say("third", None, start=3)
    seen = recording.feed.changes(0).revision

    recording.say("hello", UPDATE, start=1)
    recording.say("", DELETE, start=2)

    changed = recording.detail(seen)["transcript"]
    assert [
        (line["id"], line["text"], line.get("edited"), line.get("deleted")) for line in changed
    ] == [
        (1, "hello", True, None),
        (2, "", None, True),
    ]
    assert texts(recording.detail()["transcript"]) == ["hello", "", "third"]


def test_revisions_of_unknown_lines_do_no_harm(recording: Recording) -> None:
    recording.say("late", UPDATE, start=1)
    recording.say("", DELETE, start=2)
    assert texts(recording.detail()["transcript"]) == ["late"]


def test_chat_follows_its_message_ids(recording: Recording) -> None:
    recording.chat("one", ChatOperation.NEW, "a")
    recording.chat("two", ChatOperation.NEW, "b")
    recording.chat("TWO", ChatOperation.UPDATE, "b")
    recording.chat("👍", ChatOperation.ADD_EMOJI, "a")
    recording.chat("", ChatOperation.DELETE, "a")
    assert texts(recording.detail()["chat"]) == ["", "TWO"]


def test_chat_without_ids_is_kept_too(recording: Recording) -> None:
    recording.media("chat_data", b"plain")
    (line,) = recording.detail()["chat"]
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
    recording: Recording, at: Any, expected: int | None
) -> None:
    metadata = Metadata(userId=7)
    for kind in ("chat", "transcript"):
        recording.emit(f"{kind}_data", data=b"x", size=1, timestamp=at, metadata=metadata)
        (line,) = recording.detail()[kind]
        assert line["at"] == expected
    json.dumps(recording.detail(), allow_nan=False)


def test_history_is_bounded(recording: Recording) -> None:
    for number in range(model.HISTORY + 50):
        recording.say(str(number), start=number + 1)
    lines = texts(recording.detail()["transcript"])
    assert (len(lines), lines[0], lines[-1]) == (model.HISTORY, "50", str(model.HISTORY + 49))
    recording.say("gone", UPDATE, start=1)  # its line is no longer there: a line of its own
    assert texts(recording.detail()["transcript"])[-1] == "gone"


def test_long_text_is_cut(recording: Recording) -> None:
    recording.say("x" * (model.MAX_TEXT + 1))
    assert len(texts(recording.detail()["transcript"])[0]) == model.MAX_TEXT


def test_text_that_is_no_utf8_is_shown_all_the_same(recording: Recording) -> None:
    recording.media("transcript_data", b"caf\xe9", startTs=1)
    assert texts(recording.detail()["transcript"]) == ["caf�"]


# -- participants ----------------------------------------------------------------------------------


def people(recording: Recording, since: int = 0) -> dict[str, dict[str, Any]]:
    return {person["id"]: person for person in recording.detail(since).get("participants", [])}


def test_participants_come_speak_share_and_go(recording: Recording) -> None:
    roster = [{"user_id": 7, "user_name": "Ada"}, {"user_id": "8", "user_name": "Bob"}]
    recording.emit("participant_event", event="join", timestamp=1, participants=roster)
    recording.emit("active_speaker_event", timestamp=1, user_id=7, user_name="Ada")
    recording.emit("participant_video", user_ids=[8], is_on=True)
    recording.emit("sharing_event", event="start", timestamp=1, user_id=8, user_name="Bob")
    found = people(recording)
    assert [found["7"]["speaking"], found["8"]["speaking"]] == [True, False]
    assert (found["8"]["video"], found["8"]["sharing"]) == (True, True)
    assert recording.about()["speaker"] == "Ada"

    seen = recording.feed.changes(0).revision
    recording.emit("active_speaker_event", timestamp=2, user_id=8, user_name="Bob")
    assert [found["speaking"] for found in people(recording, seen).values()] == [False, True]

    seen = recording.feed.changes(0).revision
    recording.emit("sharing_event", event="stop", timestamp=3, user_id=None, user_name=None)
    recording.emit("participant_event", event="leave", timestamp=3, participants=[{"user_id": 8}])
    changed = people(recording, seen)
    assert list(changed) == ["8"]
    assert changed["8"]["name"] == "Bob"
    assert not any(changed["8"][what] for what in ("present", "speaking", "sharing", "video"))


def test_participants_are_bounded(recording: Recording) -> None:
    for number in range(streams.MAX_PARTICIPANTS + 3):
        roster = [{"user_id": number, "user_name": "x"}]
        recording.emit("participant_event", event="join", timestamp=1, participants=roster)
        if number in (5, 6):
            recording.emit("participant_event", event="leave", timestamp=1, participants=roster)
    found = people(recording)
    assert len(found) == streams.MAX_PARTICIPANTS
    assert "5" not in found
    assert "6" not in found
    assert "0" not in found  # nobody had left any more: the oldest went
    assert recording.detail()["forgotten"] == 3
    assert recording.feed.stats()[0]["participants_forgotten"] == 3
    seen = recording.feed.changes(0).revision
    assert "forgotten" not in recording.detail(seen)


def test_no_id_or_name_is_kept_at_any_length(recording: Recording) -> None:
    long = "x" * 300_000
    for number in range(2):
        who = ChannelParticipant(channel_id="c", display_name=long)
        recording.media("audio_data", LOUD, channelId=f"{long}{number}", channel=who)
        recording.media("transcript_data", b"x", userName=long, channelId=long, startTs=number)
        roster = [{"user_id": f"{number}{long}", "user_name": long}]
        recording.emit("participant_event", event="join", timestamp=1, participants=roster)
    recording.emit("joining", stream_id="one", uuid=long, product=Product.MEETING)
    reported = json.dumps([recording.about(), recording.detail()])
    assert len(reported) < 5000
    assert len(people(recording)) == 4  # they are distinguished all the same


@pytest.mark.parametrize("kind", ["channel", "user", "message", "name", "picture", "text"])
def test_a_stream_costs_little_whatever_it_sends(recording: Recording, kind: str) -> None:
    """What is kept of it is bounded by count and by bytes, and so is what viewers get."""
    recording.feed.watch("one", 1)
    gc.collect()  # pages of other tests would listen, too
    tracemalloc.start()
    try:
        for number in range(60 if kind == "picture" else 600):
            long = f"{number:06}" * 50_000  # 300 kB
            if kind == "channel":
                recording.media("audio_data", LOUD, channelId=long)
                recording.media("chat_data", b"x", channelId=long)
            elif kind == "user":
                roster = [{"user_id": long, "user_name": long}]
                recording.emit("participant_event", event="join", timestamp=1, participants=roster)
                recording.emit("active_speaker_event", timestamp=1, user_id=long, user_name=long)
                recording.emit("sharing_event", event="start", timestamp=1, user_id=long)
                recording.emit("participant_video", user_ids=[long], is_on=True)
            elif kind == "message":
                recording.chat("x", ChatOperation.NEW, long)
            elif kind == "name":
                recording.media("transcript_data", b"x", userId=number, userName=long)
            elif kind == "picture":
                recording.media("video_data", JPG + bytes(min(number, 20) * 300_000))
            else:
                recording.say("\N{GRINNING FACE}" * 10_000, start=number)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 10_000_000
    assert len(json.dumps(recording.detail(), ensure_ascii=False)) < 2_000_000


def test_channels_of_a_contact_center_are_participants(recording: Recording) -> None:
    who = ChannelParticipant(channel_id="c1", display_name="Agent Ada")
    recording.media("audio_data", LOUD, userId=0, userName="", channelId="c1", channel=who)
    assert people(recording)["channel c1"]["name"] == "Agent Ada"


# -- levels and pictures ---------------------------------------------------------------------------


def test_levels_are_measured_only_while_somebody_watches(recording: Recording) -> None:
    recording.media("audio_data", LOUD)
    assert "levels" not in recording.detail()
    recording.feed.watch("one", 1)
    recording.media("audio_data", LOUD)
    assert recording.detail()["levels"] == {"7": 100}
    recording.feed.watch("one", -1)
    seen = recording.feed.changes(0).revision
    recording.media("audio_data", LOUD)
    assert "levels" not in recording.detail(seen)


def test_audio_that_cannot_be_measured_shows_activity(recording: Recording) -> None:
    recording.feed.watch("one", 1)
    recording.client.negotiated = {"audio": {"codec": Codec.OPUS}}
    recording.media("audio_data", LOUD)
    assert recording.detail()["levels"] == {"7": None}


def test_the_latest_picture_is_kept_and_encoded_once(recording: Recording) -> None:
    recording.media("video_data", JPG + b"1")
    recording.media("video_data", JPG + b"2")
    recording.media("deskshare_data", b"\x89PNG\r\n\x1a\n", userId=8, userName="Bob")
    changes = recording.feed.changes(0, "one", 0)
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
    again = recording.feed.changes(0, "one", 0).pictures[0]
    assert again.message is video.message
    assert recording.feed.changes(0, "one", changes.revision).pictures == []


@pytest.mark.parametrize(
    ("signal", "arguments", "kind"),
    [
        ("participant_video", {"user_ids": [7], "is_on": False}, "video"),
        ("sharing_event", {"event": "stop", "timestamp": 1}, "deskshare"),
    ],
)
def test_pictures_go_when_they_are_switched_off(
    recording: Recording, signal: str, arguments: dict[str, Any], kind: str
) -> None:
    recording.media(f"{kind}_data", JPG)
    recording.emit(signal, **arguments)
    changes = recording.feed.changes(0, "one", 0)
    assert changes.pictures == []
    assert changes.detail["clear"] == [kind]


def test_a_picture_of_any_size_is_counted_and_not_kept(recording: Recording) -> None:
    recording.media("video_data", JPG)
    seen = recording.feed.changes(0).revision
    recording.media("video_data", JPG + bytes(streams.MAX_PICTURE))
    assert recording.feed.changes(0, "one", 0).pictures == []
    assert recording.detail(seen)["clear"] == ["video"]
    assert recording.about()["formats"] == {"video": "too large"}
    assert recording.feed.counters("one")["video"][0] == 2
    recording.media("video_data", JPG)
    assert recording.about()["formats"] == {"video": "image/jpeg"}


def test_h264_is_counted_and_named_but_not_kept(recording: Recording) -> None:
    recording.media("video_data", b"\x00\x00\x00\x01\x67")
    assert recording.about()["formats"] == {"video": "video/h264"}
    assert recording.feed.changes(0, "one", 0).pictures == []
    assert recording.feed.counters("one")["video"] == [1, 5, 0]

"""How the messages of one read are grouped: tables, without a socket."""

from __future__ import annotations

import pytest

from rtms_gevent.enums import MediaDataType
from rtms_gevent.errors import FrameError
from rtms_gevent.protocol.batches import BatchReader
from rtms_gevent.protocol.fast_media import FastMediaDecoder
from rtms_gevent.protocol.media import MediaState
from rtms_gevent.protocol.metadata import Metadata
from rtms_gevent.protocol.packets import MediaPacket

AUDIO, VIDEO = MediaDataType.AUDIO, MediaDataType.VIDEO
PEOPLE = {
    "a": (AUDIO, Metadata(userId=1)),
    "b": (AUDIO, Metadata(userId=2)),
    "v": (VIDEO, Metadata(userId=1)),
}


class Decoder(FastMediaDecoder):
    """Usual media is a letter of PEOPLE with a number; "!" fails."""

    def decode(self, buffer, start, stop):
        text = bytes(buffer[start:stop]).decode()
        if text == "!":
            raise MemoryError
        if text[0] not in PEOPLE:
            return None
        kind, metadata = PEOPLE[text[0]]
        return MediaPacket(kind, text.encode(), 0, metadata)


class Reader:
    """Keeps what is handed on: batches as ``a1 a2``, with ~ where mixed and . where last."""

    def __init__(self, spoilt=()):
        self.got = []
        self.spoilt = spoilt
        self.state = MediaState("unified")
        self.state.accepts_media = True
        self.reader = BatchReader(Decoder(), self.state, self, self)

    def receive(self, batch):
        texts = [packet.data.decode() for packet in batch]
        if any(text in self.spoilt for text in texts):
            raise ArithmeticError(texts)
        self.got.append(" ".join(texts) + "~" * batch.is_mixed + "." * batch.is_last)

    def receive_message(self, payload):
        self.got.append(f"<{bytes(payload).decode()}>")

    def skipped(self, problem):
        self.got.append(f"skipped {problem.args[0][0]}")

    def read(self, text, then=None):
        def messages():
            for word in text.split():
                buffer = f"..{word}..".encode()
                yield 1, buffer, 2, len(buffer) - 2
            if then is not None:
                raise then

        self.reader.read(messages())
        return self.got


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a1", ["a1."]),
        ("a1 a2 a3", ["a1 a2 a3."]),
        ("a1 b1 a2", ["a1 b1 a2~."]),
        ("a1 a2 b1", ["a1 a2 b1~."]),
        ("a1 v1", ["a1", "v1."]),
        ("a1 b1 v1 v2", ["a1 b1~", "v1 v2."]),
        ("a1 v1 a2", ["a1", "v1", "a2."]),
        ("x", ["<x>"]),
        ("x a1", ["<x>", "a1."]),
        ("a1 x", ["a1", "<x>"]),
        ("a1 b1 x a2", ["a1 b1~", "<x>", "a2."]),
        ("a1 x a2", ["a1", "<x>", "a2."]),
        ("a1 ! a2", ["a1", "<!>", "a2."]),
    ],
)
def test_one_read(text, expected):
    assert Reader().read(text) == expected


@pytest.mark.parametrize(
    ("text", "spoilt", "expected"),
    [
        ("a1", ["a1"], ["skipped a1"]),
        ("a1 a2 a3", ["a2"], ["a1", "skipped a2", "a3"]),
        ("a1 b1 a2", ["a1", "a2"], ["skipped a1", "b1", "skipped a2"]),
        ("a1 a2 x", ["a1"], ["skipped a1", "a2", "<x>"]),
        ("a1 v1 a2", ["v1"], ["a1", "skipped v1", "a2."]),
    ],
)
def test_a_packet_that_cannot_be_taken_costs_no_other(text, spoilt, expected):
    assert Reader(spoilt).read(text) == expected


@pytest.mark.parametrize("text", ["", "a1", "a1 a2", "a1 b1", "x", "a1 x"])
def test_what_came_before_a_broken_rule_is_handed_on(text):
    reader, before = Reader(), Reader()
    with pytest.raises(FrameError):
        reader.read(text, then=FrameError("a broken rule", 1002))
    assert reader.got == [each.rstrip(".") for each in before.read(text)]


def test_media_that_may_not_come_now_is_a_message_like_all_others():
    reader = Reader()
    reader.state.accepts_media = False
    assert reader.read("a1 a2") == ["<a1>", "<a2>"]


def test_media_may_come_from_the_message_on_that_allows_it():
    reader = Reader()
    reader.state.accepts_media = False
    keep = reader.receive_message

    def accept(payload):
        keep(payload)
        reader.state.accepts_media = True

    reader.receive_message = accept
    assert reader.read("x a1 a2") == ["<x>", "a1 a2."]

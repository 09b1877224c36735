"""Whatever one message contains, those around it arrive, in their order. Without a socket."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol.helpers import KEYS
from support.rawserver import frame

from rtms_gevent.enums import MediaDataType, MessageType, Product
from rtms_gevent.errors import FrameError, RemoteProtocolError
from rtms_gevent.protocol.codec import JsonCodec
from rtms_gevent.protocol.events import EventTranslator
from rtms_gevent.protocol.fast_media import (
    FastMediaDecoder,
    fast_media_decoder,
    missing_accelerators,
)
from rtms_gevent.protocol.media import MediaState
from rtms_gevent.protocol.messages import EventUpdate, SessionStateUpdate
from rtms_gevent.protocol.state import State
from rtms_gevent.protocol.urls import Endpoint
from rtms_gevent.runtime.clock import SYSTEM_CLOCK
from rtms_gevent.runtime.deadline import Deadline
from rtms_gevent.stream.connection import Connection
from rtms_gevent.stream.tracker import MediaTracker
from rtms_gevent.transport.frames import FrameReader

TEXT = 1
T = 1_738_392_033_699
WAYS = {"plain": True}
if not missing_accelerators():
    WAYS["accelerated"] = False
both_ways = pytest.mark.parametrize("plainly", WAYS.values(), ids=WAYS)


class Stream:
    """A media channel, and what a session does with all that it hands on."""

    def __init__(
        self, plainly=False, spoilt_by=lambda item: False, state=State.READY, decoder=None
    ):
        codec = JsonCodec(Product.MEETING, max_document=100_000)
        codec.fast_media = decoder or fast_media_decoder(plainly=plainly)
        conversation = MediaState("unified")
        conversation.state, conversation.accepts_media = state, state is State.READY
        self.endpoint, self._on_messages = Endpoint("ws", "127.0.0.1", 1, "/"), None
        connection = Connection(
            MediaDataType.ALL,
            conversation,
            codec,
            events=self,
            media=self,
            silence=1,
            clock=SYSTEM_CLOCK,
        )
        connection.open([self.endpoint], self, Deadline(None))
        self._reader = FrameReader(32 * 1024 * 1024)
        self._spoilt_by = spoilt_by
        self._accounts = {kind: MediaTracker(kind) for kind in MediaDataType}
        self._reports = EventTranslator("stream", "uuid")
        self.packets, self.messages, self.problems = [], [], []

    def open(self, endpoints, *, name, deadline, on_messages, on_closed):
        """Be the transport, and the socket that it opens."""
        self._on_messages = on_messages
        return self

    def receive(self, batch):
        """Take media, as a session does."""
        if any(map(self._spoilt_by, batch)):
            raise ArithmeticError
        tracker = self._accounts[batch[0].media_type]
        if tracker.is_steady:
            tracker.count(batch, T)
        else:
            tracker.reconcile(batch, T)
        self.packets += [self._reports.with_speaker(packet) for packet in batch]

    def skipped(self, connection, problem):
        self.problems.append(problem)

    def message(self, connection, message):
        if self._spoilt_by(message):
            raise LookupError
        if isinstance(message, EventUpdate):
            list(self._reports.from_event_update(message))
        elif isinstance(message, SessionStateUpdate):
            list(self._reports.from_session_state(message))
        self.messages.append(message)

    def send(self, message):
        json.loads(message)

    def read(self, *payloads, then=b""):
        """Read messages at once, and what else came then."""
        arrived = b"".join(frame(TEXT, payload) for payload in payloads) + then
        space = self._reader.get_buffer()
        space[: len(arrived)] = arrived
        self._on_messages(self._reader.buffer_updated(len(arrived)))


def media(number, data, **fields):
    content = {"timestamp": T, "data": base64.b64encode(data).decode(), "user_id": 1, **fields}
    return json.dumps({"msg_type": number, "content": content}, separators=(",", ":")).encode()


GOOD = [
    media(14, b"a", user_id=1, timestamp=T + 0),
    media(14, b"b", user_id=1, timestamp=T + 20),
    media(15, b"c" * 3000, user_id=1, timestamp=T + 30),
    media(14, b"d", user_id=2, timestamp=T + 40),
    media(14, b"e", user_id=1, timestamp=T + 60),
    media(14, b"f", user_id=1, channel_id="c", timestamp=T + 80),
]
ARRIVED = [b"a", b"b", b"c" * 3000, b"d", b"e", b"f"]


def check(stream, bad, place):
    """Read the good messages, with ``bad`` before one of them; return what more came than these."""
    stream.read(*GOOD[:place], bad, *GOOD[place:])
    found = [packet.data for packet in stream.packets]
    assert found[:place] == ARRIVED[:place]
    assert found[len(found) - len(ARRIVED) + place :] == ARRIVED[place:]
    assert len(found) + len(stream.problems) <= len(GOOD) + 1
    assert all(isinstance(problem, RemoteProtocolError) for problem in stream.problems)
    return found[place : len(found) - len(ARRIVED) + place]


NUMBERS = {
    "huge": "1" + "0" * 400,
    "huge and negative": "-1" + "0" * 400,
    "no date": "1" + "0" * 17,
    "negative": "-1",
    "65 bits": str(2**64),
    "infinite": "1e400",
    "nearly infinite": "1e308",
    "a part of one": "1738392033699.5",
    "Infinity": "Infinity",
    "NaN": "NaN",
    "too many digits": "9" * 5000,
    "text": '"' + "9" * 25 + '"',
    "true": "true",
}


@both_ways
@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("place", range(len(GOOD) + 1))
def test_a_time_that_is_none_costs_that_message_alone(plainly, number, place):
    stream = Stream(plainly)
    bad = media(14, b"bad").replace(str(T).encode(), number.encode())
    assert check(stream, bad, place) == []
    assert len(stream.problems) == 1


@both_ways
@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
def test_an_id_that_is_none_costs_no_media(plainly, number):
    stream = Stream(plainly)
    bad = media(14, b"bad").replace(b'"user_id":1', b'"user_id":' + number.encode())
    found = check(stream, bad, 2)
    assert found == ([] if stream.problems else [b"bad"])
    is_json = number not in ("1e400", "Infinity", "NaN", "9" * 5000)
    assert is_json is not bool(stream.problems)


def write(fields):
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"


# All of it is JSON text, since json would not write some of it.
hard = st.sampled_from(sorted(NUMBERS.values()))
values = st.recursive(
    hard
    | st.integers(-(2**70), 2**70).map(str)
    | st.floats(allow_subnormal=False).map(json.dumps)
    | st.text(st.characters(codec=None), max_size=9).map(json.dumps)
    | st.sampled_from(["[" * 30 + "]" * 30, "[" * 5000, "{}", "null", '"QUJD"', '"--1"', '"14"']),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4).map(write)
    ),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)


@both_ways
@given(
    number=st.sampled_from(sorted(MessageType)).map(lambda number: str(int(number))) | hard,
    fields=objects,
    content=objects,
    inner=st.sampled_from(["content", "event", "media_params", "payload"]),
    usual=st.booleans(),
    place=st.integers(0, len(GOOD)),
)
def test_whatever_a_message_contains_those_around_it_arrive(
    plainly, number, fields, content, inner, usual, place
):
    if usual:
        content = {"timestamp": str(T), "data": '"QUJD"', **content}
    document = {"msg_type": number, **fields, inner: write(content)}
    check(Stream(plainly), write(document).encode("utf-8", "surrogatepass"), place)


@both_ways
@given(st.binary(max_size=100), st.integers(0, len(GOOD)))
def test_whatever_bytes_a_message_has_those_around_it_arrive(plainly, bad, place):
    check(Stream(plainly), bad, place)


# -- where our own code fails ----------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("lost", range(len(GOOD)))
def test_a_packet_that_makes_us_fail_costs_no_other(plainly, lost):
    stream = Stream(plainly, spoilt_by=lambda packet: packet.data == ARRIVED[lost])
    stream.read(*GOOD)
    assert [packet.data for packet in stream.packets] == ARRIVED[:lost] + ARRIVED[lost + 1 :]
    assert [type(problem) for problem in stream.problems] == [ArithmeticError]


def test_packets_that_all_make_us_fail_are_all_told():
    stream = Stream(spoilt_by=lambda packet: True)
    stream.read(*GOOD)
    assert stream.packets == []
    assert [type(problem) for problem in stream.problems] == [ArithmeticError] * len(GOOD)


def test_what_came_before_a_broken_rule_is_handed_on_although_one_makes_us_fail():
    stream = Stream(spoilt_by=lambda packet: packet.data == b"d")
    with pytest.raises(FrameError):
        stream.read(*GOOD, then=frame(TEXT, b"{}", mask=b"abcd"))
    assert [packet.data for packet in stream.packets] == [b"a", b"b", b"c" * 3000, b"e", b"f"]


def test_a_message_that_makes_us_fail_costs_no_packet():
    stream = Stream(spoilt_by=lambda item: getattr(item, "msg_type", None) == 99)
    assert check_failing(stream, b'{"msg_type":99}') == [LookupError]


def test_a_short_way_that_fails_is_not_the_only_one():
    class Failing(FastMediaDecoder):
        def decode(self, buffer, start, stop):
            raise MemoryError

    stream = Stream(decoder=Failing())
    stream.read(*GOOD)
    assert [packet.data for packet in stream.packets] == ARRIVED
    assert stream.problems == []


def test_a_codec_that_fails_costs_that_message_alone(monkeypatch):
    stream = Stream()
    real = JsonCodec.decode

    def decode(self, payload):
        if payload == b"{}":
            raise SystemError
        return real(self, payload)

    monkeypatch.setattr(JsonCodec, "decode", decode)
    assert check_failing(stream, b"{}") == [SystemError]


def check_failing(stream, bad):
    """Read a message that makes us fail among good ones; return how we failed."""
    for place in range(len(GOOD) + 1):
        stream.packets.clear()
        stream.problems.clear()
        stream.read(*GOOD[:place], bad, *GOOD[place:])
        assert [packet.data for packet in stream.packets] == ARRIVED
    return [type(problem) for problem in stream.problems]

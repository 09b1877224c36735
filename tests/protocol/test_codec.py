"""Whatever arrives is a message or RemoteProtocolError, never anything else."""

import base64
import dataclasses
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtms_gevent.enums import (
    ChatOperation,
    ChatSessionType,
    MediaDataType,
    MessageAttribute,
    Product,
    TranscriptLanguage,
)
from rtms_gevent.errors import RemoteProtocolError
from rtms_gevent.protocol import codec as codec_module
from rtms_gevent.protocol.codec import JsonCodec
from rtms_gevent.protocol.fields import EARLIEST_MS, LARGEST, LATEST_MS, SMALLEST
from rtms_gevent.protocol.messages import KeepAliveRequest, Message, UnknownMessage
from rtms_gevent.protocol.metadata import ChatDetails, Metadata
from rtms_gevent.protocol.packets import MediaPacket
from rtms_gevent.protocol.people import Participant

from .helpers import KEYS, decode, packet_document

CODEC = JsonCodec(Product.MEETING)


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"", "not JSON"),
        (b" ", "not JSON"),
        (b"hello", "not JSON"),
        (b'{"msg_type":12', "not JSON"),
        (b'{"msg_type":12}}', "not JSON"),
        (b"{'msg_type':12}", "not JSON"),
        (b'{"msg_type":012}', "not JSON"),
        (b'{"a":"line\nbreak"}', "not JSON"),
        (b'\xef\xbb\xbf{"msg_type":12}', "not JSON"),
        (b"\x00\x01\x02", "not JSON"),
        (b'{"msg_type":NaN}', "NaN is no JSON"),
        (b'{"a":[Infinity]}', "Infinity is no JSON"),
        (b'{"a":-Infinity}', "-Infinity is no JSON"),
        (b'{"a":1e999}', "too large"),
        (b'{"a":-1e999}', "too large"),
        (b'{"msg_type":' + b"9" * 5000 + b"}", "not JSON"),
        (b"[]", "no object"),
        (b'[{"msg_type":12}]', "no object"),
        (b"12", "no object"),
        (b'"msg_type"', "no object"),
        (b"null", "no object"),
        (b"true", "no object"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"a":"\xc3"}', "not UTF-8"),
        (b'{"a":"\xed\xa0\xbd"}', "not UTF-8"),
        (b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", "too deeply"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "too deeply"),
        (b"[" * 200_000, "too deeply"),
        (b'{"a":' * 200_000, "too deeply"),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else None,
)
def test_malformed(payload, problem):
    with pytest.raises(RemoteProtocolError, match=problem) as caught:
        CODEC.decode(payload)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "payload",
    [
        b'{"a":' + b"[" * 31 + b"]" * 31 + b"}",
        b'{"a":[' + b",".join([b"[]"] * 500) + b"]}",
        b'{"a":"' + b"{[" * 500 + b'"}',
    ],
    ids=["as deep as allowed", "wide", "brackets in text"],
)
def test_depth_is_what_is_limited(payload):
    assert CODEC.decode(payload).raw == json.loads(payload)


@pytest.mark.parametrize(("limit", "accepted"), [(2, False), (3, True)])
def test_the_limit_on_depth_can_be_chosen(limit, accepted):
    codec = JsonCodec(Product.MEETING, max_nesting=limit)
    payload = b'{"a":[{},{},{}]}'
    if accepted:
        assert isinstance(codec.decode(payload), UnknownMessage)
    else:
        with pytest.raises(RemoteProtocolError):
            codec.decode(payload)


def test_the_last_of_duplicate_keys_counts():
    message = CODEC.decode(b'{"msg_type":14,"msg_type":12,"timestamp":1,"timestamp":2}')
    assert message == KeepAliveRequest(fields={"timestamp": 2})


def test_errors_do_not_tell_the_content():
    for payload in (b'{"secret" "hunter2"}', b'"hunter2"', b'{"msg_type":14,"content":"hunter2"}'):
        with pytest.raises(RemoteProtocolError) as caught:
            CODEC.decode(payload)
        assert "hunter2" not in str(caught.value)


def test_text_and_binary_are_read_alike_and_written_as_text():
    payload = '{"msg_type":17,"content":{"data":"ä","timestamp":1}}'.encode()
    assert CODEC.decode(payload) == CODEC.decode(memoryview(payload))
    assert isinstance(CODEC.encode(CODEC.decode(b'{"msg_type":12}').answer()), str)


# -- large messages --------------------------------------------------------------------------------

LIMIT = 1000
T = 1_738_392_033_699
PAYLOAD = bytes(range(256)) * 20
BASE64 = base64.b64encode(PAYLOAD).decode()


@pytest.fixture
def parsed(monkeypatch):
    """Return the lengths of all that is parsed as JSON."""
    lengths = []

    def parse_object(text, max_nesting):
        lengths.append(len(text))
        return real(text, max_nesting)

    real = codec_module.parse_object
    monkeypatch.setattr(codec_module, "parse_object", parse_object)
    return lengths


def picture(**content):
    return {"msg_type": 15, "content": {"timestamp": T, "user_id": 7, "data": BASE64, **content}}


#: Each in the form in which it travels.
LARGE_MEDIA = {
    "usual": json.dumps(picture(), separators=(",", ":")),
    "blanks": json.dumps(picture(), indent=4).replace('":', '"\n :\t'),
    "other fields": json.dumps(picture(meta={"a": [1, None]}, channel_id="c")),
    "a name beside": json.dumps(picture(user_name='"data":"x'), ensure_ascii=False),
    "a name of another alphabet": json.dumps(
        picture(user_name="\u65e5\U0001f600"), ensure_ascii=False
    ),
    "the type at the end": json.dumps({"content": picture()["content"], "msg_type": "15"}),
    "fields at the top": json.dumps({"msg_type": 15, **picture()["content"]}),
    "slashes are escaped": json.dumps(picture()).replace("/", "\\/"),
    "content is text": json.dumps({"msg_type": 15, "content": BASE64, "timestamp": T}),
}


@pytest.mark.parametrize("text", LARGE_MEDIA.values(), ids=LARGE_MEDIA)
def test_of_large_media_only_the_rest_is_parsed(text, parsed):
    packet = JsonCodec(Product.MEETING, max_document=LIMIT).decode(memoryview(text.encode()))
    assert packet.data == PAYLOAD
    assert max(parsed) <= LIMIT
    assert packet == CODEC.decode(text.encode())


LARGE_OTHERS = {
    "event": {"msg_type": 6, "event": {"event_type": 3, "participants": [{"user_id": 1}] * 100}},
    "keep-alive": {"msg_type": 12, "timestamp": [0] * 500},
    "keep-alive with data": {"msg_type": 12, "data": "A" * 2000},
    "unknown": {"msg_type": 99, "content": {"data": BASE64}},
    "handshake answer": {"msg_type": 4, "status_code": 0, "reason": "x" * 2000},
    "transcript": {"msg_type": 17, "content": {"timestamp": T, "data": "x" * 2000}},
    "chat": {"msg_type": 18, "content": {"timestamp": T, "data": "x" * 2000}},
    "audio with much beside": {**picture(extra=[[]] * 500), "msg_type": 14},
    "audio with much before": {"msg_type": 14, "x": [0] * 500, "content": {"data": BASE64}},
    "audio without payload": {
        "msg_type": 14,
        "content": {"timestamp": T, "data": "", "x": "y" * 2000},
    },
    "data in another place": picture(data="", meta={"data": BASE64}),
    "two payloads": {"msg_type": 14, "data": BASE64, "content": {"timestamp": T, "data": "QUJD"}},
    "no object": [0] * 1000,
}
LARGE_TEXTS = {name: json.dumps(document) for name, document in LARGE_OTHERS.items()}
LARGE_TEXTS["no end"] = '{"msg_type":14,"content":{"data":"' + "A" * 2000


@pytest.mark.parametrize("text", LARGE_TEXTS.values(), ids=LARGE_TEXTS)
def test_all_else_that_is_large_is_refused_and_not_parsed(text, parsed):
    codec = JsonCodec(Product.MEETING, max_document=LIMIT)
    with pytest.raises(RemoteProtocolError, match=f"of {len(text)} bytes.*{LIMIT} are allowed"):
        codec.decode(text.encode())
    assert all(length <= LIMIT for length in parsed)


@pytest.mark.parametrize("data", ["?", BASE64 + "=", BASE64[:-1] + "\\n"])
def test_large_data_that_is_not_base64(data):
    codec = JsonCodec(Product.MEETING, max_document=LIMIT)
    payload = json.dumps(picture(data="A" * 2000 + data)).encode()
    with pytest.raises(RemoteProtocolError, match="not base64"):
        codec.decode(payload)


def test_a_document_as_large_as_allowed():
    text = '{"msg_type":99,"a":"%s"}'
    text %= "x" * (LIMIT - len(text) + 2)
    codec = JsonCodec(Product.MEETING, max_document=LIMIT)
    assert codec.decode(text.encode()).raw == json.loads(text)
    with pytest.raises(RemoteProtocolError, match="1001 bytes"):
        codec.decode(text.encode() + b" ")


# -- properties ------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([10**17, -(10**17), 10**400, 2**63, 2**64, 1e300])
    | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
    | st.text(st.characters(codec=None), max_size=20)
    | st.sampled_from(["12", "-1", "--1", "1e3", "wss://a", '{"message_id":1}', "AAAA"]),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(KEYS), children, max_size=5)
    ),
    max_leaves=8,
)


def check_decoding(payload, product):
    """Return the message, or None for RemoteProtocolError; anything else fails the test."""
    codec = JsonCodec(product)
    try:
        message = codec.decode(payload)
    except RemoteProtocolError:
        return None
    assert isinstance(message, (Message, MediaPacket))
    check_bounds(message)
    # What could be read can be written, as JSON: answers echo what servers send, and users may.
    sent = message.metadata.extra if isinstance(message, MediaPacket) else message.raw
    json.loads(json.dumps(sent), parse_constant=pytest.fail)
    if isinstance(message, KeepAliveRequest):
        json.loads(codec.encode(message.answer()), parse_constant=pytest.fail)
    repr(message)
    return message


def check_bounds(value):
    """Check all numbers that a message has, but for the documents that it keeps as they came."""
    if isinstance(value, int):
        assert SMALLEST <= value <= LARGEST
    elif isinstance(value, tuple):
        for item in value:
            check_bounds(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            check_bounds(getattr(value, field.name))
            if field.name in ("timestamp", "startTs", "endTs") and getattr(value, field.name):
                assert 0 <= getattr(value, field.name) <= LATEST_MS
    if isinstance(value, MediaPacket):
        assert 0 <= value.timestamp <= LATEST_MS


@given(st.binary(max_size=200), st.sampled_from(Product))
def test_any_bytes(payload, product):
    check_decoding(payload, product)


@given(json_values, st.sampled_from(Product))
def test_any_json(value, product):
    check_decoding(json.dumps(value).encode(), product)


@settings(max_examples=600)
@given(
    number=st.integers(-1, 31),
    document=st.dictionaries(st.sampled_from(KEYS), json_values, max_size=6),
    inner=st.dictionaries(st.sampled_from(KEYS), json_values, max_size=8),
    where=st.sampled_from(["content", "event", "media_server", "nowhere"]),
    product=st.sampled_from(Product),
)
def test_any_object_with_any_number(number, document, inner, where, product):
    document |= {"msg_type": number, where: inner}
    check_decoding(json.dumps(document).encode(), product)


#: Numbers that are not taken for seconds.
_times = st.integers(EARLIEST_MS, LATEST_MS)
_ids = st.integers(1, 2**40)
_texts = st.text(max_size=30)
_names = st.text("abcXYZ 0123456789-", min_size=1, max_size=8)


@st.composite
def packets(draw):
    kind = draw(
        st.sampled_from([kind for kind in MediaDataType if kind not in (0, MediaDataType.ALL)])
    )
    textual = kind in (MediaDataType.TRANSCRIPT, MediaDataType.CHAT)
    chat = None
    if kind is MediaDataType.CHAT and draw(st.booleans()):
        chat = ChatDetails(
            session_type=draw(st.sampled_from(ChatSessionType)),
            session_id=draw(_texts),
            operation=draw(st.none() | st.sampled_from(ChatOperation)),
            message_id=draw(_texts),
            parent_message_id=draw(_texts),
            receiver=draw(st.none() | st.builds(Participant, _ids, _texts)),
            files=tuple(draw(st.lists(st.dictionaries(_names, _texts), max_size=2))),
            deleted_files=tuple(draw(st.lists(_texts, max_size=2))),
        )
    metadata = Metadata(
        userId=draw(_ids | st.just(0)),
        userName=draw(_texts),
        startTs=draw(st.just(0) | _times),
        endTs=draw(st.just(0) | _times),
        language=draw(st.none() | st.sampled_from(TranscriptLanguage)),
        attribute=draw(st.none() | st.sampled_from(MessageAttribute)),
        channelId=draw(st.just("") | _names),
        chat=chat,
        extra=draw(st.dictionaries(_names, st.integers() | _texts, max_size=3)),
    )
    data = draw(_texts).encode() if textual else draw(st.binary(max_size=100))
    return MediaPacket(kind, data, draw(_times), metadata)


@given(packets())
def test_packets_come_back_as_they_were(packet):
    assert decode(packet_document(packet)) == packet


@given(
    st.dictionaries(
        st.text(max_size=10).filter(lambda key: key != "msg_type"), json_values, max_size=5
    )
)
def test_keep_alives_are_echoed_whole(fields):
    request = CODEC.decode(json.dumps({**fields, "msg_type": 12}).encode())
    answer = json.loads(CODEC.encode(request.answer()))
    assert answer == {**json.loads(json.dumps(fields)), "msg_type": 13}
    assert not any(isinstance(value, float) and math.isnan(value) for value in answer.values())

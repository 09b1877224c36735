"""The short way of decoding media must give what the long one gives, or nothing."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_gevent.enums import MediaDataType, Product
from rtms_gevent.errors import RemoteProtocolError
from rtms_gevent.protocol import usual
from rtms_gevent.protocol.codec import JsonCodec
from rtms_gevent.protocol.packets import MediaPacket

pytest.importorskip("msgspec")
pytest.importorskip("pybase64")

T = 1_738_392_033_699
SMALL, LARGE = b"\x00\xff" * 80, bytes(range(256)) * 80


def both(payload):
    """Return what the short and the long way make of a message."""
    codec = JsonCodec(Product.MEETING)
    # In the middle of a buffer, as it is received.
    before, behind = b'"data":"xx', b'","timestamp":7}}'
    buffer = bytearray(before + payload + behind)
    short = codec.usual_media(buffer, len(before), len(before) + len(payload))
    try:
        long = codec.decode(payload)
    except RemoteProtocolError:
        long = None
    return short, long


def message(data=SMALL, number=14, **fields):
    content = {"user_id": 7, "user_name": "Ada", **fields, "timestamp": T}
    content.setdefault("data", base64.b64encode(data).decode())
    content = {name: value for name, value in content.items() if value is not ...}
    return json.dumps({"msg_type": number, "content": content}, separators=(",", ":")).encode()


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize(
    ("number", "kind"),
    [(14, MediaDataType.AUDIO), (15, MediaDataType.VIDEO), (16, MediaDataType.DESKSHARE)],
)
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"length": 5},
        {"user_id": ...},
        {"user_name": ...},
        {"user_name": 'say "hi"'},
        {"user_name": "Bigdata \N{SNOWMAN}"},
        {"user_id": -1},
        {"user_id": 2**40},
    ],
    ids=str,
)
def test_what_is_usual(data, number, kind, fields):
    short, long = both(message(data, number, **fields))
    assert short == long
    assert (short.media_type, short.data, short.timestamp) == (kind, data, T)


UNUSUAL = {
    "other fields": message(extra=1),
    "transcript": message(number=17),
    "unknown number": message(number=77),
    "no content": b'{"msg_type":14}',
    "content is text": b'{"msg_type":14,"content":"QQ=="}',
    "fields at the top": json.dumps({"msg_type": 14, "data": "QQ==", "timestamp": T}).encode(),
    "a channel": message(channel_id="c"),
    "somebody called data": message(LARGE, user_name="data"),
    "id is text": message(user_id="7"),
    "id is nothing": message(user_id=None),
    "name is a number": message(user_name=5),
    "time in seconds": message().replace(str(T).encode(), b"1738392033"),
    "time is text": message().replace(str(T).encode(), b'"1738392033699"'),
    "no base64": message(data=b"").replace(b'"data":""', b'"data":"Q"'),
    "base64 with a blank": message(data=b"").replace(b'"data":""', b'"data":"Q Q="'),
    "base64 that ends early": message(data=b"").replace(b'"data":""', b'"data":"QQ==QQ=="'),
    "data is a number": message(data=b"").replace(b'"data":""', b'"data":5'),
    "no JSON": b'{"msg_type":14',
    "no object": b"[14]",
    "nothing": b"",
}


@pytest.mark.parametrize("payload", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_unusual_is_left_to_the_long_way(payload):
    short, _ = both(payload)
    assert short is None


#: Where the payload is cut out, each of these must be seen not to be what it looks like.
TRAPS = {
    "data twice": message(LARGE)[:-2] + b',"data":"QQ=="}}',
    "data twice, then empty": message(LARGE)[:-2] + b',"data":""}}',
    "data in another place": message(LARGE, meta={"data": "QQ=="}),
    "data as the end of a key": message(LARGE).replace(b'"data":', b'"x\\"data":'),
    "data as the end of a key, besides": message(SMALL, **{'x"data': "A" * 2000}),
    "a message within a name": message(SMALL, user_name='","data":"' + "A" * 2000),
    "blanks": json.dumps(json.loads(message(LARGE))).encode(),
    "an escape": message(LARGE).replace(b"/", b"\\/"),
    "no end": message(LARGE)[: -len(LARGE)],
    "wrong base64 at the end": message(LARGE).replace(b'="', b'*"').replace(b'A"', b'*"'),
    "a content of its own": b'{"data":"' + b"A" * 2000 + b'","msg_type":14}',
    "no data": message(LARGE).replace(b'"data":"', b'"date":"'),
}


@pytest.mark.parametrize("payload", TRAPS.values(), ids=TRAPS)
def test_traps(payload):
    short, long = both(payload)
    assert short is None or short == long


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode()),
    st.just("A" * 2000),
    st.just("A" * 1999),
)
names = st.sampled_from(["data", "timestamp", "user_id", "user_name", "length", 'x"data', "extra"])
objects = st.dictionaries(names, values)


@given(
    st.one_of(st.integers(10, 20), values),
    st.one_of(objects, values, st.tuples(objects, objects)),
    st.booleans(),
)
def test_it_is_the_same_or_nothing(number, content, compact):
    if isinstance(content, tuple):
        content = {**content[0], "meta": content[1]}
    if isinstance(content, dict):
        content.setdefault("timestamp", T)
    separators = (",", ":") if compact else None
    text = json.dumps({"msg_type": number, "content": content}, separators=separators)
    short, long = both(text.encode("utf-8", "surrogatepass"))
    assert short is None or short == long


@given(st.sampled_from([message(), message(LARGE)]), st.data())
def test_spoilt_bytes(payload, data):
    spoilt = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 4))):
        # Mostly near the ends, where the structure is.
        at = data.draw(st.one_of(st.integers(0, 70), st.integers(-60, -1)))
        spoilt[at] = data.draw(st.one_of(st.integers(0, 255), st.sampled_from(b'"{}:,\\ 0=A')))
    short, long = both(bytes(spoilt))
    assert short is None or short == long


def test_participants_share_what_says_who_they_are_and_are_not_remembered_for_ever():
    codec = JsonCodec(Product.MEETING)

    def who(number, kind=14):
        payload = message(number=kind, user_id=number)
        return codec.usual_media(payload, 0, len(payload)).metadata

    first = who(1)
    assert who(1) is first
    assert who(1, kind=15) == first
    assert who(1, kind=15) is not first  # so that who has the same is of one type, too
    for number in range(2, 3000):
        who(number)
    assert who(1) == first
    assert who(1) is not first


def test_without_the_extra_all_takes_the_long_way(monkeypatch):
    monkeypatch.setattr(usual, "msgspec", None)
    codec = JsonCodec(Product.MEETING)
    assert codec.usual_media is None
    packet = codec.decode(message())
    assert isinstance(packet, MediaPacket)
    assert packet.data == SMALL

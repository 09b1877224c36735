"""The fast decoders of media must give what the codec gives, or nothing."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_gevent.enums import MediaDataType, Product
from rtms_gevent.errors import RemoteProtocolError
from rtms_gevent.protocol.codec import JsonCodec
from rtms_gevent.protocol.fast_media import fast_media_decoder, missing_accelerators
from rtms_gevent.protocol.fields import EARLIEST_MS, LARGEST, LATEST_MS, SMALLEST

T = 1_738_392_033_699
SMALL, LARGE = b"\x00\xff" * 80, bytes(range(256)) * 80

DECODERS = {"plain": True}
if not missing_accelerators():
    DECODERS["accelerated"] = False
both_decoders = pytest.mark.parametrize("plainly", DECODERS.values(), ids=DECODERS)


def both(payload, plainly):
    """Return what a fast decoder and the codec make of a message."""
    codec = JsonCodec(Product.MEETING)
    # In the middle of a buffer, as it is received.
    before, behind = b'"data":"xx', b'","timestamp":7}}'
    buffer = bytearray(before + payload + behind)
    decode = fast_media_decoder(plainly=plainly).decode
    fast = decode(buffer, len(before), len(before) + len(payload))
    try:
        full = codec.decode(payload)
    except RemoteProtocolError:
        full = None
    return fast, full


def message(data=SMALL, number=14, **fields):
    content = {"user_id": 7, "user_name": "Ada", **fields, "timestamp": T}
    content.setdefault("data", base64.b64encode(data).decode())
    content = {name: value for name, value in content.items() if value is not ...}
    return json.dumps({"msg_type": number, "content": content}, separators=(",", ":")).encode()


@both_decoders
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
        {"user_id": SMALLEST},
        {"user_id": 2**63 - 1},
    ],
    ids=str,
)
def test_what_is_usual(plainly, data, number, kind, fields):
    fast, full = both(message(data, number, **fields), plainly)
    assert fast == full
    assert (fast.media_type, fast.data, fast.timestamp) == (kind, data, T)


def at(time):
    return message().replace(str(T).encode(), str(time).encode())


@both_decoders
@pytest.mark.parametrize("time", [EARLIEST_MS, LATEST_MS])
def test_bounds_of_the_time(plainly, time):
    fast, full = both(at(time), plainly)
    assert fast == full
    assert fast.timestamp == time


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
    "id beyond its bounds": message(user_id=LARGEST + 1),
    "id far beyond its bounds": message(user_id=10**400),
    "id is a float": message(user_id=7.0),
    "time in seconds": at(1738392033),
    "time is text": at('"1738392033699"'),
    "time is a float": at("1738392033699.0"),
    "time is no time": at("true"),
    "time beyond its bounds": at(LATEST_MS + 1),
    "time far beyond its bounds": at(10**400),
    "time is infinite": at("1e400"),
    "time before all": at(-T),
    "type is text": message(number="14"),
    "type is a list": message(number=[14]),
    "no base64": message(data=b"").replace(b'"data":""', b'"data":"Q"'),
    "base64 with a blank": message(data=b"").replace(b'"data":""', b'"data":"Q Q="'),
    "base64 that ends early": message(data=b"").replace(b'"data":""', b'"data":"QQ==QQ=="'),
    "data is a number": message(data=b"").replace(b'"data":""', b'"data":5'),
    "no JSON": b'{"msg_type":14',
    "no object": b"[14]",
    "content is a list": b'{"msg_type":14,"content":[1]}',
    "more behind": message() + b"}",
    "deep": b'{"msg_type":' + b"[" * 5000,
    "nothing": b"",
}


@both_decoders
@pytest.mark.parametrize("payload", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_unusual_is_left_to_the_codec(plainly, payload):
    fast, _ = both(payload, plainly)
    assert fast is None


#: Where the payload is cut out, each of these must be seen not to be what it looks like.
TRAPS = {
    "data twice": message(LARGE)[:-2] + b',"data":"QQ=="}}',
    "data twice, then empty": message(LARGE)[:-2] + b',"data":""}}',
    "data twice, then with escapes": message(LARGE)[:-2] + b',"d\\u0061ta":"QQ=="}}',
    "data twice, then empty with escapes": message(LARGE)[:-2] + b',"dat\\u0061":""}}',
    "data twice, once with another escape": message(LARGE)[:-2] + b',"da\\u0074a":""}}',
    "data in another place": message(LARGE, meta={"data": "QQ=="}),
    "data as the end of a key": message(LARGE).replace(b'"data":', b'"x\\"data":'),
    "data as the end of a key, besides": message(SMALL, **{'x"data': "A" * 2000}),
    "a message within a name": message(SMALL, user_name='","data":"' + "A" * 2000),
    "a blank behind": message() + b" ",
    "blanks": json.dumps(json.loads(message(LARGE))).encode(),
    "an escape": message(LARGE).replace(b"/", b"\\/"),
    "no end": message(LARGE)[: -len(LARGE)],
    "wrong base64 at the end": message(LARGE).replace(b'="', b'*"').replace(b'A"', b'*"'),
    "a content of its own": b'{"data":"' + b"A" * 2000 + b'","msg_type":14}',
    "no data": message(LARGE).replace(b'"data":"', b'"date":"'),
    "a name as long as a payload": message(LARGE, user_name="x" * 2000),
}


@both_decoders
@pytest.mark.parametrize("payload", TRAPS.values(), ids=TRAPS)
def test_traps(plainly, payload):
    fast, full = both(payload, plainly)
    assert fast is None or fast == full


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_subnormal=False),
    st.sampled_from([SMALLEST, SMALLEST - 1, LARGEST, LARGEST + 1, LATEST_MS, LATEST_MS + 1]),
    st.sampled_from([10**17, 10**400, -(10**400), 1e300, float(T), str(T)]),
    st.text(max_size=8),
    st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode()),
    st.just("A" * 2000),
    st.just("A" * 1999),
)
names = st.sampled_from(["data", "timestamp", "user_id", "user_name", "length", 'x"data', "extra"])
objects = st.dictionaries(names, values)


@both_decoders
@given(
    st.one_of(st.integers(10, 20), values),
    st.one_of(objects, values, st.tuples(objects, objects)),
    st.booleans(),
)
def test_it_is_the_same_or_nothing(plainly, number, content, compact):
    if isinstance(content, tuple):
        content = {**content[0], "meta": content[1]}
    if isinstance(content, dict):
        content.setdefault("timestamp", T)
    separators = (",", ":") if compact else None
    text = json.dumps({"msg_type": number, "content": content}, separators=separators)
    fast, full = both(text.encode("utf-8", "surrogatepass"), plainly)
    assert fast is None or fast == full


@both_decoders
@given(st.sampled_from([message(), message(LARGE)]), st.data())
def test_spoilt_bytes(plainly, payload, data):
    spoilt = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 4))):
        # Mostly near the ends, where the structure is.
        at = data.draw(st.one_of(st.integers(0, 70), st.integers(-60, -1)))
        spoilt[at] = data.draw(st.one_of(st.integers(0, 255), st.sampled_from(b'"{}:,\\ 0=A')))
    fast, full = both(bytes(spoilt), plainly)
    assert fast is None or fast == full


@both_decoders
def test_participants_share_what_says_who_they_are_and_are_not_remembered_for_ever(plainly):
    decode = fast_media_decoder(plainly=plainly).decode

    def who(number, kind=14):
        payload = message(number=kind, user_id=number)
        return decode(payload, 0, len(payload)).metadata

    first = who(1)
    assert who(1) is first
    assert who(1, kind=15) == first
    assert who(1, kind=15) is not first  # so that who has the same is of one type, too
    for number in range(2, 3000):
        who(number)
    assert who(1) == first
    assert who(1) is not first

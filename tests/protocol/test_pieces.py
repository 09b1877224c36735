"""Which piece of a transcript a revision is about: what comes, and the ids that it gets."""

import json

import pytest

from rtms_gevent.enums import MessageAttribute
from rtms_gevent.protocol.pieces import Pieces

from .helpers import decode

NONE, NEW, UPDATE, DELETE = MessageAttribute


def piece(attribute=None, start=1000, *, timestamp=None, **fields):
    content = {
        "user_id": 7,
        "data": "words",
        "start_time": start,
        "timestamp": start if timestamp is None else timestamp,
        **fields,
    }
    if attribute is not None:
        content["attribute"] = int(attribute)
    for name in ("start_time", "timestamp"):
        if content[name] is not None:
            content[name] += 10**12  # smaller ones would count as seconds
    return decode(json.dumps({"msg_type": 17, "content": content}))


def ids(*packets, limit=1000):
    """Return what each packet's piece is called, without what all times begin with."""
    pieces = Pieces(limit)
    return [pieces.with_id(packet).metadata.pieceId.replace("100000000", "") for packet in packets]


@pytest.mark.parametrize(
    ("packets", "expected"),
    [
        pytest.param([piece(), piece(start=2000)], ["7-1000", "7-2000"], id="two pieces"),
        pytest.param([piece(NEW), piece(UPDATE), piece(DELETE)], ["7-1000"] * 3, id="revised"),
        pytest.param([piece(), piece(UPDATE)], ["7-1000"] * 2, id="first without attribute"),
        pytest.param([piece(NONE), piece(UPDATE)], ["7-1000"] * 2, id="attribute none"),
        pytest.param(
            [piece(NEW), piece(NEW, 2000), piece(UPDATE), piece(UPDATE, 2000)],
            ["7-1000", "7-2000", "7-1000", "7-2000"],
            id="each its own",
        ),
        pytest.param(
            [piece(NEW), piece(NEW, user_id=8), piece(UPDATE), piece(UPDATE, user_id=8)],
            ["7-1000", "8-1000", "7-1000", "8-1000"],
            id="two speakers at once",
        ),
        pytest.param([piece(UPDATE), piece(DELETE)], ["7-1000"] * 2, id="before we joined"),
        pytest.param([piece(NEW), piece(NEW)], ["7-1000", "7-1000-2"], id="nothing is replaced"),
        pytest.param([piece(), piece()], ["7-1000", "7-1000-2"], id="nor without attribute"),
        pytest.param([piece(NEW), piece(9)], ["7-1000", "7-1000-2"], id="unknown attribute"),
        pytest.param(
            [piece(NEW), piece(NEW), piece(UPDATE)],
            ["7-1000", "7-1000-2", "7-1000-2"],
            id="the latest of two",
        ),
        pytest.param(
            [piece(NEW), piece(DELETE), piece(NEW), piece(UPDATE)],
            ["7-1000", "7-1000", "7-1000-2", "7-1000-2"],
            id="said again after a deletion",
        ),
        pytest.param(
            [piece(NEW, None, timestamp=1000), piece(UPDATE, None, timestamp=1000)],
            ["7-1000"] * 2,
            id="no start_time",
        ),
        pytest.param(
            [piece(NEW, timestamp=1000), piece(UPDATE, timestamp=1900)],
            ["7-1000"] * 2,
            id="sent later",
        ),
        pytest.param(
            [piece(NEW, end_time=10**12), piece(UPDATE, end_time=10**12 + 5)],
            ["7-1000"] * 2,
            id="became longer",
        ),
        pytest.param(
            [piece(NEW, user_id=None, channel_id="c"), piece(UPDATE, user_id=None, channel_id="c")],
            ["c-1000"] * 2,
            id="channel",
        ),
        pytest.param(
            [piece(NEW, user_id="ab-c"), piece(NEW, user_id="de-f"), piece(UPDATE, user_id="ab-c")],
            ["ab-c-1000", "de-f-1000", "ab-c-1000"],
            id="ids that are no numbers",
        ),
        pytest.param([piece(NEW, user_id=None)], ["0-1000"], id="nobody"),
    ],
)
def test_ids(packets, expected):
    assert ids(*packets) == expected


def test_the_rest_of_the_packet_stays():
    packet = piece(UPDATE, user_name="Ada", language=9)
    named = Pieces().with_id(packet)
    assert named.metadata.pieceId
    assert packet.metadata.pieceId == ""
    assert named._replace(metadata=packet.metadata) == packet
    assert (named.metadata.userName, named.metadata.language) == ("Ada", 9)


def test_one_who_joins_again_gives_the_same_ids():
    packets = [piece(NEW), piece(NEW, 2000), piece(UPDATE)]
    assert ids(*packets) == ids(*packets)


def test_memory_is_bounded():
    pieces = Pieces(limit=10)
    for start in range(1000):
        pieces.with_id(piece(NEW, 1000 + start, channel_id="x" * 100_000))
    assert len(pieces._counts) == 10
    assert max(map(len, pieces._counts)) < 100


def test_the_oldest_are_forgotten_and_a_revision_keeps_one():
    starts = [piece(NEW, 1000), piece(NEW, 2000), piece(UPDATE, 1000), piece(NEW, 3000)]
    # Were 2000 still known, the second of that beginning would get a number.
    assert ids(*starts, piece(NEW, 2000), piece(NEW, 3000), limit=2)[-2:] == ["7-2000", "7-3000-2"]

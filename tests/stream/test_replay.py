"""What comes again after an outage, and what only bears old timestamps. Times are ms."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_gevent.enums import MediaDataType
from rtms_gevent.protocol.metadata import Metadata
from rtms_gevent.protocol.packets import MediaPacket
from rtms_gevent.stream.replay import Replay

#: What was delivered before the outage: a minute of two speakers.
BEFORE = range(0, 60_001, 20)
SPEAKERS = (7, 8)


def packet(timestamp, user=7, data=None):
    data = b"%d of %d" % (timestamp, user) if data is None else data
    return MediaPacket(MediaDataType.AUDIO, data, timestamp, Metadata(userId=user))


def after_outage():
    return Replay(dict.fromkeys(SPEAKERS, BEFORE[-1]), packet(BEFORE[-1], SPEAKERS[-1]))


def play(replay, packets):
    """Let (now, packet) arrive, with the timer in between; return what was delivered, in order."""
    delivered, clock = [], 0.0
    for now, item in packets:
        while replay.due is not None and clock <= replay.due <= now:
            clock = replay.due
            delivered += replay.release(clock)
        clock = now
        delivered += [item] if replay.is_over else replay.arrived(item, now)
    while replay.due is not None:
        delivered += replay.release(replay.due)
    return delivered


def new(offset=0, count=500, step=20, data=None):
    """What a live server sends once the socket is open again, with its clock off by ``offset``."""
    first = 65_000
    return [
        (time, packet(time + offset, user, b"new %d" % time if data is None else data))
        for time in range(first, first + count * step, step)
        for user in SPEAKERS
    ]


@pytest.mark.parametrize(
    "offset", [-30_000, -30_007, -6000, -5000, -2000, -200, -11, 0, 30_000, 3_600_000]
)
@pytest.mark.parametrize("data", [None, b"silence"], ids=["sound", "silence"])
def test_a_server_whose_clock_is_another_one_loses_nothing(offset, data):
    live = new(offset, data=data)
    replay = after_outage()
    delivered = play(replay, live)
    assert delivered == [item for _, item in live]
    assert replay.dropped == {}
    assert replay.is_over


def test_it_says_that_the_clock_has_stepped_back():
    replay = after_outage()
    play(replay, new(-30_000))
    assert replay.is_clock_behind


def test_timestamps_that_step_back_a_little_lose_nothing():
    live = [(now, item._replace(timestamp=now - (now // 20 % 3) * 11)) for now, item in new()]
    replay = after_outage()
    assert play(replay, live) == [item for _, item in live]


@pytest.mark.parametrize("begin", [0, 58_000, 59_960, 60_000])
@pytest.mark.parametrize("pace", [0, 0.1, 2], ids=["at once", "fast", "quickly"])
def test_a_replay_is_not_delivered_again(begin, pace):
    """From wherever it begins, up to what is live."""
    replayed = [
        (65_000 + number * pace, packet(time, user))
        for number, time in enumerate(range(begin, 65_000, 20))
        for user in SPEAKERS
    ]
    live = [(max(now, replayed[-1][0]), item) for now, item in new()]
    replay = after_outage()
    delivered = play(replay, replayed + live)
    times = [item.timestamp for item in delivered]
    assert times == sorted(times)
    assert delivered == [item for _, item in replayed if item.timestamp > BEFORE[-1]] + [
        item for _, item in live
    ]
    assert replay.dropped["duplicate"] == len(SPEAKERS) * (60_000 - begin + 20) // 20
    assert replay.doubtful is None
    assert not replay.is_clock_behind


def test_a_replay_that_pauses_is_not_delivered_again():
    """And one of many speakers, each with a stream of its own."""
    speakers = range(16)
    newest = dict.fromkeys(speakers, 60_000)
    replay = Replay(newest, packet(60_000, 15))
    times = [(65_000 if time < 45_000 else 66_100, time) for time in range(30_000, 65_000, 20)]
    again = [(now, packet(time, user)) for now, time in times for user in speakers]
    delivered = play(replay, again)
    assert delivered == [item for _, item in again if item.timestamp > 60_000]


def test_a_replay_that_was_encoded_anew_is_left_out_for_its_pace_and_said_to_be():
    replay = after_outage()
    again = [(65_000, packet(time, data=b"other")) for time in range(59_000, 65_000, 20)]
    delivered = play(replay, again)
    assert [item.timestamp for item in delivered] == list(range(60_020, 65_000, 20))
    assert replay.doubtful == (59_000, 60_000)


def test_what_was_overtaken_by_live_packets_is_too_late():
    replay = after_outage()
    live = [(65_000, packet(65_000)), (65_000, packet(61_000)), (65_000, packet(61_020))]
    delivered = play(replay, [*live, (65_020, packet(65_020))])
    assert [item.timestamp for item in delivered] == [65_000, 65_020]
    assert replay.dropped == {"late": 2}


def test_what_is_held_is_bounded():
    """Nothing is lost for it: what cannot be held any more is delivered."""
    replay = after_outage()
    flood = [(65_000, packet(time, data=bytes(200_000))) for time in range(0, 4000, 20)]
    assert play(replay, flood) == [item for _, item in flood]


@given(
    st.integers(-100_000, 100_000),
    st.lists(st.tuples(st.integers(0, 60), st.integers(-15, 15)), min_size=1, max_size=200),
)
def test_whatever_its_clock_a_server_that_sends_what_is_new_at_its_pace_loses_nothing(
    offset, steps
):
    now = 65_000
    live = []
    for number, (passed, jitter) in enumerate(steps):
        now += passed
        live.append((now, packet(now + offset + jitter, data=b"new %d" % number)))
    assert play(after_outage(), live) == [item for _, item in live]


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 130_000)), max_size=100))
def test_each_packet_is_delivered_once_or_counted(steps):
    now, packets = 65_000, []
    for passed, timestamp in steps:
        now += passed
        packets.append((now, packet(timestamp)))
    replay = after_outage()
    delivered = play(replay, packets)
    assert len(delivered) + sum(replay.dropped.values()) == len(packets)
    places = {id(item): number for number, (_, item) in enumerate(packets)}
    order = [places[id(item)] for item in delivered]
    assert all(one < other for one, other in itertools.pairwise(order))

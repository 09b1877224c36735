"""Accounts and gaps, as tables without sockets. Times are ms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_gevent.enums import MediaDataType
from rtms_gevent.protocol.batches import PacketBatch
from rtms_gevent.protocol.metadata import Metadata
from rtms_gevent.protocol.packets import MediaPacket
from rtms_gevent.stream.stats import Gap
from rtms_gevent.stream.tracker import MediaTracker, Reconciled

AUDIO, CHAT = MediaDataType.AUDIO, MediaDataType.CHAT
T = 1_738_392_000_000  # on the media's clock, an hour ahead of ours
OURS = T - 3_600_000


def packet(timestamp, user=7, data=b"x", kind=AUDIO):
    return MediaPacket(kind, data, T + timestamp, Metadata(userId=user))


def together(tracker, packets, now):
    """Let packets arrive, as a session does."""
    if tracker.is_steady:
        batch = PacketBatch(packets)
        batch.is_mixed = any(packet.metadata != packets[0].metadata for packet in packets)
        return Reconciled(packets, tracker.count(batch, now))
    return tracker.reconcile(packets, now)


def arrived(tracker, packet, now):
    """Let one packet arrive; return whether it is wanted, and the gap that it ends."""
    reconciled = together(tracker, [packet], now)
    assert reconciled.size == sum(len(wanted.data) for wanted in reconciled.wanted)
    return bool(reconciled.wanted), (reconciled.gaps[0] if reconciled.gaps else None)


def live(kind=AUDIO, until=100):
    """An account that got a packet every 20 ms, as they were sent."""
    tracker = MediaTracker(kind)
    tracker.frame_ms = 20
    for time in range(0, until + 1, 20):
        assert arrived(tracker, packet(time, kind=kind), OURS + time) == (True, None)
    return tracker


def outage(tracker, since, until, cause="it broke"):
    tracker.went_down(OURS + since, cause)
    tracker.came_up(OURS + until)


def test_counts():
    tracker = live()
    stats = tracker.stats(5, {"inbox": 1})
    assert (stats.received, stats.received_bytes, stats.delivered) == (6, 6, 5)
    assert stats.dropped == {"inbox": 1}
    assert stats.last_timestamp == T + 100
    assert stats.gaps == ()


def test_packets_that_come_together_count_as_if_they_came_one_by_one():
    one, other = MediaTracker(AUDIO), MediaTracker(AUDIO)
    one.frame_ms = other.frame_ms = 20
    alike = [packet(time, 7, bytes(time)) for time in range(0, 100, 20)]
    mixed = [packet(time, user, bytes(time)) for time in range(100, 200, 20) for user in (7, 8)]
    for packets in (alike, mixed):
        assert together(one, packets, OURS).wanted == packets
        for item in packets:
            together(other, [item], OURS)
        assert one.stats(0, {}) == other.stats(0, {})
    # After an outage some are wanted, some are not.
    for tracker in (one, other):
        outage(tracker, 110, 2000)
    packets = [packet(time, user) for time in (60, 80, 2100, 100, 2120) for user in (7, 8)]
    wanted, size, gaps, remark = together(one, packets, OURS + 2100)
    assert wanted == [item for item in packets if together(other, [item], OURS + 2100).wanted]
    assert (size, len(gaps)) == (4, 1)
    assert "6 packets came again" in remark
    assert one.stats(0, {}) == other.stats(0, {})


def test_a_gap_is_told_with_the_first_packet_after_it():
    tracker = live()
    outage(tracker, 110, 2000)
    wanted, gap = arrived(tracker, packet(2020), OURS + 2020)
    assert wanted
    assert gap == Gap(AUDIO, T + 100, T + 2020, "it broke")
    assert arrived(tracker, packet(2040), OURS + 2040) == (True, None)
    assert tracker.stats(0, {}).gaps == (gap,)
    assert tracker.stats(0, {}).missing_ms == 1920


def test_what_is_replayed_closes_the_gap():
    tracker = live()
    outage(tracker, 110, 2000)
    for time in range(120, 2100, 20):
        assert arrived(tracker, packet(time), OURS + 2010) == (True, None)
    assert tracker.stats(0, {}).gaps == ()


def test_what_was_delivered_is_not_delivered_again():
    tracker = live()
    outage(tracker, 110, 2000)
    for time in (60, 80, 100):
        assert arrived(tracker, packet(time), OURS + 2010) == (False, None)
    wanted, gap = arrived(tracker, packet(120), OURS + 2010)
    assert (wanted, gap) == (True, None)
    assert tracker.stats(0, {}).dropped == {"duplicate": 3}


def test_nothing_is_delivered_out_of_order():
    tracker = live()
    outage(tracker, 110, 2000)
    assert arrived(tracker, packet(2020), OURS + 2020)[0]
    assert arrived(tracker, packet(140), OURS + 2020) == (False, None)
    assert arrived(tracker, packet(2040), OURS + 2040)[0]
    assert tracker.stats(0, {}).dropped == {"late": 1}


def test_speakers_have_timelines_of_their_own():
    tracker = live()
    outage(tracker, 110, 130)
    assert arrived(tracker, packet(90, user=8), OURS + 140)[0]
    assert not arrived(tracker, packet(90, user=7), OURS + 140)[0]


def test_without_an_outage_nothing_is_left_out():
    """A clock that jumps, or a server that repeats itself, is not for us to judge."""
    tracker = live()
    for time in (100, 40, 100):
        assert arrived(tracker, packet(time), OURS + 110) == (True, None)


def test_a_short_outage_is_no_gap():
    tracker = live()
    outage(tracker, 105, 115)
    assert arrived(tracker, packet(140), OURS + 140) == (True, None)


def test_nobody_spoke_before_the_outage():
    """The silence before is no loss, the outage itself may be one."""
    tracker = live()
    outage(tracker, 5000, 6000)
    _, gap = arrived(tracker, packet(7000), OURS + 7000)
    assert (gap.start, gap.end) == (T + 5000, T + 7000)


@pytest.mark.parametrize(
    ("heard", "start", "is_certain"),
    [
        (100, 100, True),  # the last packet was the last thing that came
        (130, 100, True),  # another medium's packet came on the same socket
        (4990, 4990, False),  # nobody spoke: a keep-alive came, and all before it had come
    ],
)
def test_a_gap_begins_where_the_socket_was_heard_last(heard, start, is_certain):
    """However late we noticed that it was dead."""
    tracker = live()
    outage(tracker, heard, 70_000)
    _, gap = arrived(tracker, packet(70_020), OURS + 70_030)
    assert (gap.start, gap.end, gap.is_certain) == (T + start, T + 70_020, is_certain)
    assert ("are missing" if is_certain else "may be missing") in str(gap)


@pytest.mark.parametrize("step", [-3_600_000, -1500, -100, 3_600_000])
def test_a_clock_that_is_set_during_an_outage_neither_hides_nor_stretches_the_gap(step):
    tracker = live()
    outage(tracker, 100, 1100)
    gaps = []
    for time in range(1120, 3000, 20):
        gaps += together(tracker, [packet(time + step)], OURS + time).gaps
    ((start, end),) = [(gap.start, gap.end) for gap in gaps]
    assert start == T + 100
    assert 900 <= end - start <= 1100


def test_two_outages_without_a_packet_between_them_are_one_gap():
    tracker = live()
    outage(tracker, 110, 1000, "first")
    outage(tracker, 1010, 2000, "second")
    _, gap = arrived(tracker, packet(2020), OURS + 2020)
    assert (gap.start, gap.end, gap.cause) == (T + 100, T + 2020, "second")


def test_the_end_of_the_stream_ends_a_gap():
    tracker = live()
    tracker.went_down(OURS + 110, "it broke")
    (gap,) = tracker.ended(OURS + 3000).gaps
    assert (gap.start, gap.end) == (T + 100, T + 3000)
    assert tracker.ended(OURS + 4000).gaps == ()
    assert live().ended(OURS + 200).gaps == ()


def test_one_speakers_odd_timestamp_hides_no_gap():
    tracker = live()
    arrived(tracker, packet(30_000, user=2), OURS + 100)
    arrived(tracker, packet(120), OURS + 120)
    outage(tracker, 120, 10_000)
    _, gap = arrived(tracker, packet(10_020), OURS + 10_020)
    assert (gap.start, gap.end) == (T + 120, T + 10_020)


def test_timestamps_that_go_on_far_more_than_time_are_doubtful():
    tracker = live()
    outage(tracker, 100, 200)
    _, gap = arrived(tracker, packet(60_220), OURS + 220)
    assert not gap.is_certain


@pytest.mark.parametrize("kind", [AUDIO, CHAT])
def test_nothing_is_missing_from_before_the_socket_was_open(kind):
    tracker = MediaTracker(kind)
    tracker.came_up(OURS + 1000)
    tracker.went_down(OURS + 2000, "Zoom says so", OURS - 63_000)
    tracker.came_up(OURS + 3000)
    (gap,) = tracker.ended(OURS + 4000).gaps
    assert gap.end - gap.start == 2000


def test_nothing_is_missing_from_before_the_last_text():
    tracker = live(CHAT)
    tracker.went_down(OURS + 110, "Zoom says so", OURS - 64_000)
    tracker.came_up(OURS + 2000)
    _, gap = arrived(tracker, packet(9000, kind=CHAT), OURS + 9000)
    assert (gap.start, gap.end, gap.is_certain) == (T + 100, T + 2000, False)


def test_what_was_held_is_not_lost_at_the_end():
    tracker = live()
    outage(tracker, 110, 130)
    assert arrived(tracker, packet(90), OURS + 140) == (False, None)
    assert tracker.stats(6, {}).waiting == 1
    assert tracker.ended(OURS + 150).wanted == [packet(90)]


def test_what_was_held_is_not_lost_in_the_next_outage():
    tracker = live()
    outage(tracker, 110, 130)
    assert arrived(tracker, packet(90), OURS + 140) == (False, None)
    tracker.went_down(OURS + 150, "again")
    assert tracker.came_up(OURS + 160).wanted == [packet(90)]


def test_only_for_a_while_packets_are_looked_at():
    tracker = live()
    outage(tracker, 110, 130)
    assert not tracker.is_steady
    arrived(tracker, packet(140), OURS + 140)
    assert not tracker.is_steady
    arrived(tracker, packet(5160), OURS + 5160)
    assert tracker.is_steady


def test_repeated_text_is_no_repetition_for_ever():
    tracker = live(CHAT)
    outage(tracker, 110, 2000)
    assert arrived(tracker, packet(2010, kind=CHAT), OURS + 2010)[0]
    assert not arrived(tracker, packet(100, kind=CHAT), OURS + 2010)[0]
    assert arrived(tracker, packet(100, kind=CHAT), OURS + 8000)[0]


def test_speakers_without_end_take_no_memory_without_end():
    tracker = MediaTracker(AUDIO)
    for user in range(30_000):
        arrived(tracker, packet(user, user), OURS)
    outage(tracker, 0, 1)
    for user in range(30_000, 60_000):
        arrived(tracker, packet(user, user), OURS)
    assert len(tracker._newest) <= 10_000


def test_text_may_be_missing_wherever_the_socket_was_down():
    tracker = live(CHAT)
    outage(tracker, 110, 2000)
    wanted, gap = arrived(tracker, packet(9000, kind=CHAT), OURS + 9000)
    assert wanted
    assert (gap.start, gap.end) == (T + 110, T + 2000)


def test_text_is_a_repetition_if_time_and_text_are_the_same():
    tracker = live(CHAT)
    outage(tracker, 110, 2000)
    assert not arrived(tracker, packet(100, kind=CHAT), OURS + 2010)[0]
    assert arrived(tracker, packet(100, kind=CHAT, data=b"other"), OURS + 2010)[0]


@pytest.mark.parametrize("count", [300])
def test_the_newest_gaps_are_kept(count):
    tracker = live()
    for number in range(1, count + 1):
        outage(tracker, number * 10_000, number * 10_000 + 500)
        arrived(tracker, packet(number * 10_000 + 1000), OURS + number * 10_000 + 1000)
    gaps = tracker.stats(0, {}).gaps
    assert len(gaps) == 100
    assert gaps[-1].end == T + count * 10_000 + 1000


@given(
    st.lists(st.tuples(st.integers(0, 400), st.booleans(), st.booleans()), min_size=1, max_size=40)
)
def test_each_packet_is_delivered_once_in_order_or_lies_in_a_gap(steps):
    """A server sends every 20 ms; sockets break; what is sent meanwhile is replayed, or lost."""
    tracker, clock = MediaTracker(AUDIO), 0
    tracker.frame_ms = 20
    delivered, gaps, sent, buffered = [], [], [], []

    def arrive(time):
        reconciled = together(tracker, [packet(time)], OURS + clock)
        delivered.extend(item.timestamp - T for item in reconciled.wanted)
        gaps.extend(reconciled.gaps)

    arrive(0)
    for length, is_down, replays in steps:
        if is_down:
            tracker.went_down(OURS + clock, "x")
        for _ in range(length // 20):
            clock += 20
            sent.append(clock)
            if is_down:
                buffered.append(clock)
            else:
                arrive(clock)
        if is_down:
            tracker.came_up(OURS + clock)
            if replays:
                for time in buffered:
                    arrive(time)
            buffered.clear()
    last = tracker.ended(OURS + clock)
    delivered += [item.timestamp - T for item in last.wanted]
    gaps += last.gaps
    assert delivered == sorted(set(delivered))
    slack = 3 * 20
    for time in set(sent) - set(delivered):
        assert any(gap.start <= T + time <= gap.end for gap in gaps) or any(
            time - slack <= kept <= time + slack for kept in delivered
        )


def taken_over(delivered, alive=None, *, at=2000, kind=AUDIO):
    """A tracker of a stream that another worker had; its socket is open from ``at`` on."""
    tracker = MediaTracker(kind, T - OURS)
    tracker.frame_ms = 20
    moments = [None if each is None else T + each for each in (delivered, alive)]
    tracker.taken_over(moments[0], moments[0] if alive is None else moments[1], OURS + at - 100)
    tracker.came_up(OURS + at)
    return tracker


class TestAfterAnotherWorker:
    @pytest.mark.parametrize(
        ("delivered", "alive", "start", "is_certain"),
        [
            (100, 100, 100, True),  # it flowed until the other was gone, as far as is known
            (100, 1100, 100, True),
            (100, 1101, 100, False),  # others flowed on: perhaps it was silent
            (None, 900, 900, False),  # it had delivered nothing: missing since it lived last
            (-70_000, -70_000, -70_000, False),  # longer ago than Zoom waits for anybody
            (None, -70_000, 1900 - 65_000, False),
            (None, None, 1900 - 65_000, False),
        ],
    )
    def test_the_gap_reaches_from_what_it_has_delivered(self, delivered, alive, start, is_certain):
        tracker = taken_over(delivered, alive)
        wanted, gap = arrived(tracker, packet(2020), OURS + 2020)
        assert wanted
        assert gap == Gap(
            AUDIO, T + start, T + 2020, "another worker had the stream before", is_certain
        )
        assert arrived(tracker, packet(2040), OURS + 2040) == (True, None)

    def test_where_nothing_comes_the_end_tells_it(self):
        for tracker in (taken_over(100), MediaTracker(AUDIO, T - OURS)):
            if tracker.stats(0, {}).delivered_timestamp is None:  # its socket was never open
                tracker.taken_over(T + 100, T + 100, OURS + 1900)
            (gap,) = tracker.ended(OURS + 2000).gaps
            assert (gap.start, gap.end) == (T + 100, T + 2000)

    def test_text_may_be_missing_until_its_socket_was_open(self):
        tracker = taken_over(100, 900, kind=CHAT)
        wanted, gap = arrived(tracker, packet(9000, kind=CHAT), OURS + 9000)
        assert wanted
        assert (gap.start, gap.end, gap.is_certain) == (T + 100, T + 2000, False)

    def test_a_socket_that_is_opened_twice_before_anything_can_come(self):
        tracker = taken_over(100, kind=CHAT)
        tracker.came_up(OURS + 3000)  # joining took a second attempt
        (gap,) = tracker.ended(OURS + 4000).gaps
        assert (gap.start, gap.end) == (T + 100, T + 3000)

    def test_what_zoom_replays_closes_it_and_is_not_delivered_twice(self):
        tracker = taken_over(100)
        delivered = []
        for time in range(0, 2020, 20):
            wanted, _, gaps, _ = together(tracker, [packet(time)], OURS + 2010)
            delivered += [item.timestamp - T for item in wanted]
            assert not gaps
        assert delivered == list(range(120, 2020, 20))
        assert tracker.stats(0, {}).dropped == {"duplicate": 6}

    def test_a_replay_that_begins_later(self):
        tracker = taken_over(100)
        _, gap = arrived(tracker, packet(500), OURS + 2010)
        assert (gap.start, gap.end) == (T + 100, T + 500)

    def test_a_server_whose_clock_is_behind_loses_nothing(self):
        tracker, delivered = taken_over(100), []
        for time in range(2000, 4000, 20):
            wanted, _, _, _ = together(tracker, [packet(time - 3000)], OURS + time)
            delivered += [item.timestamp - T for item in wanted]
        assert delivered == list(range(-1000, 1000, 20))

    def test_how_far_the_other_got_is_known_until_we_get_further(self):
        tracker = taken_over(100)
        assert tracker.stats(0, {}).delivered_timestamp == T + 100
        assert tracker.stats(0, {}).last_timestamp is None
        assert tracker.stats(1, {}, 0, T + 300).delivered_timestamp == T + 300

    @pytest.mark.parametrize("hours", [-1, 1])
    def test_a_clock_of_ours_that_is_wrong_hides_no_gap(self, hours):
        tracker = MediaTracker(AUDIO, T - OURS + hours * 3_600_000)
        tracker.frame_ms = 20
        tracker.taken_over(T + 100, T + 100, OURS + 1900)
        tracker.came_up(OURS + 2000)
        _, gap = arrived(tracker, packet(2020), OURS + 2020)
        assert (gap.start, gap.end) == (T + 100, T + 2020)

    def test_a_hand_over_leaves_the_gap_to_the_next_worker(self):
        tracker = live()
        tracker.went_down(OURS + 110, "it broke")
        assert list(tracker.ended(OURS + 3000, is_handover=True).gaps) == []
        held = live()
        outage(held, 110, 130)
        assert arrived(held, packet(90), OURS + 140) == (False, None)
        assert held.ended(OURS + 150, is_handover=True).wanted == [packet(90)]

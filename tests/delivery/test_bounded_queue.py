"""What goes where too much waits, as tables: an item is a letter of its source and a number.

Capital letters are key frames: they can be used without those before them.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_gevent import ConfigurationError, Inboxes, InboxLimits, OverflowPolicy
from rtms_gevent.delivery.bounded_queue import BoundedQueue, DropPolicy

KEEP = OverflowPolicy.BLOCK


def make_queue(packets=4, size=1000, when_full=OverflowPolicy.DROP_OLDEST):
    return BoundedQueue(
        InboxLimits(packets=packets, size=size, when_full=when_full),
        DropPolicy(
            size=lambda item: len(item),
            is_keyframe=lambda item: item[0].isupper(),
            source=lambda item: item[0].lower(),
        ),
    )


@pytest.mark.parametrize(
    ("limits", "put", "left", "dropped", "fitted"),
    [
        pytest.param({}, "A1 A2 A3 A4", "A1 A2 A3 A4", 0, 4, id="all fits"),
        pytest.param({}, "A1 A2 A3 A4 A5", "A2 A3 A4 A5", 1, 4, id="number"),
        pytest.param({}, "A1 A2 A3 A4 A5 A6", "A3 A4 A5 A6", 2, 4, id="number, again"),
        pytest.param({"size": 6}, "A1 A2 A3 A4", "A2 A3 A4", 1, 3, id="size"),
        pytest.param({"size": 5}, "A1 A2 A345", "A345", 2, 2, id="size, of a big one"),
        pytest.param({"size": 1}, "A1 A2", "A2", 1, 0, id="the newest stays, however big it is"),
        pytest.param({}, "A1 a2 A3 a4 a5", "A3 a4 a5", 2, 4, id="up to the next key frame"),
        pytest.param({}, "A1 a2 a3 a4 a5", "", 5, 4, id="all of it, where there is none"),
        pytest.param({}, "A1 a2 a3 a4 a5 a6", "", 6, 5, id="and what follows"),
        pytest.param({}, "A1 a2 a3 a4 a5 a6 A7 a8", "A7 a8", 6, 7, id="until there is one"),
        pytest.param({}, "A1 B1 a2 b2 b3", "B1 b2 b3", 2, 4, id="of one source only"),
        pytest.param({}, "A1 B1 a2 b2 a3 B4 a5", "B1 b2 B4", 4, 6, id="which goes on waiting"),
        pytest.param({"when_full": KEEP}, "A1 A2 A3 A4 A5", "A1 A2 A3 A4 A5", 0, 4, id="keep"),
    ],
)
def test_what_is_left(limits, put, left, dropped, fitted):
    queue = make_queue(**limits)
    fits = [queue.add([item], len(item)) for item in put.split()]
    assert list(queue.items) == left.split()
    assert queue.dropped == dropped
    assert fits.count(True) == fitted
    assert queue.size == sum(map(len, left.split()))


@pytest.mark.parametrize("policy", [OverflowPolicy.BLOCK, OverflowPolicy.FAIL])
def test_above_the_high_water_mark_and_below_the_low_one(policy):
    queue = make_queue(packets=4, when_full=policy)
    assert [queue.add([f"A{number}"], 2) for number in range(6)] == [True] * 4 + [False] * 2
    assert queue.is_above_high_water
    low = []
    for _ in range(6):
        queue.take()
        low.append(queue.is_below_low_water)
    assert low == [False] * 3 + [True] * 3


def test_a_burst_is_judged_as_a_whole():
    queue = make_queue()
    assert not queue.add(["A1", "a2", "A3", "a4", "A5", "a6"], 12)
    assert (list(queue.items), queue.size) == (["A3", "a4", "A5", "a6"], 8)
    assert not queue.add(["a7", "a8"], 4)
    assert list(queue.items) == ["A5", "a6", "a7", "a8"]
    assert not queue.add(["a9"], 2)
    assert queue.add(["a1", "a2", "A3", "a4"], 8)
    assert (list(queue.items), queue.size) == (["A3", "a4"], 4)


def test_clearing_counts_as_dropping():
    queue = make_queue()
    queue.add(["A1", "A2"], 4)
    queue.clear()
    assert (list(queue.items), queue.size, queue.dropped) == ([], 0, 2)


@given(st.lists(st.sampled_from(["A", "a", "B", "b", "take"]), max_size=60), st.integers(1, 5))
def test_what_is_delivered_is_in_order_and_can_be_used(steps, packets):
    queue = make_queue(packets=packets)
    delivered, sent = [], []
    for number, step in enumerate(steps):
        if step != "take":
            sent.append(f"{step}{number}")
            queue.add([sent[-1]], len(sent[-1]))
            assert len(queue.items) <= packets
        elif queue.items:
            delivered.append(queue.take())
    delivered += queue.items
    assert len(delivered) + queue.dropped == len(sent)
    assert delivered == [item for item in sent if item in set(delivered)]
    for source in "ab":
        # Whoever gets a frame that needs others has got all since the key frame before it.
        ours = [item for item in sent if item[0].lower() == source]
        got = [item for item in delivered if item[0].lower() == source]
        for item in got:
            before = ours[: ours.index(item)]
            if item[0].islower() and before:
                assert before[-1] in got or not set(before) & set(got)


def test_a_hostile_server_makes_it_know_only_so_many_sources():
    """Of more than ten thousand that wait for their key frames, the first are forgotten."""
    policy = DropPolicy(is_keyframe=lambda item: False, source=lambda item: item)
    queue = BoundedQueue(InboxLimits(packets=1), policy)
    for number in range(10_002):
        queue.add([number, number], 0)
    assert (len(queue.items), queue.dropped) == (0, 20_004)
    assert queue.add([0, 1], 0) is False  # both could be used, as far as is known
    assert queue.add([10_001], 0) is True
    assert 10_001 not in queue.items


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: InboxLimits(packets=0), "packets must be a number from 1 on, not 0"),
        (lambda: InboxLimits(packets=True), "packets must be a number"),
        (lambda: InboxLimits(packets=1, size=-1), "size must be a number from 1 on"),
        (lambda: InboxLimits(packets=1, when_full="block"), "when_full must be an OverflowPolicy"),
        (lambda: Inboxes(events=InboxLimits(packets=1)), "events can only fail"),
    ],
)
def test_limits_that_make_no_sense(make, problem):
    with pytest.raises(ConfigurationError, match=problem):
        make()


def test_what_is_said_is_never_dropped_by_default():
    limits = Inboxes()
    assert limits.transcript.when_full is limits.chat.when_full is OverflowPolicy.BLOCK
    assert limits.events.when_full is OverflowPolicy.FAIL

"""The greenlet of an inbox: when it runs, and when not. There is a hub here, and no socket."""

from __future__ import annotations

import time

import gevent
import pytest
from gevent.event import AsyncResult, Event
from support.delivery import PLENTY, BackPressureLog
from support.recorder import wait_until

from rtms_gevent import InboxLimits, MediaDataType, OverflowPolicy
from rtms_gevent.delivery.bounded_queue import DropPolicy
from rtms_gevent.delivery.inbox import TURN, Inbox
from rtms_gevent.runtime.greenlets import GreenletGroup

BLOCK = OverflowPolicy.BLOCK
AUDIO = MediaDataType.AUDIO


class ListInbox(Inbox):
    """Delivers into a list; calls ``each`` with the items before that."""

    def __init__(self, limits=PLENTY, each=lambda item: None):
        self.log = BackPressureLog()
        super().__init__(
            GreenletGroup("rtms test"),
            "audio",
            limits,
            DropPolicy(),
            self.log.handler(AUDIO, limits),
        )
        self.got, self.each = [], each

    def deliver(self):
        until = time.monotonic() + TURN
        while self.items and time.monotonic() <= until:
            item = self.take()
            self.each(item)
            self.got.append(item)


@pytest.fixture
def make_inbox():
    made = []

    def make(*arguments, **options):
        made.append(ListInbox(*arguments, **options))
        return made[-1]

    yield make
    for inbox in made:
        inbox.close()


def in_hub(function):
    """Call ``function`` in the hub, and return what it returns."""
    result = AsyncResult()
    gevent.get_hub().loop.run_callback(lambda: result.set(function()))
    return result.get(timeout=5)


class TestPutting:
    def test_put_never_switches(self, make_inbox):
        inbox = make_inbox()
        for number in range(3):
            inbox.put([number])
            assert inbox.got == []
        inbox.wait_idle()
        assert inbox.got == [0, 1, 2]
        inbox.put([3])  # the greenlet is parked now
        assert inbox.got == [0, 1, 2]
        inbox.wait_idle()
        assert inbox.got == [0, 1, 2, 3]

    def test_put_and_switch_delivers_at_once_where_the_greenlet_is_parked(self, make_inbox):
        inbox = make_inbox()

        def put(*items):
            inbox.put_and_switch(items)
            return inbox.got[:]

        assert in_hub(lambda: put(1)) == []  # there is no greenlet yet
        inbox.wait_idle()
        assert in_hub(lambda: put(2, 3)) == [1, 2, 3]

    def test_put_and_switch_returns_where_the_greenlet_waits(self, make_inbox):
        go = Event()
        inbox = make_inbox(each=lambda item: item == "slow" and go.wait())
        inbox.put(["first"])
        inbox.wait_idle()
        in_hub(lambda: inbox.put_and_switch(["slow"]))
        assert inbox.is_delivering
        in_hub(lambda: inbox.put_and_switch(["last"]))
        assert inbox.got == ["first"]
        go.set()
        inbox.wait_idle()
        assert inbox.got == ["first", "slow", "last"]
        assert not inbox.is_delivering

    def test_put_and_switch_delivers_nothing_that_is_held(self, make_inbox):
        inbox = make_inbox()
        inbox.put([1])
        inbox.wait_idle()
        inbox.hold()
        in_hub(lambda: inbox.put_and_switch([2]))
        assert inbox.got == [1]
        inbox.release()
        inbox.wait_idle()
        assert inbox.got == [1, 2]

    @pytest.mark.parametrize("put", [Inbox.put, Inbox.put_and_switch])
    def test_what_comes_after_the_end_counts_as_dropped(self, put, make_inbox):
        inbox = make_inbox()
        inbox.put([1])
        inbox.wait_idle()
        inbox.close()
        in_hub(lambda: put(inbox, [2, 3]))
        gevent.sleep(0)
        assert (inbox.got, inbox.dropped, len(inbox.items)) == ([1], 2, 0)


def test_what_is_held_waits_until_it_is_released(make_inbox):
    inbox = make_inbox()
    inbox.hold()
    inbox.put([1])
    inbox.wait_idle()  # returns, since nothing will happen
    gevent.sleep(0.01)
    assert (inbox.got, list(inbox.items)) == ([], [1])
    inbox.release()
    inbox.wait_idle()
    assert inbox.got == [1]


def test_closing_drops_what_waits_and_leaves_what_is_being_delivered(make_inbox):
    go, entered = Event(), Event()

    def wait(item):
        entered.set()
        go.wait()

    inbox = make_inbox(each=wait)
    inbox.put([1, 2, 3])
    assert entered.wait(5)
    waiting = gevent.spawn(inbox.wait_idle)
    gevent.sleep(0)
    inbox.close()
    waiting.get(timeout=5)  # nobody waits for what is closed
    assert (inbox.got, inbox.dropped) == ([], 2)
    go.set()
    wait_until(lambda: inbox.got == [1])


def test_only_its_greenlet_is_current(make_inbox):
    here = []
    inbox = make_inbox(each=lambda item: here.append(inbox.is_current))
    inbox.put([1])
    inbox.wait_idle()
    assert (here, inbox.is_current) == ([True], False)


def test_the_hub_gets_a_turn_while_much_is_delivered(make_inbox):
    inbox = make_inbox(each=lambda item: time.sleep(TURN))
    inbox.put(range(5))
    seen = in_hub(lambda: len(inbox.got))
    inbox.wait_idle()
    assert seen < 5
    assert len(inbox.got) == 5


@pytest.mark.parametrize("error", [gevent.GreenletExit, ValueError("a bug")])
def test_another_greenlet_takes_over_where_one_ends(error, make_inbox, caplog):
    def end(item):
        if item == 1:
            raise error

    inbox = make_inbox(each=end)
    inbox.put([0, 1])
    inbox.wait_idle()
    assert not inbox.is_delivering
    inbox.put([2])
    inbox.wait_idle()
    assert inbox.got == [0, 2]


class TestOverflow:
    def test_a_burst_of_drops_is_told_once(self, make_inbox):
        inbox = make_inbox(InboxLimits(packets=2))
        for first in (0, 10):
            for number in range(first, first + 5):
                inbox.put([number])
            inbox.wait_idle()
        assert [error.dropped for _, (error, _) in inbox.log.reported] == [1, 4]
        assert (inbox.got, inbox.dropped) == ([3, 4, 13, 14], 6)

    @pytest.mark.parametrize("when", ["while it is parked", "while it delivers"])
    def test_so_is_one_while_all_is_held(self, when, make_inbox):
        def hold(item):
            if when == "while it delivers":
                inbox.hold()

        inbox = make_inbox(InboxLimits(packets=2), each=hold)
        inbox.put([0])
        wait_until(lambda: inbox.got == [0])
        gevent.sleep(0)
        if when == "while it is parked":
            inbox.hold()
        for numbers in ([1, 2, 3], [4], [5]):
            in_hub(lambda numbers=numbers: inbox.put_and_switch(numbers))
        assert [error.dropped for _, (error, _) in inbox.log.reported] == [1]
        assert (inbox.got, list(inbox.items), inbox.dropped) == ([0], [4, 5], 3)

    def test_full_until_half_is_delivered(self, make_inbox):
        levels = []

        def step(item):
            levels.append((len(inbox.items), inbox.is_full, inbox.log.calls[-1:]))
            gevent.sleep(TURN * 1.5)  # so that the greenlet looks after each of them

        inbox = make_inbox(InboxLimits(packets=4, when_full=BLOCK), each=step)
        for number in range(6):
            inbox.put([number])
        assert inbox.log.calls == [("pause", AUDIO)]  # once
        inbox.wait_idle()
        paused, resumed = [("pause", AUDIO)], [("resume", AUDIO)]
        assert levels == [
            (5, True, paused),
            (4, True, paused),
            (3, True, paused),
            (2, True, paused),
            (1, False, resumed),
            (0, False, resumed),
        ]
        assert (inbox.got, inbox.dropped) == ([0, 1, 2, 3, 4, 5], 0)

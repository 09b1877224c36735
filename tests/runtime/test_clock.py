from __future__ import annotations

import time

import gevent
import pytest
from gevent.event import AsyncResult, Event
from support.clock import VirtualClock

from rtms_gevent.runtime.clock import SYSTEM_CLOCK


class Late(Exception):
    pass


def in_time(clock, seconds, function):
    """Call a function in a greenlet while the time passes that it may take."""
    greenlet = gevent.spawn(function)
    if isinstance(clock, VirtualClock):
        clock.advance(seconds)
    return greenlet.get(timeout=5)


@pytest.fixture(params=[SYSTEM_CLOCK, VirtualClock()], ids=["system", "virtual"])
def clock(request):
    return request.param


@pytest.mark.parametrize("event", [Event, AsyncResult])
def test_waiting_for_what_comes_and_for_what_does_not(clock, event):
    assert in_time(clock, 1, lambda: clock.wait(event(), 0.01)) is False
    here, later = event(), event()
    here.set()
    gevent.spawn_later(0.005, later.set)
    assert clock.wait(here, 0.01) is True
    assert clock.wait(later, None) is True


def test_sleeping(clock):
    before = clock.monotonic()
    in_time(clock, 0.01, lambda: clock.sleep(0.01))
    assert clock.monotonic() - before >= 0.009


def test_a_limit(clock):
    def run():
        with pytest.raises(Late), clock.limit(0.01, Late):
            clock.sleep(10)
        with clock.limit(None, Late), clock.limit(10, Late):
            clock.sleep(0.02)

    in_time(clock, 11, run)


def test_a_deadline(clock):
    deadline = clock.deadline(5)
    assert 4 < deadline.left() <= 5
    assert clock.deadline(None).left() is None


def test_the_systems_clock_tells_the_time_of_the_world():
    assert abs(SYSTEM_CLOCK.time() - time.time()) < 5
    assert abs(SYSTEM_CLOCK.monotonic() - time.monotonic()) < 5

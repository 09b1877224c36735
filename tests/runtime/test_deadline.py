"""Deadlines, with a clock that stands still."""

from __future__ import annotations

import pytest

from rtms_gevent.runtime.deadline import MIN_TIMEOUT, Deadline, clamp_timeout


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.mark.parametrize(
    ("seconds", "clamped"), [(-1, 0.0), (0, 0.0), (1e-9, MIN_TIMEOUT), (MIN_TIMEOUT, 0.001), (2, 2)]
)
def test_what_can_be_waited_for(seconds, clamped):
    assert clamp_timeout(seconds) == clamped


def test_what_is_left(clock):
    deadline = Deadline(5, clock)
    assert deadline.left() == 5
    clock.now += 3
    assert deadline.left() == 2
    clock.now += 3
    assert deadline.left() == 0.0
    assert deadline.seconds == 5


def test_no_limit(clock):
    assert Deadline(None, clock).left() is None
    assert Deadline(None, clock).share(3).left() is None


@pytest.mark.parametrize(("seconds", "left"), [(None, 2), (10, 2), (1, 1)])
def test_the_earlier_counts(seconds, left, clock):
    assert Deadline(seconds, clock).within(2).left() == left


def test_a_fair_share(clock):
    deadline = Deadline(9, clock)
    assert deadline.share(3).left() == 3
    clock.now += 6
    assert deadline.share(3).left() == 1

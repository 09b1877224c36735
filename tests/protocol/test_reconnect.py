"""What to reconnect after which loss: as tables, and against every order of events."""

from __future__ import annotations

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rtms_gevent.enums import MediaDataType, StatusCode
from rtms_gevent.errors import (
    ConnectError,
    HandshakeClosed,
    HandshakeMalformed,
    HandshakeRejected,
    JoinError,
    JoinTimeout,
    MediaNotOffered,
    TlsError,
)
from rtms_gevent.protocol.reconnect import (
    Backoff,
    ReconnectAttempt,
    ReconnectPolicy,
    WindowExpired,
    is_transient,
)

AUDIO, VIDEO, ALL = MediaDataType.AUDIO, MediaDataType.VIDEO, MediaDataType.ALL


def policy(jitter=0.0):
    return ReconnectPolicy(
        signaling_window=60.0,
        media_window=65.0,
        backoff=Backoff(1.0, 10.0),
        jitter=lambda: jitter,
    )


@pytest.mark.parametrize(
    ("problem", "passes"),
    [
        (ConnectError("wss://a:443", "dns", "x"), True),
        (ConnectError("wss://a:443", "tcp", "x"), True),
        (ConnectError("wss://a:443", "http", "x"), True),
        (TlsError("wss://a:443", "tls", "x"), False),
        (HandshakeClosed("signaling", 1000), True),
        (HandshakeClosed("signaling", None), True),
        (HandshakeMalformed("signaling", "x"), True),
        (JoinTimeout(1, "x"), True),
        (MediaNotOffered(("audio",), ()), False),
        (JoinError("x"), True),
        # The older numbering: the text is believed first.
        (HandshakeRejected("signaling", 17, "duplicate signal request"), True),
        (HandshakeRejected("signaling", 15, "invalid signature"), False),
        (HandshakeRejected("signaling", 16, "invalid meeting or stream id"), False),
        (HandshakeRejected("signaling", 8, "invalid signature"), False),
        (HandshakeRejected("signaling", 75, "INTERNAL_EXCEPTION"), True),
        *(
            (HandshakeRejected("signaling", status), status in (8, 15, 16, 45))
            for status in (*StatusCode, 99)
        ),
    ],
    ids=str,
)
def test_what_passes(problem, passes):
    assert is_transient(problem) is passes


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_delays(jitter):
    backoff = Backoff(base=1.0, cap=10.0)
    delays = [backoff.delay(attempt, jitter) for attempt in range(1, 9)]
    full = [1, 2, 4, 8, 10, 10, 10]
    assert delays[0] == jitter / 4
    assert delays[1:] == [seconds * (1 - jitter / 4) for seconds in full]
    assert math.isfinite(backoff.delay(10_000, jitter))


def test_nothing_is_broken():
    assert policy().next(0.0) is None


def test_lost_media_is_reconnected_alone_and_at_once():
    it = policy()
    assert it.lost_media([AUDIO], 5.0)
    assert not it.lost_media([AUDIO], 6.0)
    assert it.next(6.0) == ReconnectAttempt(1, 0.0, frozenset({AUDIO}), 64.0)
    assert it.lost_media([AUDIO, VIDEO], 7.0)
    attempt = it.next(7.0)
    assert attempt.media == {AUDIO, VIDEO}
    assert not it.is_signaling_broken
    it.began(attempt)
    assert it.succeeded(attempt, 8.0) == 3.0
    assert not it.is_broken


def test_lost_signaling_costs_everything():
    it = policy()
    assert it.lost_media([AUDIO], 1.0)
    assert it.lost_signaling(2.0)
    assert not it.lost_signaling(3.0)
    assert not it.lost_media([VIDEO], 3.0)
    attempt = it.next(3.0)
    assert attempt.media is None
    assert attempt.left == 59.0
    it.began(attempt)
    assert it.succeeded(attempt, 4.0) == 3.0


def test_attempts_are_counted_and_delayed_until_the_window_has_passed():
    it, now, delays = policy(), 0.0, []
    it.lost_signaling(now)
    while isinstance(step := it.next(now), ReconnectAttempt):
        delays.append(step.delay)
        it.began(step)
        now += step.delay + 0.5
        it.failed(step, now)
    assert delays[:6] == [0, 1, 2, 4, 8, 10]
    assert step == WindowExpired(now, len(delays))
    assert 60 <= now < 75


def test_what_a_failed_attempt_has_connected_is_not_touched_again():
    it = policy()
    it.lost_media([AUDIO, VIDEO], 0.0)
    first = it.next(0.0)
    it.began(first)
    it.failed(first, 1.0, [AUDIO])
    assert it.next(1.0).media == {VIDEO}


def test_what_breaks_during_a_repair_is_not_hidden_by_its_success():
    it = policy()
    it.lost_signaling(0.0)
    first = it.next(0.0)
    it.began(first)
    assert it.lost_media([AUDIO], 1.0)
    assert it.succeeded(first, 2.0) is None
    second = it.next(2.0)
    assert second.media == {AUDIO}
    it.began(second)
    assert it.succeeded(second, 3.0) == 3.0


def test_signaling_that_breaks_during_its_repair():
    it = policy()
    it.lost_signaling(0.0)
    first = it.next(0.0)
    it.began(first)
    assert it.lost_signaling(1.0)
    assert it.succeeded(first, 2.0) is None
    assert it.is_signaling_broken
    assert it.next(2.0).media is None


def test_a_move_has_a_window_of_its_own():
    it = policy()
    it.lost_signaling(0.0)
    it.began(it.next(0.0))
    it.failed(ReconnectAttempt(1, 0.0, None, 60.0), 1.0)
    it.relocated(50.0)
    assert it.next(50.0) == ReconnectAttempt(1, 0.0, None, 60.0)


def test_what_breaks_while_we_wait_postpones_nothing():
    it = policy()
    it.lost_media([AUDIO], 0.0)
    first = it.next(0.0)
    it.began(first)
    it.failed(first, 5.0)
    assert it.next(5.0).delay == 1.0
    it.lost_media([VIDEO], 5.75)
    assert it.next(5.75) == ReconnectAttempt(2, 0.25, frozenset({AUDIO, VIDEO}), 59.25)
    it.lost_signaling(7.0)
    assert it.next(7.0).delay == 0.0


def delays_of(lives):
    """Return how long each attempt is waited for, where connections last for so long."""
    it, now, delays = policy(), 0.0, []
    for life in lives:
        it.lost_media([AUDIO], now)
        attempt = it.next(now)
        assert attempt.number == 1  # of this outage
        delays.append(attempt.delay)
        it.began(attempt)
        it.succeeded(attempt, now + attempt.delay)
        now += attempt.delay + life
    return delays


@pytest.mark.parametrize(
    ("lives", "delays"),
    [
        ([0.0] * 7, [0, 1, 2, 4, 8, 10, 10]),
        ([0.9] * 4, [0, 1, 2, 4]),
        ([1.0] * 4, [0, 0, 0, 0]),
        ([0.0, 0.0, 3.0, 0.0, 0.0], [0, 1, 2, 0, 1]),
    ],
    ids=["dropped at once", "nearly at once", "held", "held in between"],
)
def test_only_a_repair_that_did_not_hold_makes_the_next_slower(lives, delays):
    assert delays_of(lives) == pytest.approx(delays)


def test_attempts_that_failed_are_forgotten_with_their_outage():
    it = policy()
    it.lost_media([AUDIO], 0.0)
    for now in (0.0, 1.0, 3.0, 7.0):
        attempt = it.next(now)
        it.began(attempt)
        it.failed(attempt, now)
    last = it.next(15.0)
    it.began(last)
    assert (last.number, it.succeeded(last, 15.0)) == (5, 15.0)
    it.lost_media([AUDIO], 18.0)
    assert it.next(18.0) == ReconnectAttempt(1, 0.0, frozenset({AUDIO}), 65.0)


class AnyOrder(RuleBasedStateMachine):
    """Time passes, sockets break, attempts succeed and fail, in any order."""

    @initialize(jitter=st.floats(0, 1, allow_subnormal=False))
    def start(self, jitter):
        self.now = 0.0
        self.policy = policy(jitter)
        self.under_way = None
        self.began_at = -math.inf  # the attempt before
        self.due = math.inf  # the next
        # A model of the sockets: what is down, and what an attempt has taken in hand.
        self.down = set()

    @rule(seconds=st.floats(0.001, 30))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(kinds=st.sets(st.sampled_from([AUDIO, VIDEO, ALL]), min_size=1))
    def media_breaks(self, kinds):
        self.policy.lost_media(kinds, self.now)
        if "signaling" not in self.down:
            self.down |= kinds

    @rule()
    def signaling_breaks(self):
        self.policy.lost_signaling(self.now)
        self.down.add("signaling")

    @rule()
    def moves(self):
        self.policy.relocated(self.now)
        self.down.add("signaling")
        self.began_at, self.due = -math.inf, math.inf  # other servers, where we are new

    @precondition(lambda self: self.under_way is None)
    @rule()
    def an_attempt_begins(self):
        step = self.policy.next(self.now)
        if isinstance(step, ReconnectAttempt):
            self.now += step.delay
            # Zoom is asked at most once in a second, but for the last moment of its window.
            assert self.now - self.began_at >= 0.75 - 1e-6 or step.delay == step.left
            self.began_at, self.due = self.now, math.inf
            self.policy.began(step)
            self.under_way = step
            self.down -= set(self.down) if step.media is None else step.media

    @precondition(lambda self: self.under_way is not None)
    @rule()
    def it_fails(self):
        step, self.under_way = self.under_way, None
        self.policy.failed(step, self.now)
        self.due = math.inf
        self.down |= {"signaling"} if step.media is None else step.media

    @precondition(lambda self: self.under_way is not None)
    @rule()
    def it_succeeds(self):
        step, self.under_way = self.under_way, None
        outage = self.policy.succeeded(step, self.now)
        self.due = math.inf
        assert (outage is None) == bool(self.down)
        assert outage is None or outage >= 0

    @invariant()
    def nothing_that_is_down_is_forgotten(self):
        if self.down:
            assert self.policy.is_broken
            step = self.policy.next(self.now)
            assert step is not None
            if isinstance(step, ReconnectAttempt) and "signaling" in self.down:
                assert step.media is None
            elif isinstance(step, ReconnectAttempt) and step.media is not None:
                assert step.media >= self.down
        elif self.under_way is None:
            assert not self.policy.is_broken
            assert self.policy.next(self.now) is None

    @invariant()
    def delays_stay_inside_the_window(self):
        step = self.policy.next(self.now)
        if isinstance(step, ReconnectAttempt):
            assert 0 <= step.delay <= min(10.0, step.left)
            assert step.left < 65.0 or step.left == pytest.approx(65.0)

    @invariant()
    def nothing_postpones_an_attempt(self):
        step = self.policy.next(self.now)
        if isinstance(step, ReconnectAttempt):
            due = self.now + step.delay
            assert step.delay == 0 or due <= self.due + 1e-6
            self.due = min(self.due, due)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=200, stateful_step_count=30)

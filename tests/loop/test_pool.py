"""EventLoopPool: which loop gets which client, and how all begin and end together."""

from __future__ import annotations

import threading

import gevent
import pytest
from support.recorder import wait_until

from rtms_gevent import Client, ConfigurationError, EventLoopPool

from .listener import Listener


@pytest.mark.parametrize(
    ("strategy", "places"),
    [("least_loaded", [0, 1, 2, 0, 1]), ("round_robin", [0, 1, 2, 0, 1])],
)
def test_spreads_clients_that_have_not_joined(strategy, places):
    pool = EventLoopPool(threads=3, strategy=strategy)
    clients = [Client() for _ in places]
    assert [pool.loops.index(pool.add(client)) for client in clients] == places
    assert pool.client_count == 5


def test_least_loaded_looks_at_who_is_left():
    pool = EventLoopPool(threads=2)
    first, second = Client(), Client()
    assert pool.add(first) is pool.loops[0]
    assert pool.add(second) is pool.loops[1]
    pool.loops[0].context.discard(first)
    assert pool.add(Client()) is pool.loops[0]


@pytest.mark.parametrize(
    "options", [{"threads": 0}, {"threads": True}, {"threads": "2"}, {"strategy": "random"}]
)
def test_wrong_arguments(options):
    with pytest.raises(ConfigurationError, match="must be"):
        EventLoopPool(**options)


def test_runs_here_and_in_threads_until_empty(simulator):
    pool = EventLoopPool(threads=3)
    meetings = [simulator.meeting, simulator.add_meeting(), simulator.add_meeting()]
    listeners = [Listener() for _ in meetings]
    for listener, meeting in zip(listeners, meetings, strict=True):
        pool.add(listener.client)
        listener.join(simulator, meeting)
    running = gevent.spawn(pool.run, stop_on_empty=True)
    for meeting in meetings:
        assert meeting.wait_ready(5)
        meeting.send_audio(b"x")
    for listener in listeners:
        wait_until(lambda listener=listener: listener.heard)
    assert len({listener.heard[0][1] for listener in listeners}) == 3
    assert not running.dead
    for meeting in meetings:
        meeting.stop(6)
    running.get(timeout=10)
    assert not any(loop.is_running for loop in pool.loops)


def test_stop_from_anywhere():
    pool = EventLoopPool(threads=2)
    running = gevent.spawn(pool.run)
    wait_until(lambda: all(loop.is_running for loop in pool.loops))
    threading.Thread(target=pool.stop).start()
    running.get(timeout=5)


def test_no_loop_ends_before_streams_were_handed_over():
    """Whichever loop they live on: who hands them over does so where run() was called."""
    pool = EventLoopPool(threads=2)
    ran = []

    def hand_over():
        gevent.sleep(0.2)  # in which a loop in a thread would have ended
        ran.append(pool.loops[0].is_running)

    pool.loops[-1].context.before_leaving(hand_over)
    gevent.spawn(pool.stop)
    pool.run()
    assert ran == [True]
    assert not pool.loops[0].is_running

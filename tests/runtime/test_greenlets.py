"""Groups of greenlets: who is waited for, who is killed, and what is logged."""

from __future__ import annotations

import threading

import gevent
import pytest
from gevent.event import Event

from rtms_gevent.runtime.greenlets import GreenletGroup, join_released, spawn_on


@pytest.fixture
def group():
    made = GreenletGroup("test")
    yield made
    assert made.stop(1) == []


def raises(error):
    raise error


def test_who_spawned_a_greenlet_is_not_noted(group):
    """That would be some five objects for each, which the garbage collector goes through."""
    assert group.spawn("works", raises, ValueError()).spawning_stack is None


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), gevent.Timeout(1)], ids=str)
def test_what_a_greenlet_raises_is_logged_and_ends_only_it(group, error, caplog):
    failed = group.spawn("fails", raises, error)
    assert group.spawn("works", lambda: 5).get(timeout=1) == 5
    assert failed.get(timeout=1) is None
    assert "greenlet test:fails failed" in caplog.text


def test_a_killed_one_is_not_logged(group, caplog):
    greenlet = group.spawn("waits", Event().wait)
    gevent.sleep(0)
    group.kill()
    greenlet.join(1)
    assert greenlet.dead
    assert caplog.text == ""


def test_a_member_may_stop_the_others(group):
    other = group.spawn("waits", Event().wait)
    assert group.spawn("stops", group.stop, 1).get(timeout=1) == []
    assert other.dead


def test_waiting_includes_those_that_are_started_meanwhile(group):
    done = []

    def first():
        gevent.sleep(0.01)
        group.spawn("second", second)

    def second():
        gevent.sleep(0.01)
        done.append("second")

    group.spawn("first", first)
    assert group.wait(5) == 0
    assert done == ["second"]


def test_what_a_released_greenlet_starts_is_waited_for():
    done = []

    def first():
        gevent.sleep(0.01)
        spawn_on(gevent.get_hub(), second)

    def second():
        gevent.sleep(0.01)
        done.append("second")

    spawn_on(gevent.get_hub(), first)
    assert join_released(5) == {}
    assert done == ["second"]


def test_stop_names_who_does_not_die(group):
    go = Event()

    def stays():
        try:
            go.wait()
        finally:
            go.wait()

    group.spawn("stays", stays)
    gevent.sleep(0)
    assert group.stop(0) == ["test:stays"]
    go.set()


def test_the_last_runs_when_all_others_have_ended(group):
    go, order = Event(), []
    last = group.spawn_last("end", order.append, "last")
    group.spawn("first", lambda: (go.wait(), order.append("first")))
    gevent.sleep(0)
    assert group.wait(0) == 1  # who only waits does not count
    go.set()
    last.join(1)
    assert order == ["first", "last"]


def test_the_last_runs_where_all_are_killed(group):
    ran = []
    last = group.spawn_last("end", ran.append, True)
    group.spawn("waits", Event().wait)
    gevent.sleep(0)
    group.kill()
    last.join(1)
    assert ran == [True]


def in_own_hub(function):
    """Call in a thread with a hub of its own; return the result."""
    results = []

    def run():
        results.append(function())
        gevent.get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


def test_released_groups_are_waited_for_and_then_killed():
    def run():
        quick, slow, kept = (GreenletGroup(name) for name in ("quick", "slow", "kept"))
        quick.spawn("ends", gevent.sleep, 0)
        waits = slow.spawn("waits", Event().wait)
        mine = kept.spawn("waits", Event().wait)
        quick.release()
        slow.release()
        killed = join_released(0.05)
        result = killed, waits.dead, mine.dead
        kept.stop()
        return result

    assert in_own_hub(run) == ({"slow": 1}, True, False)


def test_what_was_spawned_on_a_hub_is_waited_for_too():
    def run():
        ran = []
        spawn_on(gevent.get_hub(), lambda: (gevent.sleep(0), ran.append(True)))
        return join_released(5), ran

    assert in_own_hub(run) == ({}, [True])

"""What is said of a hub that gets no turn. Real time: blocking cannot be played."""

from __future__ import annotations

import gc
import logging
import threading
import time
from types import SimpleNamespace

import gevent
import pytest
from gevent import monkey
from support.recorder import wait_until

from rtms_gevent.runtime import watchdog
from rtms_gevent.runtime.watchdog import Watchdog

BLOCKED_AFTER = 0.2


def block(until):
    """Block the hub, as a call would that gevent knows nothing of, until ``until()``."""
    sleep = monkey.get_original("time", "sleep")
    limit = time.monotonic() + 10
    while not until() and time.monotonic() < limit:
        sleep(0.01)


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.WARNING, logger=watchdog.__name__)
    return caplog


def levels(log):
    return [record.levelname for record in log.records]


def test_it_shows_what_blocks_and_says_when_it_is_over(log):
    forget = Watchdog(BLOCKED_AFTER).watch()
    try:
        gevent.sleep(0.01)
        block(lambda: "in block" in log.text)
        assert "in test_it_shows_what_blocks" in log.text
        wait_until(lambda: levels(log)[-1] == "WARNING")
        assert "goes on" in log.text
    finally:
        forget()


def test_a_long_blocking_is_told_once(log):
    dog = Watchdog(BLOCKED_AFTER)
    heartbeat = SimpleNamespace(
        thread=threading.get_ident(), last_tick=time.monotonic() - 1, blocked_since=None
    )
    for _ in range(3):
        dog._look_at(heartbeat)
    assert levels(log) == ["ERROR"]
    heartbeat.last_tick = time.monotonic()
    for _ in range(3):
        dog._look_at(heartbeat)
    assert levels(log) == ["ERROR", "WARNING"]


def test_a_hub_that_gets_its_turns_is_not_told_of(log):
    # Long enough for a busy machine, which holds this process up, too.
    dog = Watchdog(2.0)
    forget = dog.watch()
    (heartbeat,) = dog._heartbeats.values()
    for _ in range(2):
        seen = heartbeat.last_tick
        wait_until(lambda seen=seen: heartbeat.last_tick > seen)
        dog._look_at(heartbeat)
    forget()
    assert not log.records


def test_the_thread_ends_when_there_is_nothing_to_watch():
    dog = Watchdog(BLOCKED_AFTER)
    first, second = dog.watch(), dog.watch()
    first()
    assert dog._is_running
    second()
    wait_until(lambda: not dog._is_running)
    dog.watch()()  # and begins again
    wait_until(lambda: not dog._is_running)


def test_a_hub_of_another_thread(log):
    dog = Watchdog(BLOCKED_AFTER)
    done = threading.Event()

    def other():
        forget = dog.watch()
        gevent.sleep(0.01)
        block(lambda: "is blocked" in log.text)
        forget()
        gevent.get_hub().destroy(destroy_loop=True)
        done.set()

    thread = threading.Thread(target=other, name="other")
    thread.start()
    wait_until(done.is_set)
    thread.join()
    assert f"thread {thread.ident} " in log.text
    assert "in other" in log.text


def test_nothing_of_a_forgotten_hub_is_kept():
    dog = Watchdog(BLOCKED_AFTER)
    dog.watch()()
    gc.collect()
    assert not dog._heartbeats

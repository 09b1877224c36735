"""Threads with hubs, and what wakes them from outside, on both of gevent's loops."""

from __future__ import annotations

import subprocess
import sys

import gevent
import pytest

from rtms_gevent.runtime.threads import NativeEvent

ENDS = """
import os, time
from rtms_gevent.runtime.threads import HubThread

def held():
    # The kernel's thread is there for a moment after its last line of Python.
    limit = time.monotonic() + 20
    while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < limit:
        time.sleep(0.01)
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

def use():
    thread = HubThread()
    assert thread.call(lambda: 5) == 5
    thread.spawn(lambda: None)
    thread.stop()

use()  # what is opened once stays
before = held()
for _ in range(5):
    use()
assert held() == before, (before, held())
print("all gone")
"""


LATE = """
import threading
import gevent
from gevent.event import Event
from rtms_gevent.runtime.threads import AsyncWaker

wakers, woken = [], []

def run():
    event = Event()
    wakers.append(AsyncWaker(event.set))
    made.set()
    event.wait()
    woken.append(True)
    wakers[0].close()
    wakers[0].wake()  # the hub is there still
    gevent.get_hub().destroy(destroy_loop=True)

made, thread = threading.Event(), threading.Thread(target=run)
thread.start()
made.wait()
wakers[0].wake()
thread.join()
wakers[0].wake()
print(woken)
"""

WHILE_IT_CLOSES = """
import sys, threading
from rtms_gevent.runtime.threads import AsyncWaker

sys.setswitchinterval(1e-6)
ended, failed = [], []

def wake():
    try:
        while not ended:
            waker.wake()
    except BaseException as problem:
        failed.append(problem)

waker = AsyncWaker(lambda: None)
threads = [threading.Thread(target=wake) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(300):
    old, waker = waker, AsyncWaker(lambda: None)
    old.close()
ended.append(True)
for thread in threads:
    thread.join()
print(failed)
"""


@pytest.fixture(params=["libev-cext", "libuv"])
def run(request, monkeypatch):
    monkeypatch.setenv("GEVENT_LOOP", request.param)

    def run(code):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_nothing_of_it_is_left(run):
    assert run(ENDS) == "all gone\n"


def test_waking_what_has_ended_does_nothing(run):
    assert run(LATE) == "[True]\n"


def test_waking_while_it_closes(run):
    assert run(WHILE_IT_CLOSES) == "[]\n"


class TestNativeEvent:
    def test_one_thread_only_finds_it_set(self):
        event = NativeEvent()
        assert not event.is_set()
        event.set()
        event.set()
        assert [event.clear(), event.clear()] == [True, False]

    def test_waiting_in_a_greenlet_lets_the_others_run(self):
        event = NativeEvent()
        gevent.spawn_later(0.01, event.set)  # it could not if the hub were blocked
        gevent.spawn(event.wait, 5).get(timeout=5)
        assert event.is_set()

    def test_waiting_ends_in_time_and_leaves_it_as_it_is(self):
        event = NativeEvent()
        event.wait_natively(0.01)
        assert not event.is_set()
        event.set()
        event.wait_natively()
        assert event.is_set()

from __future__ import annotations

import subprocess
import sys

import gevent
import pytest

from rtms_gevent.runtime.fair_scheduling import yield_to_io

LOOPS = ["libev-cext", "libuv"]

ONE_IN_EACH_TURN = """
import gevent
from rtms_gevent.runtime.fair_scheduling import yield_to_io

turn, passed = 0, []

def next_turn():
    global turn
    turn += 1

def work(name):
    for step in range(2):
        yield_to_io()
        passed.append((step, name, turn))

watcher = gevent.get_hub().loop.check()  # comes once in each turn; libuv does not count them
watcher.start(next_turn)
gevent.joinall([gevent.spawn(work, name) for name in range(10)])
assert [(step, name) for step, name, _ in passed] == [(s, n) for s in range(2) for n in range(10)]
turns = [turn for _, _, turn in passed]
assert len(set(turns)) == len(turns), turns
print("in turn")
"""

READING_GOES_FIRST = """
import gevent, gevent.socket
from rtms_gevent.runtime.fair_scheduling import yield_to_io

order = []
sender, receiver = gevent.socket.socketpair()
with sender, receiver:
    sender.send(b"media")
    watcher = gevent.get_hub().loop.io(receiver.fileno(), 1)
    watcher.start(lambda: (watcher.stop(), order.append("read")))
    yield_to_io()
    order.append("joined")
    watcher.close()
assert order == ["read", "joined"], order
print("in turn")
"""


def run(script, monkeypatch, loop):
    monkeypatch.setenv("GEVENT_LOOP", loop)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (0, "in turn\n"), done.stderr


@pytest.mark.parametrize("loop", LOOPS)
def test_one_passes_in_each_turn_of_the_loop_in_the_order_they_came(loop, monkeypatch):
    run(ONE_IN_EACH_TURN, monkeypatch, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_ready_in_the_same_turn_goes_first(loop, monkeypatch):
    run(READING_GOES_FIRST, monkeypatch, loop)


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_who_is_killed_while_waiting_holds_nobody_up(victim):
    passed = []
    greenlets = [
        gevent.spawn(lambda name: (yield_to_io(), passed.append(name)), n) for n in range(3)
    ]
    gevent.sleep(0)  # they have begun to wait
    greenlets[victim].kill(block=False)
    gevent.joinall(greenlets)
    assert passed == [name for name in range(3) if name != victim]


def test_a_time_limit_holds_while_waiting():
    def impatient():
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.0):
            yield_to_io()
            gevent.sleep(1)

    gevent.joinall([gevent.spawn(impatient) for _ in range(3)], raise_error=True)
    gevent.spawn(yield_to_io).join(1)


def test_one_line_does_not_wait_for_another():
    passed = []

    def work(line):
        yield_to_io(line)
        passed.append(line)

    strangers = [gevent.spawn(work, "strangers") for _ in range(50)]
    gevent.joinall([*strangers, gevent.spawn(work, "streams")], raise_error=True)
    assert passed.index("streams") <= 2
    assert len(passed) == 51

"""How long functions get at the end, and in which order what runs is ended."""

from __future__ import annotations

import signal
import types

import gevent
import pytest

from rtms_gevent.runtime import exit as process_exit
from rtms_gevent.runtime.hub_context import HubContext


class Worker:
    """Handles SIGTERM with a method, as gunicorn's do."""

    def __init__(self, **settings):
        self.cfg = types.SimpleNamespace(**settings)

    def handle(self, *_):
        pass


@pytest.mark.parametrize(
    ("handler", "seconds"),
    [
        (signal.SIG_DFL, 5.0),
        (lambda *_: None, 5.0),
        (Worker(graceful_timeout=30, timeout=10).handle, 7.5),
        (Worker(graceful_timeout=8, timeout=0).handle, 5.5),  # 0 is no limit
        (Worker(graceful_timeout=1, timeout=30).handle, 0.0),
        (Worker(graceful_timeout="30").handle, 5.0),
    ],
)
def test_how_long_functions_get(handler, seconds, monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda _: handler)
    assert process_exit.callback_deadline().seconds == seconds


class Loop:
    """One that runs in a thread."""

    def __init__(self, order, is_running=True, *, obeys=True):
        self.order, self.is_running, self.obeys = order, is_running, obeys

    def stop(self):
        self.order.append("stop")

    def wait_ended(self, timeout):
        assert 0.0 <= timeout <= 10.0
        self.order.append("wait")
        self.is_running = not self.obeys


class Member:
    """Stands for a client that is joined on this hub."""

    def __init__(self, order):
        self.order = order

    def leave(self):
        self.order.append("leave")


@pytest.fixture
def order(monkeypatch):
    monkeypatch.setattr(process_exit, "_loops", [])
    monkeypatch.setattr(process_exit, "leave_at_exit", lambda: None)
    return []


def run_exit():
    """Do what is done at exit on a hub that has nothing else to leave."""
    gevent.get_hub().threadpool.apply(process_exit._exit)


def test_loops_leave_their_streams_while_this_thread_leaves_its_own(order):
    process_exit._loops += [Loop(order), Loop(order, is_running=False)]
    member = Member(order)

    def run():
        context = HubContext(gevent.get_hub())
        context.add(member)
        # As in the main greenlet of a thread, which is no hub.
        process_exit._exit()

    gevent.get_hub().threadpool.apply(run)
    assert order == ["stop", "leave", "wait"]


def test_a_loop_that_does_not_end_is_named(order, caplog):
    process_exit._loops.append(Loop(order, obeys=False))
    run_exit()
    assert "could not leave its streams within 10 s" in caplog.text


def test_nothing_to_leave(order, caplog):
    run_exit()
    assert (order, caplog.text) == ([], "")

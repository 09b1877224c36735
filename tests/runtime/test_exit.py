"""How long functions get at the end, and in which order what runs is ended."""

from __future__ import annotations

import types

import gevent
import gevent.event
import pytest

from rtms_gevent.runtime import exit as process_exit
from rtms_gevent.runtime.hub_context import HubContext


@pytest.mark.parametrize(
    ("graceful", "timeout", "seconds"),
    [
        (30, 10, 7.5),
        (8, 0, 5.5),  # 0 is no limit
        (1, 30, 0.0),
    ],
)
def test_how_long_functions_get_in_gunicorn(graceful, timeout, seconds, monkeypatch):
    worker = types.SimpleNamespace(graceful_timeout=graceful, timeout=timeout)
    monkeypatch.setattr(process_exit, "current_worker", lambda: worker)
    assert process_exit.callback_deadline().seconds == seconds


def test_how_long_functions_get_where_it_is_said(monkeypatch):
    monkeypatch.setattr(process_exit, "_graceful_timeout", None)
    process_exit.set_graceful_timeout(30.0)
    assert process_exit.callback_deadline().seconds == 27.5
    process_exit.set_graceful_timeout(1.0)
    assert process_exit.callback_deadline().seconds == 0.0


def test_how_long_functions_get_elsewhere():
    assert process_exit.callback_deadline().seconds == 5.0


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


def test_what_comes_before_leaving_comes_once_and_harms_nothing(order, caplog):
    member = Member(order)

    def fail():
        raise ValueError("away")

    def hand_over():
        gevent.sleep(0.01)  # it may wait
        order.append("hand over")

    def run():
        context = HubContext(gevent.get_hub())
        context.before_leaving(fail)
        context.before_leaving(hand_over)
        context.add(member)
        process_exit._exit()
        process_exit._exit()

    gevent.get_hub().threadpool.apply(run)
    assert order == ["hand over", "leave", "leave"]
    assert caplog.text.count("ValueError: away") == 1


def test_what_does_not_end_before_leaving_is_killed(order, monkeypatch, caplog):
    monkeypatch.setattr(process_exit, "CALLBACK_SHUTDOWN_TIMEOUT", 0.0)
    monkeypatch.setattr(process_exit, "_TELLING", 0.01)
    member = Member(order)

    def run():
        context = HubContext(gevent.get_hub())
        context.before_leaving(gevent.event.Event().wait)
        context.add(member)
        process_exit._exit()

    gevent.get_hub().threadpool.apply(run)
    assert order == ["leave"]
    assert "1 functions before leaving took more than 0.01 s: killed" in caplog.text


def test_a_loop_that_does_not_end_is_named(order, caplog):
    process_exit._loops.append(Loop(order, obeys=False))
    run_exit()
    assert "could not leave its streams within 10 s" in caplog.text


def test_nothing_to_leave(order, caplog):
    run_exit()
    assert (order, caplog.text) == ([], "")

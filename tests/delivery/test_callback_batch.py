"""Batches of calls, and who is inside one."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import threading

import gevent
import pytest
from gevent.event import Event

from rtms_gevent import UsageError
from rtms_gevent.delivery.callback_batch import CallbackBatch, CloseFlag


def in_greenlet(batch):
    return batch()


def in_thread(batch):
    return batch.run_in_thread()


def in_asyncio(batch):
    return asyncio.run(batch.run_async())


WAYS = [in_greenlet, in_thread, in_asyncio]


@pytest.mark.parametrize("run", WAYS)
def test_each_call_is_made_whatever_the_others_raise(run):
    got, problems = [], [ValueError(), SystemExit(), asyncio.CancelledError()]

    def function(number):
        got.append(number)
        if number < len(problems):
            raise problems[number]

    result = run(CallbackBatch(function, [(n,) for n in range(5)], None, CloseFlag()))
    assert (got, result.made, result.problems) == ([0, 1, 2, 3, 4], 5, problems)


@pytest.mark.parametrize("run", WAYS)
def test_none_is_made_after_closing(run):
    flag, got = CloseFlag(), []

    def function(number):
        got.append(number)
        flag.is_set = number == 1

    result = run(CallbackBatch(function, [(n,) for n in range(5)], None, flag))
    assert (got, result.made, result.problems) == ([0, 1], 2, [])


@pytest.mark.parametrize("run", WAYS)
def test_the_context_is_around_each_call(run):
    log = []

    @contextlib.contextmanager
    def context():
        log.append("enter")
        yield
        log.append("exit")

    run(CallbackBatch(log.append, [(1,), (2,)], context, CloseFlag()))
    assert log == ["enter", 1, "exit", "enter", 2, "exit"]


@pytest.mark.parametrize(("run", "is_error"), [(in_greenlet, True), (in_asyncio, False)])
def test_coroutines_need_asyncio(run, is_error):
    got = []

    async def function(number):
        await asyncio.sleep(0)
        got.append(number)

    result = run(CallbackBatch(function, [(1,), (2,)], None, CloseFlag()))
    assert [type(problem) for problem in result.problems] == [UsageError] * 2 * is_error
    assert got == ([] if is_error else [1, 2])


def test_it_pickles_while_it_runs():
    flag = CloseFlag()
    with flag.entered():
        batch = pickle.loads(pickle.dumps(CallbackBatch(int, [("7",)], None, flag)))
    assert batch().made == 1
    assert not batch.close_flag.is_entered_here()


@pytest.mark.parametrize("run", [in_thread, in_asyncio])
def test_its_functions_are_inside(run):
    flag, other, seen = CloseFlag(), CloseFlag(), []
    run(
        CallbackBatch(
            lambda: seen.append((flag.is_entered_here(), other.is_entered_here())),
            [()],
            None,
            flag,
        )
    )
    assert seen == [(True, False)]
    assert not flag.is_entered_here()


class TestEntering:
    def test_each_greenlet_for_itself(self):
        flag, go = CloseFlag(), Event()

        def enter():
            with flag.entered():
                go.wait()
                return flag.is_entered_here()

        inside = gevent.spawn(enter)
        gevent.sleep(0)
        assert not flag.is_entered_here()
        go.set()
        assert inside.get(timeout=5)

    def test_each_thread_for_itself(self):
        flag, entered, go, seen = CloseFlag(), threading.Event(), threading.Event(), []

        def enter():
            with flag.entered():
                entered.set()
                go.wait()
                seen.append(flag.is_entered_here())

        thread = threading.Thread(target=enter)
        thread.start()
        entered.wait()
        assert not flag.is_entered_here()
        go.set()
        thread.join()
        assert seen == [True]

    def test_one_inside_another(self):
        flag, other = CloseFlag(), CloseFlag()
        with flag.entered():
            with other.entered():
                assert other.is_entered_here()
            assert flag.is_entered_here()
            assert not other.is_entered_here()
        assert not flag.is_entered_here()

    def test_until_it_raises(self):
        flag = CloseFlag()
        with pytest.raises(ValueError, match="out"), flag.entered():
            raise ValueError("out")
        assert not flag.is_entered_here()

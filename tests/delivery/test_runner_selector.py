"""Which runner calls a function, as a table."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from support.delivery import make_selector

from rtms_gevent.delivery.runner_selector import RunnerSelector
from rtms_gevent.delivery.runners import (
    BATCH_SIZE,
    AsyncioRunner,
    ExecutorRunner,
    InlineRunner,
)
from rtms_gevent.runtime.hub_context import HubContext

# None of these ever starts a thread, a process or a task.
THREADS, OTHERS, PROCESSES = ThreadPoolExecutor(1), ThreadPoolExecutor(1), ProcessPoolExecutor(1)
LOOP, CALLBACK_THREAD = object(), object()


class CallableObject:
    async def __call__(self): ...


def plain(): ...


async def coroutine(): ...


@pytest.mark.parametrize(
    ("executor", "context", "for_plain", "for_coroutines", "batch_size", "is_direct"),
    [
        (None, {}, InlineRunner, InlineRunner, 1, True),
        (None, {"callback_thread": CALLBACK_THREAD}, InlineRunner, InlineRunner, BATCH_SIZE, False),
        (THREADS, {}, ExecutorRunner, ExecutorRunner, BATCH_SIZE, False),
        (PROCESSES, {}, ExecutorRunner, ExecutorRunner, 1, False),
        (None, {"executor": THREADS}, ExecutorRunner, ExecutorRunner, BATCH_SIZE, False),
        (PROCESSES, {"executor": THREADS}, ExecutorRunner, ExecutorRunner, 1, False),
        (None, {"asyncio_loop": LOOP}, AsyncioRunner, AsyncioRunner, BATCH_SIZE, False),
        (THREADS, {"asyncio_loop": LOOP}, ExecutorRunner, AsyncioRunner, BATCH_SIZE, False),
        (
            None,
            {"executor": THREADS, "asyncio_loop": LOOP},
            ExecutorRunner,
            AsyncioRunner,
            BATCH_SIZE,
            False,
        ),
    ],
)
def test_the_choice(executor, context, for_plain, for_coroutines, batch_size, is_direct):
    selector = make_selector(executor, **context)
    assert type(selector.choose(plain)) is for_plain
    assert type(selector.choose(coroutine)) is for_coroutines
    assert type(selector.choose(CallableObject())) is for_coroutines
    assert selector.batch_size() == batch_size
    assert selector.is_direct() is is_direct
    assert selector.callback_thread is context.get("callback_thread")


def test_it_is_made_anew_when_it_changes_and_only_then():
    context = HubContext()
    selector = RunnerSelector(context, None)
    context.executor = THREADS
    first = selector.choose(plain)
    assert selector.choose(plain) is first
    context.executor = OTHERS
    assert selector.choose(plain) is not first
    context.executor = None
    assert type(selector.choose(plain)) is InlineRunner

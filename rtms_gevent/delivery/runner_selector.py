"""Chooses, for each batch of calls, what runs a client's functions: greenlet, executor, asyncio."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from concurrent.futures import Executor

from ..runtime.hub_context import HubContext
from ..runtime.threads import HubThread
from .runners import BATCH_SIZE, AsyncioRunner, CallbackRunner, ExecutorRunner, InlineRunner

__all__ = ["RunnerSelector"]


class RunnerSelector:
    """Chooses by the client's executor, and by what its hub's context has at the moment.

    A stream may be joined before somebody runs its hub, and with what: so it may change meanwhile.
    """

    __slots__ = ("_asyncio_runner", "_executor", "_executor_runner", "_hub_context", "_inline")

    def __init__(self, hub_context: HubContext, executor: Executor | None) -> None:
        """Choose for a client on ``hub_context`` that has ``executor``, or none."""
        self._hub_context = hub_context
        self._executor = executor
        self._inline = InlineRunner()
        self._executor_runner: tuple[Executor, ExecutorRunner] | None = None
        self._asyncio_runner: tuple[asyncio.AbstractEventLoop, AsyncioRunner] | None = None

    @property
    def callback_thread(self) -> HubThread | None:
        """The thread to deliver in; ``None`` means the hub's own."""
        return self._hub_context.callback_thread

    def is_direct(self) -> bool:
        """Return whether plain functions are called in the inbox's own greenlet."""
        hub_context = self._hub_context
        return (
            self._executor is None
            and hub_context.executor is None
            and hub_context.asyncio_loop is None
            and hub_context.callback_thread is None
        )

    def batch_size(self) -> int:
        """Return how many packets to take at once."""
        runner = self._for_plain_functions()
        # Another thread has to be reached, whatever comes behind it.
        is_inline_there = runner is self._inline and self._hub_context.callback_thread is not None
        return BATCH_SIZE if is_inline_there else runner.batch_size

    def choose(self, function: Callable[..., object]) -> CallbackRunner:
        """Return the runner for ``function``: coroutine functions go to asyncio, if it is there."""
        if _is_async(function):
            return self._for_asyncio() or self._for_plain_functions()
        return self._for_plain_functions()

    def _for_plain_functions(self) -> CallbackRunner:
        executor = self._executor or self._hub_context.executor
        if executor is None:
            return self._for_asyncio() or self._inline
        if self._executor_runner is None or self._executor_runner[0] is not executor:
            self._executor_runner = executor, ExecutorRunner(executor)
        return self._executor_runner[1]

    def _for_asyncio(self) -> CallbackRunner | None:
        loop = self._hub_context.asyncio_loop
        if loop is None:
            return None
        if self._asyncio_runner is None or self._asyncio_runner[0] is not loop:
            self._asyncio_runner = loop, AsyncioRunner(loop)
        return self._asyncio_runner[1]


def _is_async(function: Callable[..., object]) -> bool:
    """Whether calling ``function`` makes a coroutine, as far as can be seen from outside."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - a callable object may be async
    )

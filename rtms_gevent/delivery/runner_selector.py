"""Where the callbacks of one client run: chosen anew for each call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from ..runtime.hub_context import HubContext
from ..runtime.threads import HubThread
from .runners import BATCH, AsyncioRunner, CallbackRunner, ExecutorRunner, InlineRunner, is_async

__all__ = ["RunnerSelector"]


class RunnerSelector:
    """Where the callbacks of one client run: as its executor and its home say at the moment."""

    __slots__ = (
        "_executor",
        "_hub_context",
        "_inline",
        "_last",
        "_last_loop",
    )

    def __init__(self, hub_context: HubContext, executor: Executor | None) -> None:
        """Choose for a client on ``hub_context`` that has ``executor``, or none."""
        self._hub_context = hub_context
        self._executor = executor
        self._inline = InlineRunner()
        self._last: tuple[Executor, ExecutorRunner] | None = None
        self._last_loop: tuple[asyncio.AbstractEventLoop, AsyncioRunner] | None = None

    def _plain(self) -> CallbackRunner:
        executor = self._executor or self._hub_context.executor
        if executor is None:
            return self._asyncio() or self._inline
        if self._last is None or self._last[0] is not executor:
            self._last = executor, ExecutorRunner(executor)
        return self._last[1]

    @property
    def stage(self) -> HubThread | None:
        """Where to deliver, if not on the hub."""
        return self._hub_context.stage

    def is_direct(self) -> bool:
        """Return whether plain functions are called in the inbox's own greenlet."""
        hub_context = self._hub_context
        return (
            self._executor is None
            and hub_context.executor is None
            and hub_context.asyncio is None
            and hub_context.stage is None
        )

    def batch(self) -> int:
        """Return how many packets to take at once."""
        outlet = self._plain()
        # To the stage it is another thread, too, whatever comes behind it.
        return BATCH if outlet is self._inline and self._hub_context.stage else outlet.batch

    def choose(self, function: Callable[..., object]) -> CallbackRunner:
        """Return the outlet for ``function``: coroutine functions go to asyncio, if it is there."""
        if is_async(function):
            return self._asyncio() or self._plain()
        return self._plain()

    def _asyncio(self) -> CallbackRunner | None:
        loop = self._hub_context.asyncio
        if loop is None:
            return None
        if self._last_loop is None or self._last_loop[0] is not loop:
            self._last_loop = loop, AsyncioRunner(loop)
        return self._last_loop[1]

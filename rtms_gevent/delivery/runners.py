"""Where the callbacks of one client run: chosen anew for each call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from ..runtime.hub_context import Home
from ..runtime.threads import HubThread
from .executors import BATCH, AsyncioOutlet, ExecutorOutlet, InlineOutlet, Outlet, is_async

__all__ = ["Outlets"]


class Outlets:
    """Where the callbacks of one client run: as its executor and its home say at the moment."""

    __slots__ = (
        "_executor",
        "_home",
        "_inline",
        "_last",
        "_last_loop",
    )

    def __init__(self, home: Home, executor: Executor | None) -> None:
        """Choose for a client on ``home`` that has ``executor``, or none."""
        self._home = home
        self._executor = executor
        self._inline = InlineOutlet()
        self._last: tuple[Executor, ExecutorOutlet] | None = None
        self._last_loop: tuple[asyncio.AbstractEventLoop, AsyncioOutlet] | None = None

    def _plain(self) -> Outlet:
        executor = self._executor or self._home.executor
        if executor is None:
            return self._asyncio() or self._inline
        if self._last is None or self._last[0] is not executor:
            self._last = executor, ExecutorOutlet(executor)
        return self._last[1]

    @property
    def stage(self) -> HubThread | None:
        """Where to deliver, if not on the hub."""
        return self._home.stage

    def is_direct(self) -> bool:
        """Return whether plain functions are called in the inbox's own greenlet."""
        home = self._home
        return (
            self._executor is None
            and home.executor is None
            and home.asyncio is None
            and home.stage is None
        )

    def batch(self) -> int:
        """Return how many packets to take at once."""
        outlet = self._plain()
        # To the stage it is another thread, too, whatever comes behind it.
        return BATCH if outlet is self._inline and self._home.stage else outlet.batch

    def choose(self, function: Callable[..., object]) -> Outlet:
        """Return the outlet for ``function``: coroutine functions go to asyncio, if it is there."""
        if is_async(function):
            return self._asyncio() or self._plain()
        return self._plain()

    def _asyncio(self) -> Outlet | None:
        loop = self._home.asyncio
        if loop is None:
            return None
        if self._last_loop is None or self._last_loop[0] is not loop:
            self._last_loop = loop, AsyncioOutlet(loop)
        return self._last_loop[1]

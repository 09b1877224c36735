"""``EventLoopPool``: several event loops, each in a thread, among which clients are divided."""

from __future__ import annotations

import asyncio
import contextlib

from gevent import monkey

from ..client import Client
from ..errors import ConfigurationError
from ..logs import configure_from_environment
from .event_loop import EventLoop
from .os_signals import stopping_at_signals

__all__ = ["EventLoopPool"]


class EventLoopPool:
    """Several loops, over which clients are spread. A client never moves from one to another."""

    def __init__(
        self, threads: int = 4, poll_interval: float = 0.01, strategy: str = "least_loaded"
    ) -> None:
        """Make loops that do not run yet.

        Args:
            threads: How many loops.
            poll_interval: Does nothing, since nothing polls; the official SDK has it.
            strategy: "least_loaded" (fewest clients, those not yet joined included), or
                "round_robin".

        Raises:
            ConfigurationError: an argument cannot be used.
        """
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
            raise ConfigurationError(f"threads must be a number from 1 on, not {threads!r}")
        if strategy not in ("least_loaded", "round_robin"):
            raise ConfigurationError(
                f"strategy must be 'least_loaded' or 'round_robin', not {strategy!r:.40}"
            )
        self._loops = [EventLoop(name=f"rtms-pool-{number}") for number in range(threads)]
        self._ends_first: EventLoop | None = None  # while run() is at work
        self._strategy = strategy
        self._next = 0
        self._lock = monkey.get_original("_thread", "allocate_lock")()

    @property
    def loops(self) -> list[EventLoop]:
        """The loops; a copy of the list."""
        return list(self._loops)

    @property
    def client_count(self) -> int:
        """How many clients all loops have."""
        return sum(loop.client_count for loop in self._loops)

    def add(self, client: Client) -> EventLoop:
        """Choose a loop for a client's stream, and return it.

        Raises:
            UsageError: it has begun to join on another loop.
        """
        with self._lock:
            if self._strategy == "round_robin":
                chosen = self._loops[self._next % len(self._loops)]
                self._next += 1
            else:
                chosen = min(self._loops, key=lambda loop: loop.client_count)
            chosen.add(client)
        return chosen

    def run(self, stop_on_empty: bool = False) -> None:
        """Run all loops but one in threads, and that one here, until :meth:`stop`.

        Args:
            stop_on_empty: Also end when no client is left on any loop.
        """
        *others, here = self._loops
        configure_from_environment()
        for loop in self._loops:
            loop.claim()
        for loop in others:
            loop.start_thread(lambda: False, callbacks_apart=True)
        self._ends_first = here  # which hands streams over to other processes, of all loops
        try:
            with stopping_at_signals(self.stop):
                here.run_here(
                    lambda: stop_on_empty and not self.client_count,
                    *(loop.context for loop in others),
                )
        finally:
            self._ends_first = None
            self.stop()
            for loop in others:
                loop.join()

    async def run_async(self, stop_on_empty: bool = False) -> None:
        """Run all loops in threads beside the running asyncio loop; see :class:`EventLoop`."""
        configure_from_environment()
        for loop in self._loops:
            loop.claim()
        running = [
            asyncio.ensure_future(loop.run_beside_asyncio(lambda: False)) for loop in self._loops
        ]
        undo = []
        try:
            if stop_on_empty:
                asyncio_loop = asyncio.get_running_loop()

                def look() -> None:
                    if not self.client_count:
                        self.stop()

                def wake() -> None:
                    with contextlib.suppress(RuntimeError):
                        asyncio_loop.call_soon_threadsafe(look)

                undo = [loop.context.watch(wake) for loop in self._loops]
                look()
            await asyncio.gather(*running)
        except asyncio.CancelledError:
            self.stop()
            await asyncio.gather(*running, return_exceptions=True)
            raise
        finally:
            for unwatch in undo:
                unwatch()

    def stop(self) -> None:
        """End all loops; callable from anywhere. Never waits. See :meth:`EventLoop.stop`."""
        for loop in [self._ends_first] if self._ends_first else self._loops:
            loop.stop()

"""``EventLoop``: runs a hub in the calling thread, in a thread of its own, or beside asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from typing import Any

import gevent
from gevent import monkey
from gevent.event import Event

from ..client import Client
from ..errors import UsageError
from ..logs import configure_from_environment
from ..runtime import exit as process_exit
from ..runtime import threads
from ..runtime.deadline import Deadline
from ..runtime.fork import forget_in_child
from ..runtime.hub_context import HubContext, context_of
from .hooks import call_hooks_at_stop
from .os_signals import stopping_at_signals

__all__ = ["EventLoop"]

logger = logging.getLogger(__name__)

_native_sleep = monkey.get_original("time", "sleep")

#: Seconds before a loop that died is started again.
_RESTART_DELAY = 0.1


class EventLoop:
    """A hub, and the streams that are bound to it.

    :meth:`run` runs the hub of the calling thread, :meth:`start` one in a native thread of its
    own, real even in a monkey-patched process, with a second one for callbacks, and
    :meth:`run_async` one in a native thread whose callbacks run on the asyncio loop. Streams are
    bound to it with :meth:`add`, before or after joining and whether or not it runs yet.

    Safe from any thread.
    """

    def __init__(self, poll_interval: float = 0.01, name: str | None = None) -> None:
        """Make a loop that does not run yet.

        Args:
            poll_interval: Does nothing, since nothing polls; the official SDK has it.
            name: For logs.
        """
        self.name = name or f"rtms-loop-{id(self):x}"
        self.context = HubContext()
        self._waker: threads.AsyncWaker | None = None
        self._stop_wanted = False
        self._has_run = False
        self._callbacks_until = Deadline(0)  # when functions are killed that run on at the end
        self._attached = threads.NativeEvent()  # the context has its hub, or will never have it
        self._ended = threads.NativeEvent()
        self._ended.set()

    def __repr__(self) -> str:
        return f"<EventLoop {self.name}, {self.client_count} clients>"

    def add(self, client: Client) -> None:
        """Let a client's stream live here.

        Raises:
            UsageError: it has begun to join on another loop.
        """
        client.bind(self.context)

    @property
    def client_count(self) -> int:
        """How many clients were added here, or joined here, and are not over."""
        return len(self.context.clients)

    @property
    def is_running(self) -> bool:
        """Whether :meth:`run`, :meth:`start` or :meth:`run_async` is at work."""
        return not self._ended.is_set()

    def run(self, stop_on_empty: bool = False) -> None:
        """Block, and let streams live, until :meth:`stop`; then leave all of them.

        In the main thread SIGINT and SIGTERM end it too, unless the program handles them itself.

        Args:
            stop_on_empty: Also end when no client is left.

        Raises:
            UsageError: it runs already.
        """
        self.claim()
        configure_from_environment()
        with stopping_at_signals(self.stop):
            self.run_here(lambda: stop_on_empty and not self.client_count)

    def start(self) -> EventLoop:
        """Run in a native thread of its own; returns at once.

        Raises:
            UsageError: it runs already.
        """
        self.claim()
        self.start_thread(lambda: False, callbacks_apart=True)
        return self

    async def run_async(self, stop_on_empty: bool = False) -> None:
        """Let streams live beside the running asyncio loop, until :meth:`stop` or cancellation.

        The hub runs in a native thread; callbacks, plain and ``async def``, run on the asyncio
        loop. At the end all streams are left.

        Args:
            stop_on_empty: Also end when no client is left.

        Raises:
            UsageError: it runs already.
        """
        self.claim()
        configure_from_environment()
        await self.run_beside_asyncio(lambda: stop_on_empty and not self.client_count)

    def stop(self) -> None:
        """End the running; callable from any thread, greenlet or signal handler. Never waits.

        Before the first running it ends that one as soon as it begins, so that a signal which comes
        while the program still sets itself up is not lost. Between two runnings it does nothing.
        """
        self._stop_wanted = True
        waker = self._waker
        if waker is not None:
            waker.wake()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread of :meth:`start` has ended.

        Args:
            timeout: Seconds to wait at most.
        """
        self._ended.wait(timeout)

    def spawn(self, function: Callable[..., object], *arguments: Any) -> None:
        """Run a function in a greenlet where this loop's callbacks run, now or once it runs."""
        self.context.spawn(function, *arguments)

    # -- for the other modules of this package -----------------------------------------------------

    def claim(self, context: HubContext | None = None) -> None:
        """Begin a running, which one of the methods below goes on with.

        Args:
            context: Where the streams live from now on, if not where they did.

        Raises:
            UsageError: it runs already.
        """
        if not self._ended.clear():
            raise UsageError(f"{self!r} runs already")
        if context is not None:
            self.context = context
        if self._has_run:  # what was meant to stop then has ended
            self._stop_wanted = False
        self._has_run = True

    def run_here(self, is_done: Callable[[], bool], *others: HubContext) -> None:
        """Let the calling thread's hub run until :meth:`stop`; it goes on to exist afterwards.

        Args:
            is_done: Asked whenever a client is gone, here or at one of ``others``: whether to end.
            others: Contexts whose clients count, too.
        """
        try:
            self._run(is_done, *others, closes_servers=True)
        finally:
            self._ended.set()

    def start_thread(
        self,
        is_done: Callable[[], bool],
        at_end: Callable[[], None] = lambda: None,
        *,
        closes_servers: bool = False,
        callbacks_apart: bool = False,
    ) -> None:
        """Run a hub in a native thread; return when it is there.

        Args:
            is_done: As for :meth:`run_here`.
            at_end: Called at the end, in that thread.
            closes_servers: Whether webhook servers live by this.
            callbacks_apart: Whether the user's functions get a thread of their own.
        """
        callback_thread = threads.HubThread() if callbacks_apart else None
        if callback_thread is not None:
            self.context.run_callbacks_in(callback_thread)

        def run() -> None:
            while not self._run_own_hub(is_done, closes_servers):
                _native_sleep(_RESTART_DELAY)
            # Only now has the loop ended: who waits for that may end the process at once.
            if callback_thread is not None:
                self.context.callback_thread = None
                callback_thread.stop(self._callbacks_until.left() or 0.0)
            self._attached.set()
            self._ended.set()
            at_end()

        process_exit.stop_at_exit(self)
        self._attached.clear()
        threads.start_native_thread(run)
        # Calls from other threads need the hub. It is there within a moment, whoever waits.
        self._attached.wait_natively()

    async def run_beside_asyncio(self, is_done: Callable[[], bool]) -> None:
        """Run a hub in a native thread, and callbacks on the running asyncio loop.

        Args:
            is_done: As for :meth:`run_here`.
        """
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        self.context.asyncio_loop = loop

        def end() -> None:
            with contextlib.suppress(RuntimeError):  # the asyncio loop is closed already
                loop.call_soon_threadsafe(_resolve, ended)

        self.start_thread(is_done, end, closes_servers=True)
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            self.stop()
            await ended
            raise
        finally:
            self.context.asyncio_loop = None

    def wait_ended(self, timeout: float | None) -> None:
        """Wait natively, at the end of the interpreter, until no thread of this loop runs."""
        self._ended.wait_natively(timeout)

    def after_fork_in_child(self, is_here: bool) -> None:
        """Note in a forked child that the thread that ran this is not there any more."""
        if not is_here and self.is_running:
            self._waker = None
            self.context.after_fork_in_child()
            self._attached.set()
            self._ended.set()

    # -- inside ------------------------------------------------------------------------------------

    def _run(
        self, is_done: Callable[[], bool], *others: HubContext, closes_servers: bool = False
    ) -> None:
        """Let this thread's hub run until it is stopped or done; then leave all streams."""
        hub, context, changed, process = gevent.get_hub(), self.context, Event(), os.getpid()
        forget_in_child(self)
        # While it is there the hub has something to wait for, even without a stream.
        self._waker = waker = threads.AsyncWaker(changed.set)
        undo = [one.watch(waker.wake) for one in (context, *others)]
        is_ours = context.hub is None
        if is_ours:
            context.attach(hub)
        self._attached.set()
        try:
            # In a forked child, which has a copy of us and no client, it would be done at once.
            while not self._stop_wanted and not (is_done() and os.getpid() == process):
                changed.wait()
                changed.clear()
        finally:
            if closes_servers:  # first, so that no stream is started while all are being left
                call_hooks_at_stop()
            # Streams that were joined here without choosing a loop end with the hub's running, too.
            ending = {context, context_of(hub)}
            self._callbacks_until = process_exit.callback_deadline()
            process_exit.prepare(ending, self._callbacks_until)
            for one in ending:
                one.is_ending = True
            clients = {client for one in ending for client in one.clients}
            gevent.joinall([gevent.spawn(client.leave) for client in clients])
            process_exit.join_callbacks(ending, self._callbacks_until)
            self._waker = None
            for unwatch in undo:
                unwatch()
            if is_ours:
                context.detach()
            for one in ending:
                one.is_ending = False
            waker.close()

    def _run_own_hub(self, is_done: Callable[[], bool], closes_servers: bool) -> bool:
        """Run a new hub of this thread to its end; return whether that was meant.

        If not, another hub is to take over: who starts streams here goes on to do so.
        """
        threads.isolate(gevent.get_hub())
        try:
            self._run(is_done, closes_servers=closes_servers)
        except BaseException:
            logger.exception("%r has died, and its streams were left: it starts again", self)
            return self._stop_wanted
        else:
            return True
        finally:
            # A thread's hub does not go with it by itself, and would leak descriptors.
            gevent.get_hub().destroy(destroy_loop=True)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

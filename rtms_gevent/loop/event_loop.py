"""Running: ``run()`` of a script, ``run_async()`` beside asyncio, hubs in threads of their own."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Any

import gevent
from gevent import monkey
from gevent.event import Event

from ..client import Client
from ..delivery.runners import ExecutorRunner
from ..errors import ConfigurationError, UsageError
from ..logs import configure_from_environment
from ..runtime import threads
from ..runtime.deadline import Deadline
from ..runtime.exit import graceful_seconds
from ..runtime.fork import forget_in_child
from ..runtime.hub_context import (
    HubContext,
    all_clients,
    context_of,
    default,
    join_callbacks,
    register_running,
    running_context,
)
from ..stream.stats import ClientStats

__all__ = [
    "EventLoop",
    "EventLoopPool",
    "call_at_stop",
    "call_before_run",
    "forget_before_run",
    "run",
    "run_async",
    "run_soon",
    "stop",
]

logger = logging.getLogger(__name__)

_native_sleep = monkey.get_original("time", "sleep")

#: Seconds that callbacks get to come to their end when a loop ends.
_PATIENCE = 5.0

#: Seconds before a loop that died begins anew.
_BETWEEN_DEATHS = 0.1

#: Seconds that loops in threads get to leave their streams when the interpreter ends.
_FAREWELL = 10.0


class EventLoop:
    """A hub, and the streams that live on it.

    :meth:`run` drives the hub of the calling thread, :meth:`start` one in a native thread of its
    own, real even in a monkey-patched process, with a second one for callbacks, and
    :meth:`run_async` one in a native thread whose callbacks run on the asyncio loop. Streams are
    put on it with :meth:`add`, before or after joining and whether or not it runs yet.

    Safe from any thread.
    """

    def __init__(self, poll_interval: float = 0.01, name: str | None = None) -> None:
        """Make a loop that does not run yet.

        Args:
            poll_interval: Does nothing, since nothing polls; the official SDK has it.
            name: For logs.
        """
        self.name = name or f"rtms-loop-{id(self):x}"
        self._hub_context = HubContext()
        self._waker: threads.AsyncWaker | None = None
        self._stop_wanted = False
        self._has_run = False
        self._parting = Deadline(_PATIENCE)  # what functions get at the end
        self._settled = _NativeFlag()
        self._ended = _NativeFlag()
        self._ended.set()

    def __repr__(self) -> str:
        return f"<EventLoop {self.name}, {self.client_count} clients>"

    def add(self, client: Client) -> None:
        """Let a client's stream live here.

        Raises:
            UsageError: it has begun to join on another loop.
        """
        client.bind(self._hub_context)

    @property
    def client_count(self) -> int:
        """How many clients were added here, or joined here, and are not over."""
        return len(self._hub_context.clients)

    @property
    def is_running(self) -> bool:
        """Whether :meth:`run`, :meth:`start` or :meth:`run_async` is at work."""
        return not self._ended.is_set

    def run(self, stop_on_empty: bool = False) -> None:
        """Block, and let streams live, until :meth:`stop`; then leave all of them.

        In the main thread SIGINT and SIGTERM end it too, unless the program handles them itself.

        Args:
            stop_on_empty: Also end when no client is left.

        Raises:
            UsageError: it runs already.
        """
        self._claim()
        configure_from_environment()
        with _stopping_at_signals(self.stop):
            self._drive_here(lambda: stop_on_empty and not self.client_count)

    def start(self) -> EventLoop:
        """Run in a native thread of its own; returns at once.

        Raises:
            UsageError: it runs already.
        """
        self._claim()
        self._start_thread(lambda: False, staged=True)
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
        self._claim()
        configure_from_environment()
        await self._run_beside_asyncio(lambda: stop_on_empty and not self.client_count)

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
        self._hub_context.spawn(function, *arguments)

    # -- inside ------------------------------------------------------------------------------------

    def _claim(self) -> None:
        if not self._ended.clear():
            raise UsageError(f"{self!r} runs already")
        if self._has_run:  # what was meant to stop then has ended
            self._stop_wanted = False
        self._has_run = True

    def _drive_here(self, is_done: Callable[[], bool], *others: HubContext) -> None:
        """Drive the calling thread's hub, which goes on to exist afterwards."""
        try:
            self._drive(is_done, *others, serving=True)
        finally:
            self._ended.set()

    def _drive(
        self, is_done: Callable[[], bool], *others: HubContext, serving: bool = False
    ) -> None:
        """Let this thread's hub run until it is stopped or done; then leave all streams.

        Args:
            is_done: Asked whenever a client is gone, here or at one of ``others``.
            others: Homes whose clients count, too.
            serving: Whether webhook servers live by this; they are closed first, so that no
                stream is started while all are being left.
        """
        hub, hub_context, changed, process = (
            gevent.get_hub(),
            self._hub_context,
            Event(),
            os.getpid(),
        )
        forget_in_child(self)
        # While it is there the hub has something to wait for, even where no stream lives.
        self._waker = waker = threads.AsyncWaker(changed.set)
        undo = [one.watch(waker.wake) for one in (hub_context, *others)]
        is_ours = hub_context.hub is None
        if is_ours:
            hub_context.attach(hub)
        self._settled.set()
        try:
            # In a forked child, which has a copy of us and no client, it would be done at once.
            while not self._stop_wanted and not (is_done() and os.getpid() == process):
                changed.wait()
                changed.clear()
        finally:
            if serving:
                _close_all()
            # Streams that were joined here without choosing a loop end with the hub's running, too.
            ending = {hub_context, context_of(hub)}
            for one in ending:
                one.is_ending = True
            clients = {client for one in ending for client in one.clients}
            gevent.joinall([gevent.spawn(client.leave) for client in clients])
            self._parting = Deadline(graceful_seconds(_PATIENCE))
            join_callbacks(self._parting)
            self._waker = None
            for forget in undo:
                forget()
            if is_ours:
                hub_context.detach()
            for one in ending:
                one.is_ending = False
            waker.close()

    def forget(self, is_here: bool) -> None:
        """Note in a forked child that the thread that ran this is not there any more."""
        if not is_here and self.is_running:
            self._waker = None
            self._hub_context.forget()
            self._settled.set()
            self._ended.set()

    def _start_thread(
        self,
        is_done: Callable[[], bool],
        at_end: Callable[[], None] = lambda: None,
        *,
        serving: bool = False,
        staged: bool = False,
    ) -> None:
        """Drive a hub in a native thread; with ``staged`` the user's functions get another one."""
        stage = threads.HubThread() if staged else None
        if stage is not None:
            self._hub_context.set_stage(stage)

        def run() -> None:
            while not self._drive_own_hub(is_done, serving):
                _native_sleep(_BETWEEN_DEATHS)
            # Only now has the loop ended: who waits for that may end the process at once.
            if stage is not None:
                self._hub_context.stage = None
                stage.stop(self._parting.left() or 0.0)
            self._settled.set()
            self._ended.set()
            at_end()

        _stop_at_exit(self)
        self._settled.clear()
        threads.start_native_thread(run)
        # Calls from other threads need the hub. It is there within a moment, whoever waits.
        self._settled.wait_here()

    def _drive_own_hub(self, is_done: Callable[[], bool], serving: bool) -> bool:
        """Drive a new hub of this thread to its end; tell whether that was meant.

        If not, another hub is to take over: who starts streams here goes on to do so.
        """
        threads.isolate(gevent.get_hub())
        try:
            self._drive(is_done, serving=serving)
        except BaseException:
            logger.exception("%r has died, and its streams were left: it begins anew", self)
            return self._stop_wanted
        else:
            return True
        finally:
            # A thread's hub does not go with it by itself, and would leak descriptors.
            gevent.get_hub().destroy(destroy_loop=True)

    async def _run_beside_asyncio(self, is_done: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        self._hub_context.asyncio = loop

        def end() -> None:
            with contextlib.suppress(RuntimeError):  # the asyncio loop is closed already
                loop.call_soon_threadsafe(_resolve, ended)

        self._start_thread(is_done, end, serving=True)
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            self.stop()
            await ended
            raise
        finally:
            self._hub_context.asyncio = None


_in_threads: weakref.WeakSet[EventLoop] = weakref.WeakSet()
_stops_at_exit = False


def _stop_at_exit(loop: EventLoop) -> None:
    global _stops_at_exit
    _in_threads.add(loop)
    if not _stops_at_exit:
        _stops_at_exit = True
        atexit.register(_stop_all)


def _stop_all() -> None:
    """Stop the loops that run in threads, and wait a while: else they would end without a word."""
    running = [loop for loop in list(_in_threads) if loop.is_running]
    for loop in running:
        loop.stop()
    # Leaving comes first, and takes a while itself.
    deadline = Deadline(graceful_seconds(_FAREWELL - _PATIENCE) + _FAREWELL - _PATIENCE)
    for loop in running:
        # Natively: no thread may be started any more, not even one of gevent's to wait in.
        loop._ended._wait(deadline.left())
        if loop.is_running:
            logger.warning("%r could not leave its streams within %g s", loop, _FAREWELL)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _NativeFlag:
    """A flag that native threads wait for, even where threading is monkey-patched."""

    def __init__(self) -> None:
        self._lock = monkey.get_original("_thread", "allocate_lock")()
        self._lock.acquire()

    @property
    def is_set(self) -> bool:
        return not self._lock.locked()

    def set(self) -> None:
        if self._lock.locked():
            self._lock.release()

    def clear(self) -> bool:
        """Return whether it was set; of several threads one only is told so."""
        cleared: bool = self._lock.acquire(False)
        return cleared

    def wait_here(self) -> None:
        """Wait without giving anybody a turn."""
        self._wait(None)

    def wait(self, timeout: float | None) -> None:
        """Wait; cooperatively where gevent serves this thread."""
        if isinstance(gevent.getcurrent(), gevent.Greenlet) or monkey.is_module_patched("thread"):
            # Let the threads of gevent's pool wait, so that the hub does not.
            gevent.get_hub().threadpool.apply(self._wait, (timeout,))
        else:
            self._wait(timeout)

    def _wait(self, timeout: float | None) -> None:
        if self._lock.acquire(True, -1 if timeout is None else timeout):
            self._lock.release()


@contextlib.contextmanager
def _stopping_at_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Stop at SIGINT and SIGTERM, where they would else end the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = {number: old for number, old in defaults.items() if signal.getsignal(number) == old}

    def restore() -> None:
        for number, old in ours.items():
            signal.signal(number, old)

    def handle(number: int, _: object) -> None:
        logger.info("%s: leaving all streams", signal.Signals(number).name)
        restore()  # so that a second one ends the process at once
        stop()

    for number in ours:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()


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
            loop._claim()
        for loop in others:
            loop._start_thread(lambda: False, staged=True)
        try:
            with _stopping_at_signals(self.stop):
                here._drive_here(
                    lambda: stop_on_empty and not self.client_count,
                    *(loop._hub_context for loop in others),
                )
        finally:
            self.stop()
            for loop in others:
                loop.join()

    async def run_async(self, stop_on_empty: bool = False) -> None:
        """Run all loops in threads beside the running asyncio loop; see :class:`EventLoop`."""
        configure_from_environment()
        for loop in self._loops:
            loop._claim()
        running = [
            asyncio.ensure_future(loop._run_beside_asyncio(lambda: False)) for loop in self._loops
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

                undo = [loop._hub_context.watch(wake) for loop in self._loops]
                look()
            await asyncio.gather(*running)
        except asyncio.CancelledError:
            self.stop()
            await asyncio.gather(*running, return_exceptions=True)
            raise
        finally:
            for forget in undo:
                forget()

    def stop(self) -> None:
        """End all loops; callable from anywhere. Never waits. See :meth:`EventLoop.stop`."""
        for loop in self._loops:
            loop.stop()


# -- the default loop ------------------------------------------------------------------------------

_default = EventLoop(name="default")
_openers: list[Callable[[], None]] = []
_closers: list[Callable[[], None]] = []


def run(
    poll_interval: float = 0.01, stop_on_empty: bool = False, executor: Executor | None = None
) -> None:
    """Block until :func:`stop`, Ctrl-C or SIGTERM; then leave every stream, and return.

    Everything of this package in this thread lives on the hub that this drives: streams and the
    webhook server. In a process that gevent serves (gunicorn's gevent worker) it is not needed.

    Args:
        poll_interval: Does nothing, since nothing polls; the official SDK has it.
        stop_on_empty: Also return when no stream is left.
        executor: Runs the callbacks of clients that have no executor of their own.

    Raises:
        ConfigurationError: ``executor`` is none, or webhooks are to be received without a secret.
        UsageError: it runs already.
    """
    _check(executor)
    configure_from_environment()
    _open_all()
    _default._claim()
    # Streams that were joined in this thread are on its hub's home already.
    hub_context = _default._hub_context = context_of(gevent.get_hub())
    hub_context.adopt(default)
    with _driving(hub_context, executor), _stopping_at_signals(stop):
        _default._drive_here(lambda: stop_on_empty and not _default.client_count)


async def run_async(
    poll_interval: float = 0.01, stop_on_empty: bool = False, executor: Executor | None = None
) -> None:
    """Do what :func:`run` does beside the running asyncio loop, without blocking it.

    The hub runs in a native thread; callbacks, plain and ``async def``, run on the asyncio loop.
    Cancellation leaves every stream cleanly.

    Args:
        poll_interval: Does nothing, since nothing polls; the official SDK has it.
        stop_on_empty: Also return when no stream is left.
        executor: Runs the plain callbacks of clients that have no executor of their own.

    Raises:
        ConfigurationError: ``executor`` is none, or webhooks are to be received without a secret.
        UsageError: it runs already.
    """
    _check(executor)
    configure_from_environment()
    _open_all()
    _default._claim()
    hub_context = _default._hub_context = default
    # What was joined in this thread waits for a hub that will not run.
    hub_context.adopt(context_of(gevent.get_hub()))
    with _driving(hub_context, executor):
        await _default._run_beside_asyncio(lambda: stop_on_empty and not _default.client_count)


def _check(executor: Executor | None) -> None:
    if executor is not None:
        ExecutorRunner(executor)  # refuses what is none


@contextlib.contextmanager
def _driving(hub_context: HubContext, executor: Executor | None) -> Iterator[None]:
    hub_context.executor = executor
    undo = register_running(hub_context)
    try:
        yield
    finally:
        undo()
        hub_context.executor = None


def _open_all() -> None:
    while _openers:
        _openers[0]()  # stays there if it raises, and raises the next time, too
        del _openers[0]


def _close_all() -> None:
    while _closers:
        _closers.pop()()


def stop() -> None:
    """End :func:`run` or :func:`run_async`; callable from anywhere. Never waits.

    Before the first of them it makes that one return at once; later, while none runs, it does
    nothing.
    """
    _default.stop()


def call_before_run(function: Callable[[], None]) -> None:
    """Call ``function`` when :func:`run` or :func:`run_async` begins; they raise what it raises."""
    _openers.append(function)


def forget_before_run() -> None:
    """Call nothing of what :func:`call_before_run` got."""
    _openers.clear()


def call_at_stop(function: Callable[[], None]) -> None:
    """Call ``function`` when :func:`run` ends: for servers that it drives."""
    _closers.append(function)


def stats() -> list[ClientStats]:
    """Return the stats of all clients of this process whose streams are not over."""
    return [one.stats() for one in all_clients() if isinstance(one, Client)]


# -- hosts that drive no hub of ours ---------------------------------------------------------------


def run_soon(function: Callable[..., object], *arguments: Any) -> None:
    """Run ``function`` in a greenlet where this process keeps its streams.

    That is the hub of this thread where gevent serves it, else the one that :func:`run` drives,
    else one in a background thread that is started for it. Returns at once; callable from any
    thread. An exception is logged.
    """
    hub_context = running_context()
    if hub_context is None:
        _background_loop().spawn(function, *arguments)
    else:
        hub_context.spawn(function, *arguments)


_background: tuple[int, EventLoop] | None = None
_background_lock = threading.Lock()


def _background_loop() -> EventLoop:
    """Return the loop for servers that gevent does not drive; one per process."""
    global _background
    with _background_lock:
        if _background is None or _background[0] != os.getpid():
            _background = (os.getpid(), EventLoop(name="background").start())
        return _background[1]

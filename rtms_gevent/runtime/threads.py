"""Crossing threads: each native thread has a hub of its own, whose objects only it may touch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import gevent
from gevent import monkey
from gevent.event import Event
from gevent.hub import Hub
from gevent.pool import Group

from .._interrupts import is_ctrl_c

__all__ = [
    "AsyncWaker",
    "HubThread",
    "answer",
    "current_hub",
    "is_current",
    "isolate",
    "may_wait",
    "spawn_on",
    "spawned",
    "start_native_thread",
    "wait_done",
]

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

#: Seconds that killed greenlets get for their ``finally``.
_LAST_WORDS = 1.0
#: Attribute of a hub: see :func:`spawned`.
_SPAWNED = "_rtms_gevent_spawned"


def current_hub() -> Hub:
    """Return this native thread's hub; makes one where there is none."""
    return gevent.get_hub()


def isolate(hub: Hub) -> None:
    """Let nothing that a greenlet raises end ``hub``, which has a thread of ours to itself.

    By default gevent raises SystemExit and KeyboardInterrupt of any greenlet in the thread's main
    one. That ends a program as one expects, where it is the main thread's; here it would end all
    streams of a thread, and the process would go on without them.
    """
    hub.SYSTEM_ERROR = ()
    hub.NOT_ERROR = (gevent.GreenletExit,)


def is_current(hub: Hub) -> bool:
    """Tell whether ``hub`` is the one of this native thread."""
    return gevent.get_hub() is hub


def may_wait() -> bool:
    """Tell whether the calling code may wait cooperatively: it is not the hub's own."""
    return gevent.getcurrent() is not gevent.get_hub()


def spawn_on(hub: Hub, function: Callable[..., object], *arguments: Any) -> None:
    """Run ``function`` in a greenlet of its own on ``hub``; callable from any thread.

    Returns at once. An exception is logged.
    """
    if is_current(hub):
        _spawn_guarded(function, arguments)
    else:
        # The one call of a hub's loop that may be made from elsewhere, and that wakes it.
        hub.loop.run_callback_threadsafe(_spawn_guarded, function, arguments)


def _spawn_guarded(function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    spawned().spawn(_guard, function, arguments)


def spawned() -> Group:
    """Return the greenlets of this hub that :func:`spawn_on` has started, and that still run."""
    hub = current_hub()
    group: Group | None = getattr(hub, _SPAWNED, None)
    if group is None:
        group = Group()
        setattr(hub, _SPAWNED, group)
    return group


def _guard(function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    try:
        function(*arguments)
    except gevent.GreenletExit:  # killed, as at the end of a hub
        raise
    except BaseException as problem:  # such as a stray sys.exit(), which would end the hub
        if is_ctrl_c(problem):
            raise
        logger.exception("%r failed", function)


class AsyncWaker:
    """Calls a function in this thread's hub when any thread, or a signal handler, asks for it.

    While one is open its hub has something to wait for. To be closed in the thread that made it,
    before its hub ends.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        """Let :meth:`wake` call ``function``, which must not switch."""
        # Natively, and again in a signal handler that interrupts the thread which holds it.
        self._lock = monkey.get_original("_thread", "RLock")()
        self._watcher = current_hub().loop.async_()
        self._watcher.start(function)
        self._is_open = True

    def wake(self) -> None:
        """Ask for the call; once closed this does nothing. Never waits; safe from any thread."""
        with self._lock:  # who found it open must not meet a watcher, or a loop, that is gone
            if self._is_open:
                self._watcher.send()

    def close(self) -> None:
        """Call nothing any more."""
        with self._lock:
            self._is_open = False
            self._watcher.stop()
            self._watcher.close()


def wait_done(future: Future[Any]) -> None:
    """Wait for what another thread or process does.

    In a greenlet, and anywhere in a monkey-patched process, the hub goes on meanwhile, so that two
    hubs may wait for each other's greenlets; elsewhere the thread blocks.
    """
    if not isinstance(gevent.getcurrent(), gevent.Greenlet) and not monkey.is_module_patched(
        "threading"
    ):
        wait((future,))
        return
    done = Event()
    # A hub that has nothing else to wait for, neither stream nor timer, would say that it is over.
    waker = AsyncWaker(done.set)
    try:
        future.add_done_callback(lambda _: waker.wake())
        done.wait()
    finally:
        waker.close()


def answer(
    result: Future[Any], function: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    """Run ``function``, and give ``result`` what it returns or raises, unless it has that already.

    That may be if the caller, in another thread, was told meanwhile that nobody will answer.
    """
    try:
        value = function(*arguments)
    except BaseException as error:  # noqa: BLE001 - it is raised in the calling thread
        if not result.done():
            result.set_exception(error)
    else:
        if not result.done():
            result.set_result(value)


class HubThread:
    """A native thread that does nothing but let greenlets run on its hub.

    Safe from any thread.
    """

    def __init__(self) -> None:
        """Start it."""
        self._greenlets = Group()
        self._patience = 0.0
        allocate_lock = monkey.get_original("_thread", "allocate_lock")
        self._running, ready = allocate_lock(), allocate_lock()
        self._running.acquire()
        ready.acquire()
        start_native_thread(lambda: self._run(ready.release))
        ready.acquire()

    def _run(self, ready: Callable[[], None]) -> None:
        self.hub = hub = current_hub()
        isolate(hub)
        stopped = Event()
        self._stop = AsyncWaker(stopped.set)
        ready()
        try:
            stopped.wait()
            self._greenlets.join(timeout=self._patience)
            self._greenlets.kill(timeout=_LAST_WORDS)
        finally:
            # Before the loop: libuv's would wait for it for ever.
            self._stop.close()
            hub.destroy(destroy_loop=True)
            self._running.release()

    def spawn(self, function: Callable[..., object], *arguments: Any) -> None:
        """Run ``function`` in a greenlet of its own. Returns at once. An exception is logged."""
        self.hub.loop.run_callback_threadsafe(self._start, _guard, (function, arguments))

    def call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Run ``function`` in a greenlet there, wait for it, and return or raise what it does."""
        result: Future[_Result] = Future()
        self.hub.loop.run_callback_threadsafe(self._start, answer, (result, function, arguments))
        wait_done(result)
        return result.result()

    def _start(self, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self._greenlets.spawn(function, *arguments)

    def stop(self, patience: float = 0.0) -> None:
        """Kill what still runs, and end the thread. To be called once.

        Waits for that, natively: an interpreter that ends meanwhile might crash in a loop that is
        being destroyed. Who blocks the thread for longer is left behind.

        Args:
            patience: Seconds that what runs gets to come to its end by itself.
        """
        self._patience = patience
        self._stop.wake()
        self._running.acquire(True, patience + 2 * _LAST_WORDS)


def start_native_thread(function: Callable[[], None]) -> None:
    """Run ``function`` in a real thread, even where ``threading`` is monkey-patched."""
    start_new_thread = monkey.get_original("_thread", "start_new_thread")
    start_new_thread(function, ())

"""Native threads with hubs of their own, and how to call and wake a hub from another thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import gevent
from gevent import monkey
from gevent.event import Event
from gevent.hub import Hub

from .greenlets import KILL_TIMEOUT, GreenletGroup

__all__ = [
    "AsyncWaker",
    "HubThread",
    "NativeEvent",
    "answer",
    "isolate",
    "may_wait",
    "start_native_thread",
    "wait_done",
]

_Result = TypeVar("_Result")


def isolate(hub: Hub) -> None:
    """Let nothing that a greenlet raises end ``hub``, which has a thread of ours to itself.

    By default gevent raises SystemExit and KeyboardInterrupt of any greenlet in the thread's main
    one. That ends a program as one expects, where it is the main thread's; here it would end all
    streams of a thread, and the process would go on without them.
    """
    hub.SYSTEM_ERROR = ()
    hub.NOT_ERROR = (gevent.GreenletExit,)


def may_wait() -> bool:
    """Return whether the calling code may wait cooperatively: it is not the hub's own."""
    return gevent.getcurrent() is not gevent.get_hub()


class AsyncWaker:
    """Calls a function in this thread's hub when any thread, or a signal handler, asks for it.

    While one is open its hub has something to wait for. To be closed in the thread that made it,
    before its hub ends.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        """Let :meth:`wake` call ``function``, which must not switch."""
        # Natively, and again in a signal handler that interrupts the thread which holds it.
        self._lock = monkey.get_original("_thread", "RLock")()
        self._watcher = gevent.get_hub().loop.async_()
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

    That may be if the caller, in another thread, has got an error meanwhile, since a hub ended.
    """
    try:
        value = function(*arguments)
    except BaseException as error:  # noqa: BLE001 - it is raised in the calling thread
        if not result.done():
            result.set_exception(error)
    else:
        if not result.done():
            result.set_result(value)


class NativeEvent:
    """An event that native threads wait for, even where ``threading`` is monkey-patched.

    Safe from any thread.
    """

    def __init__(self) -> None:
        """Make one that is not set."""
        self._lock = monkey.get_original("_thread", "allocate_lock")()
        self._lock.acquire()

    def is_set(self) -> bool:
        """Whether it is set."""
        return not self._lock.locked()

    def set(self) -> None:
        """Wake all who wait."""
        if self._lock.locked():
            self._lock.release()

    def clear(self) -> bool:
        """Let who comes wait; return whether it was set: to one thread, of several."""
        cleared: bool = self._lock.acquire(False)
        return cleared

    def wait(self, timeout: float | None = None) -> None:
        """Wait; cooperatively where gevent serves this thread."""
        if isinstance(gevent.getcurrent(), gevent.Greenlet) or monkey.is_module_patched("thread"):
            # Let the threads of gevent's pool wait, so that the hub does not.
            gevent.get_hub().threadpool.apply(self.wait_natively, (timeout,))
        else:
            self.wait_natively(timeout)

    def wait_natively(self, timeout: float | None = None) -> None:
        """Wait, and block this thread."""
        if self._lock.acquire(True, -1 if timeout is None else timeout):
            self._lock.release()


class HubThread:
    """A native thread that does nothing but let greenlets run on its hub.

    Safe from any thread.
    """

    def __init__(self) -> None:
        """Start it."""
        self._timeout = 0.0
        allocate_lock = monkey.get_original("_thread", "allocate_lock")
        self._running, ready = allocate_lock(), allocate_lock()
        self._running.acquire()
        ready.acquire()
        start_native_thread(lambda: self._run(ready.release))
        ready.acquire()

    def _run(self, ready: Callable[[], None]) -> None:
        self.hub = hub = gevent.get_hub()
        isolate(hub)
        self._greenlets = GreenletGroup("callbacks")
        stopped = Event()
        self._stop = AsyncWaker(stopped.set)
        ready()
        try:
            stopped.wait()
            self._greenlets.wait(self._timeout)
            self._greenlets.stop(KILL_TIMEOUT)
        finally:
            # Before the loop: libuv's would wait for it for ever.
            self._stop.close()
            hub.destroy(destroy_loop=True)
            self._running.release()

    def spawn(self, function: Callable[..., object], *arguments: Any) -> None:
        """Run ``function`` in a greenlet of its own. Returns at once. An exception is logged."""
        role = getattr(function, "__qualname__", type(function).__name__)
        self.hub.loop.run_callback_threadsafe(self._greenlets.spawn, role, function, *arguments)

    def call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Run ``function`` in a greenlet there, wait for it, and return or raise what it does."""
        result: Future[_Result] = Future()
        self.spawn(answer, result, function, arguments)
        wait_done(result)
        return result.result()

    def wait(self, timeout: float) -> None:
        """Wait so many seconds for what runs to come to its end by itself."""
        self.call(self._greenlets.wait, timeout)

    def stop(self, timeout: float = 0.0) -> None:
        """Kill what still runs, and end the thread. To be called once.

        Waits for that, natively: an interpreter that ends meanwhile might crash in a loop that is
        being destroyed. Who blocks the thread for longer is left behind.

        Args:
            timeout: Seconds that what runs gets to come to its end by itself.
        """
        self._timeout = timeout
        self._stop.wake()
        self._running.acquire(True, timeout + 2 * KILL_TIMEOUT)


def start_native_thread(function: Callable[[], None]) -> None:
    """Run ``function`` in a real thread, even where ``threading`` is monkey-patched."""
    start_new_thread = monkey.get_original("_thread", "start_new_thread")
    start_new_thread(function, ())

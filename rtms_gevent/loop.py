"""Running: the blocking ``run()`` of a script, and hubs in threads of their own."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import gevent
from gevent import monkey
from gevent.event import Event
from gevent.hub import Hub

from . import registry
from .transport import hubs

__all__ = ["EventLoop", "call_at_stop", "run", "run_soon", "stop"]

logger = logging.getLogger(__name__)


class EventLoop:
    """A hub, and the streams that live on it.

    :meth:`run` drives the hub of the calling thread; :meth:`start` one of a new native thread,
    real even in a monkey-patched process.
    """

    def __init__(self, name: str | None = None) -> None:
        """Make a loop that does not run yet."""
        self.name = name or f"rtms-{id(self):x}"
        self._hub: Hub | None = None
        self._wake: Any = None  # gevent's async watcher: the one that other threads may touch
        self._ready = _NativeFlag()

    @property
    def client_count(self) -> int:
        """How many streams live here."""
        return 0 if self._hub is None else len(registry.clients_of(self._hub))

    @property
    def is_running(self) -> bool:
        """Whether :meth:`run` or :meth:`start` is at work."""
        return self._wake is not None

    def run(self, stop_on_empty: bool = False, *, handle_signals: bool = False) -> None:
        """Block, and let streams live, until :meth:`stop`; then leave all of them.

        Args:
            stop_on_empty: Also end when no stream is left.
            handle_signals: End at SIGINT and SIGTERM, unless the program handles them itself.
        """
        self._hub = hub = gevent.get_hub()
        stopping = Event()
        # While it is there the hub has something to wait for, even where no stream lives.
        self._wake = wake = hub.loop.async_()
        wake.start(stopping.set)
        hubs.running.append(hub)
        self._ready.set()
        restore = _handle_signals(self.stop) if handle_signals else _nothing
        try:
            while not stopping.is_set() and not (stop_on_empty and not self.client_count):
                registry.wait_for_change(hub, stopping)
        finally:
            restore()
            self._leave_all()
            hubs.running.remove(hub)
            self._wake = None
            wake.stop()
            wake.close()

    def _leave_all(self) -> None:
        assert self._hub is not None
        clients = registry.clients_of(self._hub)
        gevent.joinall([gevent.spawn(client.leave) for client in clients])

    def start(self) -> EventLoop:
        """Run in a native thread of its own; returns once it runs."""
        hubs.start_native_thread(self._run_in_thread)
        self._ready.wait()
        return self

    def _run_in_thread(self) -> None:
        hub = gevent.get_hub()
        try:
            self.run()
        except Exception:
            logger.exception("loop %s failed", self.name)
        finally:
            registry.forget_hub(hub)
            # A thread's hub does not go with it by itself, and would leak two file descriptors.
            hub.destroy(destroy_loop=True)

    def stop(self) -> None:
        """End :meth:`run`; callable from any thread, greenlet or signal handler. Never waits."""
        wake = self._wake
        if wake is not None:
            wake.send()

    def spawn(self, function: Callable[..., object], *arguments: Any) -> None:
        """Run a function in a greenlet of this loop; callable from any thread."""
        assert self._hub is not None
        hubs.spawn_on(self._hub, function, *arguments)


class _NativeFlag:
    """A flag that one native thread sets and another waits for, even where locks are patched."""

    def __init__(self) -> None:
        self._lock = monkey.get_original("_thread", "allocate_lock")()
        self._lock.acquire()

    def set(self) -> None:
        if self._lock.locked():
            self._lock.release()

    def wait(self) -> None:
        self._lock.acquire()
        self._lock.release()


def _nothing() -> None:
    pass


def _handle_signals(stop: Callable[[], None]) -> Callable[[], None]:
    """Stop at SIGINT and SIGTERM, where they would else end the process; return the undoing."""
    if threading.current_thread() is not threading.main_thread():
        return _nothing
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
    return restore


_default = EventLoop("default")
_closers: list[Callable[[], None]] = []
_background: tuple[int, EventLoop] | None = None


def run(stop_on_empty: bool = False) -> None:
    """Block until :func:`stop`, Ctrl-C or SIGTERM; then leave every stream, and return.

    Everything of this package in this thread lives on the hub that this drives: streams and the
    webhook server. In a process that gevent serves (gunicorn's gevent worker) it is not needed.

    Args:
        stop_on_empty: Also return when no stream is left.
    """
    try:
        _default.run(stop_on_empty, handle_signals=True)
    finally:
        while _closers:
            _closers.pop()()


def stop() -> None:
    """End :func:`run`; callable from any thread, greenlet or signal handler. Never waits."""
    _default.stop()


def call_at_stop(function: Callable[[], None]) -> None:
    """Call ``function`` when :func:`run` ends: for servers that it drives."""
    _closers.append(function)


def run_soon(function: Callable[..., object], *arguments: Any) -> None:
    """Run ``function`` in a greenlet where this process keeps its streams.

    That is the hub of this thread where gevent serves it, else the one that :func:`run` drives,
    else one in a background thread that is started for it. Returns at once; callable from any
    thread. An exception is logged.
    """
    hub = hubs.home_if_driven()
    if hub is None:
        _background_loop().spawn(function, *arguments)
    else:
        hubs.spawn_on(hub, function, *arguments)


def _background_loop() -> EventLoop:
    """Return the loop for servers that gevent does not drive; one per process."""
    global _background
    with _background_lock:
        if _background is None or _background[0] != os.getpid():
            _background = (os.getpid(), EventLoop("background").start())
        return _background[1]


_background_lock = threading.Lock()

"""Crossing threads: each native thread has a hub of its own, whose objects only it may touch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import gevent
from gevent import monkey
from gevent.hub import Hub

__all__ = [
    "call_on",
    "current_hub",
    "home",
    "home_if_driven",
    "is_current",
    "running",
    "spawn_on",
    "start_native_thread",
]

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")


def current_hub() -> Hub:
    """Return this native thread's hub; makes one where there is none."""
    return gevent.get_hub()


def is_current(hub: Hub) -> bool:
    """Tell whether ``hub`` is the one of this native thread."""
    return gevent.get_hub() is hub


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
    gevent.spawn(_guard, function, arguments)


def _guard(function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    try:
        function(*arguments)
    except Exception:
        logger.exception("%r failed", function)


def call_on(hub: Hub, function: Callable[..., _Result], *arguments: Any) -> _Result:
    """Run ``function`` on ``hub``, from any thread, and return or raise what it does.

    On the hub's own thread this is a plain call. From another thread it blocks that thread (and a
    hub that it may have) until the result is there, so ``hub`` must be running.
    """
    if is_current(hub):
        return function(*arguments)
    result: Future[_Result] = Future()

    def run() -> None:
        try:
            result.set_result(function(*arguments))
        except BaseException as error:  # noqa: BLE001 - it is raised in the calling thread
            result.set_exception(error)

    spawn_on(hub, run)
    return result.result()


def start_native_thread(function: Callable[[], None]) -> None:
    """Run ``function`` in a real thread, even where ``threading`` is monkey-patched."""
    start_new_thread = monkey.get_original("_thread", "start_new_thread")
    start_new_thread(function, ())


#: Hubs that somebody drives for us by ``run()``, the latest last.
running: list[Hub] = []


def home_if_driven() -> Hub | None:
    """Return the hub to put streams on, if we can be sure that it is driven; else ``None``."""
    if isinstance(gevent.getcurrent(), gevent.Greenlet) or monkey.is_module_patched("socket"):
        return current_hub()
    return running[-1] if running else None


def home() -> Hub:
    """Return the hub to put streams on.

    In a greenlet, in the main thread, and in a monkey-patched process it is this thread's own.
    In another native thread (a WSGI server's, say) it is the one that ``run()`` drives, since the
    thread's own would never get a turn.
    """
    if threading.current_thread() is threading.main_thread():
        return current_hub()
    return home_if_driven() or current_hub()

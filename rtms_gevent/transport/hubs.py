"""Crossing threads: each native thread has a hub of its own, whose objects only it may touch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import gevent
from gevent import monkey
from gevent.hub import Hub

__all__ = ["current_hub", "is_current", "spawn_on", "start_native_thread"]

logger = logging.getLogger(__name__)


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


def start_native_thread(function: Callable[[], None]) -> None:
    """Run ``function`` in a real thread, even where ``threading`` is monkey-patched."""
    start_new_thread = monkey.get_original("_thread", "start_new_thread")
    start_new_thread(function, ())

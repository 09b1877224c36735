"""The default event loop of a process: ``run()``, ``run_async()``, and one in the background."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Any

import gevent

from ..client import Client
from ..delivery.runners import ExecutorRunner
from ..logs import configure_from_environment
from ..runtime.hub_context import (
    HubContext,
    all_clients,
    context_of,
    default,
    register_running,
    running_context,
)
from ..stream.stats import ClientStats
from .event_loop import EventLoop
from .hooks import call_hooks_before_run
from .os_signals import stopping_at_signals

__all__ = ["run", "run_async", "run_soon", "stats", "stop", "streams_context"]

_default = EventLoop(name="default")


def run(
    poll_interval: float = 0.01, stop_on_empty: bool = False, executor: Executor | None = None
) -> None:
    """Block until :func:`stop`, Ctrl-C or SIGTERM; then leave every stream, and return.

    It runs the hub of all streams and webhook servers of this thread. In a process that gevent
    serves (gunicorn's gevent worker) it is not needed.

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
    call_hooks_before_run()
    # Streams that were joined in this thread are there already.
    context = context_of(gevent.get_hub())
    _default.claim(context)
    context.adopt(default)
    with _running(context, executor), stopping_at_signals(stop):
        _default.run_here(lambda: stop_on_empty and not _default.client_count)


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
    call_hooks_before_run()
    _default.claim(default)
    # What was joined in this thread waits for a hub that will not run.
    default.adopt(context_of(gevent.get_hub()))
    with _running(default, executor):
        await _default.run_beside_asyncio(lambda: stop_on_empty and not _default.client_count)


def _check(executor: Executor | None) -> None:
    if executor is not None:
        ExecutorRunner(executor)  # refuses what is none


@contextlib.contextmanager
def _running(context: HubContext, executor: Executor | None) -> Iterator[None]:
    """Bind streams that are joined in any thread to ``context`` meanwhile, with ``executor``."""
    context.executor = executor
    undo = register_running(context)
    try:
        yield
    finally:
        undo()
        context.executor = None


def stop() -> None:
    """End :func:`run` or :func:`run_async`; callable from anywhere. Never waits.

    Before the first of them it makes that one return at once; later, while none runs, it does
    nothing.
    """
    _default.stop()


def stats() -> list[ClientStats]:
    """Return the stats of all clients of this process whose streams are not over."""
    return [one.stats() for one in all_clients() if isinstance(one, Client)]


# -- hosts that run no hub of ours -----------------------------------------------------------------


def run_soon(function: Callable[..., object], *arguments: Any) -> None:
    """Run ``function`` in a greenlet where this process keeps its streams.

    That is the hub of this thread where gevent serves it, else the one that :func:`run` runs,
    else one in a background thread that is started for it. Returns at once; callable from any
    thread. An exception is logged.
    """
    streams_context().spawn(function, *arguments)


def streams_context() -> HubContext:
    """Return the context where this process keeps the streams that webhooks start."""
    return running_context() or _background_loop().context


_background: tuple[int, EventLoop] | None = None
_background_lock = threading.Lock()


def _background_loop() -> EventLoop:
    """Return the loop for servers that gevent does not serve; one per process."""
    global _background
    with _background_lock:
        if _background is None or _background[0] != os.getpid():
            _background = (os.getpid(), EventLoop(name="background").start())
        return _background[1]

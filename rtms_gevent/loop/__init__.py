"""Event loops: ``run()`` for scripts, ``run_async()`` beside asyncio, and hubs in threads."""

from __future__ import annotations

from .default import run, run_async, run_soon, stats, stop, streams_context
from .event_loop import EventLoop
from .hooks import call_at_stop, call_before_run, forget_before_run
from .pool import EventLoopPool

__all__ = [
    "EventLoop",
    "EventLoopPool",
    "call_at_stop",
    "call_before_run",
    "forget_before_run",
    "run",
    "run_async",
    "run_soon",
    "stats",
    "stop",
    "streams_context",
]

"""Functions to call when ``run()`` begins and ends, such as starting and stopping web servers."""

from __future__ import annotations

from collections.abc import Callable

__all__ = [
    "call_at_stop",
    "call_before_run",
    "call_hooks_at_stop",
    "call_hooks_before_run",
    "forget_before_run",
]

_before_run: list[Callable[[], None]] = []
_at_stop: list[Callable[[], None]] = []


def call_before_run(function: Callable[[], None]) -> None:
    """Call ``function`` when ``run()`` or ``run_async()`` begins; they raise what it raises."""
    _before_run.append(function)


def forget_before_run() -> None:
    """Call nothing of what :func:`call_before_run` got."""
    _before_run.clear()


def call_at_stop(function: Callable[[], None]) -> None:
    """Call ``function`` when a loop that servers live by ends, whichever it is."""
    _at_stop.append(function)


def call_hooks_before_run() -> None:
    """Call once what :func:`call_before_run` got. What raises is called the next time, too."""
    while _before_run:
        _before_run[0]()
        del _before_run[0]


def call_hooks_at_stop() -> None:
    """Call once what :func:`call_at_stop` got."""
    while _at_stop:
        _at_stop.pop()()

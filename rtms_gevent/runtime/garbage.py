"""Keeps Python's garbage collector from stopping all streams of a process."""

from __future__ import annotations

import gc
from collections.abc import Callable

__all__ = ["tune"]

#: What :func:`gc.set_threshold` gets. The first is that of Python until 3.12; 3.13 has 2000. With
#: the second, a pass over the two young generations goes through 3,000 objects instead of 8,000 or
#: 22,000, and takes a third of a millisecond. The third makes full passes five times as rare: one
#: for each 420,000 objects, or 2,500 streams, that have come and are not freed. More would save
#: little, and let the memory grow: a stream that has ended refers to itself, so that its 25 kB wait
#: for one.
_THRESHOLDS = (700, 3, 150)


def tune() -> Callable[[], None]:
    """Let full garbage collections be rare, and short; return the undoing.

    A full collection goes through all objects of the process, and stops all of its streams
    meanwhile: for 8 ms with a hundred, for 25 with five hundred. What was made before is never
    gone through again, and what is garbage in it is collected now. So this is to be called when all
    is imported and set up; in a process that forks others, in each of them.

    Only for processes that are ours: it changes the collector for all that runs in them. A
    collector that is switched off stays so. CPython 3.10 to 3.13 behave as described; where later
    ones have other thresholds, these do no harm.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)

    def undo() -> None:
        gc.unfreeze()
        gc.set_threshold(*before)

    return undo

"""Leaves all streams when the interpreter ends, and lets running callbacks finish."""

from __future__ import annotations

import atexit
import functools
import logging
import weakref
from collections.abc import Iterable
from typing import Protocol

import gevent

from . import threads
from .deadline import Deadline
from .greenlets import join_released
from .gunicorn import current_worker
from .hub_context import HubContext, all_contexts, finish, prepare_to_leave

__all__ = [
    "CALLBACK_SHUTDOWN_TIMEOUT",
    "LEAVE_TIMEOUT",
    "ThreadedLoop",
    "callback_deadline",
    "join_callbacks",
    "leave_at_exit",
    "prepare",
    "set_graceful_timeout",
    "stop_at_exit",
]

logger = logging.getLogger(__name__)

#: Seconds that streams get to be left.
LEAVE_TIMEOUT = 5.0

#: Seconds that functions of the user get to come to their end when their loop ends.
CALLBACK_SHUTDOWN_TIMEOUT = 5.0

#: Seconds that gunicorn's gevent worker may take to notice SIGTERM, and that the killing of what
#: lasts too long takes.
_MARGIN = 2.5

#: Seconds that telling other processes takes, at most, that streams are there for them.
_TELLING = 1.0


def callback_deadline() -> Deadline:
    """Return until when functions of the user may come to their end, if their loop ends now.

    In a gunicorn worker that is ``graceful_timeout``, after which gunicorn kills the worker (or
    ``timeout``, where that is less, since a worker that ends gives no more signs of life).
    """
    worker, seconds = current_worker(), _graceful_timeout
    if worker is not None:
        seconds = min(worker.graceful_timeout, worker.timeout or worker.graceful_timeout)
    if seconds is None:
        return Deadline(CALLBACK_SHUTDOWN_TIMEOUT)
    return Deadline(max(0.0, seconds - _MARGIN))


_graceful_timeout: float | None = None


def set_graceful_timeout(seconds: float | None) -> None:
    """Note when whoever has started this process kills it, after telling it to end."""
    global _graceful_timeout
    _graceful_timeout = seconds


def prepare(contexts: Iterable[HubContext], deadline: Deadline) -> None:
    """Let streams be handed over to other processes, before those that are left are left.

    Functions of the user come to their end meanwhile, so that takes as long as they get, and then
    another moment, for telling the others.
    """
    prepare_to_leave(contexts, (deadline.left() or 0.0) + _TELLING)


def join_callbacks(contexts: Iterable[HubContext], deadline: Deadline) -> None:
    """Let functions of the user that run on this hub come to their end, or kill them then.

    Then nothing is left that needs what these contexts share with other processes. What comes from
    those at the last moment is done, too.
    """
    _join_callbacks(deadline)
    for thread in filter(None, [context.callback_thread for context in contexts]):
        # In a greenlet, since the functions need this hub until they end.
        gevent.spawn(thread.wait, deadline.left() or 0.0).join()
    finish(contexts, _TELLING)
    _join_callbacks(Deadline(_TELLING))


def _join_callbacks(deadline: Deadline) -> None:
    for name, count in join_released(deadline.left() or 0.0).items():
        logger.warning(
            "%s: functions that had not come to their end %g s after leaving were killed: %d",
            name,
            deadline.seconds or 0.0,
            count,
        )


class ThreadedLoop(Protocol):
    """A loop that may run in a thread of its own."""

    @property
    def is_running(self) -> bool:
        """Whether it runs."""

    def stop(self) -> None:
        """Ask it to leave its streams and to end. Never waits."""

    def wait_ended(self, timeout: float | None) -> None:
        """Wait until it has ended, natively: no thread may be started any more."""


_loops: weakref.WeakSet[ThreadedLoop] = weakref.WeakSet()


def stop_at_exit(loop: ThreadedLoop) -> None:
    """Stop ``loop`` when the interpreter ends, and wait for it a while."""
    _loops.add(loop)
    leave_at_exit()


@functools.cache
def leave_at_exit() -> None:
    """Leave the streams of the thread that ends the interpreter: a script, a gunicorn worker.

    Zoom would hold a stream for a minute that is not left with close frames.
    """
    atexit.register(_exit)
    worker = current_worker()
    if worker is not None:
        # Earlier: a Python 3.12 that ends starts no threads, and handing over may need some.
        worker.call_at_exit(_exit)


def _exit() -> None:
    """Stop the loops in threads, leave this thread's streams meanwhile, then wait for the loops."""
    loops = [loop for loop in list(_loops) if loop.is_running]
    for loop in loops:
        loop.stop()
    # Leaving comes first, and takes a while itself.
    seconds = LEAVE_TIMEOUT + (callback_deadline().seconds or 0.0)
    deadline = Deadline(seconds)
    try:
        _leave_here()
    finally:
        for loop in loops:
            loop.wait_ended(deadline.left())
            if loop.is_running:
                logger.warning("%r could not leave its streams within %g s", loop, seconds)


def _leave_here() -> None:
    if not threads.may_wait():
        return
    here = [one for one in all_contexts() if one.hub is gevent.get_hub()]
    if not here:
        return
    deadline = callback_deadline()
    prepare(here, deadline)
    leaving = [gevent.spawn(client.leave) for one in here for client in one.clients]
    gevent.joinall(leaving, timeout=LEAVE_TIMEOUT)
    late = sum(not greenlet.dead for greenlet in leaving)
    if late:
        logger.warning("%d streams could not be left within %g s", late, LEAVE_TIMEOUT)
    join_callbacks(here, deadline)

"""Where streams live: hubs, their clients, and ways to them from other threads.

A home may have no hub yet: what is to happen there then waits until it has one.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Protocol, TypeVar

import gevent
from gevent import monkey
from gevent.hub import Hub

from ..errors import NotJoinedError, UsageError
from . import greenlets, threads
from .deadline import Deadline
from .exit import graceful_seconds
from .fair_scheduling import yield_to_io
from .threads import HubThread

__all__ = [
    "HubContext",
    "Member",
    "all_clients",
    "context_of",
    "current_context",
    "default",
    "join_callbacks",
    "register_running",
    "running_context",
]

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

#: Seconds that streams get to be left when the interpreter ends.
_FAREWELL = 5.0


_all: weakref.WeakSet[HubContext] = weakref.WeakSet()


def all_clients() -> list[Member]:
    """Return the clients of this process whose streams are not over."""
    return [client for hub_context in list(_all) for client in hub_context.clients]


_leaves_at_exit = False


def _leave_at_exit() -> None:
    global _leaves_at_exit
    if not _leaves_at_exit:
        _leaves_at_exit = True
        atexit.register(_leave_here)


def _leave_here() -> None:
    """Leave the streams of the thread that ends the interpreter, with close frames.

    Else Zoom would hold each for a minute: of a script that just ends, or of a gunicorn worker.
    """
    if not threads.may_wait():
        return
    here = [one for one in list(_all) if one.hub is not None and threads.is_current(one.hub)]
    if not here:
        return
    clients = [client for hub_context in here for client in hub_context.clients]
    parting = Deadline(graceful_seconds(_FAREWELL))
    leaving = [gevent.spawn(client.leave) for client in clients]
    gevent.joinall(leaving, timeout=_FAREWELL)
    late = sum(not greenlet.dead for greenlet in leaving)
    if late:
        logger.warning("%d streams could not be left within %g s", late, _FAREWELL)
    join_callbacks(parting)


def join_callbacks(deadline: Deadline) -> None:
    """Let functions of the user that run on this hub come to their end, or kill them then."""
    for name, count in greenlets.join_finished(deadline.left() or 0.0).items():
        logger.warning(
            "%s: functions that had not come to their end %g s after leaving were killed: %d",
            name,
            deadline.seconds or 0.0,
            count,
        )


class Member(Protocol):
    """A client, as its home knows it."""

    def leave(self) -> bool:
        """End its stream. Waits cooperatively."""

    def move_to(self, hub_context: HubContext) -> None:
        """Take a join that has not begun to another home."""


class HubContext:
    """A hub that streams live on, and its clients.

    Safe from any thread, but for what says otherwise.
    """

    def __init__(self, hub: Hub | None = None) -> None:
        """Make a home on ``hub``, or one that has none yet."""
        self.hub = hub
        _all.add(self)
        #: Runs callbacks of clients that have no executor of their own.
        self.executor: Executor | None = None
        self.asyncio: asyncio.AbstractEventLoop | None = None
        #: Runs the user's functions instead of the hub, so that they may block as they like.
        self.stage: HubThread | None = None
        #: Whether all streams are being left, so that none may join.
        self.is_ending = False
        self._clients: weakref.WeakSet[Member] = weakref.WeakSet()
        self._waiting: dict[object, Callable[[], object]] = {}
        self._calls: set[Future[Any]] = set()
        self._watchers: list[Callable[[], None]] = []
        # A native lock, also where threading is patched: threads with hubs of their own meet here.
        self._lock = monkey.get_original("_thread", "allocate_lock")()

    # -- clients -----------------------------------------------------------------------------------

    @property
    def clients(self) -> list[Member]:
        """Those that were added or joined here, and whose streams are not over."""
        with self._lock:
            return list(self._clients)

    def add(self, client: Member) -> None:
        """Count a client as one that lives here."""
        _leave_at_exit()
        with self._lock:
            self._clients.add(client)

    def discard(self, client: Member) -> None:
        """Count it no more."""
        with self._lock:
            self._clients.discard(client)
            self._waiting.pop(client, None)
            watchers = list(self._watchers)
        for wake in watchers:
            wake()

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call ``wake`` whenever a client is gone, from whichever thread; return the undoing."""
        with self._lock:
            self._watchers.append(wake)
        return lambda: self._watchers.remove(wake)

    # -- work --------------------------------------------------------------------------------------

    def submit(self, key: object, function: Callable[[], object]) -> None:
        """Run ``function`` here soon: now if there is a hub, else when there is one.

        Until it runs, :meth:`withdraw` with the same key takes it back.
        """
        with self._lock:
            self._waiting[key] = function
            if self.hub is not None:  # nor can it end before it was asked
                threads.spawn_on(self.hub, self.run_waiting, key)

    def withdraw(self, key: object) -> Callable[[], object] | None:
        """Take back what :meth:`submit` got and what has not run yet; return it."""
        with self._lock:
            return self._waiting.pop(key, None)

    def run_waiting(self, key: object) -> None:
        """Run what :meth:`submit` got, unless it has run or was taken back. Only on the hub."""
        yield_to_io()  # many may have been asked for at once, and streams run meanwhile
        function = self.withdraw(key)
        if function is not None:
            function()

    def attach(self, hub: Hub) -> None:
        """Give this home its hub, and let run what waits. To be called in the hub's thread."""
        if getattr(hub, _HOME, None) is None:
            setattr(hub, _HOME, self)  # for streams that are joined there without choosing
        with self._lock:
            self.hub = hub
            waiting = list(self._waiting)
        for key in waiting:
            threads.spawn_on(hub, self.run_waiting, key)

    def spawn(self, function: Callable[..., object], *arguments: Any) -> None:
        """Run a function of the user in a greenlet, now or when there is a hub."""

        def run() -> None:
            if self.stage is None:
                function(*arguments)
            else:
                self.stage.spawn(function, *arguments)

        self.submit(object(), run)

    def set_stage(self, stage: HubThread) -> None:
        """Let the user's functions run on ``stage``; streams that they join will live here."""
        self.stage = stage
        setattr(stage.hub, _HOME, self)

    def adopt(self, other: HubContext) -> None:
        """Move here what waits at ``other``, whose hub may never run."""
        for client in other.clients:
            with contextlib.suppress(UsageError):  # it has begun there, and stays
                client.move_to(self)
        with other._lock:
            moved, other._waiting = other._waiting, {}
        for key, function in moved.items():
            self.submit(key, function)

    def detach(self) -> None:
        """Give the hub up; calls from other threads that it has not answered fail."""
        if getattr(self.hub, _HOME, None) is self:
            setattr(self.hub, _HOME, None)
        with self._lock:
            self.hub = None
            calls, self._calls = self._calls, set()
        for call in calls:
            if not call.done():
                call.set_exception(NotJoinedError("the loop of this client has ended"))

    def forget(self) -> None:
        """Give up a hub that has ended with its thread, in a forked child."""
        self._lock = monkey.get_original("_thread", "allocate_lock")()  # who held it is gone, too
        self.hub = self.stage = None
        self._calls = set()
        while self in _running:
            _running.remove(self)

    def call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Run ``function`` here, from any thread, and return or raise what it does.

        On the hub's own thread this is a plain call. Else it waits until the result is there: a
        greenlet of another hub cooperatively, and any other code by blocking its thread.

        Raises:
            NotJoinedError: the hub does not run, or ends meanwhile.
        """
        hub = self.hub
        if hub is not None and threads.is_current(hub):
            return function(*arguments)
        result: Future[_Result] = Future()
        with self._lock:
            if self.hub is None:
                raise NotJoinedError("the loop of this client does not run")
            self._calls.add(result)
            threads.spawn_on(self.hub, threads.answer, result, function, arguments)
        try:
            threads.wait_done(result)
            return result.result()
        finally:
            with self._lock:
                self._calls.discard(result)


#: Where ``run()`` and ``run_async()`` let streams live that no loop was chosen for.
default = HubContext()

#: Attribute of a hub: a table of hubs would keep them, and their descriptors, for ever.
_HOME = "_rtms_gevent_home"

_running: list[HubContext] = []


def context_of(hub: Hub) -> HubContext:
    """Return the home of streams that are joined on ``hub`` without choosing a loop."""
    found: HubContext | None = getattr(hub, _HOME, None)
    if found is None:
        found = HubContext(hub)
        setattr(hub, _HOME, found)
    return found


def register_running(hub_context: HubContext) -> Callable[[], None]:
    """Note that somebody drives ``hub_context`` for streams of all threads; return the undoing."""
    _running.append(hub_context)
    return lambda: _running.remove(hub_context)


def running_context() -> HubContext | None:
    """Return the home for streams of this thread, if we can be sure that it is driven."""
    if isinstance(gevent.getcurrent(), gevent.Greenlet) or monkey.is_module_patched("socket"):
        return context_of(threads.current_hub())
    return _running[-1] if _running else None


def current_context() -> HubContext:
    """Return the home for a stream that is joined in this thread, without choosing a loop.

    In a greenlet, in the main thread and in a monkey-patched process it is this thread's hub. In
    another native thread (a WSGI server's, say), and on a running asyncio loop, it is what
    ``run()`` or ``run_async()`` drives, since the thread's own hub would never get a turn.
    """
    driven = running_context()
    if driven is not None:
        return driven
    if _is_asyncio_running():
        return default
    return context_of(threads.current_hub())


def _is_asyncio_running() -> bool:
    return asyncio._get_running_loop() is not None

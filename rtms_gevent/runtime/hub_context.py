"""Hubs and the clients bound to them, and how to call them from other threads.

A context may have no hub yet: what is to happen there then waits until it has one.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from typing import Any, Protocol, TypeVar

import gevent
from gevent import monkey
from gevent.hub import Hub

from ..errors import NotJoinedError
from . import threads
from .fair_scheduling import yield_to_io
from .greenlets import KILL_TIMEOUT, GreenletGroup, spawn_on
from .hub_local import HubLocal
from .threads import HubThread

__all__ = [
    "HubContext",
    "Member",
    "PendingCall",
    "all_clients",
    "all_contexts",
    "context_of",
    "current_context",
    "default",
    "finish",
    "prepare_to_leave",
    "register_running",
    "running_context",
]

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")


class Member(Protocol):
    """A client, as its context knows it."""

    def leave(self) -> bool:
        """End its stream. Waits cooperatively."""

    def moved_to(self, context: HubContext) -> None:
        """Note that its join, which has not begun, was moved to another context."""


class PendingCall:
    """A call that waits for its turn on a hub; cf. ``asyncio.Handle``. Safe from any thread."""

    __slots__ = ("context", "function", "member")

    def __init__(
        self,
        context: HubContext,
        function: Callable[[], object],
        member: Member | None = None,
    ) -> None:
        """Schedule nothing yet; see :meth:`HubContext.schedule`.

        Args:
            context: Where to make the call.
            function: What to call, without arguments.
            member: The client that joins with it.
        """
        self.context = context
        self.function = function
        self.member = member

    def cancel(self) -> bool:
        """Cancel the call; return whether it had not begun."""
        return self.context.take(self)

    def move_to(self, context: HubContext) -> bool:
        """Let the call be made on another hub, with its member; return whether it had not begun."""
        earlier = self.context
        if not earlier.take(self):
            return False
        self.context = context
        if self.member is not None:
            earlier.discard(self.member)
            self.member.moved_to(context)
        context.schedule(self)
        return True


class HubContext:
    """A hub, and the clients that are bound to it.

    Safe from any thread, but for what says otherwise.
    """

    def __init__(self, hub: Hub | None = None) -> None:
        """Make a context of ``hub``, or one that has none yet."""
        self.hub = hub
        #: Runs callbacks of clients that have no executor of their own.
        self.executor: Executor | None = None
        #: Runs callbacks, plain and async, where there is no executor.
        self.asyncio_loop: asyncio.AbstractEventLoop | None = None
        #: Runs the user's functions instead of the hub, so that they may block as they like.
        self.callback_thread: HubThread | None = None
        #: Whether all streams are being left, so that none may join.
        self.is_ending = False
        self._clients: weakref.WeakSet[Member] = weakref.WeakSet()
        self._pending: dict[PendingCall, None] = {}  # in their order
        self._calls: set[Future[Any]] = set()
        self._watchers: list[Callable[[], None]] = []
        self._before_leaving: list[Callable[[], object]] = []
        self._at_end: list[Callable[[], object]] = []
        # A native lock, also where threading is patched: threads with hubs of their own meet here.
        self._lock = monkey.get_original("_thread", "allocate_lock")()
        _all.add(self)

    # -- clients -----------------------------------------------------------------------------------

    @property
    def clients(self) -> list[Member]:
        """Those that were added or joined here, and whose streams are not over."""
        with self._lock:
            return list(self._clients)

    def add(self, client: Member) -> None:
        """Bind a client to this context."""
        with self._lock:
            self._clients.add(client)

    def discard(self, client: Member) -> None:
        """Unbind it."""
        with self._lock:
            self._clients.discard(client)
            watchers = list(self._watchers)
        for wake in watchers:
            wake()

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call ``wake`` whenever a client is gone, from whichever thread; return the undoing."""
        with self._lock:
            self._watchers.append(wake)
        return lambda: self._watchers.remove(wake)

    def before_leaving(self, function: Callable[[], object]) -> None:
        """Call ``function`` once, in a greenlet of the hub, before the clients there are left.

        When the hub's loop or the interpreter ends; streams still run then, and may be handed over.
        An exception is logged; see :func:`prepare_to_leave`.
        """
        self._before_leaving.append(function)

    def at_end(self, function: Callable[[], object]) -> None:
        """Call ``function`` once, like that, but when functions of the user have ended, too."""
        self._at_end.append(function)

    # -- work --------------------------------------------------------------------------------------

    def submit(self, function: Callable[[], object]) -> PendingCall:
        """Schedule the call of a function without arguments."""
        call = PendingCall(self, function)
        self.schedule(call)
        return call

    def schedule(self, call: PendingCall) -> None:
        """Let a call be made in a greenlet: soon if there is a hub, else when there is one.

        Also on the hub itself it is not made before this returns, so that who joined a stream can
        still bind it to another loop. In a greenlet, since what it logs may have to wait. A client
        that joins by it is bound to this context.
        """
        with self._lock:
            self._pending[call] = None
            if call.member is not None:
                self._clients.add(call.member)
            if self.hub is not None:  # nor can it end before it was asked
                spawn_on(self.hub, self.run, call)

    def take(self, call: PendingCall) -> bool:
        """Remove a scheduled call; return whether it was scheduled here, and has not begun."""
        with self._lock:
            is_here = call in self._pending
            self._pending.pop(call, None)
        return is_here

    def run(self, call: PendingCall) -> None:
        """Make a call when it is its turn, unless it has begun, or was taken. Only on the hub."""
        yield_to_io()  # many may have been asked for at once, and streams run meanwhile
        if self.hub is gevent.get_hub() and self.take(call):  # else it waits for another hub
            call.function()

    def spawn(self, function: Callable[..., object], *arguments: Any) -> None:
        """Run a function of the user in a greenlet, now or when there is a hub."""

        def run() -> None:
            if self.callback_thread is None:
                function(*arguments)
            else:
                self.callback_thread.spawn(function, *arguments)

        self.submit(run)

    def attach(self, hub: Hub) -> None:
        """Give this context its hub, and let run what waits. To be called in the hub's thread."""
        if _contexts.of(hub) is None:
            _contexts.set(hub, self)  # for streams that are joined there without choosing
        with self._lock:
            self.hub = hub
            pending = list(self._pending)
        for call in pending:
            spawn_on(hub, self.run, call)

    def run_callbacks_in(self, thread: HubThread) -> None:
        """Let the user's functions run in ``thread``; streams that they join are bound here."""
        self.callback_thread = thread
        _contexts.set(thread.hub, self)

    def adopt(self, other: HubContext) -> None:
        """Move here what waits at ``other``, whose hub may never run."""
        with other._lock:
            pending = list(other._pending)
        for call in pending:
            call.move_to(self)

    def detach(self) -> None:
        """Give up the hub; calls from other threads that it has not answered fail."""
        if self.hub is not None and _contexts.of(self.hub) is self:
            _contexts.set(self.hub, None)
        with self._lock:
            self.hub = None
            calls, self._calls = self._calls, set()
        for call in calls:
            if not call.done():
                call.set_exception(NotJoinedError("the loop of this client has ended"))

    def after_fork_in_child(self) -> None:
        """Give up a hub that has ended with its thread, in a forked child."""
        self._lock = monkey.get_original("_thread", "allocate_lock")()  # who held it is gone, too
        self.hub = self.callback_thread = None
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
        if hub is not None and hub is gevent.get_hub():
            return function(*arguments)
        result: Future[_Result] = Future()
        with self._lock:
            if self.hub is None:
                raise NotJoinedError("the loop of this client does not run")
            self._calls.add(result)
            spawn_on(self.hub, threads.answer, result, function, arguments)
        try:
            threads.wait_done(result)
            return result.result()
        finally:
            with self._lock:
                self._calls.discard(result)


_all: weakref.WeakSet[HubContext] = weakref.WeakSet()
_running: list[HubContext] = []
_contexts: HubLocal[HubContext | None] = HubLocal(lambda: None)

#: The context, in ``run()`` and ``run_async()``, of streams that no loop was chosen for.
default = HubContext()


def all_contexts() -> list[HubContext]:
    """Return the contexts of this process."""
    return list(_all)


def all_clients() -> list[Member]:
    """Return the clients of this process whose streams are not over."""
    return [client for context in all_contexts() for client in context.clients]


def context_of(hub: Hub) -> HubContext:
    """Return the context of streams that are joined on ``hub`` without choosing a loop."""
    found = _contexts.of(hub)
    if found is None:
        found = HubContext(hub)
        _contexts.set(hub, found)
    return found


def prepare_to_leave(contexts: Iterable[HubContext], timeout: float) -> None:
    """Call what :meth:`~HubContext.before_leaving` got, all at once, and wait for it.

    To be called on the hub of the contexts.

    Args:
        contexts: Whose streams are to be left.
        timeout: Seconds to wait; what lasts longer is killed.
    """
    hooks = [hook for context in contexts for hook in context._before_leaving]
    for context in contexts:
        context._before_leaving = []
    _call_all("before leaving", hooks, timeout)


def finish(contexts: Iterable[HubContext], timeout: float) -> None:
    """Do the same with what :meth:`~HubContext.at_end` got."""
    hooks = [hook for context in contexts for hook in context._at_end]
    for context in contexts:
        context._at_end = []
    _call_all("at the end", hooks, timeout)


def _call_all(when: str, hooks: Iterable[Callable[[], object]], timeout: float) -> None:
    group = GreenletGroup(when)
    for hook in hooks:
        group.spawn(getattr(hook, "__qualname__", type(hook).__name__), hook)
    late = group.wait(timeout)
    if late:
        logger.warning("%d functions %s took more than %g s: killed", late, when, timeout)
        group.stop(KILL_TIMEOUT)


def register_running(context: HubContext) -> Callable[[], None]:
    """Note that ``context`` runs for streams of all threads; return the undoing."""
    _running.append(context)
    return lambda: _running.remove(context)


def running_context() -> HubContext | None:
    """Return the context for streams of this thread, if we can be sure that its hub runs."""
    if isinstance(gevent.getcurrent(), gevent.Greenlet) or monkey.is_module_patched("socket"):
        return context_of(gevent.get_hub())
    return _running[-1] if _running else None


def current_context() -> HubContext:
    """Return the context for a stream that is joined in this thread, without choosing a loop.

    In a greenlet, in the main thread and in a monkey-patched process it is that of this thread's
    hub. In another native thread (a WSGI server's, say), and on a running asyncio loop, it is what
    ``run()`` or ``run_async()`` runs, since the thread's own hub would never get a turn.
    """
    running = running_context()
    if running is not None:
        return running
    if asyncio._get_running_loop() is not None:
        return default
    return context_of(gevent.get_hub())

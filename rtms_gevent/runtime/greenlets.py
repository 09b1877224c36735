"""Groups of greenlets that are ended together, and whose exceptions are logged."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import Any

import gevent
from gevent.hub import Hub

from .._interrupts import is_ctrl_c
from .deadline import Deadline
from .hub_local import HubLocal

__all__ = ["KILL_TIMEOUT", "GreenletGroup", "join_released", "spawn_on"]

logger = logging.getLogger(__name__)

#: Seconds that killed greenlets get for their ``finally``.
KILL_TIMEOUT = 1.0


class _Member(gevent.Greenlet):  # type: ignore[type-arg]  # which it takes in stubs only
    """A greenlet of a group, whose name says where it was spawned."""

    #: Frames to note of whoever spawns it: objects for the garbage collector to go through, five
    #: to eight for each greenlet.
    spawning_stack_limit = 0


class GreenletGroup:
    """Owns greenlets, which have names, and logs what they raise.

    Greenlet-safety: any greenlet of the hub that made it, members included; no other thread.
    """

    def __init__(self, name: str) -> None:
        """Make an empty group; ``name`` begins the names of its greenlets."""
        self.name = name
        # A gevent.pool.Group would be a dict, two sets and an event more, for each stream twice.
        self._members: set[_Member] = set()
        self._last: gevent.Greenlet[..., object] | None = None  # while it waits for the others
        self._hub = gevent.get_hub()

    def spawn(
        self, role: str, run: Callable[..., object], *arguments: Any
    ) -> gevent.Greenlet[..., object]:
        """Start a greenlet; its value is what ``run`` returns, or None if that raised (logged)."""
        member = _Member(self._guard, role, run, *arguments)
        member.name = f"{self.name}:{role}"
        self._members.add(member)
        member.rawlink(self._members.discard)
        member.start()
        return member

    def spawn_last(
        self, role: str, run: Callable[..., object], *arguments: Any
    ) -> gevent.Greenlet[..., object]:
        """Start a greenlet as :meth:`spawn` does, that runs when all others have ended.

        Where they are killed, so that the hub can end, it still runs.
        """
        self._last = self.spawn(role, self._run_last, run, *arguments)
        return self._last

    def _run_last(self, run: Callable[..., object], *arguments: Any) -> object:
        for timeout in (None, KILL_TIMEOUT):
            try:
                self.wait(timeout)
                break
            except gevent.GreenletExit:  # killed with the others, which run their ``finally`` now
                continue
        self._last = None
        return run(*arguments)

    def _guard(self, role: str, run: Callable[..., object], *arguments: Any) -> object:
        try:
            return run(*arguments)
        except gevent.GreenletExit:  # killed
            raise
        except BaseException as problem:  # such as a stray sys.exit(), which would end the hub
            if is_ctrl_c(problem):
                raise
            logger.exception("greenlet %s:%s failed", self.name, role)
            return None

    def stop(self, timeout: float | None = None) -> list[str]:
        """Kill all but the calling greenlet, and return the names that did not die in time.

        Args:
            timeout: Seconds to wait for them.
        """
        others = self._others()
        gevent.killall(others, block=False)
        gevent.joinall(others, timeout=timeout)
        return [member.name for member in others if not member.dead]

    def kill(self) -> None:
        """Kill all but the calling greenlet. Never waits."""
        gevent.killall(self._others(), block=False)

    def release(self) -> None:
        """Let all come to an end by themselves; :func:`join_released` waits for it."""
        _released.of(self._hub).add(self)

    def wait(self, timeout: float | None) -> int:
        """Wait until all but the calling greenlet have ended; return how many have not in time.

        Also those that are started meanwhile. One that only waits for the others does not count.
        """
        deadline = Deadline(timeout)
        while others := [member for member in self._others() if not member.dead]:
            gevent.joinall(others, timeout=deadline.left())
            if deadline.left() == 0:
                break
        return sum(not member.dead for member in others if member is not self._last)

    def _others(self) -> list[gevent.Greenlet[..., object]]:
        return [member for member in self._members if member is not gevent.getcurrent()]


#: The groups whose greenlets nobody waits for until the hub ends.
_released: HubLocal[weakref.WeakSet[GreenletGroup]] = HubLocal(weakref.WeakSet)
#: The greenlets that :func:`spawn_on` has started.
_spawned = HubLocal(lambda: GreenletGroup("spawned"))


def spawn_on(hub: Hub, function: Callable[..., object], *arguments: Any) -> None:
    """Run ``function`` in a greenlet of its own on ``hub``; callable from any thread.

    Returns at once. An exception is logged.
    """
    if gevent.get_hub() is hub:
        _spawn_here(function, *arguments)
    else:
        # The one call of a hub's loop that may be made from elsewhere, and that wakes it.
        hub.loop.run_callback_threadsafe(_spawn_here, function, *arguments)


def _spawn_here(function: Callable[..., object], *arguments: Any) -> None:
    role = getattr(function, "__qualname__", type(function).__name__)
    _spawned.of(gevent.get_hub()).spawn(role, function, *arguments)


def join_released(timeout: float) -> dict[str, int]:
    """Wait for what this hub still runs for the user, and kill what lasts too long.

    That are the greenlets of released groups, and those that :func:`spawn_on` has started. To be
    called before the hub ends, which would leave them in the middle of things.

    Args:
        timeout: Seconds to wait for all of them together.

    Returns:
        How many were killed, by the group's name.
    """
    hub = gevent.get_hub()
    groups = [*_released.of(hub), _spawned.of(hub)]  # what the others have spawned comes last
    deadline, killed = Deadline(timeout), {}
    for group in groups:
        late = group.wait(deadline.left())
        if late:
            killed[group.name] = late
    end = Deadline(KILL_TIMEOUT)
    for group in groups:
        for name in group.stop(end.left()):
            logger.error("greenlet %s was killed, and goes on", name)
    return killed

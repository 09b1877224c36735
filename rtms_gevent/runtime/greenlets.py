"""Who owns which greenlet, and what becomes of it."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import Any

import gevent
from gevent.pool import Group

from .deadline import Deadline
from .threads import current_hub, spawned

__all__ = ["GreenletGroup", "join_finished"]

logger = logging.getLogger(__name__)

#: Attribute of a hub: the crews that it dismissed. Only its own thread looks at it.
_DISMISSED = "_rtms_gevent_dismissed"

#: Seconds that killed greenlets get for their ``finally``.
_LAST_WORDS = 1.0


class GreenletGroup:
    """Owns the greenlets of one session.

    Greenlet-safety: any greenlet of one hub, members included; no other thread.
    """

    def __init__(self, name: str) -> None:
        """Make an empty crew; ``name`` begins the names of its greenlets."""
        self.name = name
        self._members = Group()
        self._waiting: gevent.Greenlet[..., object] | None = None
        self._hub = current_hub()

    def spawn(
        self, role: str, run: Callable[..., object], *arguments: Any
    ) -> gevent.Greenlet[..., object]:
        """Start a greenlet; its value is what ``run`` returns, or None if that raised (logged)."""
        member: gevent.Greenlet[..., object] = gevent.Greenlet(self._guard, role, run, *arguments)
        member.name = f"{self.name}:{role}"
        self._members.start(member)
        return member

    def spawn_last(
        self, role: str, run: Callable[..., object], *arguments: Any
    ) -> gevent.Greenlet[..., object]:
        """Start a greenlet as :meth:`spawn` does, that runs when all others have ended.

        Where they are killed, so that the hub can end, it still runs.
        """
        self._waiting = self.spawn(role, self._run_last, run, *arguments)
        return self._waiting

    def _run_last(self, run: Callable[..., object], *arguments: Any) -> object:
        for patience in (None, _LAST_WORDS):
            try:
                self.wait(patience)
                break
            except gevent.GreenletExit:  # killed with the others, which have their last words now
                continue
        self._waiting = None
        return run(*arguments)

    def _guard(self, role: str, run: Callable[..., object], *arguments: Any) -> object:
        try:
            return run(*arguments)
        except Exception:
            # They report what is to be expected by other ways, so this is a bug of our own.
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

    def dismiss(self) -> None:
        """Note that all come to an end by themselves; :func:`join_finished` waits for it."""
        crews: weakref.WeakSet[GreenletGroup] | None = getattr(self._hub, _DISMISSED, None)
        if crews is None:
            crews = weakref.WeakSet()
            setattr(self._hub, _DISMISSED, crews)
        crews.add(self)

    def wait(self, timeout: float | None) -> int:
        """Wait until all but the calling greenlet have ended; return how many have not in time.

        One that only waits for the others does not count.
        """
        others = self._others()
        gevent.joinall(others, timeout=timeout)
        return sum(not member.dead for member in others if member is not self._waiting)

    def _others(self) -> list[gevent.Greenlet[..., object]]:
        return [member for member in self._members if member is not gevent.getcurrent()]


def join_finished(patience: float) -> dict[str, int]:
    """Wait for what this hub still runs for the user, and kill what lasts too long.

    That are the greenlets of dismissed crews, and those that :func:`.hubs.spawn_on` has started. To
    be called before the hub ends, which would leave them in the middle of things.

    Args:
        patience: Seconds to wait for all of them together.

    Returns:
        How many were killed, by the crew's name; "spawned" for the others.
    """
    crews = list(getattr(current_hub(), _DISMISSED, ()))
    deadline, killed = Deadline(patience), {}
    for crew in crews:
        late = crew.wait(deadline.left())
        if late:
            killed[crew.name] = late
    others = [one for one in spawned() if one is not gevent.getcurrent()]
    gevent.joinall(others, timeout=deadline.left())
    late = sum(not one.dead for one in others)
    if late:
        killed["spawned"] = late
    farewell = Deadline(_LAST_WORDS)
    gevent.killall(others, timeout=farewell.left())
    for crew in crews:
        for name in crew.stop(farewell.left()):
            logger.error("greenlet %s was killed, and goes on", name)
    return killed

"""Who owns which greenlet, and what becomes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import gevent
from gevent.pool import Group

__all__ = ["Crew"]

logger = logging.getLogger(__name__)


class Crew:
    """Owns the greenlets of one session.

    Greenlet-safety: any greenlet of one hub, members included; no other thread.
    """

    def __init__(self, name: str) -> None:
        """Make an empty crew; ``name`` begins the names of its greenlets."""
        self._name = name
        self._members = Group()

    def spawn(
        self, role: str, run: Callable[..., object], *arguments: Any
    ) -> gevent.Greenlet[..., object]:
        """Start a greenlet; its value is what ``run`` returns, or None if that raised (logged)."""
        member: gevent.Greenlet[..., object] = gevent.Greenlet(self._guard, role, run, *arguments)
        member.name = f"{self._name}:{role}"
        self._members.start(member)
        return member

    def _guard(self, role: str, run: Callable[..., object], *arguments: Any) -> object:
        try:
            return run(*arguments)
        except Exception:
            # They report what is to be expected by other ways, so this is a bug of our own.
            logger.exception("greenlet %s:%s failed", self._name, role)
            return None

    def stop(self, timeout: float | None = None) -> list[str]:
        """Kill all but the calling greenlet, and return the names that did not die in time.

        Args:
            timeout: Seconds to wait for them.
        """
        others = [member for member in self._members if member is not gevent.getcurrent()]
        gevent.killall(others, block=False)
        gevent.joinall(others, timeout=timeout)
        return [member.name for member in others if not member.dead]

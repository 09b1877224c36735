"""Timers that end a stream if a lost socket is not reopened in time."""

from __future__ import annotations

from collections.abc import Callable

import gevent

__all__ = ["ReconnectWindows"]


class ReconnectWindows:
    """One timer per kind of socket, which ends the stream unless it is closed in time."""

    def __init__(self, on_expired: Callable[[], None]) -> None:
        self._on_expired = on_expired
        self._timers: dict[str, gevent.Greenlet[..., None]] = {}

    def open(self, role: str, seconds: float) -> None:
        """Wait so long for a socket of this role, from now on."""
        self.close(role)
        self._timers[role] = gevent.spawn_later(seconds, self._expired, role)

    def close(self, role: str) -> None:
        """Wait no more: it is back."""
        timer = self._timers.pop(role, None)
        if timer is not None:
            timer.kill(block=False)

    def close_all(self) -> None:
        """Wait for nothing any more."""
        for role in list(self._timers):
            self.close(role)

    def _expired(self, role: str) -> None:
        del self._timers[role]
        self._on_expired()

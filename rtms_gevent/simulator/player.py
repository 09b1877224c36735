"""Plays a scenario to one client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gevent.pool import Group

if TYPE_CHECKING:
    from .meeting import Meeting

__all__ = ["Player"]


class Player:
    """Plays the meeting's scenario from its beginning, in greenlets of its own."""

    def __init__(self, meeting: Meeting, speed: float) -> None:
        self._meeting = meeting
        self._speed = speed
        self._crew = Group()

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End, without telling the client."""
        self._crew.kill(block=False)

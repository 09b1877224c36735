"""When a silent peer counts as gone."""

from __future__ import annotations

__all__ = ["Liveness"]


class Liveness:
    """Decides when a peer has been silent for too long. Pure: the caller owns the clock.

    Zoom sends keep-alives only while no data flows, so anything that arrives is a sign of life.
    """

    __slots__ = ("_heard", "tolerance")

    def __init__(self, tolerance: float, now: float) -> None:
        """Begin to wait ``tolerance`` seconds from ``now`` (monotonic seconds)."""
        self.tolerance = tolerance
        self._heard = now

    def heard(self, now: float) -> None:
        """Note a sign of life."""
        self._heard = now

    def left(self, now: float) -> float:
        """Return the seconds until the peer counts as gone; never negative."""
        return max(0.0, self._heard + self.tolerance - now)

"""Rejects the next clients on purpose, at the WebSocket upgrade or at RTMS' handshake."""

from __future__ import annotations

import dataclasses

__all__ = ["Rejection", "RejectionQueue", "names_role"]


def names_role(which: str, role: str) -> bool:
    """Return whether ``which`` (see :meth:`Meeting.connections`) names sockets of this role.

    Args:
        which: "signaling", "media", a media type, "all" (unified), or "all_sockets".
        role: "signaling", a media type, or "all".
    """
    if role == "signaling" or which == "signaling":
        return which in (role, "all_sockets")
    return which in (role, "media", "all_sockets") or role == "all"


@dataclasses.dataclass(slots=True)
class Rejection:
    """Rejects some clients."""

    which: str  #: sockets, as for :func:`names_role`
    times: int
    #: What the client gets: a status of HTTP or of RTMS; None sends nothing at all.
    status: int | None


class RejectionQueue:
    """Rejections, oldest first, at one step: the upgrade, or the handshake."""

    def __init__(self) -> None:
        self._rejections: list[Rejection] = []

    def add(self, rejection: Rejection) -> None:
        """Reject the next sockets that this names."""
        self._rejections.append(rejection)

    def next_for(self, role: str) -> Rejection | None:
        """Return the rejection of this socket, and count it; None accepts the socket."""
        for rejection in self._rejections:
            if names_role(rejection.which, role):
                rejection.times -= 1
                if not rejection.times:
                    self._rejections.remove(rejection)
                return rejection
        return None

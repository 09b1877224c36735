"""What meets a client that wants to come in: the next few may be turned away."""

from __future__ import annotations

import dataclasses

__all__ = ["Bar", "Door", "names"]


def names(which: str, role: str) -> bool:
    """Tell whether ``which`` (see :meth:`Meeting.connections`) names sockets of this role.

    Args:
        which: "signaling", "media", a media type, "all" (unified), or "all_sockets".
        role: "signaling", a media type, or "all".
    """
    if role == "signaling" or which == "signaling":
        return which in (role, "all_sockets")
    return which in (role, "media", "all_sockets") or role == "all"


@dataclasses.dataclass(slots=True)
class Bar:
    """Turns away some clients."""

    which: str  #: sockets, as for :func:`names`
    times: int
    #: What the client is told: a status of HTTP or of RTMS; None tells nothing at all.
    status: int | None


class Door:
    """Keeps bars, oldest first, for one step of coming in: the upgrade, or the handshake."""

    def __init__(self) -> None:
        self._bars: list[Bar] = []

    def bar(self, which: str, times: int, status: int | None) -> None:
        """Turn away the next ``times`` sockets of this kind."""
        self._bars.append(Bar(which, times, status))

    def meet(self, role: str) -> Bar | None:
        """Return what turns this socket away, and count it; None lets it in."""
        for bar in self._bars:
            if names(bar.which, role):
                bar.times -= 1
                if not bar.times:
                    self._bars.remove(bar)
                return bar
        return None

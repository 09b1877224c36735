"""The open sockets of the client that is in a meeting."""

from __future__ import annotations

import itertools
from typing import Any

from ...enums import MediaDataType
from ..wire.connection import AnyConnection
from ..wire.media import MediaConnection
from ..wire.negotiation import MEDIA_KEYS
from ..wire.signaling import SignalingConnection

__all__ = ["OpenSockets"]


class OpenSockets:
    """Finds sockets by name, and does the same thing to all that are found.

    Greenlet-safety: any greenlet of the simulator's hub.
    """

    def __init__(self) -> None:
        self.signaling: SignalingConnection | None = None
        self.media: list[MediaConnection] = []
        #: The stream was interrupted, or was said to be: a client that closes its socket may have
        #: done so because of a loss after which it has reconnected already.
        self.has_been_interrupted = False
        self._numbers = itertools.count(1)

    def number(self, connection: AnyConnection) -> None:
        """Give a socket that was opened its number, from 1 on."""
        connection.number = next(self._numbers)

    def find(self, which: str) -> list[AnyConnection]:
        """Return the open sockets that ``which`` names; see :meth:`.Meeting.connections`."""
        found: list[AnyConnection] = []
        if self.signaling is not None and which in ("signaling", "all_sockets"):
            found.append(self.signaling)
        for connection in self.media:
            carried = {MEDIA_KEYS[kind] for kind in connection.media_types}
            if which in ("media", "all_sockets", connection.role) or which in carried:
                found.append(connection)
        return found

    def carrying(self, kind: MediaDataType) -> MediaConnection | None:
        """Return the socket of a ready client that carries ``kind``, if there is one."""
        for connection in self.media:
            if connection.is_ready and kind in connection.media_types:
                return connection
        return None

    def send(self, which: str, message: dict[str, Any] | bytes) -> int:
        """Send a message as it is; return to how many sockets it went."""
        return sum(connection.send(message) for connection in self.find(which))

    def send_signaling(self, message: dict[str, Any]) -> bool:
        """Send a message on the signaling socket; return whether there was one."""
        return self.signaling is not None and self.signaling.send(message)

    def close(self, which: str, code: int = 1000, reason: str = "") -> int:
        """Send close frames; return to how many sockets."""
        found = self.find(which)
        for connection in found:
            connection.close(code, reason)
        return len(found)

    def reset(self, which: str) -> int:
        """Break TCP connections without a close frame (RST); return how many."""
        found = self.find(which)
        for connection in found:
            connection.reset()
        return len(found)

    def interrupt(self) -> None:
        """Expect that the client closes its sockets, and comes back."""
        self.has_been_interrupted = True
        for connection in self.find("all_sockets"):
            connection.is_disrupted = True

"""What a simulated Zoom, and the network before it, does wrong on purpose.

Every public method of :class:`Faults` but :meth:`Faults.apply` is a fault that scenarios name, too.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...errors import ConfigurationError
from ..wire.connection import Connection
from ..wire.negotiation import MEDIA_KEYS
from ..wire.network import Shape
from ..wire.rejections import names

if TYPE_CHECKING:
    from ..scenario.model import Step
    from .media_queue import Lane
    from .meeting import Meeting

__all__ = ["GARBAGE", "Faults"]

#: Messages that no client can use. None of them carries media.
GARBAGE = (
    b"",
    b"{no json",
    b"\xff\xfe\x00",
    b"[]",
    b"null",
    b'"text"',
    b"1e999",
    b"{}",
    b'{"msg_type": null}',
    b'{"msg_type": "audio"}',
    b'{"msg_type": -1}',
    b'{"msg_type": 14}',
    b'{"msg_type": 14, "content": []}',
    b'{"msg_type": 14, "content": {"data": 7, "timestamp": "soon"}}',
    b'{"msg_type": 6, "event": 7}',
    b"[" * 10_000,
)

_KINDS = {name: kind for kind, name in MEDIA_KEYS.items()}


class Faults:
    """The faults of one meeting, by hand: ``meeting.faults.stall("audio", 2.0)``.

    ``sockets`` is what :meth:`Meeting.connections` takes, ``media`` the name of a media type, and
    seconds are real ones (in scenarios they are scenario seconds). No method waits.

    Greenlet-safety: any greenlet of the simulator's hub.
    """

    def __init__(
        self, meeting: Meeting, speed: float, present_certificate: Callable[[str], None]
    ) -> None:
        self._meeting = meeting
        self._speed = speed
        self._present_certificate = present_certificate
        self._shapes: dict[str, Shape] = {}
        self._garbage = itertools.cycle(GARBAGE)

    def apply(self, step: Step) -> None:
        """Make the fault that a scenario names."""
        fields = dict(step.fields)
        if "seconds" in fields:
            fields["seconds"] /= self._speed
        getattr(self, step.action)(**fields)

    # -- a socket goes -----------------------------------------------------------------------------

    def close(self, sockets: str, code: int = 1000) -> int:
        """Send close frames; return to how many sockets."""
        return self._meeting.close_sockets(sockets, code)

    def reset(self, sockets: str) -> int:
        """Break TCP connections (RST); return how many."""
        return self._meeting.reset_sockets(sockets)

    def half_close(self, sockets: str) -> int:
        """End TCP connections from our side (FIN), without close frames; return how many."""
        found = self._meeting.connections(sockets)
        for connection in found:
            connection.half_close()
        return len(found)

    # -- a socket suffers --------------------------------------------------------------------------

    def stall(
        self, sockets: str, seconds: float, reading: bool = True, sending: bool = True
    ) -> None:
        """Act on nothing that arrives, and send nothing, for so long; what is late comes then."""
        for connection in self._meeting.connections(sockets):
            connection.stall(seconds, reading=reading, sending=sending)

    def no_keep_alives(self, sockets: str, seconds: float) -> None:
        """Send no keep-alives for so long."""
        for connection in self._meeting.connections(sockets):
            connection.be_quiet(seconds)

    def split(self, sockets: str, frame: int | None = None, write: int | None = None) -> None:
        """Cut messages into WebSocket frames, or TCP writes, of at most so many bytes.

        As :meth:`delay` and :meth:`merge`, this goes on for sockets that are opened later, until
        it is said otherwise for the same ``sockets``.
        """
        self._reshape(sockets, frame=frame, write=write)

    def delay(self, sockets: str, seconds: float) -> None:
        """Let every message come so late; 0 ends it."""
        self._reshape(sockets, delay=seconds)

    def merge(self, sockets: str, seconds: float) -> None:
        """Collect messages for so long, and send them in one TCP write; 0 ends it."""
        self._reshape(sockets, merge=seconds)

    def _reshape(self, sockets: str, **changes: Any) -> None:
        shape = dataclasses.replace(self._shapes.pop(sockets, Shape()), **changes)
        self._shapes[sockets] = shape  # the latest that fits counts
        for connection in self._meeting.connections("all_sockets"):
            self.opened(connection)

    def opened(self, connection: Connection) -> None:
        """Let a socket have the shape that is asked for."""
        for sockets, shape in self._shapes.items():
            if names(sockets, connection.role):
                connection.wire.reshape(shape)

    def garbage(self, sockets: str, times: int = 1, text: str | None = None) -> None:
        """Send messages that no client can use, or this text."""
        for _ in range(times):
            message = next(self._garbage) if text is None else text.encode("utf-8", "replace")
            self._meeting.send_message(sockets, message)

    # -- media suffers -----------------------------------------------------------------------------

    def duplicate(self, media: str, times: int = 1) -> None:
        """Send the next so many messages twice."""
        self._lane(media).duplicate(times)

    def swap(self, media: str, times: int = 1) -> None:
        """Let a message overtake the one before it, so many times; Zoom never does so."""
        self._lane(media).swap(times)

    def hold(self, media: str, seconds: float) -> None:
        """Keep a media type back for so long, in order, while others overtake it."""
        self._lane(media).hold(seconds)

    def _lane(self, media: str) -> Lane:
        if media not in _KINDS:
            raise ConfigurationError(f"media must be one of {', '.join(_KINDS)}, not {media!r}")
        return self._meeting.lanes[_KINDS[media]]

    # -- clients do not come in --------------------------------------------------------------------

    def refuse(self, sockets: str, status: int, times: int = 1) -> None:
        """Answer the next so many handshakes with this status."""
        self._meeting.handshakes.bar(sockets, times, status)

    def no_answer(self, sockets: str, to: str = "handshake", times: int = 1) -> None:
        """Do not answer the next so many handshakes, or upgrades; TCP is accepted."""
        door = self._meeting.upgrades if to == "upgrade" else self._meeting.handshakes
        door.bar(sockets, times, None)

    def unavailable(self, sockets: str, times: int = 1, status: int = 503) -> None:
        """Answer the next so many upgrades with an HTTP error."""
        self._meeting.upgrades.bar(sockets, times, status)

    def certificate(self, kind: str) -> None:
        """Present this certificate from now on, to clients of any meeting.

        Args:
            kind: "good", "self_signed", "expired" or "other_host".

        Raises:
            ConfigurationError: the simulator has no TLS, or there is no such kind.
        """
        self._present_certificate(kind)

    # -- Zoom says so ------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Post the webhook that says that the signaling socket was lost, though it was not."""
        self._meeting.announce_interruption()

    def failover(self, dies: bool = False) -> None:
        """Give the stream new addresses, and post a second start webhook with them.

        Args:
            dies: The old ones break all their sockets, and each that is opened there later.
        """
        self._meeting.move(dies=dies)

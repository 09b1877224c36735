"""Faults that a test makes happen: of the simulated Zoom, and of the network before it.

Every public method of :class:`Faults` but :meth:`Faults.apply` is a fault that scenarios name, too.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from ...enums import MediaDataType
from ...errors import ConfigurationError
from ..scenario.model import Step
from ..wire.connection import AnyConnection
from ..wire.negotiation import MEDIA_KEYS
from ..wire.network import NetworkConditions
from ..wire.rejections import Rejection, RejectionQueue, names_role
from .addresses import ServerAddresses
from .media_queue import MediaQueue
from .sockets import OpenSockets
from .webhook_events import WebhookEvents

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
        self,
        sockets: OpenSockets,
        queues: Mapping[MediaDataType, MediaQueue],
        addresses: ServerAddresses,
        webhooks: WebhookEvents,
        *,
        speed: float,
        present_certificate: Callable[[str], None],
    ) -> None:
        #: of the next clients that want to come in: at the handshake, and at the HTTP upgrade
        self.handshakes, self.upgrades = RejectionQueue(), RejectionQueue()
        self._sockets = sockets
        self._queues = queues
        self._addresses = addresses
        self._webhooks = webhooks
        self._speed = speed
        self._present_certificate = present_certificate
        self._conditions: dict[str, NetworkConditions] = {}
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
        return self._sockets.close(sockets, code)

    def reset(self, sockets: str) -> int:
        """Break TCP connections (RST); return how many."""
        return self._sockets.reset(sockets)

    def half_close(self, sockets: str) -> int:
        """End TCP connections from our side (FIN), without close frames; return how many."""
        found = self._sockets.find(sockets)
        for connection in found:
            connection.half_close()
        return len(found)

    # -- a socket suffers --------------------------------------------------------------------------

    def stall(
        self, sockets: str, seconds: float, reading: bool = True, sending: bool = True
    ) -> None:
        """Act on nothing that arrives, and send nothing, for so long; what is late comes then."""
        for connection in self._sockets.find(sockets):
            connection.stall(seconds, reading=reading, sending=sending)

    def no_keep_alives(self, sockets: str, seconds: float) -> None:
        """Send no keep-alives for so long."""
        for connection in self._sockets.find(sockets):
            connection.pause_keep_alives(seconds)

    def split(self, sockets: str, frame: int | None = None, write: int | None = None) -> None:
        """Cut messages into WebSocket frames, or TCP writes, of at most so many bytes.

        As :meth:`delay` and :meth:`merge`, this goes on for sockets that are opened later, until
        it is said otherwise for the same ``sockets``.
        """
        self._change_network(sockets, frame=frame, write=write)

    def delay(self, sockets: str, seconds: float) -> None:
        """Let every message come so late; 0 ends it."""
        self._change_network(sockets, delay=seconds)

    def merge(self, sockets: str, seconds: float) -> None:
        """Collect messages for so long, and send them in one TCP write; 0 ends it."""
        self._change_network(sockets, merge=seconds)

    def _change_network(self, sockets: str, **changes: Any) -> None:
        conditions = dataclasses.replace(
            self._conditions.pop(sockets, NetworkConditions()), **changes
        )
        self._conditions[sockets] = conditions  # the latest that fits counts
        for connection in self._sockets.find("all_sockets"):
            self.opened(connection)

    def opened(self, connection: AnyConnection) -> None:
        """Let a socket have the network that is asked for."""
        for sockets, conditions in self._conditions.items():
            if names_role(sockets, connection.role):
                connection.network.change(conditions)

    def garbage(self, sockets: str, times: int = 1, text: str | None = None) -> None:
        """Send messages that no client can use, or this text."""
        for _ in range(times):
            message = next(self._garbage) if text is None else text.encode("utf-8", "replace")
            self._sockets.send(sockets, message)

    # -- media suffers -----------------------------------------------------------------------------

    def duplicate(self, media: str, times: int = 1) -> None:
        """Send the next so many messages twice."""
        self._queue(media).duplicate(times)

    def swap(self, media: str, times: int = 1) -> None:
        """Let a message overtake the one before it, so many times; Zoom never does so."""
        self._queue(media).swap(times)

    def hold(self, media: str, seconds: float) -> None:
        """Keep a media type back for so long, in order, while others overtake it."""
        self._queue(media).hold(seconds)

    def _queue(self, media: str) -> MediaQueue:
        if media not in _KINDS:
            raise ConfigurationError(f"media must be one of {', '.join(_KINDS)}, not {media!r}")
        return self._queues[_KINDS[media]]

    # -- clients do not come in --------------------------------------------------------------------

    def refuse(self, sockets: str, status: int, times: int = 1) -> None:
        """Answer the next so many handshakes with this status."""
        self.handshakes.add(Rejection(sockets, times, status))

    def no_answer(self, sockets: str, to: str = "handshake", times: int = 1) -> None:
        """Do not answer the next so many handshakes, or upgrades; TCP is accepted."""
        queue = self.upgrades if to == "upgrade" else self.handshakes
        queue.add(Rejection(sockets, times, None))

    def unavailable(self, sockets: str, times: int = 1, status: int = 503) -> None:
        """Answer the next so many upgrades with an HTTP error."""
        self.upgrades.add(Rejection(sockets, times, status))

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
        self._sockets.interrupt()
        self._webhooks.post_interrupted()

    def failover(self, dies: bool = False) -> None:
        """Give the stream new addresses, and post a second start webhook with them.

        Args:
            dies: The old ones break all their sockets, and each that is opened there later.
        """
        self._addresses.move(dies=dies)
        self._sockets.interrupt()
        if dies:
            self._sockets.reset("all_sockets")
        self._webhooks.post_moved()

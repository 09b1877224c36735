"""What was sent of one media type, and which socket took it."""

from __future__ import annotations

import array
import dataclasses

__all__ = ["SentLog"]

_Payload = bytes  # the log has a field of that name


@dataclasses.dataclass(slots=True)
class SentLog:
    """What was sent of one media type.

    Messages are numbered from 1 on, from the moment that a client has asked for the media type;
    those for which there was no socket have a number, too, and are not in ``messages``.
    """

    messages: int = 0
    bytes: int = 0
    #: every payload in order, before base64, if the simulator records
    payloads: list[_Payload] = dataclasses.field(default_factory=list, repr=False)
    #: With ``record`` or ``stamp``: for each number, from 1 on, the socket that took the message
    #: (a number, too); 0 where none did.
    sockets: array.array[int] = dataclasses.field(
        default_factory=lambda: array.array("L"), repr=False
    )

    def socket_of(self, sequence: int) -> int:
        """Return the number of the socket that took a message; 0 where none did."""
        return self.sockets[sequence - 1]

    @property
    def lost(self) -> list[int]:
        """Sequence numbers of the messages that no socket took."""
        return [number for number, socket in enumerate(self.sockets, 1) if not socket]

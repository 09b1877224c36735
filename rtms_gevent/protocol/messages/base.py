"""What messages have in common, in each direction, and how fields that several have are read."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from ...enums import MessageType, Product, StatusCode, StopReason, known
from ...errors import RemoteProtocolError
from ..fields import Document, integer

__all__ = [
    "Message",
    "OutgoingMessage",
    "UnknownMessage",
    "read_required_status",
    "read_status",
    "read_stop_reason",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """A message that we send."""

    number: ClassVar[MessageType]

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        return {"msg_type": int(self.number), **self._fields()}

    def _fields(self) -> dict[str, Any]:
        """Return all of it but its number. Each message has its own."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that a server sent."""

    number: ClassVar[MessageType]

    #: The document as it arrived.
    raw: Document = dataclasses.field(default_factory=dict, compare=False, repr=False)

    @property
    def msg_type(self) -> int | None:
        """The number that travels as ``msg_type``; ``None`` where the server sent none."""
        return self.number

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> Message:
        """Read a document. Each message that :data:`RECEIVED` lists has its own way.

        Raises:
            RemoteProtocolError: something is missing without which it has no meaning.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UnknownMessage(Message):
    """A message that is passed on as it is, in ``raw``.

    Its number is newer than this package, missing, one whose shape Zoom has not published (23 to
    27), or none that a server should send.
    """

    type_sent: int | None = None

    @property
    def msg_type(self) -> int | None:
        """The number that the server sent, if any."""
        return self.type_sent


def read_status(document: Document) -> StatusCode | int | None:
    """Return the status of a response, if it has one."""
    value = integer(document, "status_code", "status")
    return None if value is None else known(StatusCode, value)


def read_required_status(document: Document) -> StatusCode | int:
    """Return the status of a response.

    Raises:
        RemoteProtocolError: it has none.
    """
    status = read_status(document)
    if status is None:
        raise RemoteProtocolError("a response without status_code")
    return status


def read_stop_reason(document: Document) -> StopReason | int | None:
    """Return why something has stopped, if the server says so; the field has two names."""
    value = integer(document, "stop_reason", "reason")
    return None if value is None else known(StopReason, value)

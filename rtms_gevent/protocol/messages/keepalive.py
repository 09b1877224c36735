"""Keep-alives: the server asks on each socket, and we answer. Messages 12 and 13."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from ...enums import MessageType, Product
from ..fields import Document
from .base import Message, OutgoingMessage

__all__ = ["KeepAliveRequest", "KeepAliveResponse"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeepAliveResponse(OutgoingMessage):
    """Message 13: we live. Echoes whatever the request carried."""

    number: ClassVar[MessageType] = MessageType.KEEP_ALIVE_RESP
    #: Fields of the request beside ``msg_type``: ``timestamp``, mostly ``sequence``.
    echo: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def _fields(self) -> dict[str, Any]:
        return dict(self.echo)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeepAliveRequest(Message):
    """Message 12: the server asks whether we live."""

    number: ClassVar[MessageType] = MessageType.KEEP_ALIVE_REQ
    #: All that it carried beside ``msg_type``.
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def answer(self) -> KeepAliveResponse:
        """Return the response: everything that the request carried, since servers insist on it."""
        return KeepAliveResponse(echo=self.fields)

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> KeepAliveRequest:
        """Read a document."""
        return cls(fields={k: v for k, v in document.items() if k != "msg_type"}, raw=document)

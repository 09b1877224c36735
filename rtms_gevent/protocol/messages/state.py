"""States of a stream and its sessions, and closing a stream: messages 8, 9, 21 and 22.

Zoom would also answer questions about states (10 and 19, with 11 and 20). Nobody asks them here,
since the server sends each change of state unasked.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from ...enums import (
    MessageType,
    Product,
    SessionState,
    StatusCode,
    StopReason,
    StreamState,
    known,
)
from ...errors import RemoteProtocolError
from ..fields import Document, integer, milliseconds, text
from .base import Message, OutgoingMessage, read_required_status, read_stop_reason

__all__ = [
    "SessionStateUpdate",
    "StreamCloseRequest",
    "StreamCloseResponse",
    "StreamStateUpdate",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StreamStateUpdate(Message):
    """Message 8: the stream changed its state."""

    number: ClassVar[MessageType] = MessageType.STREAM_STATE_UPDATE
    state: StreamState | int
    reason: StopReason | int | None = None
    timestamp: int | None = None  #: ms since the epoch
    stream_id: str = ""  #: mostly not sent

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> StreamStateUpdate:
        """Read a document."""
        state = integer(document, "state")
        if state is None:
            raise RemoteProtocolError("a stream state message without state")
        return cls(
            state=known(StreamState, state),
            reason=read_stop_reason(document),
            timestamp=milliseconds(document, "timestamp"),
            stream_id=text(document, "rtms_stream_id"),
            raw=document,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionStateUpdate(Message):
    """Message 9: the session changed its state."""

    number: ClassVar[MessageType] = MessageType.SESSION_STATE_UPDATE
    state: SessionState | int
    session_id: str = ""
    reason: StopReason | int | None = None
    timestamp: int | None = None  #: ms since the epoch

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> SessionStateUpdate:
        """Read a document."""
        state = integer(document, "state")
        if state is None:
            raise RemoteProtocolError("a session state message without state")
        return cls(
            state=known(SessionState, state),
            session_id=text(document, "rtms_session_id"),
            reason=read_stop_reason(document),
            timestamp=milliseconds(document, "timestamp"),
            raw=document,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StreamCloseRequest(OutgoingMessage):
    """Message 21: we ask Zoom to end the stream."""

    number: ClassVar[MessageType] = MessageType.STREAM_CLOSE_REQ
    stream_id: str

    def _fields(self) -> dict[str, Any]:
        return {"rtms_stream_id": self.stream_id}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StreamCloseResponse(Message):
    """Message 22: the answer to message 21."""

    number: ClassVar[MessageType] = MessageType.STREAM_CLOSE_RESP
    status: StatusCode | int
    reason: str = ""
    stream_id: str = ""
    timestamp: int | None = None  #: ms since the epoch

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> StreamCloseResponse:
        """Read a document."""
        return cls(
            status=read_required_status(document),
            reason=text(document, "reason"),
            stream_id=text(document, "rtms_stream_id"),
            timestamp=milliseconds(document, "timestamp"),
            raw=document,
        )

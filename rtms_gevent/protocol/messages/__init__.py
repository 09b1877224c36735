"""Zoom's messages as typed values: what travels between us and the servers.

Every class knows its number, how to write itself (``to_wire``) and how to be read (``from_wire``).
Reading is tolerant, since sources and servers differ (each difference is a row in
``tests/protocol/test_conflicts.py``), and nothing is thrown away: ``raw`` keeps the document.

Source: https://developers.zoom.us/docs/rtms/event-reference/ and its 2026 split pages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from ...enums import (
    ContactCenterEventType,
    EventType,
    MediaDataType,
    MessageType,
    Product,
    SessionState,
    StatusCode,
    StopReason,
    StreamState,
    known,
)
from ...errors import ConfigurationError, RemoteProtocolError
from ..fields import Document, code, integer, mapping, milliseconds, text
from ..identity import StreamIdentity
from ..packets import MEDIA_TYPES, MediaPacket
from ..people import ChannelParticipant, Participant

__all__ = [
    "MESSAGES",
    "ClientReady",
    "EventSubscription",
    "EventUpdate",
    "KeepAliveRequest",
    "KeepAliveResponse",
    "MediaHandshakeRequest",
    "MediaHandshakeResponse",
    "Message",
    "MetaData",
    "SessionStateRequest",
    "SessionStateResponse",
    "SessionStateUpdate",
    "SignalingHandshakeRequest",
    "SignalingHandshakeResponse",
    "StreamCloseRequest",
    "StreamCloseResponse",
    "StreamStateRequest",
    "StreamStateResponse",
    "StreamStateUpdate",
    "UnknownMessage",
    "VideoSubscriptionRequest",
    "VideoSubscriptionResponse",
]

PROTOCOL_VERSION = 1

# -- the base --------------------------------------------------------------------------------------


def _status_if_any(document: Document) -> StatusCode | int | None:
    value = integer(document, "status_code", "status")
    return None if value is None else known(StatusCode, value)


def _status(document: Document) -> StatusCode | int:
    status = _status_if_any(document)
    if status is None:
        raise RemoteProtocolError("a response without status_code")
    return status


def _stop_reason(document: Document) -> StopReason | int | None:
    value = integer(document, "stop_reason", "reason")
    return None if value is None else known(StopReason, value)


def _identity(document: Document) -> StreamIdentity:
    try:
        return StreamIdentity.from_fields(document)
    except ConfigurationError as problem:
        raise RemoteProtocolError(f"a handshake request without its ids: {problem}") from None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One RTMS message."""

    number: ClassVar[MessageType]

    #: The document as it arrived; empty for messages that we made.
    raw: Document = dataclasses.field(default_factory=dict, compare=False, repr=False)

    @property
    def msg_type(self) -> int | None:
        """The number that travels as ``msg_type``; ``None`` where the server sent none."""
        return self.number

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        return {"msg_type": int(self.number)}

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> Message:
        """Read a document.

        Raises:
            RemoteProtocolError: something is missing without which it has no meaning.
        """
        return cls(raw=document)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UnknownMessage(Message):
    """A message whose number is newer than this package, or missing."""

    type_sent: int | None = None

    @property
    def msg_type(self) -> int | None:
        """The number that the server sent, if any."""
        return self.type_sent

    def to_wire(self) -> dict[str, Any]:
        """Return the document unchanged."""
        return dict(self.raw)


# -- handshakes ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SignalingHandshakeRequest(Message):
    """Message 1: we ask to open the signaling conversation."""

    number: ClassVar[MessageType] = MessageType.SIGNALING_HAND_SHAKE_REQ
    identity: StreamIdentity
    signature: str = dataclasses.field(repr=False)
    #: False drops the up to 60 s of audio that Zoom buffers until we join; None leaves it to Zoom.
    buffer_data: bool | None = None
    agent: str = ""

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        document = {
            "msg_type": int(self.number),
            "protocol_version": PROTOCOL_VERSION,
            "sequence": 1,
            **self.identity.fields,
            "signature": self.signature,
        }
        if self.buffer_data is not None:
            document["buffer_data"] = self.buffer_data
        if self.agent:
            document["rtms_client_agent"] = self.agent
        return document

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> SignalingHandshakeRequest:
        """Read a document."""
        buffer_data = document.get("buffer_data")
        return cls(
            identity=_identity(document),
            signature=text(document, "signature"),
            buffer_data=buffer_data if isinstance(buffer_data, bool) else None,
            agent=text(document, "rtms_client_agent"),
            raw=document,
        )


#: Names under which servers announce the address of a media type.
_URL_NAMES = {
    "audio": MediaDataType.AUDIO,
    "video": MediaDataType.VIDEO,
    "deskshare": MediaDataType.DESKSHARE,
    "share": MediaDataType.DESKSHARE,
    "sharescreen": MediaDataType.DESKSHARE,
    "transcript": MediaDataType.TRANSCRIPT,
    "chat": MediaDataType.CHAT,
    "all": MediaDataType.ALL,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SignalingHandshakeResponse(Message):
    """Message 2: the answer, with the addresses of the media servers."""

    number: ClassVar[MessageType] = MessageType.SIGNALING_HAND_SHAKE_RESP
    #: None where the server sent none, which makes the answer unusable.
    status: StatusCode | int | None
    reason: str = ""
    #: Addresses as sent, per media type.
    media_urls: Mapping[MediaDataType, str] = dataclasses.field(default_factory=dict)

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        names = {kind: name for name, kind in reversed(list(_URL_NAMES.items()))}
        return {
            "msg_type": int(self.number),
            "protocol_version": PROTOCOL_VERSION,
            "status_code": None if self.status is None else int(self.status),
            "reason": self.reason,
            "media_server": {
                "server_urls": {names[kind]: url for kind, url in self.media_urls.items()}
            },
        }

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> SignalingHandshakeResponse:
        """Read a document; addresses may come in three shapes."""
        server = mapping(document, "media_server")
        urls = server.get("server_urls", document.get("server_urls"))
        media_urls: dict[MediaDataType, str] = {}
        if isinstance(urls, Mapping):
            for name, url in urls.items():
                kind = _URL_NAMES.get(name)
                if kind is not None and isinstance(url, str) and url.strip():
                    media_urls.setdefault(kind, url)
        else:
            one = urls if isinstance(urls, str) else text(document, "media_server_url")
            if one.strip():
                media_urls[MediaDataType.ALL] = one
        return cls(
            status=_status_if_any(document),
            reason=text(document, "reason"),
            media_urls=media_urls,
            raw=document,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MediaHandshakeRequest(Message):
    """Message 3: we ask for media on a media socket."""

    number: ClassVar[MessageType] = MessageType.DATA_HAND_SHAKE_REQ
    identity: StreamIdentity
    signature: str = dataclasses.field(repr=False)
    media_type: MediaDataType | int
    #: Parameters per media type, such as ``{"audio": {"codec": 4, ...}}``.
    media_params: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        document = {
            "msg_type": int(self.number),
            "protocol_version": PROTOCOL_VERSION,
            "sequence": 1,
            **self.identity.fields,
            "signature": self.signature,
            "media_type": int(self.media_type),
            "payload_encryption": False,
        }
        if self.media_params:
            document["media_params"] = {k: dict(v) for k, v in self.media_params.items()}
        return document

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> MediaHandshakeRequest:
        """Read a document."""
        return cls(
            identity=_identity(document),
            signature=text(document, "signature"),
            media_type=known(MediaDataType, integer(document, "media_type") or 0),
            media_params={
                key: value
                for key, value in mapping(document, "media_params").items()
                if isinstance(value, Mapping)
            },
            raw=document,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MediaHandshakeResponse(Message):
    """Message 4: the answer, with the parameters that the server will really use."""

    number: ClassVar[MessageType] = MessageType.DATA_HAND_SHAKE_RESP
    #: None where the server sent none, which makes the answer unusable.
    status: StatusCode | int | None
    reason: str = ""
    media_params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    payload_encrypted: bool = False

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        return {
            "msg_type": int(self.number),
            "protocol_version": PROTOCOL_VERSION,
            "status_code": None if self.status is None else int(self.status),
            "reason": self.reason,
            "payload_encrypted": self.payload_encrypted,
            "media_params": dict(self.media_params),
        }

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> MediaHandshakeResponse:
        """Read a document; the encryption flag has two spellings."""
        return cls(
            status=_status_if_any(document),
            reason=text(document, "reason"),
            media_params=mapping(document, "media_params"),
            payload_encrypted=any(
                document.get(name) is True for name in ("payload_encrypted", "payload_encryption")
            ),
            raw=document,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientReady(Message):
    """Message 7: sent on signaling after a media handshake; media may flow now."""

    number: ClassVar[MessageType] = MessageType.CLIENT_READY_ACK
    stream_id: str

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        return {"msg_type": int(self.number), "rtms_stream_id": self.stream_id}

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> ClientReady:
        """Read a document."""
        return cls(stream_id=text(document, "rtms_stream_id"), raw=document)


# -- keep-alive ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeepAliveResponse(Message):
    """Message 13: we live. Echoes whatever the request carried."""

    number: ClassVar[MessageType] = MessageType.KEEP_ALIVE_RESP
    #: Fields of the request beside ``msg_type``: ``timestamp``, mostly ``sequence``.
    echo: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        return {**self.echo, "msg_type": int(self.number)}

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> KeepAliveResponse:
        """Read a document."""
        return cls(echo={k: v for k, v in document.items() if k != "msg_type"}, raw=document)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeepAliveRequest(Message):
    """Message 12: the server asks on each socket whether we live."""

    number: ClassVar[MessageType] = MessageType.KEEP_ALIVE_REQ
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def answer(self) -> KeepAliveResponse:
        """Return the response: everything that the request carried, since servers insist on it."""
        return KeepAliveResponse(echo=self.fields)

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        return {**self.fields, "msg_type": int(self.number)}

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> KeepAliveRequest:
        """Read a document."""
        return cls(fields={k: v for k, v in document.items() if k != "msg_type"}, raw=document)


# -- events ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventSubscription(Message):
    """Message 5: we want these events, or no more of them. Zoom sends no answer."""

    number: ClassVar[MessageType] = MessageType.EVENT_SUBSCRIPTION
    events: tuple[int, ...]
    subscribe: bool = True

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        return {
            "msg_type": int(self.number),
            "events": [
                {"event_type": int(event), "subscribe": self.subscribe} for event in self.events
            ],
        }

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> EventSubscription:
        """Read a document."""
        listed = document.get("events")
        if not isinstance(listed, list):
            raise RemoteProtocolError("an event subscription without a list of events")
        events = [item for item in listed if isinstance(item, Mapping)]
        return cls(
            events=tuple(integer(item, "event_type") or 0 for item in events),
            subscribe=all(item.get("subscribe", True) for item in events),
            raw=document,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventUpdate(Message):
    """Message 6: something happened in the meeting, session, engagement or call."""

    number: ClassVar[MessageType] = MessageType.EVENT_UPDATE
    #: Per product, since the same number means different things; a plain int where it is not known.
    event_type: EventType | ContactCenterEventType | int | None
    #: Zoom Phone (and the V2 protocol) name events by a code that is unique over all products.
    event_code: int | str | None = None
    timestamp: int | None = None  #: ms since the epoch
    user_id: int | None = None
    user_name: str = ""
    participants: tuple[Participant, ...] = ()
    channel: ChannelParticipant | None = None  #: Contact Center and phone
    event: Document = dataclasses.field(default_factory=dict, repr=False)  #: as it came

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        return {"msg_type": int(self.number), "event": dict(self.event)}

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> EventUpdate:
        """Read a document."""
        event = document.get("event")
        if not isinstance(event, Mapping):
            raise RemoteProtocolError("an event update without an event object")
        event_type = integer(event, "event_type")
        event_code = code(event, "event_code")
        if event_type is None and event_code is None:
            raise RemoteProtocolError("an event with neither event_type nor event_code")
        info = mapping(event, "participant_info", "paticipant_info")
        return cls(
            event_type=None if event_type is None else _event_type(event_type, product),
            event_code=event_code,
            timestamp=milliseconds(event, "timestamp", "event_ts"),
            user_id=integer(event, "user_id", "new_id"),
            user_name=text(event, "user_name", "new_name"),
            participants=_participants(event),
            channel=ChannelParticipant.from_wire(info) if info else None,
            event=event,
            raw=document,
        )


#: Event numbers that mean the same in Contact Center as in meetings: above all the interruption of
#: media. Source: https://developers.zoom.us/docs/rtms/event-reference/contact-center-events/, where
#: Contact Center's own begin with 8.
_UNIVERSAL_EVENTS = range(1, 8)


def _event_type(number: int, product: Product) -> EventType | ContactCenterEventType | int:
    if product is Product.CONTACT_CENTER and number not in _UNIVERSAL_EVENTS:
        return known(ContactCenterEventType, number)
    if product is Product.PHONE:
        return number  # phone has event codes of its own; what a type would mean is not published
    return known(EventType, number)


def _participants(event: Document) -> tuple[Participant, ...]:
    found = event.get("participants", event.get("users"))
    if not isinstance(found, list):
        return ()
    return tuple(Participant.from_wire(item) for item in found if isinstance(item, Mapping))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VideoSubscriptionRequest(Message):
    """Message 28: we want this participant's video; a newer request replaces the older."""

    number: ClassVar[MessageType] = MessageType.VIDEO_SUBSCRIPTION_REQ
    user_id: int
    subscribe: bool
    timestamp: int  #: ms since the epoch

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        return {
            "msg_type": int(self.number),
            "user_id": self.user_id,
            "subscribe": self.subscribe,
            "timestamp": self.timestamp,
        }

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> VideoSubscriptionRequest:
        """Read a document."""
        return cls(
            user_id=integer(document, "user_id") or 0,
            subscribe=bool(document.get("subscribe")),
            timestamp=integer(document, "timestamp") or 0,
            raw=document,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VideoSubscriptionResponse(Message):
    """Message 29: whether that participant's video will come."""

    number: ClassVar[MessageType] = MessageType.VIDEO_SUBSCRIPTION_RESP
    user_id: int
    status: StatusCode | int
    reason: str = ""
    timestamp: int | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        return {
            "msg_type": int(self.number),
            "user_id": self.user_id,
            "status_code": int(self.status),
            "reason": self.reason,
            "timestamp": self.timestamp,
        }

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> VideoSubscriptionResponse:
        """Read a document."""
        return cls(
            user_id=integer(document, "user_id") or 0,
            status=_status(document),
            reason=text(document, "reason"),
            timestamp=milliseconds(document, "timestamp"),
            raw=document,
        )


# -- states ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _StreamState(Message):
    """What messages 8 and 20 share."""

    state: StreamState | int
    reason: StopReason | int | None = None
    timestamp: int | None = None  #: ms since the epoch
    stream_id: str = ""  #: updates carry none

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        document: dict[str, Any] = {
            "msg_type": int(self.number),
            "state": int(self.state),
            "timestamp": self.timestamp,
        }
        if self.reason is not None:
            document["reason"] = int(self.reason)
        if self.stream_id:
            document["rtms_stream_id"] = self.stream_id
        return document

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> _StreamState:
        """Read a document."""
        state = integer(document, "state")
        if state is None:
            raise RemoteProtocolError("a stream state message without state")
        return cls(
            state=known(StreamState, state),
            reason=_stop_reason(document),
            timestamp=milliseconds(document, "timestamp"),
            stream_id=text(document, "rtms_stream_id"),
            raw=document,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StreamStateUpdate(_StreamState):
    """Message 8: the stream changed its state."""

    number: ClassVar[MessageType] = MessageType.STREAM_STATE_UPDATE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StreamStateResponse(_StreamState):
    """Message 20: the answer to message 19."""

    number: ClassVar[MessageType] = MessageType.STREAM_STATE_RESP


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _SessionState(Message):
    """What messages 9 and 11 share."""

    state: SessionState | int
    session_id: str = ""
    reason: StopReason | int | None = None
    timestamp: int | None = None  #: ms since the epoch

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        document: dict[str, Any] = {
            "msg_type": int(self.number),
            "state": int(self.state),
            "rtms_session_id": self.session_id,
            "timestamp": self.timestamp,
        }
        if self.reason is not None:
            document["stop_reason"] = int(self.reason)
        return document

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> _SessionState:
        """Read a document."""
        state = integer(document, "state")
        if state is None:
            raise RemoteProtocolError("a session state message without state")
        return cls(
            state=known(SessionState, state),
            session_id=text(document, "rtms_session_id"),
            reason=_stop_reason(document),
            timestamp=milliseconds(document, "timestamp"),
            raw=document,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionStateUpdate(_SessionState):
    """Message 9: the session changed its state."""

    number: ClassVar[MessageType] = MessageType.SESSION_STATE_UPDATE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionStateResponse(_SessionState):
    """Message 11: the answer to message 10."""

    number: ClassVar[MessageType] = MessageType.SESSION_STATE_RESP


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionStateRequest(Message):
    """Message 10: we ask for a session's state."""

    number: ClassVar[MessageType] = MessageType.SESSION_STATE_REQ
    session_id: str

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        return {"msg_type": int(self.number), "rtms_session_id": self.session_id}

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> SessionStateRequest:
        """Read a document."""
        return cls(session_id=text(document, "rtms_session_id"), raw=document)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StreamStateRequest(ClientReady):
    """Message 19: we ask for the stream's state."""

    number: ClassVar[MessageType] = MessageType.STREAM_STATE_REQ


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StreamCloseRequest(ClientReady):
    """Message 21: we ask Zoom to end the stream."""

    number: ClassVar[MessageType] = MessageType.STREAM_CLOSE_REQ


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StreamCloseResponse(Message):
    """Message 22: the answer to message 21."""

    number: ClassVar[MessageType] = MessageType.STREAM_CLOSE_RESP
    status: StatusCode | int
    reason: str = ""
    stream_id: str = ""
    timestamp: int | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        return {
            "msg_type": int(self.number),
            "rtms_stream_id": self.stream_id,
            "status_code": int(self.status),
            "reason": self.reason,
            "timestamp": self.timestamp,
        }

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> StreamCloseResponse:
        """Read a document."""
        return cls(
            status=_status(document),
            reason=text(document, "reason"),
            stream_id=text(document, "rtms_stream_id"),
            timestamp=milliseconds(document, "timestamp"),
            raw=document,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MetaData(UnknownMessage):
    """Messages 23 to 27: named by Zoom, but their shape is published nowhere. Passed on as is."""


#: How each number is read.
MESSAGES: Mapping[int, type[Message] | type[MediaPacket]] = {
    **{
        kind.number: kind
        for kind in (
            SignalingHandshakeRequest,
            SignalingHandshakeResponse,
            MediaHandshakeRequest,
            MediaHandshakeResponse,
            EventSubscription,
            EventUpdate,
            ClientReady,
            StreamStateUpdate,
            SessionStateUpdate,
            SessionStateRequest,
            SessionStateResponse,
            KeepAliveRequest,
            KeepAliveResponse,
            StreamStateRequest,
            StreamStateResponse,
            StreamCloseRequest,
            StreamCloseResponse,
            VideoSubscriptionRequest,
            VideoSubscriptionResponse,
        )
    },
    **dict.fromkeys(MEDIA_TYPES, MediaPacket),
}
META_DATA = frozenset(
    {
        MessageType.META_DATA_AUDIO,
        MessageType.META_DATA_VIDEO,
        MessageType.META_DATA_SHARE,
        MessageType.META_DATA_TRANSCRIPT,
        MessageType.META_DATA_CHAT,
    }
)

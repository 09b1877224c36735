"""Events of a meeting, and whose video we subscribe to: messages 5, 6, 28 and 29."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from ...enums import ContactCenterEventType, EventType, MessageType, Product, StatusCode, known
from ...errors import RemoteProtocolError
from ..fields import Document, code, integer, mapping, milliseconds, text
from ..people import ChannelParticipant, Participant
from .base import Message, OutgoingMessage, read_required_status

__all__ = [
    "EventSubscription",
    "EventUpdate",
    "VideoSubscriptionRequest",
    "VideoSubscriptionResponse",
]

#: Event numbers that mean the same in Contact Center as in meetings: above all the interruption of
#: media. Source: https://developers.zoom.us/docs/rtms/event-reference/contact-center-events/, where
#: Contact Center's own begin with 8.
_UNIVERSAL_EVENTS = range(1, 8)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventSubscription(OutgoingMessage):
    """Message 5: we want these events, or no more of them. Zoom sends no answer."""

    number: ClassVar[MessageType] = MessageType.EVENT_SUBSCRIPTION
    events: tuple[int, ...]
    subscribe: bool = True

    def _fields(self) -> dict[str, Any]:
        return {
            "events": [
                {"event_type": int(event), "subscribe": self.subscribe} for event in self.events
            ],
        }


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
class VideoSubscriptionRequest(OutgoingMessage):
    """Message 28: we want this participant's video; a newer request replaces the older."""

    number: ClassVar[MessageType] = MessageType.VIDEO_SUBSCRIPTION_REQ
    user_id: int
    subscribe: bool
    timestamp: int  #: ms since the epoch

    def _fields(self) -> dict[str, Any]:
        return {
            "user_id": self.user_id,
            "subscribe": self.subscribe,
            "timestamp": self.timestamp,
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VideoSubscriptionResponse(Message):
    """Message 29: whether that participant's video will come."""

    number: ClassVar[MessageType] = MessageType.VIDEO_SUBSCRIPTION_RESP
    user_id: int
    status: StatusCode | int
    reason: str = ""
    timestamp: int | None = None  #: ms since the epoch

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> VideoSubscriptionResponse:
        """Read a document."""
        return cls(
            user_id=integer(document, "user_id") or 0,
            status=read_required_status(document),
            reason=text(document, "reason"),
            timestamp=milliseconds(document, "timestamp"),
            raw=document,
        )

"""Makes the event messages of what people do in a meeting: join, speak, share."""

from __future__ import annotations

from typing import Any

from ...enums import ContactCenterEventType, EventType
from ..scenario.model import Person

__all__ = [
    "answered",
    "camera",
    "hung_up",
    "joined",
    "left",
    "shares",
    "speaks",
    "stopped_sharing",
]


def joined(*people: Person) -> dict[str, Any]:
    """Return the event of people who joined."""
    return {
        "event_type": int(EventType.PARTICIPANT_JOIN),
        "participants": [
            {"user_id": person.user_id, "user_name": person.name} for person in people
        ],
    }


def left(*people: Person) -> dict[str, Any]:
    """Return the event of people who left; names are not sent."""
    return {
        "event_type": int(EventType.PARTICIPANT_LEAVE),
        "participants": [{"user_id": person.user_id} for person in people],
    }


def speaks(person: Person) -> dict[str, Any]:
    """Return the event of a new active speaker."""
    return {
        "event_type": int(EventType.ACTIVE_SPEAKER_CHANGE),
        "user_id": person.user_id,
        "user_name": person.name,
    }


def shares(person: Person) -> dict[str, Any]:
    """Return the event of somebody who starts to share."""
    return {
        "event_type": int(EventType.SHARING_START),
        "user_id": person.user_id,
        "user_name": person.name,
    }


def stopped_sharing() -> dict[str, Any]:
    """Return the event of the end of a share."""
    return {"event_type": int(EventType.SHARING_STOP)}


def camera(is_on: bool, *user_ids: int) -> dict[str, Any]:
    """Return the event of cameras that were switched."""
    number = EventType.PARTICIPANT_VIDEO_ON if is_on else EventType.PARTICIPANT_VIDEO_OFF
    return {
        "event_type": int(number),
        "participants": [{"user_id": user_id} for user_id in user_ids],
    }


# -- Contact Center voice, whose numbers mean something else ---------------------------------------

# Source: https://developers.zoom.us/docs/rtms/event-reference/contact-center-events/ and, for the
# other spelling, the event reference before it, which Zoom's samples still read.
_SPELLINGS = ("participant_info", "paticipant_info")

_QUEUE = {"queue_id": "simulated-queue", "queue_name": "Simulated Queue"}


def answered(person: Person, consumer: Person) -> dict[str, Any]:
    """Return the event of somebody who takes part in an engagement from now on."""
    kind = ContactCenterEventType
    number = kind.CONSUMER_ANSWERED if person == consumer else kind.USER_ANSWERED
    return {"event_type": int(number), **_participant_info(person, consumer)}


def hung_up(person: Person, consumer: Person) -> dict[str, Any]:
    """Return the event of somebody who takes part in an engagement no more."""
    kind = ContactCenterEventType
    number = kind.CONSUMER_END if person == consumer else kind.USER_END
    return {"event_type": int(number), **_participant_info(person, consumer)}


def _participant_info(person: Person, consumer: Person) -> dict[str, Any]:
    """Return who it is, under both of Zoom's spellings."""
    info = {
        "channel_id": person.channel_id,
        "participant_mode": "caller" if person == consumer else "callee",
        **_QUEUE,
        "user_id": str(person.user_id),
        "display_name": person.name,
    }
    if person == consumer:
        info["phone_number"] = person.phone_number
    return dict.fromkeys(_SPELLINGS, info)

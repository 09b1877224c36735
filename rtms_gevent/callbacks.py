"""Types of the functions that users register. Each may also be a method or a lambda."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .accounting import Gap
from .errors import ConnectionLost, GaveUp
from .protocol.packets import Metadata
from .protocol.people import Participant
from .reports import Session

__all__ = [
    "ActiveSpeakerCallback",
    "BrokenCallback",
    "EventExCallback",
    "GaveUpCallback",
    "InterruptedCallback",
    "MediaCallback",
    "MediaGapCallback",
    "ParticipantEventCallback",
    "ParticipantVideoCallback",
    "ReasonCallback",
    "ReconnectedCallback",
    "ReconnectingCallback",
    "SessionUpdateCallback",
    "SharingCallback",
    "UserUpdateCallback",
    "VideoSubscribedCallback",
]

#: data (bytes), size (bytes), timestamp (ms since the epoch), metadata
MediaCallback = TypeVar("MediaCallback", bound=Callable[[bytes, int, int, Metadata], object])
#: reason
ReasonCallback = TypeVar("ReasonCallback", bound=Callable[[int], object])
#: op (SESSION_EVENT_*), session
SessionUpdateCallback = TypeVar("SessionUpdateCallback", bound=Callable[[int, Session], object])
#: op (USER_*), participant
UserUpdateCallback = TypeVar("UserUpdateCallback", bound=Callable[[int, Participant], object])
#: "join" or "leave", timestamp (ms), participants
ParticipantEventCallback = TypeVar(
    "ParticipantEventCallback", bound=Callable[[str, int, list[dict[str, Any]]], object]
)
#: timestamp (ms), user_id, user_name
ActiveSpeakerCallback = TypeVar("ActiveSpeakerCallback", bound=Callable[[int, int, str], object])
#: "start" or "stop", timestamp (ms), user_id, user_name
SharingCallback = TypeVar(
    "SharingCallback", bound=Callable[[str, int, "int | None", "str | None"], object]
)
#: timestamp (ms)
InterruptedCallback = TypeVar("InterruptedCallback", bound=Callable[[int], object])
#: user_ids, is_on
ParticipantVideoCallback = TypeVar(
    "ParticipantVideoCallback", bound=Callable[[list[int], bool], object]
)
#: user_id, status (0 is good), error
VideoSubscribedCallback = TypeVar(
    "VideoSubscribedCallback", bound=Callable[[int, int, str], object]
)
#: the event object as JSON
EventExCallback = TypeVar("EventExCallback", bound=Callable[[str], object])
#: what broke, ConnectionLost or None
BrokenCallback = TypeVar("BrokenCallback", bound=Callable[[str, "ConnectionLost | None"], object])
#: attempt (from 1 on), delay (ms)
ReconnectingCallback = TypeVar("ReconnectingCallback", bound=Callable[[int, int], object])
#: outage (ms)
ReconnectedCallback = TypeVar("ReconnectedCallback", bound=Callable[[int], object])
#: GaveUp
GaveUpCallback = TypeVar("GaveUpCallback", bound=Callable[[GaveUp], object])
#: Gap
MediaGapCallback = TypeVar("MediaGapCallback", bound=Callable[[Gap], object])

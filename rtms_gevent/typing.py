"""Types of the functions that users register.

Type checkers infer a lambda's parameters from a plain ``Callable`` only: not from a type variable
that is bound to one, and mypy not from a protocol or an overload either. So these are that, with a
variable for what the function returns: decorators give back a function that returns the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .errors import ConnectionLost, GaveUp
from .protocol.events import Session
from .protocol.metadata import Metadata
from .protocol.people import Participant
from .stream.leave_reason import LeaveReason
from .stream.stats import Gap

__all__ = [
    "ActiveSpeakerCallback",
    "BrokenCallback",
    "EndCallback",
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
    "Result",
    "SessionUpdateCallback",
    "SharingCallback",
    "UserUpdateCallback",
    "VideoSubscribedCallback",
]

Result = TypeVar("Result")

#: data (bytes), size (bytes), timestamp (ms since the epoch), metadata
MediaCallback = Callable[[bytes, int, int, Metadata], Result]
#: reason
ReasonCallback = Callable[[int], Result]
#: reason, LeaveReason
EndCallback = Callable[[LeaveReason], Result]
#: op (SESSION_EVENT_*), session
SessionUpdateCallback = Callable[[int, Session], Result]
#: op (USER_*), participant
UserUpdateCallback = Callable[[int, Participant], Result]
#: "join" or "leave", timestamp (ms), participants
ParticipantEventCallback = Callable[[str, int, list[dict[str, Any]]], Result]
#: timestamp (ms), user_id, user_name
ActiveSpeakerCallback = Callable[[int, int, str], Result]
#: "start" or "stop", timestamp (ms), user_id, user_name
SharingCallback = Callable[[str, int, "int | None", "str | None"], Result]
#: timestamp (ms)
InterruptedCallback = Callable[[int], Result]
#: user_ids, is_on
ParticipantVideoCallback = Callable[[list[int], bool], Result]
#: user_id, status (0 is good), error
VideoSubscribedCallback = Callable[[int, int, str], Result]
#: the event object as JSON
EventExCallback = Callable[[str], Result]
#: what broke, ConnectionLost or None
BrokenCallback = Callable[[str, "ConnectionLost | None"], Result]
#: attempt (from 1 on), delay (ms)
ReconnectingCallback = Callable[[int, int], Result]
#: outage (ms)
ReconnectedCallback = Callable[[int], Result]
#: GaveUp
GaveUpCallback = Callable[[GaveUp], Result]
#: Gap
MediaGapCallback = Callable[[Gap], Result]

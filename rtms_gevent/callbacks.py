"""The functions that users register: their types, and what each is called with.

Type checkers infer a lambda's parameters from a plain ``Callable`` only: not from a type variable
that is bound to one, and mypy not from a protocol or an overload either. So these are that, with a
variable for what the function returns: decorators give back a function that returns the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .accounting import Gap
from .errors import ConfigurationError, ConnectionLost, GaveUp
from .protocol.packets import Metadata
from .protocol.people import Participant
from .reasons import LeaveReason
from .reports import Session

__all__ = [
    "PARAMETERS",
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
    "check_function",
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

#: What each callback of a client is called with, by position; its name follows ``on_``.
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "join_confirm": ("reason",),
    "leave": ("reason",),
    "end": ("reason",),
    **dict.fromkeys(
        ("audio_data", "video_data", "deskshare_data", "transcript_data", "chat_data"),
        ("data", "size", "timestamp", "metadata"),
    ),
    "session_update": ("op", "session"),
    "user_update": ("op", "participant"),
    "participant_event": ("event", "timestamp", "participants"),
    "active_speaker_event": ("timestamp", "user_id", "user_name"),
    "sharing_event": ("event", "timestamp", "user_id", "user_name"),
    "media_connection_interrupted": ("timestamp",),
    "participant_video": ("user_ids", "is_on"),
    "video_subscribed": ("user_id", "status", "error"),
    "event_ex": ("event",),
    "interrupted": ("what", "error"),
    "reconnecting": ("attempt", "delay"),
    "reconnected": ("outage",),
    "gave_up": ("error",),
    "media_gap": ("gap",),
}


def check_function(where: str, function: object, parameters: tuple[str, ...]) -> None:
    """Refuse a function that each call with ``parameters``, by position, would fail with.

    What does not tell its signature, as some functions in C, is taken as it is.

    Args:
        where: What it is registered with, for the error.
        function: What the user gave.
        parameters: Their names are for the error, too.

    Raises:
        ConfigurationError: it cannot be called so.
    """
    called_with = f"({', '.join(parameters)})"
    if not callable(function):
        raise ConfigurationError(
            f"{where} needs a function that takes {called_with}, not {type(function).__name__}"
        )
    try:
        # What is called, not what it wraps: a decorator may well fill in arguments of its own.
        signature = inspect.signature(function, follow_wrapped=False)
    except Exception:  # noqa: BLE001 - beside C functions: annotations that name what is not there
        return
    try:
        signature.bind(*parameters)
    except TypeError as problem:
        name = getattr(function, "__qualname__", type(function).__name__)
        raise ConfigurationError(
            f"{where} calls its function with {called_with}, and {name}() cannot be called so: "
            f"{problem}"
        ) from None

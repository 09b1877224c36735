"""Which fields a scenario has, and which each action in it has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ...enums import MessageAttribute, SessionState, StreamState
from . import checks
from .checks import Check

__all__ = ["ACTIONS", "FAULTS", "PARTICIPANT", "POSSIBLE_FROM_OUTSIDE", "SCENARIO", "Fields"]


@dataclasses.dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one kind of object, and the check of each."""

    required: Mapping[str, Check] = dataclasses.field(default_factory=dict)
    optional: Mapping[str, Check] = dataclasses.field(default_factory=dict)


#: All but ``participants``, ``faults`` and ``timeline``, which have fields of their own.
SCENARIO = Fields(
    optional={
        "description": checks.unchecked,
        "product": checks.product,
        "media": checks.media_types,
        "duration": checks.or_null(checks.seconds),
        "stop_reason": checks.whole,
        "buffer_audio": checks.seconds,
        "second_client": checks.second_client,
    }
)

PARTICIPANT = Fields(
    optional={
        "name": checks.text,
        "user_id": checks.user_id,
        "channel_id": checks.text,
        "phone_number": checks.text,
        "voice": checks.unchecked,
    }
)

#: Every one but the faults is a method of the player.
ACTIONS = {
    "join": Fields({"who": checks.persons}, {"muted": checks.yes_or_no}),
    "leave": Fields({"who": checks.persons}),
    "mute": Fields({"who": checks.persons}),
    "unmute": Fields({"who": checks.persons}),
    "speak": Fields({"who": checks.person, "audio": checks.speech}, {"text": checks.text}),
    "transcript": Fields(
        {"who": checks.person, "text": checks.text},
        {
            "from": checks.seconds,
            "to": checks.seconds,
            "language": checks.whole,
            "attribute": checks.named(MessageAttribute),
        },
    ),
    "camera_on": Fields({"who": checks.person, "video": checks.picture}),
    "camera_off": Fields({"who": checks.persons}),
    "share": Fields({"who": checks.person, "image": checks.picture}),
    "share_stop": Fields(),
    "chat": Fields({"who": checks.person, "text": checks.text}, {"fields": checks.some_object}),
    "event": Fields({"event": checks.event}),
    "session": Fields({"state": checks.named(SessionState)}, {"reason": checks.whole}),
    "stream": Fields({"state": checks.named(StreamState)}, {"reason": checks.whole}),
    "stop": Fields(optional={"reason": checks.whole}),
}

#: Every one is a method of the meeting's faults.
FAULTS = {
    "close": Fields({"sockets": checks.sockets}, {"code": checks.close_code}),
    "reset": Fields({"sockets": checks.sockets}),
    "half_close": Fields({"sockets": checks.sockets}),
    "stall": Fields(
        {"sockets": checks.sockets, "seconds": checks.duration},
        {"reading": checks.yes_or_no, "sending": checks.yes_or_no},
    ),
    "no_keep_alives": Fields({"sockets": checks.sockets, "seconds": checks.duration}),
    "split": Fields(
        {"sockets": checks.sockets},
        {"frame": checks.or_null(checks.count), "write": checks.or_null(checks.count)},
    ),
    "delay": Fields({"sockets": checks.sockets, "seconds": checks.seconds}),
    "merge": Fields({"sockets": checks.sockets, "seconds": checks.seconds}),
    "garbage": Fields({"sockets": checks.sockets}, {"times": checks.count, "text": checks.text}),
    "duplicate": Fields({"media": checks.media}, {"times": checks.count}),
    "swap": Fields({"media": checks.media}, {"times": checks.count}),
    "hold": Fields({"media": checks.media, "seconds": checks.duration}),
    "refuse": Fields({"sockets": checks.sockets, "status": checks.count}, {"times": checks.count}),
    "no_answer": Fields(
        {"sockets": checks.sockets},
        {"to": checks.one_of(("upgrade", "handshake")), "times": checks.count},
    ),
    "unavailable": Fields(
        {"sockets": checks.sockets}, {"times": checks.count, "status": checks.http_error}
    ),
    "certificate": Fields({"kind": checks.certificate}),
    "interrupt": Fields(),
    "failover": Fields(optional={"dies": checks.yes_or_no}),
}

#: What is said may still arrive when whoever said it has left.
POSSIBLE_FROM_OUTSIDE = ("transcript", "chat")

"""What can happen in a scenario, and which fields each action has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ...enums import MessageAttribute, SessionState, StreamState
from . import checks
from .checks import Check

__all__ = ["ACTIONS", "FAULTS", "POSSIBLE_FROM_OUTSIDE", "Action"]


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """The fields of one action."""

    required: Mapping[str, Check]
    optional: Mapping[str, Check] = dataclasses.field(default_factory=dict)


#: Every one but the faults is a method of the player.
ACTIONS = {
    "join": Action({"who": checks.persons}, {"muted": checks.yes_or_no}),
    "leave": Action({"who": checks.persons}),
    "mute": Action({"who": checks.persons}),
    "unmute": Action({"who": checks.persons}),
    "speak": Action({"who": checks.person, "audio": checks.speech}, {"text": checks.text}),
    "transcript": Action(
        {"who": checks.person, "text": checks.text},
        {
            "from": checks.seconds,
            "to": checks.seconds,
            "language": checks.whole,
            "attribute": checks.named(MessageAttribute),
        },
    ),
    "camera_on": Action({"who": checks.person, "video": checks.picture}),
    "camera_off": Action({"who": checks.persons}),
    "share": Action({"who": checks.person, "image": checks.picture}),
    "share_stop": Action({}),
    "chat": Action({"who": checks.person, "text": checks.text}, {"fields": checks.some_object}),
    "event": Action({"event": checks.event}),
    "session": Action({"state": checks.named(SessionState)}, {"reason": checks.whole}),
    "stream": Action({"state": checks.named(StreamState)}, {"reason": checks.whole}),
    "stop": Action({}, {"reason": checks.whole}),
}

#: Every one is a method of the meeting's faults.
FAULTS = {
    "close": Action({"sockets": checks.sockets}, {"code": checks.close_code}),
    "reset": Action({"sockets": checks.sockets}),
    "half_close": Action({"sockets": checks.sockets}),
    "stall": Action(
        {"sockets": checks.sockets, "seconds": checks.duration},
        {"reading": checks.yes_or_no, "sending": checks.yes_or_no},
    ),
    "no_keep_alives": Action({"sockets": checks.sockets, "seconds": checks.duration}),
    "split": Action({"sockets": checks.sockets}, {"frame": checks.size, "write": checks.size}),
    "delay": Action({"sockets": checks.sockets, "seconds": checks.seconds}),
    "merge": Action({"sockets": checks.sockets, "seconds": checks.seconds}),
    "garbage": Action({"sockets": checks.sockets}, {"times": checks.count, "text": checks.text}),
    "duplicate": Action({"media": checks.media}, {"times": checks.count}),
    "swap": Action({"media": checks.media}, {"times": checks.count}),
    "hold": Action({"media": checks.media, "seconds": checks.duration}),
    "refuse": Action({"sockets": checks.sockets, "status": checks.count}, {"times": checks.count}),
    "no_answer": Action(
        {"sockets": checks.sockets},
        {"to": checks.one_of(("upgrade", "handshake")), "times": checks.count},
    ),
    "unavailable": Action(
        {"sockets": checks.sockets}, {"times": checks.count, "status": checks.http_error}
    ),
    "certificate": Action({"kind": checks.certificate}),
    "interrupt": Action({}),
    "failover": Action({}, {"dies": checks.yes_or_no}),
}

#: What is said may still arrive when whoever said it has left.
POSSIBLE_FROM_OUTSIDE = ("transcript", "chat")

"""What can happen in a scenario, and which fields each action has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ..enums import MessageAttribute, SessionState
from . import checks
from .checks import Check

__all__ = ["ACTIONS", "POSSIBLE_FROM_OUTSIDE", "Action"]


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """The fields of one action."""

    required: Mapping[str, Check]
    optional: Mapping[str, Check] = dataclasses.field(default_factory=dict)


#: Every one is a method of the player.
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
    "close": Action({"sockets": checks.sockets}, {"code": checks.close_code}),
    "reset": Action({"sockets": checks.sockets}),
    "stop": Action({}, {"reason": checks.whole}),
}

#: What is said may still arrive when whoever said it has left.
POSSIBLE_FROM_OUTSIDE = ("transcript", "chat")

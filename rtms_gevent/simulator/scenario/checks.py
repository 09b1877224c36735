"""What a value in a scenario must be: one check for each kind of field.

A check returns what the player needs, or raises ValueError with what is wrong.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...enums import MediaDataType
from ..wire.negotiation import MEDIA_KEYS
from .assets import Library
from .model import PRODUCTS, Person

__all__ = [
    "Check",
    "Known",
    "certificate",
    "close_code",
    "count",
    "duration",
    "event",
    "http_error",
    "media",
    "media_types",
    "named",
    "one_of",
    "or_null",
    "person",
    "persons",
    "picture",
    "product",
    "second_client",
    "seconds",
    "sockets",
    "some_object",
    "speech",
    "text",
    "unchecked",
    "user_id",
    "whole",
    "yes_or_no",
]


@dataclasses.dataclass(slots=True)
class Known:
    """What values may name."""

    library: Library
    people: dict[str, Person] = dataclasses.field(default_factory=dict)


Check = Callable[[Known, Any], Any]


def unchecked(known: Known, value: Any) -> Any:
    """Accept anything: what is for readers."""
    return value


def or_null(check: Check) -> Check:
    """Accept null, and what ``check`` accepts."""
    return lambda known, value: None if value is None else check(known, value)


# -- numbers ---------------------------------------------------------------------------------------


def seconds(known: Known, value: Any) -> float:
    """Accept a point in time, or a length of time that may be 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e6:
        raise ValueError("must be a number of seconds, 0 or more")
    return float(value)


def duration(known: Known, value: Any) -> float:
    """Accept a length of time that is not 0."""
    length = seconds(known, value)
    if not length:
        raise ValueError("must be more than 0 seconds")
    return length


def whole(known: Known, value: Any) -> int:
    """Accept a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")
    return value


def _between(low: int, high: int, requirement: str) -> Check:
    def check(known: Known, value: Any) -> int:
        if not low <= whole(known, value) <= high:
            raise ValueError(requirement)
        return int(value)

    return check


count = _between(1, 1_000_000, "must be a whole number above 0")
user_id = _between(1, 2**31 - 1, "must be above 0 and fit 32 bits")
close_code = _between(1000, 4999, "must be a WebSocket close code, 1000 to 4999")
http_error = _between(300, 599, "must be an HTTP status, 300 to 599")


# -- names -----------------------------------------------------------------------------------------


def text(known: Known, value: Any) -> str:
    """Accept a text."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text that is not empty")
    return value


def one_of(names: Iterable[str]) -> Check:
    """Accept one of these names."""
    choice = tuple(names)

    def check(known: Known, value: Any) -> str:
        if value not in choice:
            raise ValueError(f"must be one of {', '.join(choice)}")
        return str(value)

    return check


sockets = one_of(("signaling", "media", "all", "all_sockets", *MEDIA_KEYS.values()))
media = one_of(MEDIA_KEYS.values())
certificate = one_of(("good", "self_signed", "expired", "other_host"))
second_client = one_of(("refused", "evicts"))


def _member(members: Mapping[str, Any]) -> Check:
    name = one_of(members)
    return lambda known, value: members[name(known, value)]


def named(kind: type[enum.IntEnum]) -> Check:
    """Accept a member's name in lower case, and return its number."""
    return _member({member.name.lower(): int(member) for member in kind})


product = _member(PRODUCTS)


def media_types(known: Known, value: Any) -> frozenset[MediaDataType]:
    """Accept a list of media types."""
    kinds = {name: kind for kind, name in MEDIA_KEYS.items()}
    names = list(kinds)  # not the dictionary: what is asked for may not be hashable
    if not isinstance(value, list) or not value or any(name not in names for name in value):
        raise ValueError(f"must be a list of {', '.join(names)}")
    return frozenset(kinds[name] for name in value)


def person(known: Known, value: Any) -> Person:
    """Accept a participant's short name."""
    found = known.people.get(value) if isinstance(value, str) else None
    if found is None:
        names = ", ".join(known.people) or "nobody"
        raise ValueError(f"must name a participant ({names}), not {value!r}")
    return found


def persons(known: Known, value: Any) -> tuple[Person, ...]:
    """Accept one short name, or a list of them."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError("must name somebody")
    return tuple(person(known, one) for one in values)


def speech(known: Known, value: Any) -> str:
    """Accept the name of a recording."""
    return known.library.check_speech(text(known, value))


def picture(known: Known, value: Any) -> str:
    """Accept the name of a picture, or of a loop of them."""
    return known.library.check_pictures(text(known, value))


# -- the rest --------------------------------------------------------------------------------------


def yes_or_no(known: Known, value: Any) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def some_object(known: Known, value: Any) -> dict[str, Any]:
    """Accept an object, whatever is in it."""
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    return value


def event(known: Known, value: Any) -> dict[str, Any]:
    """Accept an event, which has a number."""
    fields = some_object(known, value)
    whole(known, fields.get("event_type", fields.get("event_code")))
    return fields

"""What a value in a scenario must be: one function for each kind of field."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ...enums import Product
from ...errors import ConfigurationError
from ..wire.negotiation import MEDIA_KEYS
from .assets import Library

if TYPE_CHECKING:
    from .loader import Person

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
    "named",
    "one_of",
    "person",
    "persons",
    "picture",
    "product",
    "second_client",
    "seconds",
    "size",
    "sockets",
    "some_object",
    "speech",
    "text",
    "whole",
    "yes_or_no",
]


@dataclasses.dataclass(slots=True)
class Known:
    """What values may name."""

    library: Library
    people: dict[str, Person] = dataclasses.field(default_factory=dict)


#: Checks a value and returns what the player needs, or raises ValueError with what is wrong.
Check = Callable[[Known, Any], Any]


def product(value: object) -> Product:
    """Return the product of that name.

    Raises:
        ConfigurationError: there is none.
    """
    if isinstance(value, Product):
        return value
    for member in Product:
        if value == member.name.lower():
            return member
    names = ", ".join(member.name.lower() for member in Product)
    raise ConfigurationError(f"product must be one of {names}, not {value!r}")


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


def text(known: Known, value: Any) -> str:
    """Accept a text."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text that is not empty")
    return value


def whole(known: Known, value: Any) -> int:
    """Accept a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")
    return value


def count(known: Known, value: Any) -> int:
    """Accept how often something happens."""
    if not 1 <= whole(known, value) <= 1_000_000:
        raise ValueError("must be a whole number above 0")
    return int(value)


def size(known: Known, value: Any) -> int | None:
    """Accept a number of bytes, or null for no limit."""
    return None if value is None else count(known, value)


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


def close_code(known: Known, value: Any) -> int:
    """Accept a WebSocket close code."""
    if not 1000 <= whole(known, value) <= 4999:
        raise ValueError("must be a WebSocket close code, 1000 to 4999")
    return int(value)


def http_error(known: Known, value: Any) -> int:
    """Accept the status of an HTTP answer that is no success."""
    if not 300 <= whole(known, value) <= 599:
        raise ValueError("must be an HTTP status, 300 to 599")
    return int(value)


def named(kind: type[enum.IntEnum]) -> Check:
    """Accept a member's name in lower case, and return its number."""

    def check(known: Known, value: Any) -> int:
        for member in kind:
            if value == member.name.lower():
                return int(member)
        names = ", ".join(member.name.lower() for member in kind)
        raise ValueError(f"must be one of {names}")

    return check

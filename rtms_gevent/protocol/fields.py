"""Reading fields of JSON documents whose writers do not agree on types and names.

This is where numbers of the wire get their bounds. JSON has none and Python has none, but all that
we and the users do with a number has: floats end at 10**308, JavaScript's dates in the year 275760.
A number beyond its bounds is no number here. Where a message means nothing without it, the message
cannot be used; else it counts as not sent, as a text in its place would.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "EARLIEST_MS",
    "LARGEST",
    "LATEST_MS",
    "SMALLEST",
    "Document",
    "code",
    "integer",
    "mapping",
    "milliseconds",
    "string",
    "text",
]

Document = Mapping[str, Any]

#: Bounds of all numbers: what fits into 64 bits, signed or not. The official SDK reads ids as int32
#: and times as uint64.
SMALLEST, LARGEST = -(2**63), 2**64 - 1
#: From here on a time is in ms; a smaller one is in seconds. (That is 1973 in ms, 5138 in seconds.)
EARLIEST_MS = 10**11
#: The last ms that JavaScript's Date can show, in the year 275760. Less would do, but a server that
#: sends microseconds by mistake (10**15) must not cost its packets. The first ms is 0, as in the
#: official SDK.
LATEST_MS = 8_640_000_000_000_000


def integer(document: Document, *names: str) -> int | None:
    """Return the first of ``names`` that is a whole number, or a string or float of one.

    It is from :data:`SMALLEST` to :data:`LARGEST`.
    """
    for name in names:
        number = _whole(document.get(name))
        if number is not None and SMALLEST <= number <= LARGEST:
            return number
    return None


def _whole(value: object) -> int | None:
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) <= 20:
        digits = value.strip()
        if digits.isascii() and digits.removeprefix("-").isdecimal():
            return int(digits)
    return None


def milliseconds(document: Document, *names: str) -> int | None:
    """Return the first of ``names`` that is a time, in ms since the epoch, up to :data:`LATEST_MS`.

    Some of Zoom's examples have seconds.
    """
    for name in names:
        value = integer(document, name)
        if value is not None and 0 <= value <= LATEST_MS:
            return value if value >= EARLIEST_MS else value * 1000
    return None


def code(document: Document, name: str) -> int | str | None:
    """Return what is text in some places and a number, as :func:`integer` reads it, in others."""
    value = document.get(name)
    return value if isinstance(value, str) else integer(document, name)


def text(document: Document, *names: str) -> str:
    """Return the first of ``names`` that is a string, else an empty one."""
    for name in names:
        value = document.get(name)
        if isinstance(value, str):
            return value
    return ""


def mapping(document: Document, *names: str) -> Document:
    """Return the first of ``names`` that is an object, else an empty one."""
    for name in names:
        value = document.get(name)
        if isinstance(value, Mapping):
            return value
    return {}


def string(value: object) -> str:
    """Ids are strings in some places and numbers in others; as text these need no bounds."""
    return value if isinstance(value, str) else str(value) if type(value) is int else ""

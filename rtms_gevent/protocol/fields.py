"""Reading fields of JSON documents whose writers do not agree on types and names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Document", "integer", "mapping", "milliseconds", "string", "text"]

Document = Mapping[str, Any]


def integer(document: Document, *names: str) -> int | None:
    """Return the first of ``names`` that is a whole number, or a string or float of one."""
    for name in names:
        value = document.get(name)
        if type(value) is int:
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and len(value) <= 20:
            digits = value.strip()
            if digits.isascii() and digits.lstrip("-").isdecimal():
                try:
                    return int(digits)
                except ValueError:  # such as "--1"
                    continue
    return None


def milliseconds(document: Document, *names: str) -> int | None:
    """Return a time in ms; some of Zoom's examples have seconds."""
    value = integer(document, *names)
    return value * 1000 if value is not None and 0 < value < 10**11 else value


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
    """Ids are strings in some places and numbers in others."""
    return value if isinstance(value, str) else str(value) if type(value) is int else ""

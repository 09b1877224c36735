"""Parses JSON strictly: no NaN or Infinity, and not nested deeper than allowed."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from ..errors import RemoteProtocolError

__all__ = ["embedded_object", "parse_object"]

#: Depth to accept of JSON that is in a string within a message.
_EMBEDDED_NESTING = 32


def parse_object(text: str, max_nesting: int) -> dict[str, Any]:
    """Return the JSON object in ``text``.

    Args:
        text: One JSON document.
        max_nesting: Depth of objects and arrays within each other to accept.

    Raises:
        RemoteProtocolError: it is no JSON, no object or too deep; its text shows no content.
    """
    try:
        document = _decoder.decode(text)
    except RecursionError:
        raise RemoteProtocolError("a message that is nested too deeply") from None
    except ValueError as problem:
        # The problem's text names a position, never the content.
        raise RemoteProtocolError(f"a message that is not JSON: {problem}") from None
    if not isinstance(document, dict):
        raise RemoteProtocolError("a message that is JSON, but no object")
    # Few brackets cannot be deep, and counting them is far cheaper than looking.
    if text.count("{") + text.count("[") > max_nesting and _too_deep(document, max_nesting):
        raise RemoteProtocolError("a message that is nested too deeply")
    return document


def embedded_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a field of a document has as text; ``None`` where it is none."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return parse_object(text, _EMBEDDED_NESTING)
    except RemoteProtocolError:
        return None


def _too_deep(document: dict[str, Any], max_nesting: int) -> bool:
    level: list[Any] = [document]
    for _ in range(max_nesting):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number that is too large")
    return number


# Python would read NaN, Infinity and 1e999, and write them back in a form that is no JSON: in the
# answer to a keep-alive, for example.
_decoder = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)

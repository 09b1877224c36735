"""A dict of limited size, for what a server names: participants, sessions. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TypeVar

__all__ = ["BoundedTable", "footprint"]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

#: Ten times what a large webinar has.
_MAX_ENTRIES, _MAX_BYTES = 10_000, 4 * 1024 * 1024


class BoundedTable(dict[_Key, _Value]):
    """A dictionary whose oldest entries go where it has too many of them, or too many bytes.

    Entries are made by :meth:`remember` only.
    """

    def __init__(self, max_entries: int = _MAX_ENTRIES, max_bytes: int = _MAX_BYTES) -> None:
        """Begin empty.

        Args:
            max_entries: Entries to keep.
            max_bytes: Bytes that they may take together.
        """
        super().__init__()
        self.forgotten = 0  #: entries that had to go
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self._bytes = 0
        self._sizes: dict[_Key, int] = {}

    def remember(self, key: _Key, value: _Value, size: int) -> None:
        """Make or replace an entry that takes ``size`` bytes; the newest is always kept."""
        self.forget(key)
        self[key] = value
        self._sizes[key] = size
        self._bytes += size
        while len(self) > 1 and (len(self) > self._max_entries or self._bytes > self._max_bytes):
            self.forget(next(iter(self)))
            self.forgotten += 1

    def forget(self, key: _Key) -> None:
        """Remove an entry, if it is there."""
        if key in self:
            del self[key]
            self._bytes -= self._sizes.pop(key)


def footprint(document: object) -> int:
    """Return about how many bytes a parsed JSON document takes in memory."""
    size, waiting = 0, [document]
    while waiting:
        value: Any = waiting.pop()
        size += sys.getsizeof(value)
        if isinstance(value, Mapping):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return size

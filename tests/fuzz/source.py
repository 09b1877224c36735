"""Makes choices out of bytes, so that a fuzzer's changes to the bytes become other choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

_Item = TypeVar("_Item")

#: What parsers of numbers, times and ids stumble over.
_NUMBERS = (0, 1, -1, 8, 9, 255, 2**31, 2**53 + 1, 2**63, 2**64, -(2**70), 10**400, 0.5, 1e300)
_TEXTS = ("", "0", "a", "é", "\ud800", "\x00", "AAAA", "AAA", "=", "9" * 40, "-1", "1e5", "[")


class Source:
    """Bytes that are used up from the front; at the end there are only zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def flag(self) -> bool:
        return bool(self.byte() & 1)

    def choose(self, items: Sequence[_Item]) -> _Item:
        return items[self.byte() % len(items)]

    def take(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def rest(self) -> bytes:
        return self.take(max(0, len(self._data) - self._at))

    def document(self, names: Sequence[str], depth: int = 3) -> dict[str, Any]:
        """Return a JSON object with some of these names."""
        return {self.choose(names): self._value(names, depth) for _ in range(self.byte() % 12)}

    def _value(self, names: Sequence[str], depth: int) -> Any:
        kind = self.byte() % (8 if depth else 6)
        if kind == 0:
            return self.choose((None, False, True))
        if kind in (1, 2):
            return self.byte()
        if kind == 3:
            return self.choose(_NUMBERS)
        if kind == 4:
            return self.choose(_TEXTS)
        if kind == 5:
            return self.choose(names)
        if kind == 6:
            return [self._value(names, depth - 1) for _ in range(self.byte() % 4)]
        return self.document(names, depth - 1)

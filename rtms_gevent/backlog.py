"""What waits to be delivered, and what of it goes where it is too much. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .config import InboxLimits, Policy

__all__ = ["Backlog"]


class Backlog:
    """Items in order, within limits of number and size."""

    def __init__(
        self,
        limits: InboxLimits,
        *,
        size: Callable[[Any], int] = lambda _: 0,
        begins_anew: Callable[[Any], bool] = lambda _: True,
        source: Callable[[Any], object] = lambda _: None,
    ) -> None:
        """Begin empty.

        Args:
            limits: How much may wait, and what becomes of more.
            size: Returns the bytes of an item.
            begins_anew: Whether an item can be used without those before it, as key frames can.
            source: Whose item it is: only what the same source sent before is needed to use it.
        """
        self.items: deque[Any] = deque()
        self.size = 0  #: bytes of all items
        self.dropped = 0  #: items, so far
        self.overflows = 0  #: how often there was too much, so that some were dropped
        self._limits = limits
        self._size = size
        self._begins_anew = begins_anew
        self._source = source
        self._broken: set[object] = (
            set()
        )  # sources whose items are of no use before a new beginning

    def add(self, item: Any) -> bool:
        """Add an item; return whether there is too much, unless dropping has mended that."""
        if self._broken and not self._is_of_use(item):
            self.dropped += 1
            return False
        self.items.append(item)
        self.size += self._size(item)
        if len(self.items) <= self._limits.packets and self.size <= self._limits.size:
            return False
        if self._limits.when_full is not Policy.DROP_OLDEST:
            return True
        if len(self.items) > 1:
            self._drop()
        return False

    def _drop(self) -> None:
        """Drop the oldest until the rest fits; and of the rest what cannot be used any more."""
        self.overflows += 1
        limits = self._limits
        while len(self.items) > 1 and (len(self.items) > limits.packets or self.size > limits.size):
            item = self.take()
            self.dropped += 1
            self._broken.add(self._source(item))
        kept = deque(item for item in self.items if self._is_of_use(item))
        self.dropped += len(self.items) - len(kept)
        self.items = kept
        self.size = sum(map(self._size, kept))

    def _is_of_use(self, item: Any) -> bool:
        source = self._source(item)
        if source not in self._broken:
            return True
        if self._begins_anew(item):
            self._broken.discard(source)
            return True
        return False

    @property
    def is_half_empty(self) -> bool:
        """Whether there is room again, with some to spare, after there was too much."""
        limits = self._limits
        return len(self.items) * 2 <= limits.packets and self.size * 2 <= limits.size

    def take(self) -> Any:
        """Take the oldest item.

        Raises:
            IndexError: there is none.
        """
        item = self.items.popleft()
        self.size -= self._size(item)
        return item

    def clear(self) -> None:
        """Drop everything."""
        self.dropped += len(self.items)
        self.items.clear()
        self.size = 0

"""What waits to be delivered, and what of it goes where it is too much. Pure."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ..config import InboxLimits, OverflowPolicy

__all__ = ["ANY", "BoundedQueue", "DropPolicy"]


@dataclasses.dataclass(frozen=True, slots=True)
class DropPolicy:
    """What must be known of items to drop some of them."""

    #: Returns the bytes of an item.
    size: Callable[[Any], int] = lambda item: 0
    #: Whether an item can be used without those before it, as key frames can.
    is_keyframe: Callable[[Any], bool] = lambda item: True
    #: Whose item it is: only what the same source sent before is needed to use it.
    source: Callable[[Any], object] = lambda item: None


#: Sources that are known to need a new beginning; only a hostile server has more.
_MOST_SOURCES = 10_000

#: For items that have no size and do not need each other.
ANY = DropPolicy()


class BoundedQueue:
    """Items in order, within limits of number and size."""

    __slots__ = (
        "_broken",
        "_may_drop",
        "_most_bytes",
        "_most_items",
        "_rules",
        "dropped",
        "items",
        "size",
    )

    def __init__(self, limits: InboxLimits, rules: DropPolicy = ANY) -> None:
        """Begin empty.

        Args:
            limits: How much may wait, and what becomes of more.
            rules: What goes with what, where something must go.
        """
        self.items: deque[Any] = deque()  #: always the same one
        self.size = 0  #: bytes of all items
        self.dropped = 0  #: items, so far
        self._most_items, self._most_bytes = limits.packets, limits.size
        self._may_drop = limits.when_full is OverflowPolicy.DROP_OLDEST
        self._rules = rules
        self._broken: dict[object, None] = {}  # sources that must begin anew, oldest first

    def add(self, new: Sequence[Any], size: int) -> bool:
        """Add items that have so many bytes together; return whether they fitted."""
        if self._broken:
            new, size = self._keep(new)
        items = self.items
        items.extend(new)
        self.size = size = self.size + size
        if len(items) <= self._most_items and size <= self._most_bytes:
            return True
        if self._may_drop:
            self._drop()
        return False

    @property
    def is_too_full(self) -> bool:
        """Whether there is more than the limits allow: where nothing may be dropped."""
        return len(self.items) > self._most_items or self.size > self._most_bytes

    @property
    def is_below_low_water(self) -> bool:
        """Whether there is room again, with some to spare, after there was too much."""
        return len(self.items) * 2 <= self._most_items and self.size * 2 <= self._most_bytes

    def _drop(self) -> None:
        """Drop the oldest until the rest fits; and of the rest what cannot be used any more."""
        items = self.items
        while len(items) > 1 and self.is_too_full:
            item = self.take()
            self.dropped += 1
            self._broken[self._rules.source(item)] = None
            if len(self._broken) > _MOST_SOURCES:
                del self._broken[next(iter(self._broken))]
        kept, self.size = self._keep(items)
        items.clear()
        items.extend(kept)

    def _keep(self, items: Collection[Any]) -> tuple[list[Any], int]:
        """Return those that can be used, and their size; count the others as dropped."""
        kept = [item for item in items if self._is_of_use(item)]
        self.dropped += len(items) - len(kept)
        return kept, sum(map(self._rules.size, kept))

    def _is_of_use(self, item: Any) -> bool:
        source = self._rules.source(item)
        if source not in self._broken:
            return True
        if self._rules.is_keyframe(item):
            del self._broken[source]
            return True
        return False

    def take(self) -> Any:
        """Take the oldest item.

        Raises:
            IndexError: there is none.
        """
        item = self.items.popleft()
        self.size -= self._rules.size(item)
        return item

    def clear(self) -> None:
        """Drop everything."""
        self.dropped += len(self.items)
        self.items.clear()
        self.size = 0

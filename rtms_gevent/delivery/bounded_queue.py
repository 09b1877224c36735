"""A queue with limits: what waits to be delivered, and what is dropped when it is full. Pure."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Generic, TypeVar

from ..config import InboxLimits, OverflowPolicy

__all__ = ["BoundedQueue", "DropPolicy"]

_Item = TypeVar("_Item")


@dataclasses.dataclass(frozen=True, slots=True)
class DropPolicy(Generic[_Item]):
    """What must be known of items to drop some of them.

    Without arguments it is for items that have no size and do not need each other.
    """

    #: Returns the bytes of an item.
    size: Callable[[_Item], int] = lambda item: 0
    #: Whether an item can be used without those before it, as key frames can.
    is_keyframe: Callable[[_Item], bool] = lambda item: True
    #: Whose item it is: only what the same source sent before is needed to use it.
    source: Callable[[_Item], object] = lambda item: None


#: Sources that are known to need a key frame; only a hostile server has more.
_MAX_SOURCES = 10_000


class BoundedQueue(Generic[_Item]):
    """Items in order, within limits of number and size: the high-water mark."""

    __slots__ = (
        "_awaiting_keyframe",
        "_max_items",
        "_max_size",
        "_may_drop",
        "_policy",
        "dropped",
        "items",
        "size",
    )

    def __init__(self, limits: InboxLimits, policy: DropPolicy[_Item]) -> None:
        """Begin empty.

        Args:
            limits: How much may wait, and what becomes of more.
            policy: What must be known of items to drop some of them.
        """
        # Others may look at these, and change nothing.
        self.items: deque[_Item] = deque()  #: always the same one
        self.size = 0  #: bytes of all items
        self.dropped = 0  #: items, so far
        self._max_items, self._max_size = limits.packets, limits.size
        self._may_drop = limits.when_full is OverflowPolicy.DROP_OLDEST
        self._policy = policy
        self._awaiting_keyframe: dict[object, None] = {}  # sources, the oldest first

    def add(self, new: Sequence[_Item], size: int) -> bool:
        """Add items that have so many bytes together; return whether they fitted."""
        if self._awaiting_keyframe:
            new, size = self._keep(new)
        items = self.items
        items.extend(new)
        self.size = size = self.size + size
        if len(items) <= self._max_items and size <= self._max_size:
            return True
        if self._may_drop:
            self._drop()
        return False

    @property
    def is_above_high_water(self) -> bool:
        """Whether there is more than the limits allow: where nothing may be dropped."""
        return len(self.items) > self._max_items or self.size > self._max_size

    @property
    def is_below_low_water(self) -> bool:
        """Whether no more than half of what the limits allow is left."""
        return len(self.items) * 2 <= self._max_items and self.size * 2 <= self._max_size

    def _drop(self) -> None:
        """Drop the oldest until the rest fits; and of the rest what cannot be used any more."""
        items = self.items
        while len(items) > 1 and self.is_above_high_water:
            item = self.take()
            self.dropped += 1
            self._awaiting_keyframe[self._policy.source(item)] = None
            if len(self._awaiting_keyframe) > _MAX_SOURCES:
                del self._awaiting_keyframe[next(iter(self._awaiting_keyframe))]
        kept, self.size = self._keep(items)
        items.clear()
        items.extend(kept)

    def _keep(self, items: Collection[_Item]) -> tuple[list[_Item], int]:
        """Return those that can be used, and their size; count the others as dropped."""
        kept = [item for item in items if self._is_usable(item)]
        self.dropped += len(items) - len(kept)
        return kept, sum(map(self._policy.size, kept))

    def _is_usable(self, item: _Item) -> bool:
        source = self._policy.source(item)
        if source not in self._awaiting_keyframe:
            return True
        if self._policy.is_keyframe(item):
            del self._awaiting_keyframe[source]
            return True
        return False

    def take(self) -> _Item:
        """Take the oldest item.

        Raises:
            IndexError: there is none.
        """
        item = self.items.popleft()
        self.size -= self._policy.size(item)
        return item

    def clear(self) -> None:
        """Drop everything."""
        self.dropped += len(self.items)
        self.items.clear()
        self.size = 0

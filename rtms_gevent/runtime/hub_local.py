"""Values that each hub has for itself, as each thread has those of ``threading.local``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from gevent.hub import Hub

__all__ = ["HubLocal"]

_Value = TypeVar("_Value")

#: Attribute of a hub: its values. A table of hubs would keep them, and their descriptors, for ever.
_VALUES = "_rtms_gevent"


class HubLocal(Generic[_Value]):
    """A variable with a value for each hub, which goes with the hub; cf. ``trio.lowlevel.RunVar``.

    To be used in the hub's thread, or before that does anything.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], _Value]) -> None:
        """Make a variable, once for the whole process.

        Args:
            make: Makes the value of a hub that has none.
        """
        self._make = make

    def of(self, hub: Hub) -> _Value:
        """Return the value of ``hub``."""
        values: dict[HubLocal[Any], Any] = vars(hub).setdefault(_VALUES, {})
        if self not in values:
            values[self] = self._make()
        value: _Value = values[self]
        return value

    def set(self, hub: Hub, value: _Value) -> None:
        """Give ``hub`` another value."""
        vars(hub).setdefault(_VALUES, {})[self] = value

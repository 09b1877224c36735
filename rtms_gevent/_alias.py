"""Gives attributes a second name, as the official SDK's camelCase needs it."""

from __future__ import annotations

from typing import Any

__all__ = ["Alias", "FieldAlias"]


class Alias:
    """Another name for the attribute ``target``, looked up when it is used.

    So a subclass that overrides ``target`` is honoured under both names; an assignment in the
    class body, ``other = target``, would still mean the base's. As with any method, an object may
    be given another under this name alone, and have it taken away, as tests do when they patch it.
    """

    def __init__(self, target: str) -> None:
        """Make a second name for ``target``."""
        self._target = target

    def __get__(self, instance: object | None, owner: type) -> Any:
        return getattr(owner if instance is None else instance, self._target)


class FieldAlias(Alias):
    """Another name for a value: who sets it sets ``target``."""

    def __set__(self, instance: object, value: Any) -> None:
        setattr(instance, self._target, value)

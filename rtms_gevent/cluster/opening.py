"""Opens the store that the settings name."""

from __future__ import annotations

from ..config import ClusterSettings
from .memory import MemoryStore
from .store import Store

__all__ = ["make_store"]


def make_store(settings: ClusterSettings, *, has_siblings: bool) -> Store:
    """Return the store that the settings name; it is not opened yet.

    Args:
        settings: Which one.
        has_siblings: Whether this process is one of several workers of a server, for ``auto``.

    Raises:
        ConfigurationError: the address is not usable.
        MissingExtra: the store needs a package that is not installed.
    """
    return MemoryStore(lease=settings.lease)

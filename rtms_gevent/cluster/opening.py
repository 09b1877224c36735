"""Opens the store that the settings name, and another one where a local one does not work."""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import unquote

from ..config import ClusterSettings
from ..errors import ConfigurationError, StoreError
from .memory import MemoryStore
from .store import Store

__all__ = ["make_store", "replacement_for"]

logger = logging.getLogger(__name__)


def make_store(settings: ClusterSettings, *, has_siblings: bool) -> Store:
    """Return the store that the settings name; it is not opened yet.

    Args:
        settings: Which one.
        has_siblings: Whether this process is one of several workers of a server, for ``auto``.

    Raises:
        ConfigurationError: the address is not usable.
        MissingExtra: the store needs a package that is not installed.
    """
    scheme, _, rest = settings.store.partition("://")
    if scheme == "auto":
        scheme = "local" if has_siblings else "memory"
    # Not at import: a process that is alone needs neither.
    if scheme == "memory":
        return MemoryStore(lease=settings.lease)
    if scheme == "local":
        from .local import LocalStore
        from .local_directory import default_directory, directory_below

        if not rest:
            return LocalStore(default_directory(settings.namespace), settings.lease)
        base = _path(rest)
        return LocalStore(directory_below(base, settings.namespace), settings.lease)
    from .redis_store import RedisStore

    return RedisStore(settings.store, settings.namespace, settings.lease)


def _path(rest: str) -> Path:
    """Return the path in ``local:///path``, of which this stands behind ``local://``."""
    path = unquote(rest)
    if not path.startswith("/") or "\0" in path:
        raise ConfigurationError(
            f"RTMS_STORE must be local, or local:// and an absolute path, not local://{rest!r:.80}"
        )
    return Path(path)


def replacement_for(store: Store, problem: StoreError) -> Store | None:
    """Return a store in memory for a local one that does not work and will not; it is not opened.

    A warning says so. ``None`` is for stores that should be asked again.

    Args:
        store: The one that failed, when it was opened or later. It is closed.
        problem: What it has raised.
    """
    from .local import LocalStore

    if not problem.is_lasting or not isinstance(store, LocalStore):
        return None
    logger.warning(
        "%s. Until this is repaired and the server restarted, each worker process is on its own: "
        "a stream can be joined by two of them, and is not taken over from one that ends",
        problem,
    )
    store.close()
    return MemoryStore(lease=store.lease)

"""Opens the store that the settings name."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from ..config import ClusterSettings
from ..errors import ConfigurationError
from .memory import MemoryStore
from .store import Store

__all__ = ["directory_of", "make_store"]


def make_store(settings: ClusterSettings, *, has_siblings: bool) -> Store:
    """Return the store that the settings name; it is not opened yet.

    Args:
        settings: Which one.
        has_siblings: Whether this process is one of several workers of a server, for ``auto``.

    Raises:
        ConfigurationError: the address is not usable, or this Python was built without SQLite.
        MissingExtra: the store needs a package that is not installed.
    """
    scheme = settings.store.partition("://")[0]
    if scheme == "memory" or (scheme == "auto" and not has_siblings):
        return MemoryStore(lease=settings.lease)
    # Not at import: a process that is alone needs neither of these.
    if scheme in ("auto", "local"):
        try:
            return _local_store(settings)
        except ImportError as problem:
            raise ConfigurationError(
                f"workers cannot share streams: this Python lacks SQLite ({problem}); use another, "
                "or set RTMS_STORE to redis://..., or to memory where there is one worker only"
            ) from problem
    from .redis_store import RedisStore

    return RedisStore(settings.store, settings.namespace, settings.lease)


def _local_store(settings: ClusterSettings) -> Store:
    from .local import LocalStore

    return LocalStore(directory_of(settings), settings.lease)


def directory_of(settings: ClusterSettings) -> Path:
    """Return the directory of a local store; those of other namespaces have the same parent.

    Raises:
        ConfigurationError: the address is not usable.
    """
    from .local_directory import default_directory, directory_below

    rest = settings.store.partition("://")[2]
    if not rest:
        return default_directory(settings.namespace)
    return directory_below(_path(rest), settings.namespace)


def _path(rest: str) -> Path:
    """Return the path in ``local:///path``, of which this stands behind ``local://``."""
    path = unquote(rest)
    if not path.startswith("/") or "\0" in path:
        raise ConfigurationError(
            f"RTMS_STORE must be local, or local:// and an absolute path, not local://{rest!r:.80}"
        )
    return Path(path)

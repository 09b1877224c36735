"""Opens the store that the settings name."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from ..config import ClusterSettings
from ..errors import ConfigurationError
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

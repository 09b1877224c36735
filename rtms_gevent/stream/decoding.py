"""Says which way media is decoded in this process, and why where that is the slow one."""

from __future__ import annotations

import logging

from ..protocol.fast_media import missing_accelerators

__all__ = ["describe_decoding", "warn_of_slow_decoding"]

logger = logging.getLogger(__name__)

_warned = False


def describe_decoding() -> str:
    """Return it in one line."""
    missing = missing_accelerators()
    if not missing:
        return "fast, with msgspec and pybase64"
    why = "; ".join(missing.values())
    return (
        f"slow, without {' and '.join(missing)} ({why}): it takes several times as long. On "
        f"CPython these come with rtms-gevent; to get them: pip install {' '.join(missing)}"
    )


def warn_of_slow_decoding() -> None:
    """Log it, where it is the slow way: once in a process."""
    global _warned
    if missing_accelerators() and not _warned:
        _warned = True
        logger.warning("decoding of media is %s", describe_decoding())

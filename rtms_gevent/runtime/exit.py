"""What is known of the program that this package runs in."""

from __future__ import annotations

import signal

__all__ = ["graceful_seconds"]

#: Seconds that gunicorn's gevent worker may take to notice SIGTERM, and that the killing of what
#: lasts too long takes.
_MARGIN = 2.5


def graceful_seconds(default: float) -> float:
    """Return how many seconds functions of the user get to come to their end with the process.

    In a gunicorn worker that is ``graceful_timeout``, after which gunicorn kills the worker (or
    ``timeout``, where that is less, since a worker that ends gives no more signs of life).

    Args:
        default: The seconds elsewhere.
    """
    # A worker handles its signals with methods of its own. That is the one way to it from here.
    worker = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    settings = getattr(worker, "cfg", None)
    limits = [getattr(settings, name, None) for name in ("graceful_timeout", "timeout")]
    seconds = [float(limit) for limit in limits if isinstance(limit, (int, float)) and limit > 0]
    return max(0.0, min(seconds) - _MARGIN) if seconds else default

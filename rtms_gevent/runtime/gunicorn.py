"""What is known of the gunicorn worker that this process is."""

from __future__ import annotations

import dataclasses
import signal
from typing import Any


@dataclasses.dataclass(frozen=True)
class GunicornWorker:
    """A worker of gunicorn."""

    workers: int
    is_ending: bool


def current_worker() -> GunicornWorker | None:
    """Return the worker that this process is."""
    worker: Any = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    settings = getattr(worker, "cfg", None)
    if settings is None:
        return None
    return GunicornWorker(settings.workers, not worker.alive)

"""What is known of the gunicorn worker that this process is. Imports no gunicorn."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

__all__ = ["GunicornWorker", "current_worker"]

#: Signals that gunicorn's workers handle with methods of their own, most likely first: an app may
#: have taken some of them for itself.
_SIGNALS = ("SIGTERM", "SIGABRT", "SIGUSR1", "SIGQUIT", "SIGWINCH")
#: Where gunicorn's gevent worker is defined, from which others are derived.
_GEVENT = "gunicorn.workers.ggevent"


class GunicornWorker:
    """A gunicorn worker, seen from inside. Reading costs nothing, and never waits."""

    def __init__(self, worker: Any) -> None:
        """Describe ``worker``, gunicorn's own object."""
        self._worker = worker

    @property
    def workers(self) -> int:
        """How many workers are configured (``--workers``), this one included."""
        return int(self._worker.cfg.workers)

    @property
    def is_booted(self) -> bool:
        """Whether the app is loaded: it serves from now on."""
        return bool(self._worker.booted)

    @property
    def is_ending(self) -> bool:
        """Whether it ends: it got a signal, or has served ``max_requests``."""
        return not self._worker.alive

    @property
    def graceful_timeout(self) -> float:
        """Seconds that gunicorn gives a worker to end after SIGTERM."""
        return float(self._worker.cfg.graceful_timeout)

    @property
    def timeout(self) -> float:
        """Seconds without a sign of life after which gunicorn kills a worker; 0 means never."""
        return float(self._worker.cfg.timeout)

    @property
    def name(self) -> str:
        """The name of its class, such as "GeventWorker"."""
        return type(self._worker).__name__

    @property
    def is_gevent(self) -> bool:
        """Whether gevent serves it."""
        return any(base.__module__ == _GEVENT for base in type(self._worker).__mro__)

    @property
    def arbiter(self) -> int:
        """Process id of gunicorn's arbiter, which is the same for all workers."""
        return int(self._worker.ppid)

    def call_at_exit(self, function: Callable[[], object]) -> None:
        """Call ``function`` when the worker has done its work, and before the interpreter ends.

        By gunicorn's hook ``worker_exit``; the app's own comes afterwards.
        """
        settings = self._worker.cfg
        of_app = settings.worker_exit

        def worker_exit(server: object, worker: object) -> None:
            try:
                function()
            finally:
                of_app(server, worker)

        settings.set("worker_exit", worker_exit)

    @property
    def siblings(self) -> set[int]:
        """Process ids of all workers of its arbiter; none where the system does not say (Linux)."""
        # An arbiter that is upgraded has its successor among its children: that one has children.
        return {pid for pid in _children(self.arbiter) if pid == os.getpid() or not _children(pid)}


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return [int(child) for child in children.read().split()]
    except OSError:
        return []


def current_worker() -> GunicornWorker | None:
    """Return the gunicorn worker that this process is; ``None`` where it is none.

    It is known as soon as the app is imported in the worker. The arbiter, which imports the app
    with ``--preload``, is none, nor is a process that a worker has forked.
    """
    for name in _SIGNALS:
        number = getattr(signal, name, None)  # Windows has few of them
        # gunicorn has no function that returns the worker. The handlers of its signals are the one
        # way to it from here.
        worker: Any = getattr(number and signal.getsignal(number), "__self__", None)
        is_worker = hasattr(worker, "alive") and hasattr(worker, "cfg")
        if is_worker and worker.pid == os.getpid():
            return GunicornWorker(worker)
    return None

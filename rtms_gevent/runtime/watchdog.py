"""Says in the log when something blocks a hub, and what it is.

A hub that is blocked reads nothing and answers no keep-alive, so after some 30 s Zoom ends its
streams. Nothing on the hub can tell that; a native thread can. (gevent's own monitor thread would
have to trace every switch between greenlets for it.)
"""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable

from gevent import monkey
from gevent.hub import Hub

from .threads import current_hub, start_native_thread

__all__ = ["PATIENCE", "Watchdog", "watch"]

logger = logging.getLogger(__name__)

#: Seconds without a sign of life after which a hub counts as blocked.
PATIENCE = 5.0
#: Lines of code to show, from the innermost outwards.
_DEPTH = 12


class _Heart:
    """Beats while its hub gets its turns."""

    def __init__(self, hub: Hub, interval: float) -> None:
        self.users = 1
        self.thread = hub.thread_ident
        self.blocked_since: float | None = None
        self.beat()
        self._timer = hub.loop.timer(interval, interval, ref=False)
        self._timer.start(self.beat)

    def beat(self) -> None:
        self.last = time.monotonic()

    def stop(self) -> None:
        self._timer.stop()
        self._timer.close()


class Watchdog:
    """Watches hubs from a thread of its own, which lives while there are any to watch."""

    def __init__(self, patience: float) -> None:
        """Watch nothing yet.

        Args:
            patience: Seconds without a sign of life after which a hub counts as blocked.
        """
        self._patience = patience
        self._lock = monkey.get_original("_thread", "allocate_lock")()
        self._sleep = monkey.get_original("time", "sleep")
        self._hearts: dict[Hub, _Heart] = {}
        self._is_running = False

    def watch(self) -> Callable[[], None]:
        """Watch the calling thread's hub; return the undoing, which is to be called there, too."""
        hub = current_hub()
        with self._lock:
            heart = self._hearts.get(hub)
            if heart is not None:
                heart.users += 1
            else:
                self._hearts[hub] = _Heart(hub, self._patience / 5)
            starts, self._is_running = not self._is_running, True
        if starts:
            start_native_thread(self._run)
        return lambda: self._forget(hub)

    def _forget(self, hub: Hub) -> None:
        with self._lock:
            heart = self._hearts[hub]
            heart.users -= 1
            if not heart.users:
                del self._hearts[hub]
                heart.stop()

    def _run(self) -> None:
        while True:
            self._sleep(self._patience / 5)
            with self._lock:
                if not self._hearts:
                    self._is_running = False
                    return
                hearts = list(self._hearts.values())
            for heart in hearts:
                self._look_at(heart)

    def _look_at(self, heart: _Heart) -> None:
        last = heart.last
        silence = time.monotonic() - last
        if heart.blocked_since is None and silence >= self._patience:
            heart.blocked_since = last
            frame = sys._current_frames().get(heart.thread)
            lines = traceback.format_stack(frame)[-_DEPTH:] if frame is not None else []
            logger.error(
                "the hub of thread %s is blocked for %.1f s now: its streams are not read, and "
                "Zoom ends them after about 30 s without an answer. Let this wait cooperatively, "
                "hand it to a thread, or give the client an executor:\n%s",
                heart.thread,
                silence,
                "".join(lines),
            )
        elif heart.blocked_since is not None and last > heart.blocked_since:
            logger.warning(
                "the hub of thread %s goes on; it was blocked for %.1f s",
                heart.thread,
                last - heart.blocked_since,
            )
            heart.blocked_since = None


_watchdog: tuple[int, Watchdog] | None = None


def watch() -> Callable[[], None]:
    """Let this process's watchdog watch the calling thread's hub; return the undoing."""
    global _watchdog
    if _watchdog is None or _watchdog[0] != os.getpid():  # threads do not survive a fork
        _watchdog = os.getpid(), Watchdog(PATIENCE)
    return _watchdog[1].watch()

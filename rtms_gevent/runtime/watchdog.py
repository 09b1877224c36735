"""Logs a warning when code blocks a hub, with the code's traceback.

A hub that is blocked reads nothing and answers no keep-alive, so after some 30 s Zoom ends its
streams. Nothing on the hub can notice that; a native thread can. (gevent's own monitor thread would
have to trace every switch between greenlets for it.)
"""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable

import gevent
from gevent import monkey
from gevent.hub import Hub

from .threads import start_native_thread

__all__ = ["BLOCKED_AFTER", "Watchdog", "watch"]

logger = logging.getLogger(__name__)

#: Seconds without a sign of life after which a hub counts as blocked.
BLOCKED_AFTER = 5.0
#: Lines of code to show, from the innermost outwards.
_DEPTH = 12


class _Heartbeat:
    """Ticks while its hub gets its turns."""

    def __init__(self, hub: Hub, interval: float) -> None:
        self.users = 1
        self.thread = hub.thread_ident
        self.blocked_since: float | None = None
        self.tick()
        self._timer = hub.loop.timer(interval, interval, ref=False)
        self._timer.start(self.tick)

    def tick(self) -> None:
        self.last_tick = time.monotonic()

    def stop(self) -> None:
        self._timer.stop()
        self._timer.close()


class Watchdog:
    """Watches hubs from a thread of its own, which runs while there are any to watch."""

    def __init__(self, blocked_after: float) -> None:
        """Watch nothing yet.

        Args:
            blocked_after: Seconds without a sign of life after which a hub counts as blocked.
        """
        self._blocked_after = blocked_after
        self._lock = monkey.get_original("_thread", "allocate_lock")()
        self._sleep = monkey.get_original("time", "sleep")
        self._heartbeats: dict[Hub, _Heartbeat] = {}
        self._is_running = False

    def watch(self) -> Callable[[], None]:
        """Watch the calling thread's hub; return the undoing, which is to be called there, too."""
        hub = gevent.get_hub()
        with self._lock:
            heartbeat = self._heartbeats.get(hub)
            if heartbeat is not None:
                heartbeat.users += 1
            else:
                self._heartbeats[hub] = _Heartbeat(hub, self._blocked_after / 5)
            starts, self._is_running = not self._is_running, True
        if starts:
            start_native_thread(self._run)
        return lambda: self._forget(hub)

    def _forget(self, hub: Hub) -> None:
        with self._lock:
            heartbeat = self._heartbeats[hub]
            heartbeat.users -= 1
            if not heartbeat.users:
                del self._heartbeats[hub]
                heartbeat.stop()

    def _run(self) -> None:
        while True:
            self._sleep(self._blocked_after / 5)
            with self._lock:
                if not self._heartbeats:
                    self._is_running = False
                    return
                heartbeats = list(self._heartbeats.values())
            for heartbeat in heartbeats:
                self._look_at(heartbeat)

    def _look_at(self, heartbeat: _Heartbeat) -> None:
        last = heartbeat.last_tick
        silence = time.monotonic() - last
        if heartbeat.blocked_since is None and silence >= self._blocked_after:
            heartbeat.blocked_since = last
            frame = sys._current_frames().get(heartbeat.thread)
            lines = traceback.format_stack(frame)[-_DEPTH:] if frame is not None else []
            logger.error(
                "the hub of thread %s is blocked for %.1f s now: its streams are not read, and "
                "Zoom ends them after about 30 s without an answer. Let this wait cooperatively, "
                "hand it to a thread, or give the client an executor:\n%s",
                heartbeat.thread,
                silence,
                "".join(lines),
            )
        elif heartbeat.blocked_since is not None and last > heartbeat.blocked_since:
            logger.warning(
                "the hub of thread %s goes on; it was blocked for %.1f s",
                heartbeat.thread,
                last - heartbeat.blocked_since,
            )
            heartbeat.blocked_since = None


_watchdog: tuple[int, Watchdog] | None = None


def watch() -> Callable[[], None]:
    """Let this process's watchdog watch the calling thread's hub; return the undoing."""
    global _watchdog
    if _watchdog is None or _watchdog[0] != os.getpid():  # threads do not survive a fork
        _watchdog = os.getpid(), Watchdog(BLOCKED_AFTER)
    return _watchdog[1].watch()

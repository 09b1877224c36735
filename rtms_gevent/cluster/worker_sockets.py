"""Wake-up hints between workers of one machine: a Unix datagram socket for each.

They are hints only: what they are about stands in the database, so one that is lost costs time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import gevent
from gevent import monkey
from gevent.event import Event
from gevent.socket import AF_UNIX, SOCK_DGRAM

__all__ = ["WorkerSocket"]

# Native ones: they are used from a native thread, too, and closed in forked children, where
# gevent's would touch a loop that is the parent's.
_socket = monkey.get_original("socket", "socket")
_READ = 1


class WorkerSocket:
    """Where a worker gets hints."""

    def __init__(self, path: str) -> None:
        """Make a socket, for a greenlet of this hub to wait for.

        Args:
            path: Where :meth:`bind` puts it.
        """
        self._path = path
        self._woken = Event()
        self._receiver = _socket(AF_UNIX, SOCK_DGRAM)
        self._sender = _socket(AF_UNIX, SOCK_DGRAM)
        for each in (self._receiver, self._sender):
            each.setblocking(False)
        # It keeps no hub running: who waits does, by the timeout.
        self._watcher = gevent.get_hub().loop.io(self._receiver.fileno(), _READ, ref=False)
        self._watcher.start(self._receive)

    def bind(self) -> None:
        """Let others find it. Blocks: not for the hub.

        Raises:
            OSError: that is not possible.
        """
        self._receiver.bind(self._path)

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._receiver.recv(1)
                self._woken.set()

    def wait(self, timeout: float) -> None:
        """Wait for a hint, cooperatively, for so many seconds at most. For one greenlet only."""
        self._woken.wait(timeout)
        self._woken.clear()

    def wake(self) -> None:
        """Let :meth:`wait` return. Never waits, never raises; safe from any thread."""
        self.hint([self._path])

    def hint(self, paths: Iterable[str]) -> None:
        """Wake whoever has these sockets. Never waits, never raises; safe from any thread."""
        for path in paths:
            # Who has died, or has so many hints that no more fit, needs none.
            with contextlib.suppress(OSError):
                self._sender.sendto(b"!", path)

    def close(self, is_here: bool = True) -> None:
        """Close it, and wake who waits; the file stays.

        Args:
            is_here: Whether this is the thread of its hub; it is not in a child that another thread
                has forked.
        """
        if is_here:
            self._watcher.stop()
            self._watcher.close()
            self._woken.set()
        self._receiver.close()
        self._sender.close()

"""A socket where systemd would hear of a service."""

from __future__ import annotations

import contextlib
import socket


class Notifications:
    """Hears what is told to systemd. A context manager."""

    def __init__(self, path):
        """Listen at ``path``; one that begins with @ is in the abstract namespace."""
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address.replace("@", "\0"))
        self._socket.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def read(self):
        """Return what was told next; None where nothing was."""
        with contextlib.suppress(BlockingIOError):
            return self._socket.recv(100)

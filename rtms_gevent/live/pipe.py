"""Whole messages over a Unix socket, between two workers of one machine."""

from __future__ import annotations

import struct
from typing import Any

from gevent import socket

__all__ = ["Pipe", "PipeClosed"]

#: Length in bytes, and whether it is text.
_HEADER = struct.Struct("!I?")


class PipeClosed(Exception):
    """Nobody is at the other end, or not any more."""


class Pipe:
    """One end. Greenlet-safety: one greenlet sends, and one receives."""

    def __init__(self, connection: Any) -> None:
        """Take over a gevent socket that is connected."""
        self._connection = connection
        self._file = connection.makefile("rb")

    @classmethod
    def connect(cls, path: str) -> Pipe:
        """Return a pipe to whoever listens at ``path``.

        Raises:
            PipeClosed: nobody does.
        """
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
        except OSError as problem:
            connection.close()
            raise PipeClosed(str(problem)) from problem
        return cls(connection)

    def send(self, message: str | bytes) -> None:
        """Send a message, and wait until the other end has room for it.

        Raises:
            PipeClosed: the other end is gone.
        """
        is_text = isinstance(message, str)
        data = message.encode() if isinstance(message, str) else message
        try:
            self._connection.sendall(_HEADER.pack(len(data), is_text) + data)
        except OSError as problem:
            raise PipeClosed(str(problem)) from problem

    def receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            PipeClosed: the other end is gone.
        """
        size, is_text = _HEADER.unpack(self._read(_HEADER.size))
        data = self._read(size)
        return data.decode() if is_text else data

    def _read(self, size: int) -> bytes:
        try:
            data: bytes = self._file.read(size)
        except OSError as problem:
            raise PipeClosed(str(problem)) from problem
        if len(data) < size:
            raise PipeClosed("the other end is gone")
        return data

    def close(self) -> None:
        """Let go of it; the other end notices."""
        self._file.close()
        self._connection.close()

"""Reading a request's body without trusting its length."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Readable", "read_at_most"]

_PIECE = 16 * 1024


class Readable(Protocol):
    """Something with a ``read`` that returns ``b""`` at its end."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, at least one before the end."""


def read_at_most(stream: Readable, limit: int) -> bytes | None:
    """Read a stream to its end; return ``None`` once there are more than ``limit`` bytes."""
    pieces: list[bytes] = []
    left = limit + 1
    while left > 0:
        piece = stream.read(min(left, _PIECE))
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        left -= len(piece)
    return None

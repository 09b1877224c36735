"""WebSocket frames, as a server writes them, with the messages that travel in them."""

from __future__ import annotations

import base64
import json
import random
import struct

from ..workload import STAMP_DIGITS, STAMP_ZERO

__all__ = ["StampedFrame", "frame", "keep_alive", "message"]

_MESSAGE_NUMBERS = {"audio": 14, "video": 15}
_KEEP_ALIVE = 12
_TEXT = 0x81


def frame(payload: bytes, first: int = _TEXT) -> bytes:
    """Return an unmasked, unfragmented frame."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", first, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def message(document: dict[str, object]) -> bytes:
    """Return a frame with ``document`` as JSON."""
    return frame(json.dumps(document, separators=(",", ":")).encode())


def keep_alive(sequence: int, timestamp: int) -> bytes:
    """Return a request to answer; the official SDK answers none without a sequence."""
    return message({"msg_type": _KEEP_ALIVE, "timestamp": timestamp, "sequence": sequence})


class StampedFrame:
    """A media packet whose timestamp can be set in place.

    The timestamp is the last field, and always has the same number of digits.
    """

    def __init__(self, media: str, payload: int) -> None:
        """Make a packet of ``payload`` random bytes."""
        content = {
            "user_id": 16778240,
            "user_name": "Ana Example",
            "data": base64.b64encode(random.Random(1).randbytes(payload)).decode(),
            "timestamp": STAMP_ZERO,
        }
        self.data = bytearray(message({"msg_type": _MESSAGE_NUMBERS[media], "content": content}))
        end = len(self.data) - len("}}")
        self._digits = slice(end - STAMP_DIGITS, end)

    def stamp(self, timestamp: int) -> bytearray:
        """Set the timestamp, and return the frame: always the same object."""
        self.data[self._digits] = b"%d" % timestamp
        return self.data

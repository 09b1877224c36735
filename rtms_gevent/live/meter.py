"""How loud a packet of audio is, and what a browser may make of a picture. Pure functions."""

from __future__ import annotations

import array
import math
import sys

__all__ = ["FLOOR_DB", "level", "picture_type"]

#: The quietest level that a meter shows, in dB below full scale.
FLOOR_DB = 60.0

#: Every how many samples one is looked at. Loudness is the same within a fraction of a dB.
_STRIDE = 4

_FULL_SCALE = 32768.0


def level(data: bytes) -> int:
    """Return how loud a packet of L16 is, from 0 (silent or below the floor) to 100 (full scale).

    The scale is in decibels, as on a mixing desk. Samples are little endian, as Zoom sends them.

    Args:
        data: 16 bit samples; an odd last byte is left out.
    """
    samples = array.array("h")
    samples.frombytes(data[: len(data) & ~1])
    if sys.byteorder == "big":
        samples.byteswap()
    looked_at = samples[::_STRIDE]
    if not looked_at:
        return 0
    root_mean_square = math.hypot(*looked_at) / math.sqrt(len(looked_at))
    if root_mean_square < 1.0:
        return 0
    decibels = 20.0 * math.log10(root_mean_square / _FULL_SCALE)
    return max(0, min(100, round(100.0 * (decibels + FLOOR_DB) / FLOOR_DB)))


def picture_type(data: bytes) -> str | None:
    """Return the MIME type of a picture by its first bytes, ``None`` where it is no such picture.

    Returns:
        ``image/jpeg``, ``image/png`` or ``video/h264`` (Annex B: begins with a start code).
    """
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith((b"\x00\x00\x00\x01", b"\x00\x00\x01")):
        return "video/h264"
    return None

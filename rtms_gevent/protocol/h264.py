"""Recognises H.264 key frames, with which decoding can begin after frames were dropped.

Source: ITU-T H.264, annex B (start codes) and table 7-1 (types of NAL units).
"""

from __future__ import annotations

__all__ = ["can_begin_with"]

_START = b"\x00\x00\x01"
#: Types of NAL units: slices of pictures that need others; a picture that needs none; parameters.
_SLICES = frozenset({1, 2, 3, 4})
_BEGINNINGS = frozenset({5, 7})


def can_begin_with(data: bytes) -> bool:
    """Return whether a decoder can begin with this packet: a key frame, or no H.264 at all.

    JPEG and PNG, which Zoom sends at low frame rates, need no other frame.
    """
    if not data.startswith((_START, b"\x00" + _START)):
        return True
    position = data.find(_START)
    while 0 <= position < len(data) - 3:
        kind = data[position + 3] & 0x1F
        if kind in _BEGINNINGS:
            return True
        if kind in _SLICES:
            return False
        position = data.find(_START, position + 3)
    return False

"""How loud is it, and what is it?"""

from __future__ import annotations

import array
import math
import sys

import pytest

from rtms_gevent.live import meter


def samples(amplitude: float, count: int = 320) -> bytes:
    wave = array.array("h", [round(32767 * amplitude * math.sin(n / 3)) for n in range(count)])
    if sys.byteorder == "big":
        wave.byteswap()
    return wave.tobytes()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"\x01", 0),
        (bytes(640), 0),
        (b"\x01\x00" * 320, 0),  # one step of 16 bits: far below the floor
        (b"\xff\x7f" * 320, 100),
        (b"\x00\x80" * 320, 100),
        (b"\xff\x7f" * 320 + b"\x00", 100),
        (b"\x00\x40" * 320, 90),  # half of full scale: -6 dB of 60
        (b"\x21\x00" * 320, 0),  # -60 dB
    ],
)
def test_level_is_in_decibels_of_full_scale(data: bytes, expected: int) -> None:
    assert meter.level(data) == expected


def test_louder_is_higher() -> None:
    levels = [meter.level(samples(amplitude)) for amplitude in (0.003, 0.03, 0.3, 1.0)]
    assert levels == sorted(set(levels))
    assert levels[-1] == 95  # a sine of full scale is 3 dB below a square of full scale


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\nrest", "image/png"),
        (b"\x00\x00\x00\x01\x67", "video/h264"),
        (b"\x00\x00\x01\x09", "video/h264"),
        (b"<svg onload=alert(1)>", None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_pictures_are_told_by_their_first_bytes(data: bytes, expected: str | None) -> None:
    assert meter.picture_type(data) == expected

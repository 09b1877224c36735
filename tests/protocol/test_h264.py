"""Which H.264 pictures are key frames."""

from __future__ import annotations

import pytest

from rtms_gevent.protocol.h264 import can_begin_with

START, LONG = b"\x00\x00\x01", b"\x00\x00\x00\x01"
AUD, SEI, SPS, PPS = b"\x09\xf0", b"\x06\x05\x01\x80", b"\x67\x42\x00\x1f", b"\x68\xce\x3c\x80"
IDR, SLICE = b"\x65\x88\x84", b"\x41\x9a\x24"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(START + IDR, True, id="key frame"),
        pytest.param(LONG + SPS + LONG + PPS + START + IDR, True, id="with its parameters"),
        pytest.param(LONG + AUD + LONG + SEI + LONG + SPS, True, id="with what may come first"),
        pytest.param(LONG + AUD + START + SEI + START + IDR, True, id="without parameters"),
        pytest.param(START + SLICE, False, id="slice"),
        pytest.param(LONG + AUD + START + SLICE, False, id="slice, delimited"),
        pytest.param(START + SLICE + START + IDR, False, id="slice first"),
        pytest.param(LONG + PPS, False, id="parameters of pictures only"),
        pytest.param(START, False, id="cut off"),
        pytest.param(b"\xff\xd8\xff\xe0", True, id="JPEG"),
        pytest.param(b"\x89PNG\r\n", True, id="PNG"),
        pytest.param(b"", True, id="nothing"),
        pytest.param(b"anything", True, id="anything else"),
    ],
)
def test_where_a_decoder_can_begin(data, expected):
    assert can_begin_with(data) is expected

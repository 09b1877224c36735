"""Base64 is taken where it is padded and has no other characters; with pybase64 and without."""

from __future__ import annotations

import base64
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_gevent.protocol.strict_base64 import b64decode, b64decode_with_binascii

#: RFC 4648, section 4.
GRAMMAR = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

ways = pytest.mark.parametrize("decode", [b64decode, b64decode_with_binascii])
kinds = pytest.mark.parametrize(
    "kind", [bytes, bytearray, memoryview, lambda encoded: encoded.decode("latin-1")]
)


def check(decode, encoded, kind):
    try:
        found = decode(kind(encoded), None, True)
    except ValueError:
        found = None
    assert found == (base64.b64decode(encoded) if GRAMMAR.fullmatch(encoded) else None)


@ways
@kinds
def test_all_that_is_short(decode, kind):
    for length in range(6):
        for letters in itertools.product(b"AQ/=-\n\xe4", repeat=length):
            check(decode, bytes(letters), kind)


@ways
@kinds
@given(st.binary(max_size=60), st.integers(0, 80), st.sampled_from(["", "=", "==", "?", "A", "\n"]))
def test_one_thing_in_the_wrong_place(decode, kind, data, place, what):
    encoded = base64.b64encode(data)
    check(decode, encoded[:place] + what.encode() + encoded[place:], kind)

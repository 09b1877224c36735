"""Decodes base64 strictly: 64 characters, and padded. With pybase64, else with binascii."""

from __future__ import annotations

import binascii
from collections.abc import Callable

__all__ = ["PYBASE64_IS_MISSING", "b64decode", "b64decode_with_binascii"]

#: Why it cannot be imported; empty where it can.
PYBASE64_IS_MISSING = ""


def b64decode_with_binascii(
    s: str | bytes | bytearray | memoryview, altchars: None = None, validate: bool = True
) -> bytes:
    """Return what is encoded in ``s``. The parameters are those of ``pybase64.b64decode``.

    Raises:
        ValueError: it is no base64.
    """
    data = binascii.a2b_base64(s)
    # That skips all other characters, so there were none if the rest makes up the length. (Its own
    # strict mode takes wrong padding before Python 3.13, and there is none in 3.10.)
    padding = s[-2:].count("=") if isinstance(s, str) else bytes(s[-2:]).count(b"=")
    if 4 * (len(data) + padding) != 3 * len(s):
        raise ValueError("no base64")
    return data


#: Is called as ``b64decode(s, None, True)``: keywords take a longer way.
b64decode: Callable[[str | bytes | bytearray | memoryview, None, bool], bytes]
try:
    import pybase64

    b64decode = pybase64.b64decode
except ImportError as problem:  # such as on PyPy
    b64decode = b64decode_with_binascii
    PYBASE64_IS_MISSING = str(problem)

"""A frame reader that checks text, too: RFC 6455 section 8.1.

Clients do without. RTMS text is JSON, whose decoder checks it anyway, and then skips that message
alone. Autobahn|Testsuite wants the check, and wants it at the first byte that is wrong.
"""

from __future__ import annotations

import codecs

from rtms_gevent.errors import FrameError
from rtms_gevent.transport.frames import NO_FAST_PATH, TEXT, FrameReader

_Decoder = codecs.getincrementaldecoder("utf-8")


class StrictTextReader(FrameReader):
    """Refuses text that is not UTF-8 at its first bad byte."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._fast_limit = NO_FAST_PATH
        self._decoder = _Decoder()  # keeps a character that is cut by the end of a fragment
        self._checked = 0  # bytes of the unfinished frame that it has seen

    def _check(self, first, length, begun):
        super()._check(first, length, begun)
        if (first & 0x0F or self._fragmented) != TEXT:
            return
        is_whole = len(begun) == length
        new = begun[self._checked :]
        self._checked = 0 if is_whole else len(begun)
        try:
            self._decoder.decode(new, final=is_whole and first >= 0x80)
        except UnicodeDecodeError:
            raise FrameError("text that is not UTF-8", 1007) from None

    def _join(self, first, view):
        message = super()._join(first, view)
        self._fast_limit = NO_FAST_PATH
        return message

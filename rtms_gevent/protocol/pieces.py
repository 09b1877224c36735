"""Gives pieces of a transcript ids, so that a revision names the piece that it revises.

Zoom numbers no pieces. ``attribute`` says that one is updated or deleted, and what it has in common
with the earlier one is who speaks and when the piece begins (``start_time``). Source:
https://developers.zoom.us/docs/rtms/event-reference/ ("Data type definitions"); that a revision
keeps its ``start_time`` is a conclusion, since nothing else of a message says it.
"""

from __future__ import annotations

import dataclasses

from ..enums import MessageAttribute
from .fields import string
from .metadata import Metadata
from .packets import MediaPacket

__all__ = ["Pieces"]

_REVISIONS = (MessageAttribute.UPDATE, MessageAttribute.DELETE)

#: Pieces to remember: what is revised was said within the last seconds.
_MAX_PIECES = 1000
#: Characters of a speaker's id to go by; real ones have 36 at most.
_ID_LENGTH = 64


class Pieces:
    """Gives each piece of one stream's transcript its id, and a revision that of what it revises.

    Pure. The ids come from what travels, so that one who joins again, or another process, gives the
    same.
    """

    __slots__ = ("_counts", "_limit")

    def __init__(self, limit: int = _MAX_PIECES) -> None:
        """Know of no piece yet; remember the latest ``limit``."""
        self._limit = limit
        self._counts: dict[str, int] = {}  # how many had this speaker and beginning; latest last

    def with_id(self, packet: MediaPacket) -> MediaPacket:
        """Return the packet with ``metadata.pieceId``."""
        metadata = packet.metadata
        base = f"{_speaker(metadata)}-{metadata.startTs or packet.timestamp}"
        count = self._counts.pop(base, 0)
        if not count or metadata.attribute not in _REVISIONS:
            count += 1
        self._counts[base] = count
        if len(self._counts) > self._limit:
            del self._counts[next(iter(self._counts))]
        # What is not said to be a revision must not take the place of what was said before.
        piece = base if count == 1 else f"{base}-{count}"
        return packet._replace(metadata=dataclasses.replace(metadata, pieceId=piece))


def _speaker(metadata: Metadata) -> str:
    # An id that is no number is in extra.
    named = metadata.channelId or string(metadata.extra.get("user_id"))
    return named[:_ID_LENGTH] or str(metadata.userId)

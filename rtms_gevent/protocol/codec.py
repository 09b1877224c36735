"""Between messages and what travels in WebSocket messages.

Zoom announced a second wire format (Protobuf, "V2"): it will be one more :class:`Codec`.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from ..enums import Product
from ..errors import RemoteProtocolError
from .fields import integer
from .messages import MESSAGES, META_DATA, Message, MetaData, UnknownMessage
from .packets import MediaPacket
from .strict_json import parse_object
from .usual import UsualMedia, usual_media

__all__ = ["Codec", "JsonCodec"]


class Codec(Protocol):
    """Encodes and decodes the messages of one stream."""

    def encode(self, message: Message | MediaPacket) -> str | bytes:
        """Return what to send: a ``str`` goes into a text message, ``bytes`` into a binary one."""

    #: Decodes usual media from a buffer, as :mod:`.usual` says, and gives ``None`` for all else.
    usual_media: UsualMedia | None

    def decode(self, payload: bytes | memoryview) -> Message | MediaPacket:
        """Return the message in a WebSocket message, be it text or binary.

        Raises:
            RemoteProtocolError: there is none in it. Nothing else is ever raised.
        """


class JsonCodec:
    """Protocol V1: one JSON object per WebSocket message, text or binary."""

    def __init__(self, product: Product, max_nesting: int = 32) -> None:
        """Make a codec.

        Args:
            product: Decides what event numbers mean.
            max_nesting: Depth of objects and arrays within each other to accept.
        """
        self.usual_media: UsualMedia | None = usual_media()
        self._product = product
        self._max_nesting = max_nesting

    def encode(self, message: Message | MediaPacket) -> str:
        """Return the message as JSON text."""
        return json.dumps(message.to_wire(), separators=(",", ":"))

    def decode(self, payload: bytes | memoryview) -> Message | MediaPacket:
        """Return the message in ``payload``.

        Raises:
            RemoteProtocolError: it is no JSON object, too deep, or lacks what its type needs.
        """
        document = self._parse(payload)
        number = integer(document, "msg_type")
        kind = MESSAGES.get(number) if number is not None else None
        if kind is not None:
            return kind.from_wire(document, self._product)
        if number in META_DATA:
            return MetaData(type_sent=number, raw=document)
        return UnknownMessage(type_sent=number, raw=document)

    def _parse(self, payload: bytes | memoryview) -> dict[str, Any]:
        try:
            text = str(payload, "utf-8")
        except UnicodeDecodeError:
            raise RemoteProtocolError("a message that is not UTF-8") from None
        return parse_object(text, self._max_nesting)

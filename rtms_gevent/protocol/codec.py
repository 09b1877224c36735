"""Encodes messages as JSON, and decodes JSON to messages: Zoom's protocol, version 1."""

from __future__ import annotations

import json
import re
from typing import Any

from ..enums import Product
from ..errors import RemoteProtocolError
from .fast_media import fast_media_decoder
from .fields import integer
from .messages import RECEIVED, Message, OutgoingMessage, UnknownMessage
from .packets import TEXTUAL, MediaPacket
from .strict_base64 import b64decode
from .strict_json import parse_object

__all__ = ["JsonCodec"]

#: What stands before the payload of a large message. Some sources have it as ``content`` itself.
_BEFORE_PAYLOAD = re.compile(rb'"(?:data|content)"\s*:\s*"')
_QUOTE = re.compile(rb'"')


class JsonCodec:
    """One stream's messages: one JSON object per WebSocket message, text or binary."""

    def __init__(
        self, product: Product, max_nesting: int = 32, max_document: int = 1024 * 1024
    ) -> None:
        """Make a codec.

        Args:
            product: Decides what event numbers mean.
            max_nesting: Depth of objects and arrays within each other to accept.
            max_document: Bytes of one message, not counting the payload of audio or a picture.
        """
        #: The fast path for audio and pictures.
        self.fast_media = fast_media_decoder()
        self._product = product
        self._max_nesting = max_nesting
        self._max_document = max_document

    def encode(self, message: OutgoingMessage) -> str:
        """Return the message as JSON text."""
        return json.dumps(message.to_wire(), separators=(",", ":"))

    def decode(self, payload: bytes | memoryview) -> Message | MediaPacket:
        """Return the message in ``payload``.

        Raises:
            RemoteProtocolError: it is no JSON object, too deep or too large, or lacks what its type
                needs.
        """
        if len(payload) > self._max_document:
            return self._decode_large(payload)
        document = self._parse(payload)
        number = integer(document, "msg_type")
        kind = RECEIVED.get(number) if number is not None else None
        if kind is None:
            return UnknownMessage(type_sent=number, raw=document)
        return kind.from_wire(document, self._product)

    def _decode_large(self, message: bytes | memoryview) -> MediaPacket:
        """Return the audio or picture in ``message``.

        Parsing JSON takes thirty times its size, and all of the hub's time meanwhile. So what is
        parsed is the message without its payload, which is decoded in place.
        """
        begin = end = len(message)
        before = _BEFORE_PAYLOAD.search(message, 0, self._max_document)
        quote = _QUOTE.search(message, before.end()) if before else None
        if before and quote:
            begin, end = before.end(), quote.start()
        packet = None
        if len(message) - (end - begin) <= self._max_document:
            packet = self.decode(bytes(message[:begin]) + bytes(message[end:]))
        if not isinstance(packet, MediaPacket) or packet.media_type in TEXTUAL or packet.data:
            raise RemoteProtocolError(
                f"a message of {len(message)} bytes; without the payload of audio or a picture "
                f"{self._max_document} are allowed"
            )
        # Some encoders of JSON escape slashes, which base64 has.
        encoded = bytes(message[begin:end]).replace(b"\\/", b"/")
        try:
            return packet._replace(data=b64decode(encoded, None, True))
        except ValueError:
            raise RemoteProtocolError("a large message whose data is not base64") from None

    def _parse(self, payload: bytes | memoryview) -> dict[str, Any]:
        try:
            text = str(payload, "utf-8")
        except UnicodeDecodeError:
            raise RemoteProtocolError("a message that is not UTF-8") from None
        return parse_object(text, self._max_nesting)

"""Media packets: audio, video, screen share, transcript and chat, with who and when.

Source: https://developers.zoom.us/docs/rtms/event-reference/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..enums import (
    MediaDataType,
    MessageAttribute,
    MessageType,
    Product,
    TranscriptLanguage,
    known,
)
from ..errors import RemoteProtocolError
from .chat import CHAT_FIELDS, read_chat
from .fields import Document, integer, milliseconds, string, text
from .metadata import ChatDetails, Metadata
from .strict_base64 import b64decode
from .strict_json import embedded_object

__all__ = ["MEDIA_TYPES", "TEXTUAL", "MediaPacket"]

#: Media type of each message number.
MEDIA_TYPES = {
    MessageType.MEDIA_DATA_AUDIO: MediaDataType.AUDIO,
    MessageType.MEDIA_DATA_VIDEO: MediaDataType.VIDEO,
    MessageType.MEDIA_DATA_SHARE: MediaDataType.DESKSHARE,
    MessageType.MEDIA_DATA_TRANSCRIPT: MediaDataType.TRANSCRIPT,
    MessageType.MEDIA_DATA_CHAT: MediaDataType.CHAT,
}
_MESSAGE_TYPES = {kind: number for number, kind in MEDIA_TYPES.items()}
TEXTUAL = frozenset({MediaDataType.TRANSCRIPT, MediaDataType.CHAT})

#: Fields of a packet's content that have a place in Metadata or MediaPacket.
_KNOWN_FIELDS = frozenset(
    {
        "msg_type",
        "user_id",
        "user_name",
        "data",
        "length",
        "timestamp",
        "start_time",
        "end_time",
        "language",
        "attribute",
        "channel_id",
    }
)
#: Those that must be numbers to have their place.
_NUMBERS = ("user_id", "language", "attribute")


class MediaPacket(NamedTuple):
    """Messages 14 to 18: one piece of audio, video, screen share, transcript or chat."""

    media_type: MediaDataType
    data: bytes  #: payload without base64; UTF-8 for transcript and chat
    timestamp: int  #: ms since the epoch
    metadata: Metadata

    @property
    def msg_type(self) -> int:
        """The number that travels as ``msg_type``."""
        return _MESSAGE_TYPES[self.media_type]

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> MediaPacket:
        """Read a document.

        Raises:
            RemoteProtocolError: data or timestamp is missing or cannot be one.
        """
        kind = MEDIA_TYPES[MessageType(integer(document, "msg_type") or 0)]
        content = _content(document)
        encoded, chat = content.get("data"), None
        if kind is MediaDataType.CHAT:
            content, encoded, chat = read_chat(content)
        metadata = _metadata(content, chat)
        # What is taken back needs no words; nor do emoji and files.
        needs_none = chat is not None or metadata.attribute == MessageAttribute.DELETE
        if encoded is None and kind in TEXTUAL and needs_none:
            encoded = ""
        data = _payload(kind, encoded)
        timestamp = milliseconds(content, "timestamp")
        if timestamp is None:
            raise RemoteProtocolError(f"{kind.name.lower()} message without a usable timestamp")
        return cls(kind, data, timestamp, metadata)


def _content(document: Document) -> Document:
    """Return the content object; some sources have it as a string, or its fields at the top."""
    content = document.get("content")
    if content is None:
        return document
    if isinstance(content, str):
        parsed = embedded_object(content)
        content = parsed if parsed is not None and "data" in parsed else {"data": content}
    if not isinstance(content, Mapping):
        raise RemoteProtocolError("a media message whose content is neither an object nor text")
    if len(document) <= 2:  # msg_type and content, as nearly always
        return content
    return {**{key: value for key, value in document.items() if key != "content"}, **content}


def _payload(kind: MediaDataType, encoded: object) -> bytes:
    if not isinstance(encoded, str):
        raise RemoteProtocolError(f"{kind.name.lower()} message without data")
    if kind in TEXTUAL:
        # JSON may hold half a surrogate pair, which UTF-8 cannot.
        return encoded.encode("utf-8", "replace")
    try:
        return b64decode(encoded, None, True)
    except ValueError:
        raise RemoteProtocolError(f"{kind.name.lower()} message whose data is not base64") from None


def _metadata(content: Document, chat: ChatDetails | None) -> Metadata:
    user_id, language, attribute = numbers = [integer(content, name) for name in _NUMBERS]
    extra = {
        key: value
        for key, value in content.items()
        if key not in _KNOWN_FIELDS and (chat is None or key not in CHAT_FIELDS)
    }
    for name, number in zip(_NUMBERS, numbers, strict=True):
        if number is None and content.get(name) is not None:
            extra[name] = content[name]
    return Metadata(
        userId=user_id or 0,
        userName=text(content, "user_name"),
        startTs=milliseconds(content, "start_time") or 0,
        endTs=milliseconds(content, "end_time") or 0,
        language=None if language is None else known(TranscriptLanguage, language),
        attribute=None if attribute is None else known(MessageAttribute, attribute),
        channelId=string(content.get("channel_id")),
        chat=chat,
        extra=extra,
    )

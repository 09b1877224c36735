"""Media packets: audio, video, screen share, transcript and chat, with who and when.

Source: https://developers.zoom.us/docs/rtms/event-reference/ and, for chat, Zoom's samples of July
2026.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..enums import (
    ChatOperation,
    ChatSessionType,
    MediaDataType,
    MessageAttribute,
    MessageType,
    Product,
    TranscriptLanguage,
    known,
)
from ..errors import RemoteProtocolError
from .fields import Document, integer, mapping, milliseconds, string, text
from .people import ChannelParticipant, Participant
from .strict_base64 import b64decode
from .strict_json import parse_object

__all__ = [
    "MEDIA_TYPES",
    "TEXTUAL",
    "AiInterpreter",
    "AiTargetLanguage",
    "ChatDetails",
    "MediaPacket",
    "Metadata",
]


@dataclasses.dataclass(frozen=True, slots=True)
class ChatDetails:
    """What a chat message carries beside its text."""

    session_type: ChatSessionType | int | None = None
    session_id: str = ""
    operation: ChatOperation | int | None = None
    message_id: str = ""
    parent_message_id: str = ""
    receiver: Participant | None = None
    files: tuple[Document, ...] = ()  #: with file_id, file_name, file_size
    deleted_files: tuple[str, ...] = ()  #: file ids
    #: The fields that all of this was read from, as they came.
    raw: Document = dataclasses.field(default_factory=dict, compare=False, repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class AiTargetLanguage:
    """A language that the AI interpreter translates into; see :class:`AiInterpreter`."""

    lid: int = 0
    toneId: int = 0
    voiceId: str = ""
    engine: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class AiInterpreter:
    """What the official SDK tells of an AI interpreter's audio: always empty, there as here.

    Zoom has published no names of these fields on the wire, so nothing can fill them. What a packet
    carries beside the fields that are known lies in :attr:`Metadata.extra`.
    """

    lid: int = 0
    timestamp: int = 0
    channelNum: int = 0
    sampleRate: int = 0
    targets: tuple[AiTargetLanguage, ...] = ()


_NO_INTERPRETER = AiInterpreter()


@dataclasses.dataclass(frozen=True, slots=True)
class Metadata:
    """Who and when, of one packet. The first names are those of the official SDK.

    Packets of the same participant may share one.
    """

    userId: int = 0  #: 0 for mixed audio
    userName: str = ""
    startTs: int = 0  #: ms since the epoch, of a transcript's utterance; 0 elsewhere
    endTs: int = 0
    #: Transcripts only.
    language: TranscriptLanguage | int | None = None
    #: Whether a transcript or chat message is new or revises an earlier one, where Zoom says so.
    attribute: MessageAttribute | int | None = None
    channelId: str = ""  #: Contact Center and phone
    channel: ChannelParticipant | None = None  #: who is on that channel, as far as Zoom told
    #: Whether ``userName`` is that of the active speaker: the audio is mixed and has none itself.
    isActiveSpeaker: bool = False
    chat: ChatDetails | None = None  #: chat only
    aiInterpreter: AiInterpreter = _NO_INTERPRETER
    #: Fields of the packet that have no place above, as they came.
    extra: Document = dataclasses.field(default_factory=dict)
    #: Transcripts only: which piece this is, unique within the stream. A revision has that of the
    #: piece that it replaces (``attribute`` UPDATE) or takes back (DELETE). Chat has
    #: ``chat.message_id``.
    pieceId: str = ""


_MEDIA_MESSAGES = {
    MediaDataType.AUDIO: MessageType.MEDIA_DATA_AUDIO,
    MediaDataType.VIDEO: MessageType.MEDIA_DATA_VIDEO,
    MediaDataType.DESKSHARE: MessageType.MEDIA_DATA_SHARE,
    MediaDataType.TRANSCRIPT: MessageType.MEDIA_DATA_TRANSCRIPT,
    MediaDataType.CHAT: MessageType.MEDIA_DATA_CHAT,
}
#: Media type of each message number.
MEDIA_TYPES = {number: kind for kind, number in _MEDIA_MESSAGES.items()}
TEXTUAL = frozenset({MediaDataType.TRANSCRIPT, MediaDataType.CHAT})

#: Depth to accept of JSON that lies in a string within a message.
_MAX_NESTING = 32

#: Fields of a packet's content that have a place in Metadata or MediaPacket.
_PLACED = frozenset(
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
_CHAT_PLACED = frozenset(
    {
        "chat_session",
        "operation_type",
        "message_id",
        "parent_message_id",
        "sender",
        "receiver",
        "files",
        "delete_file_id_list",
    }
)


class MediaPacket(NamedTuple):
    """Messages 14 to 18: one piece of audio, video, screen share, transcript or chat."""

    media_type: MediaDataType
    data: bytes  #: payload without base64; UTF-8 for transcript and chat
    timestamp: int  #: ms since the epoch
    metadata: Metadata

    @property
    def msg_type(self) -> int:
        """The number that travels as ``msg_type``."""
        return _MEDIA_MESSAGES[self.media_type]

    def to_wire(self) -> dict[str, Any]:
        """Return the document to send."""
        metadata = self.metadata
        textual = self.media_type in TEXTUAL
        content: dict[str, Any] = {
            **metadata.extra,
            "timestamp": self.timestamp,
            "data": self.data.decode() if textual else base64.b64encode(self.data).decode(),
        }
        if not textual:
            content["length"] = len(self.data)
        if metadata.channelId:
            content["channel_id"] = metadata.channelId
        # An id that is no number lies in extra.
        if "user_id" not in content and (metadata.userId or not metadata.channelId):
            content["user_id"] = metadata.userId
        if metadata.userName or not metadata.channelId:
            content["user_name"] = metadata.userName
        for name, value in (
            ("start_time", metadata.startTs or None),
            ("end_time", metadata.endTs or None),
            ("language", metadata.language),
            ("attribute", metadata.attribute),
        ):
            if value is not None:
                content[name] = int(value)
        if metadata.chat is not None:
            content.update(_chat_to_wire(metadata.chat))
        return {"msg_type": int(self.msg_type), "content": content}

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> MediaPacket:
        """Read a document.

        Raises:
            RemoteProtocolError: data or timestamp is missing or cannot be one.
        """
        kind = MEDIA_TYPES[MessageType(integer(document, "msg_type") or 0)]
        textual = kind in TEXTUAL
        content = _content(document)
        encoded = content.get("data")
        chat = None
        if kind is MediaDataType.CHAT:
            content, encoded, chat = _chat(content)
            if chat is not None and encoded is None:
                encoded = ""  # deletions, emoji and files may come without text
        user_id, language, attribute = (integer(content, name) for name in _NUMBERS)
        if encoded is None and attribute == MessageAttribute.DELETE and textual:
            encoded = ""  # what is taken back needs no words
        if not isinstance(encoded, str):
            raise RemoteProtocolError(f"{kind.name.lower()} message without data")
        timestamp = milliseconds(content, "timestamp")
        if timestamp is None:
            raise RemoteProtocolError(f"{kind.name.lower()} message without a usable timestamp")
        if textual:
            # JSON may hold half a surrogate pair, which UTF-8 cannot.
            data = encoded.encode("utf-8", "replace")
        else:
            try:
                data = b64decode(encoded, None, True)
            except ValueError:
                raise RemoteProtocolError(
                    f"{kind.name.lower()} message whose data is not base64"
                ) from None
        extra = {
            key: value
            for key, value in content.items()
            if key not in _PLACED and (chat is None or key not in _CHAT_PLACED)
        }
        for name, number in zip(_NUMBERS, (user_id, language, attribute), strict=True):
            if number is None and content.get(name) is not None:
                extra[name] = content[name]
        return cls(
            kind,
            data,
            timestamp,
            Metadata(
                userId=user_id or 0,
                userName=text(content, "user_name"),
                startTs=milliseconds(content, "start_time") or 0,
                endTs=milliseconds(content, "end_time") or 0,
                language=None if language is None else known(TranscriptLanguage, language),
                attribute=None if attribute is None else known(MessageAttribute, attribute),
                channelId=string(content.get("channel_id")),
                chat=chat,
                extra=extra,
            ),
        )


def _content(document: Document) -> Document:
    """Return the content object; some sources have it as a string, or its fields at the top."""
    content = document.get("content")
    if content is None:
        return document
    if isinstance(content, str):
        parsed = _json_object(content)
        content = parsed if parsed is not None and "data" in parsed else {"data": content}
    if not isinstance(content, Mapping):
        raise RemoteProtocolError("a media message whose content is neither an object nor text")
    if len(document) <= 2:  # msg_type and content, as nearly always
        return content
    return {**{key: value for key, value in document.items() if key != "content"}, **content}


def _json_object(string: str) -> dict[str, Any] | None:
    if not string.lstrip().startswith("{"):
        return None
    try:
        return parse_object(string, _MAX_NESTING)
    except RemoteProtocolError:
        return None


def _chat(content: Document) -> tuple[Document, Any, ChatDetails | None]:
    """Return content, text and details of a chat message.

    The fields may lie in ``content`` or, as JSON, in its ``data``; then the text lies in there too.
    Where the content has them, ``data`` is what somebody typed, be it JSON or not; and what lies in
    ``data`` never replaces what Zoom says beside it: people could write in the name of others.
    """
    encoded = content.get("data")
    nested = None
    if isinstance(encoded, str) and _CHAT_PLACED.isdisjoint(content):
        nested = _json_object(encoded)
    if nested is not None and not _CHAT_PLACED.isdisjoint(nested):
        content = {**nested, **content}
        encoded = next(
            (
                nested[key]
                for key in ("data", "text", "message")
                if isinstance(nested.get(key), str)
            ),
            "",
        )
    if _CHAT_PLACED.isdisjoint(content):
        return content, encoded, None
    sender, receiver = mapping(content, "sender"), mapping(content, "receiver")
    session = mapping(content, "chat_session")
    kind, operation = integer(session, "type"), integer(content, "operation_type")
    files, deleted = content.get("files"), content.get("delete_file_id_list")
    details = ChatDetails(
        session_type=None if kind is None else known(ChatSessionType, kind),
        session_id=string(session.get("id")),
        operation=None if operation is None else known(ChatOperation, operation),
        message_id=string(content.get("message_id")),
        parent_message_id=string(content.get("parent_message_id")),
        receiver=_person(receiver) if receiver else None,
        files=tuple(item for item in files if isinstance(item, Mapping))
        if isinstance(files, Sequence)
        else (),
        deleted_files=tuple(string(item) for item in deleted) if isinstance(deleted, list) else (),
        raw={key: value for key, value in content.items() if key in _CHAT_PLACED},
    )
    if sender:
        content = {**sender, **content}
    return content, encoded, details


def _person(fields: Document) -> Participant:
    return Participant(integer(fields, "user_id") or 0, text(fields, "user_name"))


def _chat_to_wire(chat: ChatDetails) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if chat.session_type is not None:
        content["chat_session"] = {"type": int(chat.session_type), "id": chat.session_id}
    if chat.operation is not None:
        content["operation_type"] = int(chat.operation)
    if chat.message_id:
        content["message_id"] = chat.message_id
    if chat.parent_message_id:
        content["parent_message_id"] = chat.parent_message_id
    if chat.receiver is not None:
        content["receiver"] = {"user_id": chat.receiver.id, "user_name": chat.receiver.name}
    if chat.files:
        content["files"] = [dict(item) for item in chat.files]
    if chat.deleted_files:
        content["delete_file_id_list"] = list(chat.deleted_files)
    return content

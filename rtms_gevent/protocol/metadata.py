"""Who and when, of one packet: the values that users get beside its data.

The first names of each are those of the official SDK.
"""

from __future__ import annotations

import dataclasses

from ..enums import ChatOperation, ChatSessionType, MessageAttribute, TranscriptLanguage
from .fields import Document
from .people import ChannelParticipant, Participant

__all__ = ["AiInterpreter", "AiTargetLanguage", "ChatDetails", "Metadata"]


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
    """What the official SDK has for an AI interpreter's audio: always empty, there as here.

    Zoom has published no names of these fields on the wire, so nothing can fill them. What a packet
    carries beside the fields that are known is in :attr:`Metadata.extra`.
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
    channel: ChannelParticipant | None = None  #: who is on that channel, if known
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

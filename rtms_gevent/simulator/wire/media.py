"""A client's media socket: its handshake, and the media that it has asked for."""

from __future__ import annotations

import collections
import functools
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from ...enums import DataOption, MediaDataType, MessageType, StatusCode
from .connection import Connection, MeetingSide, ServerSide
from .negotiation import MEDIA_KEYS, Refusal, negotiate
from .websocket import ServerWebSocket

__all__ = ["MediaConnection", "MediaSide"]

logger = logging.getLogger(__name__)

_NOT_OFFERED = {
    MediaDataType.AUDIO: StatusCode.MEDIA_TYPE_AUDIO_NOT_SUPPORT,
    MediaDataType.VIDEO: StatusCode.MEDIA_TYPE_VIDEO_NOT_SUPPORT,
    MediaDataType.DESKSHARE: StatusCode.MEDIA_TYPE_DESKSHARE_NOT_SUPPORT,
    MediaDataType.TRANSCRIPT: StatusCode.MEDIA_TYPE_TRANSCRIPT_NOT_SUPPORT,
    MediaDataType.CHAT: StatusCode.MEDIA_TYPE_CHAT_NOT_SUPPORT,
}


class MediaSide(MeetingSide, Protocol):
    """What a media connection asks of its meeting."""

    #: media types that the app's scopes allow
    offered: frozenset[MediaDataType]
    #: what was taken only because the simulator is lenient, and how often
    tolerated: collections.Counter[str]

    @property
    def media(self) -> Sequence[MediaConnection]:
        """The media sockets of the client that is there."""

    def has_signaling_for(self, address: str) -> bool:
        """Whether a client is there, and this is an address of its meeting."""

    def attach_media(self, connection: MediaConnection) -> None:
        """A client has opened a media socket."""

    def detach_media(self, connection: MediaConnection) -> None:
        """A media socket is gone."""


class MediaConnection(Connection[MediaSide]):
    """A media socket: of one type, or unified."""

    request = MessageType.DATA_HAND_SHAKE_REQ
    response = MessageType.DATA_HAND_SHAKE_RESP

    def __init__(
        self, role: str, address: str, socket: ServerWebSocket, server: ServerSide[MediaSide]
    ) -> None:
        super().__init__(role, address, socket, server)
        self.is_ready = False  #: the client's client-ready came after this handshake
        self.is_unified = False  #: it carries more than one media type, or was asked for all
        self.has_carried = False  #: some media was sent on it
        self.media_types: frozenset[MediaDataType] = frozenset()
        self.params: dict[str, dict[str, Any]] = {}

    @property
    def has_individual_video(self) -> bool:
        """Whether video per participant was negotiated on it."""
        data_opt = self.params.get("video", {}).get("data_opt")
        return bool(data_opt == DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM)

    def drain(self) -> None:
        """Wait until the client has read the media that was sent to it, or is gone.

        The end of a stream is sent on another socket than its media travels on, and clients close
        everything when they get it. A keep-alive is answered after all that came before it.
        """
        if self.has_carried and not self.ended.is_set():
            self._all_answered.clear()
            if self._ask():
                self._all_answered.wait()

    def _accept(self, meeting: MediaSide, message: dict[str, Any]) -> dict[str, Any]:
        if not meeting.has_signaling_for(self.address):
            raise Refusal(
                StatusCode.INVALID_RTMS_STREAM_ID, "the stream has no signaling socket here"
            )
        media_types = self._media_types(meeting, message.get("media_type"))
        self._refuse_duplicates(meeting, media_types)
        tolerates = functools.partial(self._tolerates, meeting)
        self.params = negotiate(media_types, message.get("media_params"), tolerates)
        self.media_types = media_types
        self.is_unified = len(media_types) > 1 or message.get("media_type") == MediaDataType.ALL
        meeting.attach_media(self)
        return {"payload_encrypted": False, "media_params": self.params}

    def _media_types(self, meeting: MediaSide, wanted: object) -> frozenset[MediaDataType]:
        if not isinstance(wanted, int) or isinstance(wanted, bool):
            raise Refusal(StatusCode.INVALID_MEDIA_TYPE, "media_type must be a number")
        if wanted == MediaDataType.ALL and (
            self.role == "all"
            or self._tolerates(meeting, f"media_type 32 (all) at the address of {self.role}")
        ):
            return meeting.offered
        asked = frozenset(kind for kind in MEDIA_KEYS if kind & wanted)
        if sum(asked) != wanted or not asked:
            raise Refusal(StatusCode.MEDIA_TYPE_INVALID_VALUE, f"no media_type is {wanted}")
        if self.role != "all" and {MEDIA_KEYS[kind] for kind in asked} != {self.role}:
            raise Refusal(
                StatusCode.MEDIA_TYPE_INVALID_VALUE, f"this address serves {self.role} only"
            )
        for kind in sorted(asked - meeting.offered):
            raise Refusal(_NOT_OFFERED[kind], f"the meeting offers no {MEDIA_KEYS[kind]}")
        return asked

    def _tolerates(self, meeting: MediaSide, what: str) -> bool:
        """Take what breaks Zoom's rules where the simulator is lenient, and say what it was."""
        if self._options.lenient:
            meeting.tolerated[what] += 1
            logger.warning("taken because the simulator is lenient: %s", what)
        return self._options.lenient

    def _refuse_duplicates(self, meeting: MediaSide, media_types: frozenset[MediaDataType]) -> None:
        if any(other.is_unified for other in meeting.media):
            raise Refusal(
                StatusCode.MEDIA_DATA_ALL_CONNECTION_EXIST, "a unified media socket is open"
            )
        if any(other.media_types & media_types for other in meeting.media):
            raise Refusal(
                StatusCode.DUPLICATE_MEDIA_DATA_CONNECTION, "a media socket for this is open"
            )

    def _leave(self, meeting: MediaSide) -> None:
        meeting.detach_media(self)

    def _answer(self, message: dict[str, Any]) -> None:
        match message.get("msg_type"):
            case MessageType.KEEP_ALIVE_RESP:
                self._take_keep_alive(message)
            case MessageType.CLIENT_READY_ACK:
                pass  # belongs on the signaling socket; Zoom's samples are not consistent
            case _:
                self._complain(message, StatusCode.INVALID_MESSAGE_TYPE, "not expected here")

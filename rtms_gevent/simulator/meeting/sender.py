"""Sends media to a client, for tests and scenarios: audio, video, share, transcript, chat."""

from __future__ import annotations

import base64
import uuid
from typing import Any

from gevent.pool import Group

from ...enums import DataOption, MediaDataType, Product
from ..clock import milliseconds
from ..options import Options
from ..scenario.model import Scenario
from ..wire.negotiation import MEDIA_KEYS
from .announcer import StateAnnouncer
from .media_queue import MediaQueue
from .sent_log import SentLog
from .sockets import OpenSockets

__all__ = ["MediaSender"]


class MediaSender:
    """Makes messages of media, and gives each to the queue of its media type.

    The part of a :class:`.Meeting` that sends; its methods are the meeting's.
    """

    def __init__(
        self,
        scenario: Scenario,
        options: Options,
        sockets: OpenSockets,
        announcer: StateAnnouncer,
        greenlets: Group,
    ) -> None:
        self.scenario = scenario
        self.sockets = sockets
        self.queues = {
            kind: MediaQueue(
                kind, sockets, announcer, greenlets, stamp=options.stamp, record=options.record
            )
            for kind in MEDIA_KEYS
        }
        self.buffer_audio(scenario.buffer_audio / options.speed)

    @property
    def sent(self) -> dict[MediaDataType, SentLog]:
        """What was sent, per media type."""
        return {kind: queue.sent for kind, queue in self.queues.items()}

    def buffer_audio(self, seconds: float) -> None:
        """Keep audio while there is no socket for it, and send it when there is, as Zoom does.

        Args:
            seconds: of audio at most; 0 keeps none. What was kept before any client was ready is
                not sent to one whose first message says ``"buffer_data": false``.
        """
        self.queues[MediaDataType.AUDIO].buffer_seconds = seconds

    def send_audio(
        self,
        data: bytes,
        user_id: int | None = None,
        user_name: str | None = None,
        *,
        timestamp: int | None = None,
        channel_id: str | None = None,
    ) -> bool:
        """Send one packet of audio as it is, in whatever codec.

        Args:
            data: the packet; base64 is added here.
            user_id: who speaks; 0 where voices are mixed; the scenario's first participant if
                not given.
            user_name: looked up in the scenario if not given.
            timestamp: ms since the epoch; now if not given.
            channel_id: for Contact Center and phone, instead of ``user_id``.

        Returns:
            Whether a client that is ready has a socket for it.
        """
        speaker = self._speaker(user_id, user_name, channel_id)
        return self._send_bytes(MediaDataType.AUDIO, speaker, data, timestamp)

    def send_video(
        self,
        data: bytes,
        user_id: int | None = None,
        user_name: str | None = None,
        *,
        timestamp: int | None = None,
    ) -> bool:
        """Send one video frame; where video is per participant, only if that one is subscribed."""
        speaker = self._speaker(user_id, user_name)
        is_asked_for = self.queues[MediaDataType.VIDEO].params is not None
        if is_asked_for and not self.wants_video_of(speaker.get("user_id", 0)):
            return False
        return self._send_bytes(MediaDataType.VIDEO, speaker, data, timestamp)

    def send_deskshare(
        self,
        data: bytes,
        user_id: int | None = None,
        user_name: str | None = None,
        *,
        timestamp: int | None = None,
    ) -> bool:
        """Send one frame of the shared screen."""
        speaker = self._speaker(user_id, user_name)
        return self._send_bytes(MediaDataType.DESKSHARE, speaker, data, timestamp)

    def send_transcript(
        self,
        text: str,
        user_id: int | None = None,
        user_name: str | None = None,
        *,
        start_time: int | None = None,
        end_time: int | None = None,
        timestamp: int | None = None,
        language: int = 9,
        attribute: int | None = None,
    ) -> bool:
        """Send one piece of transcript; times are ms since the epoch, now if not given."""
        now = milliseconds()
        start_time = now if start_time is None else start_time
        content = {
            **self._speaker(user_id, user_name),
            "data": text,
            "start_time": start_time,
            "end_time": now if end_time is None else end_time,
            "timestamp": start_time if timestamp is None else timestamp,
            "language": language,
        }
        if attribute is not None:
            content["attribute"] = attribute
        return self.queues[MediaDataType.TRANSCRIPT].send(content, text.encode())

    def send_chat(
        self,
        text: str,
        user_id: int | None = None,
        user_name: str | None = None,
        *,
        timestamp: int | None = None,
        **fields: Any,
    ) -> bool:
        """Send one chat message to everyone; ``fields`` are added to the content as they are."""
        content: dict[str, Any] = {
            "timestamp": milliseconds() if timestamp is None else timestamp,
            "data": text,
            "message_id": str(uuid.uuid4()),
            "operation_type": 1,
            "chat_session": {"type": 1},
            "sender": self._speaker(user_id, user_name),
            **fields,
        }
        return self.queues[MediaDataType.CHAT].send(content, text.encode())

    def wants_video_of(self, user_id: int) -> bool:
        """Whether video is asked for of whoever speaks, or of ``user_id``."""
        params = self.queues[MediaDataType.VIDEO].params
        if params is None:
            return False
        if params["data_opt"] != DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM:
            return True
        signaling = self.sockets.signaling
        return signaling is not None and signaling.video_user_id == user_id

    def _speaker(
        self, user_id: int | None, user_name: str | None, channel_id: str | None = None
    ) -> dict[str, Any]:
        if user_id is None:
            user_id = self.scenario.first_person.user_id
        person = self.scenario.person_of(user_id)
        if self.scenario.product in (Product.CONTACT_CENTER, Product.PHONE):
            if channel_id is None:
                channel_id = person.channel_id if person is not None else str(user_id)
            return {"channel_id": channel_id}
        if user_name is None:
            user_name = person.name if person is not None else ""
        return {"user_id": user_id, "user_name": user_name}

    def _send_bytes(
        self, kind: MediaDataType, speaker: dict[str, Any], data: bytes, timestamp: int | None
    ) -> bool:
        content = {
            **speaker,
            "data": base64.b64encode(data).decode(),
            "length": len(data),
            "timestamp": milliseconds() if timestamp is None else timestamp,
        }
        return self.queues[kind].send(content, data)

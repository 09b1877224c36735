"""What a client subscribes to: media and their parameters, events, and whose video."""

from __future__ import annotations

from ..enums import DataOption, EventType, MediaDataType
from .params import (
    AudioParams,
    ChatParams,
    DeskshareParams,
    MediaParams,
    TranscriptParams,
    VideoParams,
)

__all__ = ["AUTOMATIC_EVENTS", "PARAMS", "Subscription"]

#: Zoom sends these unasked, and says not to subscribe to them.
AUTOMATIC_EVENTS = frozenset(
    {EventType.FIRST_PACKET_TIMESTAMP, EventType.MEDIA_CONNECTION_INTERRUPTED}
)

#: Media types in the order in which their sockets are opened, with their parameters.
PARAMS: dict[MediaDataType, type[MediaParams]] = {
    MediaDataType.AUDIO: AudioParams,
    MediaDataType.VIDEO: VideoParams,
    MediaDataType.DESKSHARE: DeskshareParams,
    MediaDataType.TRANSCRIPT: TranscriptParams,
    MediaDataType.CHAT: ChatParams,
}

#: Sent with the SDK's defaults where the user chose nothing; Zoom's own defaults differ. For the
#: others Zoom's defaults are what the official SDK relies on, too.
_ALWAYS_SENT = (MediaDataType.AUDIO, MediaDataType.VIDEO, MediaDataType.DESKSHARE)


class Subscription:
    """Collected by a client before and after it joins, fulfilled by its session."""

    def __init__(self) -> None:
        self.params: dict[MediaDataType, MediaParams] = {}
        self.events: set[int] = set()
        self.video_user_id: int | None = None  #: user_id whose video was chosen last
        self._media: dict[MediaDataType, bool] = {}

    def enable(self, kind: MediaDataType, wanted: bool) -> None:
        """Ask for a media type, or no more for it."""
        self._media[kind] = wanted

    @property
    def media(self) -> tuple[MediaDataType, ...]:
        """The wanted media types, in the order of :data:`PARAMS`."""
        return tuple(kind for kind in PARAMS if self._media.get(kind))

    @property
    def events_to_subscribe(self) -> tuple[int, ...]:
        """The events that have to be subscribed to: what is wanted, and what we need ourselves."""
        needed = {EventType.ACTIVE_SPEAKER_CHANGE} if self._wants_mixed_audio else set()
        return tuple(sorted((self.events | needed) - AUTOMATIC_EVENTS))

    @property
    def _wants_mixed_audio(self) -> bool:
        """Whether packets of audio will not say who speaks."""
        params = self.params.get(MediaDataType.AUDIO)
        return (
            bool(self._media.get(MediaDataType.AUDIO))
            and isinstance(params, AudioParams)
            and params.data_opt == DataOption.AUDIO_MIXED_STREAM
        )

    def params_for(self, kind: MediaDataType) -> MediaParams | None:
        """Return what to ask of the server for ``kind``; ``None`` leaves it to the server."""
        chosen = self.params.get(kind)
        return PARAMS[kind]() if chosen is None and kind in _ALWAYS_SENT else chosen

    def check(self) -> None:
        """Check the parameters of all wanted media.

        Raises:
            ConfigurationError: Zoom refuses a combination.
        """
        for kind in self.media:
            params = self.params_for(kind)
            if params is not None:
                params.check()

"""Writes down what the signals report of each stream, for the live page.

The receivers run in the streams' own greenlets, so they never wait. While nobody looks, no audio is
measured.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .. import signals
from ..enums import (
    ChatOperation,
    Codec,
    MessageAttribute,
    Product,
    SessionState,
    StopReason,
    StreamState,
)
from ..errors import InboxOverflow, RtmsError
from ..stream.leave_reason import LeaveReason
from . import meter
from .feed import Feed
from .streams import LiveStream

__all__ = ["Recorder"]

#: Characters of an id; of a longer one a digest is kept.
MAX_ID = 200
#: The latest moment that the clock of a browser knows, ms since the epoch (ECMA-262, "Time Range").
MAX_MOMENT = 8_640_000_000_000_000

_STREAM_STATES: Mapping[int, str] = {
    StreamState.ACTIVE: "live",
    StreamState.RESUMED: "live",
    StreamState.INTERRUPTED: "interrupted",
    StreamState.PAUSED: "paused",
    StreamState.TERMINATING: "ending",
    StreamState.TERMINATED: "ending",
}
_SESSION_STATES: Mapping[int, str] = {
    SessionState.STARTED: "live",
    SessionState.RESUMED: "live",
    SessionState.PAUSED: "paused",
    SessionState.STOPPED: "ending",
}
_PRODUCTS: Mapping[Product, str] = {
    Product.MEETING: "meeting",
    Product.WEBINAR: "webinar",
    Product.VIDEO_SDK: "session",
    Product.CONTACT_CENTER: "engagement",
    Product.PHONE: "call",
}
_CHAT_ATTRIBUTES: Mapping[int, MessageAttribute] = {
    ChatOperation.NEW: MessageAttribute.NEW,
    ChatOperation.UPDATE: MessageAttribute.UPDATE,
    ChatOperation.DELETE: MessageAttribute.DELETE,
}


class Recorder:
    """Receives the signals of all streams of this process, and notes them down in a feed.

    Thread-safety: as :class:`~rtms_gevent.live.feed.Feed`.

    Args:
        feed: Where to note things down.
        shows: Called with a client, returns whether its stream is shown; asked once per stream.
            By default all are.
    """

    def __init__(self, feed: Feed, shows: Callable[[Any], bool] | None = None) -> None:
        self._feed = feed
        self._lock = feed.lock
        self._shows = shows
        self._hidden: set[str] = set()

    def connect(self) -> None:
        """Listen to the signals, until :meth:`disconnect` or until nobody refers to this."""
        for signal, receiver in self._receivers():
            signal.connect(receiver, weak=True)

    def disconnect(self) -> None:
        """Listen no more."""
        for signal, receiver in self._receivers():
            signal.disconnect(receiver)

    def _stream(self, client: Any, stream_id: str = "") -> LiveStream | None:
        """Return the stream of ``client``, or ``None`` where it is not shown. Takes the lock."""
        stream_id = stream_id or client.stream_id()
        stream = self._feed.find(stream_id)
        if stream is not None or not stream_id or stream_id in self._hidden:
            return stream
        # The app is asked without the lock: it may do what it likes.
        if self._shows is not None and not self._shows(client):
            self._hidden.add(stream_id)
            return None
        return self._feed.add(stream_id, client.uuid())

    # -- receivers: life of a stream ---------------------------------------------------------------

    def _receivers(self) -> Iterable[tuple[Any, Callable[..., None]]]:
        return (
            (signals.joining, self._joining),
            (signals.joined, self._joined),
            (signals.left, self._left),
            (signals.error, self._error),
            (signals.stream_state, self._stream_state),
            (signals.session_state, self._session_state),
            (signals.media_connection_interrupted, self._interrupted),
            (signals.audio_data, self._audio),
            (signals.video_data, self._video),
            (signals.deskshare_data, self._deskshare),
            (signals.transcript_data, self._transcript),
            (signals.chat_data, self._chat),
            (signals.participant_event, self._participants),
            (signals.active_speaker_event, self._active_speaker),
            (signals.sharing_event, self._sharing),
            (signals.participant_video, self._participant_video),
        )

    def _joining(
        self, client: Any, *, stream_id: str, uuid: str, product: Any = None, **extra: Any
    ) -> None:
        stream = self._stream(client, stream_id)
        if stream is not None:
            with self._lock:
                stream.describe(uuid=uuid, product=_PRODUCTS.get(product))
                stream.resume()

    def _joined(self, client: Any, *, stream_id: str, **extra: Any) -> None:
        stream = self._stream(client, stream_id)
        if stream is not None:
            with self._lock:
                stream.set_state("live")

    def _left(
        self, client: Any, *, stream_id: str, reason: LeaveReason | None, **extra: Any
    ) -> None:
        with self._lock:
            self._hidden.discard(stream_id)
            stream = self._feed.find(stream_id)
            if reason is not None and reason.is_handover:
                self._feed.remove(stream_id)  # another worker goes on
            elif stream is not None:
                stream.end(_end_text(reason), self._feed.now())

    def _stream_state(
        self, client: Any, *, state: int, reason: StopReason | int | None, **extra: Any
    ) -> None:
        self._set_state(client, _STREAM_STATES.get(state), reason)

    def _session_state(
        self, client: Any, *, state: int, reason: StopReason | int | None, **extra: Any
    ) -> None:
        self._set_state(client, _SESSION_STATES.get(state), reason)

    def _interrupted(self, client: Any, **extra: Any) -> None:
        self._set_state(client, "interrupted", None)

    def _set_state(self, client: Any, state: str | None, reason: StopReason | int | None) -> None:
        if state is None:
            return
        stream = self._stream(client)
        if stream is not None and stream.ended is None:
            with self._lock:
                stream.set_state(state, "" if state == "live" else _reason_text(reason))

    def _error(self, client: Any, *, error: Exception, where: str = "", **extra: Any) -> None:
        # Only our own errors are known to hold nothing that somebody said.
        text = str(error) if isinstance(error, RtmsError) else f"{type(error).__name__} in {where}"
        # What goes wrong before there is a client has another sender.
        stream = self._stream(client) if hasattr(client, "stream_id") else None
        if stream is None:
            return
        with self._lock:
            if isinstance(error, InboxOverflow) and error.media_type in stream.dropped:
                stream.dropped[error.media_type] = error.dropped
            stream.add_problem(text, self._feed.now())

    # -- receivers: media --------------------------------------------------------------------------

    def _audio(self, client: Any, *, data: bytes, metadata: Any, **extra: Any) -> None:
        stream = self._stream(client)
        if stream is not None:
            user, name = _sender_of(metadata)
            now = time.monotonic()
            with self._lock:
                stream.count("audio", len(data))
                is_due = stream.is_level_due(user, name, now)
            if is_due:
                level = meter.level(data) if _is_linear(client) else None
                with self._lock:
                    stream.set_level(user, level, now)

    def _video(self, client: Any, *, data: bytes, metadata: Any, **extra: Any) -> None:
        self._picture(client, "video", data, metadata)

    def _deskshare(self, client: Any, *, data: bytes, metadata: Any, **extra: Any) -> None:
        self._picture(client, "deskshare", data, metadata)

    def _picture(self, client: Any, kind: str, data: bytes, metadata: Any) -> None:
        stream = self._stream(client)
        if stream is not None:
            with self._lock:
                stream.count(kind, len(data))
                stream.keep_picture(kind, *_sender_of(metadata), data)

    def _transcript(
        self, client: Any, *, data: bytes, timestamp: int, metadata: Any, **extra: Any
    ) -> None:
        stream = self._stream(client)
        if stream is None:
            return
        with self._lock:
            stream.count("transcript", len(data))
            user, name = _sender_of(metadata)
            stream.transcript.apply(
                metadata.attribute or MessageAttribute.NONE,
                (user, metadata.startTs),
                user,
                name,
                _text(data),
                _displayable_time(metadata.startTs or timestamp),
            )

    def _chat(
        self, client: Any, *, data: bytes, timestamp: int, metadata: Any, **extra: Any
    ) -> None:
        stream = self._stream(client)
        if stream is None:
            return
        with self._lock:
            stream.count("chat", len(data))
            user, name = _sender_of(metadata)
            chat = metadata.chat
            attribute: int = metadata.attribute or MessageAttribute.NONE
            if chat is not None and chat.operation is not None:
                if chat.operation not in _CHAT_ATTRIBUTES:
                    return  # an emoji on a message: not a line of its own
                attribute = _CHAT_ATTRIBUTES[chat.operation]
            key: object = (user, timestamp)
            if chat is not None and chat.message_id:
                key = _id(chat.message_id)
            stream.chat.apply(attribute, key, user, name, _text(data), _displayable_time(timestamp))

    # -- receivers: participants -------------------------------------------------------------------

    def _participants(
        self, client: Any, *, event: str, participants: list[dict[str, Any]], **extra: Any
    ) -> None:
        stream = self._stream(client)
        if stream is None:
            return
        with self._lock:
            for participant in participants:
                user = _id(participant.get("user_id", ""))
                if event == "join":
                    stream.participant_joined(user, str(participant.get("user_name") or ""))
                else:
                    stream.participant_left(user)

    def _active_speaker(
        self, client: Any, *, user_id: int, user_name: str = "", **extra: Any
    ) -> None:
        stream = self._stream(client)
        if stream is not None:
            with self._lock:
                stream.set_speaker(_id(user_id), user_name or "")

    def _sharing(
        self,
        client: Any,
        *,
        event: str,
        user_id: int | None = None,
        user_name: str | None = None,
        **extra: Any,
    ) -> None:
        stream = self._stream(client)
        if stream is not None:
            with self._lock:
                user = None if user_id is None else _id(user_id)
                stream.set_sharing(user, user_name or "", starts=event == "start")

    def _participant_video(
        self, client: Any, *, user_ids: list[int], is_on: bool, **extra: Any
    ) -> None:
        stream = self._stream(client)
        if stream is not None:
            with self._lock:
                for user_id in user_ids:
                    stream.set_video(_id(user_id), is_on=is_on)


def _sender_of(metadata: Any) -> tuple[str, str]:
    """Return id and name of who a packet is from; Contact Center and phone have channels."""
    if metadata.channelId:
        name = metadata.channel.display_name if metadata.channel is not None else ""
        return _id(f"channel {metadata.channelId}"), name or metadata.userName
    return _id(metadata.userId), metadata.userName


def _id(value: object) -> str:
    """Return an id as text; a digest of it where it is so long that no honest meeting has it."""
    text = str(value)
    if len(text) <= MAX_ID:
        return text
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _displayable_time(at: int | None) -> int | None:
    """Return a time that a browser can show, ``None`` where it could not: Zoom may send any."""
    return at if at is not None and 0 <= at <= MAX_MOMENT else None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _is_linear(client: Any) -> bool:
    """Return whether the server said that it sends L16; what it did not say is not measured."""
    audio = client.negotiated.get("audio")
    return isinstance(audio, Mapping) and audio.get("codec") == Codec.L16


def _reason_text(reason: StopReason | int | None) -> str:
    """Return a reason as a page shows it: MEETING_ENDED becomes "meeting ended"."""
    if reason is None:
        return ""
    return reason.name.lower().replace("_", " ") if isinstance(reason, StopReason) else str(reason)


def _end_text(reason: LeaveReason | None) -> str:
    """Return in a few words why a stream is over; the error itself is among the problems."""
    if reason is None:
        return ""
    if reason.by_us:
        return "we left"
    if reason.error is not None:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(reason.error).__name__).lower()
    return _reason_text(reason.stop_reason)

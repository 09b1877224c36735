"""From signals to viewers: what happened in all streams of this process, without a queue.

The receivers run in the streams' own greenlets, so they only note things down, and never wait.
Viewers come by a few times a second and fetch what is new to them. A viewer that is too slow
fetches less often and gets only the newest picture and level; it costs no memory, and no stream
notices. While nobody looks, no audio is measured and no picture encoded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import threading
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
from .streams import LiveStream, Picture

__all__ = ["Changes", "Feed"]

#: Seconds that a stream stays on the page after its end.
KEEP_ENDED = 600.0
#: Streams that stay on the page after their end, the newest ones.
MAX_ENDED = 20
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


@dataclasses.dataclass(slots=True)
class Changes:
    """What is new to a viewer."""

    revision: int  #: up to which the viewer knows everything now
    streams: list[dict[str, Any]]  #: what the list of streams shows, for those that changed
    ids: list[str] | None  #: all streams in order of arrival, where a stream came or went
    detail: dict[str, Any]  #: of the stream that the viewer watches; see LiveStream.detail
    pictures: list[Picture]


class Feed:
    """Keeps what the signals tell.

    Thread-safety: any greenlet and any thread; streams may run on another thread's hub than the
    web server. No call waits for anything but the lock, which is never held across a switch of
    greenlets.

    Args:
        shows: Tells for a client whether its stream is shown; asked once per stream. All by
            default.
        now: The clock, seconds since the epoch.
    """

    def __init__(
        self,
        shows: Callable[[Any], bool] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._shows = shows
        self._now = now
        self._lock = threading.Lock()
        self._streams: dict[str, LiveStream] = {}
        self._hidden: set[str] = set()
        self._revision = 0
        self._ids_revision = 0

    def connect(self) -> None:
        """Listen to the signals, until :meth:`disconnect` or until nobody refers to the feed."""
        for signal, receiver in self._receivers():
            signal.connect(receiver, weak=True)

    def disconnect(self) -> None:
        """Listen no more."""
        for signal, receiver in self._receivers():
            signal.disconnect(receiver)

    # -- for viewers -------------------------------------------------------------------------------

    def changes(self, since: int, stream_id: str = "", since_detail: int = 0) -> Changes:
        """Return what is new to a viewer.

        Args:
            since: The revision that the viewer got last, 0 at first.
            stream_id: The stream that the viewer watches.
            since_detail: The same for that stream; 0 again whenever the viewer turns to another.
        """
        with self._lock:
            self._forget_old()
            revision = self._revision
            abouts = (stream.about(since) for stream in self._streams.values())
            watched = self._streams.get(stream_id)
            return Changes(
                revision=revision,
                streams=[about for about in abouts if about is not None],
                ids=list(self._streams) if self._ids_revision > since or not since else None,
                detail=watched.detail(since_detail, time.monotonic()) if watched else {},
                pictures=watched.pictures(since_detail) if watched else [],
            )

    def counters(self, stream_id: str) -> dict[str, list[int]]:
        """Return messages, bytes and dropped messages per media type; empty if not known."""
        with self._lock:
            stream = self._streams.get(stream_id)
            return stream.counters() if stream else {}

    def watch(self, stream_id: str, by: int) -> None:
        """Note that one viewer more (``by=1``) or less (``by=-1``) looks at a stream."""
        with self._lock:
            stream = self._streams.get(stream_id)
            if stream is not None:
                stream.watchers = max(0, stream.watchers + by)

    def stats(self) -> list[dict[str, Any]]:
        """Return the numbers of every stream."""
        with self._lock:
            self._forget_old()
            return [stream.stats() for stream in self._streams.values()]

    # -- streams -----------------------------------------------------------------------------------

    def _stamp(self) -> int:
        self._revision += 1
        return self._revision

    def _stream(self, client: Any, stream_id: str = "") -> LiveStream | None:
        """Return the stream of ``client``, or ``None`` where it is not shown. Takes the lock."""
        stream_id = stream_id or client.stream_id()
        stream = self._streams.get(stream_id)
        if stream is not None or not stream_id or stream_id in self._hidden:
            return stream
        # The app is asked without the lock: it may do what it likes.
        if self._shows is not None and not self._shows(client):
            self._hidden.add(stream_id)
            return None
        uuid = client.uuid()
        with self._lock:
            if stream_id not in self._streams:
                self._forget_old()
                self._streams[stream_id] = LiveStream(stream_id, uuid, self._stamp, self._now())
                self._ids_revision = self._stamp()
            return self._streams[stream_id]

    def _forget_old(self) -> None:
        ended = [stream for stream in self._streams.values() if stream.ended is not None]
        if not ended:
            return
        too_many = len(ended) - MAX_ENDED
        oldest_kept = self._now() - KEEP_ENDED
        for place, stream in enumerate(sorted(ended, key=lambda item: item.ended or 0.0)):
            if place < too_many or (stream.ended or 0.0) < oldest_kept:
                del self._streams[stream.id]
                self._ids_revision = self._stamp()

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
                stream.enter("live")

    def _left(
        self, client: Any, *, stream_id: str, reason: LeaveReason | None, **extra: Any
    ) -> None:
        with self._lock:
            self._hidden.discard(stream_id)
            stream = self._streams.get(stream_id)
            if stream is not None:
                stream.end(_end(reason), self._now())

    def _stream_state(
        self, client: Any, *, state: int, reason: StopReason | int | None, **extra: Any
    ) -> None:
        self._enter(client, _STREAM_STATES.get(state), reason)

    def _session_state(
        self, client: Any, *, state: int, reason: StopReason | int | None, **extra: Any
    ) -> None:
        self._enter(client, _SESSION_STATES.get(state), reason)

    def _interrupted(self, client: Any, **extra: Any) -> None:
        self._enter(client, "interrupted", None)

    def _enter(self, client: Any, state: str | None, reason: StopReason | int | None) -> None:
        if state is None:
            return
        stream = self._stream(client)
        if stream is not None and stream.ended is None:
            with self._lock:
                stream.enter(state, "" if state == "live" else _words(reason))

    def _error(self, client: Any, *, error: Exception, where: str = "", **extra: Any) -> None:
        # Only our own errors are known to hold nothing that somebody said.
        text = str(error) if isinstance(error, RtmsError) else f"{type(error).__name__} in {where}"
        # What goes wrong before there is a client is told by another sender.
        stream = self._stream(client) if hasattr(client, "stream_id") else None
        if stream is None:
            return
        with self._lock:
            if isinstance(error, InboxOverflow) and error.media_type in stream.dropped:
                stream.dropped[error.media_type] = error.dropped
            stream.problem(text, self._now())

    # -- receivers: media --------------------------------------------------------------------------

    def _audio(self, client: Any, *, data: bytes, metadata: Any, **extra: Any) -> None:
        stream = self._stream(client)
        if stream is not None:
            user, name = _who(metadata)
            now = time.monotonic()
            with self._lock:
                stream.count("audio", len(data))
                is_due = stream.is_level_due(user, name, now)
            if is_due:
                level = meter.level(data) if _is_linear(client) else None
                with self._lock:
                    stream.hear(user, level, now)

    def _video(self, client: Any, *, data: bytes, metadata: Any, **extra: Any) -> None:
        self._picture(client, "video", data, metadata)

    def _deskshare(self, client: Any, *, data: bytes, metadata: Any, **extra: Any) -> None:
        self._picture(client, "deskshare", data, metadata)

    def _picture(self, client: Any, kind: str, data: bytes, metadata: Any) -> None:
        stream = self._stream(client)
        if stream is not None:
            with self._lock:
                stream.count(kind, len(data))
                stream.see(kind, *_who(metadata), data)

    def _transcript(
        self, client: Any, *, data: bytes, timestamp: int, metadata: Any, **extra: Any
    ) -> None:
        stream = self._stream(client)
        if stream is None:
            return
        with self._lock:
            stream.count("transcript", len(data))
            user, name = _who(metadata)
            stream.transcript.apply(
                metadata.attribute or MessageAttribute.NONE,
                (user, metadata.startTs),
                user,
                name,
                _text(data),
                _moment(metadata.startTs or timestamp),
            )

    def _chat(
        self, client: Any, *, data: bytes, timestamp: int, metadata: Any, **extra: Any
    ) -> None:
        stream = self._stream(client)
        if stream is None:
            return
        with self._lock:
            stream.count("chat", len(data))
            user, name = _who(metadata)
            chat = metadata.chat
            attribute: int = metadata.attribute or MessageAttribute.NONE
            if chat is not None and chat.operation is not None:
                if chat.operation not in _CHAT_ATTRIBUTES:
                    return  # an emoji on a message: not a line of its own
                attribute = _CHAT_ATTRIBUTES[chat.operation]
            key: object = (user, timestamp)
            if chat is not None and chat.message_id:
                key = _id(chat.message_id)
            stream.chat.apply(attribute, key, user, name, _text(data), _moment(timestamp))

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
                    stream.arrive(user, str(participant.get("user_name") or ""))
                else:
                    stream.depart(user)

    def _active_speaker(
        self, client: Any, *, user_id: int, user_name: str = "", **extra: Any
    ) -> None:
        stream = self._stream(client)
        if stream is not None:
            with self._lock:
                stream.speak(_id(user_id), user_name or "")

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
                stream.share(user, user_name or "", starts=event == "start")

    def _participant_video(
        self, client: Any, *, user_ids: list[int], is_on: bool, **extra: Any
    ) -> None:
        stream = self._stream(client)
        if stream is not None:
            with self._lock:
                for user_id in user_ids:
                    stream.switch_video(_id(user_id), is_on=is_on)


def _who(metadata: Any) -> tuple[str, str]:
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


def _moment(at: int | None) -> int | None:
    """Return a time that a browser can show, ``None`` where it could not: Zoom may send any."""
    return at if at is not None and 0 <= at <= MAX_MOMENT else None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _is_linear(client: Any) -> bool:
    """Tell whether the server said that it sends L16; what it did not say is not measured."""
    audio = client.negotiated.get("audio")
    return isinstance(audio, Mapping) and audio.get("codec") == Codec.L16


def _words(reason: StopReason | int | None) -> str:
    """Return a reason as a page shows it: MEETING_ENDED becomes "meeting ended"."""
    if reason is None:
        return ""
    return reason.name.lower().replace("_", " ") if isinstance(reason, StopReason) else str(reason)


def _end(reason: LeaveReason | None) -> str:
    """Return in a few words why a stream is over; the whole story is among the problems."""
    if reason is None:
        return ""
    if reason.by_us:
        return "we left"
    if reason.error is not None:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(reason.error).__name__).lower()
    return _words(reason.stop_reason)

"""What can be registered on a client: functions to call, media, events and parameters."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from .delivery.callbacks import MEDIA_NAMES, Callbacks
from .enums import EventType, MediaDataType
from .errors import ConfigurationError
from .protocol.params import (
    AudioParams,
    DeskshareParams,
    MediaParams,
    TranscriptParams,
    VideoParams,
)
from .protocol.subscription import PARAMS, Subscription
from .stream.changes import LiveChanges
from .transport.proxy import Proxy
from .typing import (
    ActiveSpeakerCallback,
    BrokenCallback,
    EndCallback,
    EventExCallback,
    GaveUpCallback,
    InterruptedCallback,
    MediaCallback,
    MediaGapCallback,
    ParticipantEventCallback,
    ParticipantVideoCallback,
    ReasonCallback,
    ReconnectedCallback,
    ReconnectingCallback,
    Result,
    SessionUpdateCallback,
    SharingCallback,
    UserUpdateCallback,
    VideoSubscribedCallback,
)

__all__ = ["CallbackRegistration"]

_Function = TypeVar("_Function", bound=Callable[..., object])

_KINDS = {name: kind for kind, name in MEDIA_NAMES.items()}

#: Events that a callback needs, so that registering it subscribes to them.
_NEEDED_EVENTS: Mapping[str, tuple[EventType, ...]] = {
    "user_update": (EventType.PARTICIPANT_JOIN, EventType.PARTICIPANT_LEAVE),
    "participant_event": (EventType.PARTICIPANT_JOIN, EventType.PARTICIPANT_LEAVE),
    "active_speaker_event": (EventType.ACTIVE_SPEAKER_CHANGE,),
    "sharing_event": (EventType.SHARING_START, EventType.SHARING_STOP),
    "media_connection_interrupted": (EventType.MEDIA_CONNECTION_INTERRUPTED,),
    "participant_video": (EventType.PARTICIPANT_VIDEO_ON, EventType.PARTICIPANT_VIDEO_OFF),
}


class CallbackRegistration:
    """Base of :class:`~rtms_gevent.Client`: what can be registered and asked for at any time.

    All of it may be called before joining, and while joined: then the stream changes immediately.
    """

    def __init__(self) -> None:
        self._callbacks = Callbacks()
        self._subscription = Subscription()
        self._proxy: str | None = None

    def _change(self, change: Callable[[LiveChanges], object]) -> None:
        """Call ``change`` on the stream's hub with what changes it, where one is joined."""
        raise NotImplementedError("the client knows its stream")

    # -- media -------------------------------------------------------------------------------------

    def on_audio_data(self, callback: MediaCallback[Result]) -> MediaCallback[Result]:
        """Register ``callback(data, size, timestamp, metadata)``, and ask Zoom for audio.

        ``data`` is bytes in the negotiated codec, ``size`` their number, ``timestamp`` ms since
        the epoch, ``metadata`` a :class:`~rtms_gevent.Metadata`. Use it as a decorator or as a
        call; it returns the function.
        """
        return self._on("audio_data", callback)

    def on_video_data(self, callback: MediaCallback[Result]) -> MediaCallback[Result]:
        """Ask for video; see :meth:`on_audio_data`."""
        return self._on("video_data", callback)

    def on_deskshare_data(self, callback: MediaCallback[Result]) -> MediaCallback[Result]:
        """Ask for screen share; see :meth:`on_audio_data`."""
        return self._on("deskshare_data", callback)

    def on_transcript_data(self, callback: MediaCallback[Result]) -> MediaCallback[Result]:
        """Ask for the transcript, UTF-8; see :meth:`on_audio_data`.

        ``metadata.attribute`` says whether a piece revises an earlier one, whose
        ``metadata.pieceId`` it then has.
        """
        return self._on("transcript_data", callback)

    def on_chat_data(self, callback: MediaCallback[Result]) -> MediaCallback[Result]:
        """Ask for chat, UTF-8; see :meth:`on_audio_data`. ``metadata.chat`` has its details."""
        return self._on("chat_data", callback)

    def enable_audio(self, enable: bool = True) -> bool:
        """Ask for audio, or no more for it, without a callback.

        For code that receives :data:`rtms_gevent.signals.audio_data`. ``enable=False`` after
        joining closes nothing: it counts for the next :meth:`join`.
        """
        return self._enable(MediaDataType.AUDIO, enable)

    def enable_video(self, enable: bool = True) -> bool:
        """Ask for video without a callback; see :meth:`enable_audio`."""
        return self._enable(MediaDataType.VIDEO, enable)

    def enable_deskshare(self, enable: bool = True) -> bool:
        """Ask for screen share without a callback; see :meth:`enable_audio`."""
        return self._enable(MediaDataType.DESKSHARE, enable)

    def enable_transcript(self, enable: bool = True) -> bool:
        """Ask for the transcript without a callback; see :meth:`enable_audio`."""
        return self._enable(MediaDataType.TRANSCRIPT, enable)

    def enable_chat(self, enable: bool = True) -> bool:
        """Ask for chat without a callback; see :meth:`enable_audio`."""
        return self._enable(MediaDataType.CHAT, enable)

    def set_audio_params(self, params: AudioParams) -> bool:
        """Choose the codec, sample rate and channels of audio.

        If audio flows already, its socket is opened again; the ``error`` signal reports what goes
        wrong then.

        Raises:
            ConfigurationError: Zoom refuses this combination.
        """
        return self._set_params(MediaDataType.AUDIO, params)

    def set_video_params(self, params: VideoParams) -> bool:
        """Choose the codec, resolution and frames a second; see :meth:`set_audio_params`."""
        return self._set_params(MediaDataType.VIDEO, params)

    def set_deskshare_params(self, params: DeskshareParams) -> bool:
        """Choose the codec, resolution and frames a second; see :meth:`set_audio_params`."""
        return self._set_params(MediaDataType.DESKSHARE, params)

    def set_transcript_params(self, params: TranscriptParams) -> bool:
        """Choose the transcript's language; see :meth:`set_audio_params`."""
        return self._set_params(MediaDataType.TRANSCRIPT, params)

    def set_proxy(self, proxy_type: str, proxy_url: str | None = None) -> None:
        """Reach Zoom through an HTTP proxy (CONNECT); call it before :meth:`join`.

        Without it ``ZM_RTMS_PROXY`` counts, which takes a proxy's address or "env", too.

        Args:
            proxy_type: "http" or "https": what is tunnelled; makes no difference. "env" takes the
                proxies of the environment: ``HTTPS_PROXY``, but for the hosts in ``NO_PROXY`` and
                this machine.
            proxy_url: ``http://user:password@host:port``; nothing with "env".

        Raises:
            ConfigurationError: ``proxy_type`` or ``proxy_url`` is not one of these.
        """
        if proxy_type not in ("http", "https", "env"):
            raise ConfigurationError(
                f"proxy_type must be http, https or env, not {proxy_type!r:.40}"
            )
        if proxy_type != "env":
            Proxy.parse(proxy_url or "")
            self._proxy = proxy_url
        elif proxy_url:
            raise ConfigurationError("with proxy_type env the proxy's URL comes from HTTPS_PROXY")
        else:
            self._proxy = "env"

    # -- events ------------------------------------------------------------------------------------

    def on_join_confirm(self, callback: ReasonCallback[Result]) -> ReasonCallback[Result]:
        """``callback(reason)`` once joining is over: 0 if media may flow.

        Else Zoom's status code, or the official SDK's number for the failure (1 for a time limit,
        6 for an unusable answer, 610 for TLS, 960 for a closed socket). The ``error`` signal and
        :meth:`wait_joined` have the error itself.
        """
        return self._on("join_confirm", callback)

    def on_leave(self, callback: ReasonCallback[Result]) -> ReasonCallback[Result]:
        """``callback(reason)`` when a joined stream has ended without our :meth:`leave`.

        ``reason`` is Zoom's stop reason (:class:`~rtms_gevent.StopReason`), or -1 if Zoom gave
        none. If the stream broke off and was not joined again it is 502, or 960 if reconnecting is
        off and the server closed a socket.
        """
        return self._on("leave", callback)

    def on_end(self, callback: EndCallback[Result]) -> EndCallback[Result]:
        """``callback(reason)`` once for each :meth:`join`, when it is over, whatever the cause.

        Joining failed, Zoom ended the stream, it broke off, you left it, or the loop, the worker or
        the interpreter ends: ``reason`` is a :class:`~rtms_gevent.LeaveReason`. It comes last, when
        all other callbacks of the stream have returned, also :meth:`on_leave`; only
        :data:`rtms_gevent.signals.left` comes after it. Close here what you opened for the stream.
        The client may join again.

        It runs in a greenlet of its own where the other callbacks run. If the loop of the client
        has never run, it runs in :meth:`leave`. In a forked child it does not run: the stream is
        the parent's.
        """
        return self._on("end", callback)

    def on_session_update(
        self, callback: SessionUpdateCallback[Result]
    ) -> SessionUpdateCallback[Result]:
        """``callback(op, session)`` when a session begins, pauses, resumes or stops.

        ``op`` is ``SESSION_EVENT_ADD``, ``_PAUSE``, ``_RESUME`` or ``_STOP``, ``session`` a
        :class:`~rtms_gevent.Session`.
        """
        return self._on("session_update", callback)

    def on_user_update(self, callback: UserUpdateCallback[Result]) -> UserUpdateCallback[Result]:
        """``callback(op, participant)`` for each who joins or leaves.

        ``op`` is ``USER_JOIN`` or ``USER_LEAVE``, ``participant`` a
        :class:`~rtms_gevent.Participant`.
        """
        return self._on("user_update", callback)

    def on_participant_event(
        self, callback: ParticipantEventCallback[Result]
    ) -> ParticipantEventCallback[Result]:
        """``callback("join" or "leave", timestamp, participants)`` when people join or leave.

        ``timestamp`` is ms since the epoch, as in all events; ``participants`` are dicts:
        ``{"user_id": ..., "user_name": ...}``.
        """
        return self._on("participant_event", callback)

    def on_active_speaker_event(
        self, callback: ActiveSpeakerCallback[Result]
    ) -> ActiveSpeakerCallback[Result]:
        """``callback(timestamp, user_id, user_name)`` when somebody else speaks."""
        return self._on("active_speaker_event", callback)

    def on_sharing_event(self, callback: SharingCallback[Result]) -> SharingCallback[Result]:
        """``callback("start" or "stop", timestamp, user_id, user_name)`` of screen sharing.

        At a stop ``user_id`` and ``user_name`` are ``None``.
        """
        return self._on("sharing_event", callback)

    def on_media_connection_interrupted(
        self, callback: InterruptedCallback[Result]
    ) -> InterruptedCallback[Result]:
        """``callback(timestamp)`` when Zoom says that media is interrupted."""
        return self._on("media_connection_interrupted", callback)

    def on_participant_video(
        self, callback: ParticipantVideoCallback[Result]
    ) -> ParticipantVideoCallback[Result]:
        """``callback(user_ids, is_on)`` when cameras go on or off."""
        return self._on("participant_video", callback)

    def on_video_subscribed(
        self, callback: VideoSubscribedCallback[Result]
    ) -> VideoSubscribedCallback[Result]:
        """``callback(user_id, status, error)`` after :meth:`subscribe_video`; status 0 is OK."""
        return self._on("video_subscribed", callback)

    def on_interrupted(self, callback: BrokenCallback[Result]) -> BrokenCallback[Result]:
        """``callback(what, error)`` when a socket broke and is being reopened.

        ``what`` is "signaling", "media" or a media type. ``error`` is the
        :class:`~rtms_gevent.ConnectionLost`, or ``None`` if Zoom reported the interruption.
        """
        return self._on("interrupted", callback)

    def on_reconnecting(
        self, callback: ReconnectingCallback[Result]
    ) -> ReconnectingCallback[Result]:
        """``callback(attempt, delay)`` before each attempt to reconnect.

        ``attempt`` counts from 1; ``delay`` is how long we wait before it, in ms.
        """
        return self._on("reconnecting", callback)

    def on_reconnected(self, callback: ReconnectedCallback[Result]) -> ReconnectedCallback[Result]:
        """``callback(outage)`` when every socket works again; ``outage`` is its length in ms."""
        return self._on("reconnected", callback)

    def on_media_gap(self, callback: MediaGapCallback[Result]) -> MediaGapCallback[Result]:
        """``callback(gap)`` when media of some time is missing, and will not come any more.

        ``gap`` is a :class:`~rtms_gevent.Gap`. It comes after an outage, or at the end of the
        stream.
        """
        return self._on("media_gap", callback)

    def on_gave_up(self, callback: GaveUpCallback[Result]) -> GaveUpCallback[Result]:
        """``callback(error)`` when the stream could not be reconnected in Zoom's window.

        ``error`` is a :class:`~rtms_gevent.GaveUp`. :meth:`on_leave` follows.
        """
        return self._on("gave_up", callback)

    def on_event_ex(self, callback: EventExCallback[Result]) -> EventExCallback[Result]:
        """``callback(event)`` with any event as JSON text, known or not; subscribes to nothing."""
        return self._on("event_ex", callback)

    def subscribe_event(self, events: int | Iterable[int]) -> bool:
        """Ask for events (:class:`~rtms_gevent.EventType`), before or after joining."""
        return self._subscribe(events, True)

    def unsubscribe_event(self, events: int | Iterable[int]) -> bool:
        """Stop asking for events."""
        return self._subscribe(events, False)

    def subscribe_video(self, user_id: int, subscribe: bool = True) -> None:
        """Ask for one participant's video; ``subscribe=False`` ends that.

        Needs ``VIDEO_SINGLE_INDIVIDUAL_STREAM`` in :meth:`set_video_params`. Zoom sends one
        participant's video at a time: a newer choice replaces the older. The answer comes to
        :meth:`on_video_subscribed`. Before joining, the choice is kept and made then.

        Raises:
            ConfigurationError: ``user_id`` is no number.
        """
        if isinstance(user_id, bool) or not isinstance(user_id, int):
            raise ConfigurationError(f"user_id must be an int, not {type(user_id).__name__}")
        if subscribe:
            self._subscription.video_user_id = user_id
        elif self._subscription.video_user_id == user_id:
            self._subscription.video_user_id = None
        self._change(lambda live: live.subscribe_video(user_id, subscribe))

    # -- inside ------------------------------------------------------------------------------------

    def _on(self, name: str, callback: _Function) -> _Function:
        self._callbacks.set(name, callback)
        if name in _KINDS:
            self._enable(_KINDS[name], True)
        elif name in _NEEDED_EVENTS:
            self._subscribe(_NEEDED_EVENTS[name], True)
        return callback

    def _enable(self, kind: MediaDataType, enable: bool) -> bool:
        with self._changing_events():
            self._subscription.enable(kind, enable)
        if enable:
            self._change(lambda live: live.catch_up())
        return True

    def _subscribe(self, events: int | Iterable[int], subscribe: bool) -> bool:
        asked = {events} if isinstance(events, int) else set(events)
        if not all(isinstance(event, int) for event in asked):
            raise ConfigurationError("events must be numbers, such as EventType.PARTICIPANT_JOIN")
        with self._changing_events():
            if subscribe:
                self._subscription.events |= asked
            else:
                self._subscription.events -= asked
        return True

    def _set_params(self, kind: MediaDataType, params: MediaParams) -> bool:
        expected = PARAMS[kind]
        if not isinstance(params, expected):
            raise ConfigurationError(f"expected {expected.__name__}, not {type(params).__name__}")
        params.check()
        unchanged = self._subscription.params_for(kind) == params
        with self._changing_events():
            # A copy, since the caller may go on with the object.
            self._subscription.params[kind] = copy.copy(params)
        if not unchanged:
            self._change(lambda live: live.renegotiate(kind))
        return True

    @contextlib.contextmanager
    def _changing_events(self) -> Iterator[None]:
        """Send a joined server which events are wanted now and were not before, and vice versa."""
        before = set(self._subscription.events_to_subscribe)
        yield
        after = set(self._subscription.events_to_subscribe)
        added, removed = tuple(sorted(after - before)), tuple(sorted(before - after))
        if added:
            self._change(lambda live: live.subscribe(added, True))
        if removed:
            self._change(lambda live: live.subscribe(removed, False))

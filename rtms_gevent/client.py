"""The facade that users meet: one client, one stream."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import difflib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar

from .config import (
    Credentials,
    Inboxes,
    Limits,
    Proxies,
    Reconnect,
    Timeouts,
    allowed_hosts,
    ca_file,
)
from .delivery.callback_batch import CallbackBatch, CloseFlag
from .delivery.callbacks import MEDIA_NAMES, Callbacks
from .delivery.dispatcher import Dispatcher
from .delivery.overflow import BackPressure
from .delivery.runner_selector import RunnerSelector
from .delivery.runners import ExecutorRunner
from .enums import EventType, MediaDataType, Product
from .errors import ConfigurationError, JoinTimeout, NotJoinedError, UsageError
from .official.client_names import OfficialNames
from .protocol.fields import integer
from .protocol.identity import (
    ParsedEvent,
    StartPayload,
    StreamIdentity,
    handshake_signature,
)
from .protocol.params import (
    AudioParams,
    DeskshareParams,
    MediaParams,
    TranscriptParams,
    VideoParams,
)
from .protocol.subscription import PARAMS, Subscription
from .protocol.urls import parse_server_urls
from .protocol.webhook_events import WebhookKind, flatten, kind_of
from .runtime import drivers
from .runtime.hub_context import HubContext, current_context
from .stream.connection import ConnectOptions
from .stream.connections import JoinRequest
from .stream.leave_reason import LeaveReason
from .stream.session import StreamSession
from .stream.stats import ClientStats, MediaStats
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

__all__ = ["Client"]

logger = logging.getLogger(__name__)

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

#: Arguments of join() that are no field of a payload.
_OPTIONS = frozenset(
    {
        "server_urls",
        "signature",
        "timeout",
        "ca",
        "client",
        "secret",
        "poll_interval",
        "allowed_hosts",
        "unified",
        "buffer_data",
        "id_field",
    }
)
_IDS = frozenset({"rtms_stream_id", *(product.value for product in Product)})
_IN_PAYLOAD = _IDS | {"server_urls"}


class Client(OfficialNames):
    """One RTMS stream: register functions, :meth:`join`, :meth:`leave`.

    Functions registered with ``on_...`` run in greenlets of the hub that joined, one greenlet per
    media type and one for all events. They may call any method of the client, and may block
    cooperatively as long as they like; see ``docs/concurrency.md``. Registering another function
    under the same name replaces the first; to connect several, see :mod:`rtms_gevent.signals`.
    """

    def __init__(
        self,
        executor: Executor | None = None,
        *,
        context: Callable[[], contextlib.AbstractContextManager[object]] | None = None,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        reconnect: Reconnect | None = None,
        inboxes: Inboxes | None = None,
    ) -> None:
        """Make a client that is not joined.

        Args:
            executor: Runs the functions, instead of the stream's greenlets; any
                ``concurrent.futures.Executor``. Those of one media type still run one after the
                other.
            context: Called before each function of yours; what it returns is entered around it.
                For Flask pass ``app.app_context``.
            timeouts: How long each step may take.
            limits: How much the server may make us hold.
            reconnect: How a stream that broke is joined again.
            inboxes: How much may wait for a slow callback, and what becomes of more.

        Raises:
            ConfigurationError: ``executor`` is none.
        """
        if executor is not None:
            ExecutorRunner(executor)  # refuses what is none
        self._executor = executor
        self._context = context
        self._timeouts = timeouts or Timeouts()
        self._limits = limits or Limits()
        self._reconnect = reconnect or Reconnect()
        self._inboxes = inboxes or Inboxes()
        self._callbacks = Callbacks()
        self._subscription = Subscription()
        self._proxy: str | None = None
        self._chosen_context: HubContext | None = None  # chosen by EventLoop.add
        self._hub_context: HubContext | None = None  # where the stream lives, or is about to
        self._request: JoinRequest | None = None
        self._is_waiting = False  # joined, but the hub has not begun yet
        self._session: StreamSession | None = None
        self._dispatcher: Dispatcher | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def __repr__(self) -> str:
        return f"<Client {self.stream_id() or 'that never joined'}>"

    # -- joining and leaving -----------------------------------------------------------------------

    def join(
        self,
        meeting_uuid: str | StartPayload | Mapping[str, object] | ParsedEvent | None = None,
        webinar_uuid: str | None = None,
        session_id: str | None = None,
        engagement_id: str | None = None,
        rtms_stream_id: str | None = None,
        server_urls: str | None = None,
        signature: str | None = None,
        timeout: int = -1,
        ca: str | None = None,
        client: str | None = None,
        secret: str | None = None,
        poll_interval: int = 10,
        *,
        call_id: str | None = None,
        allowed_hosts: str | Iterable[str] | None = None,
        unified: bool = False,
        buffer_data: bool | None = None,
        id_field: str | None = None,
        **fields: Any,
    ) -> bool:
        """Begin to join a stream. Returns at once; connecting goes on in greenlets.

        Instead of keywords, the first argument may be the start webhook's payload, or the whole
        webhook event; keywords then win over what is in there. From a payload only the ids and
        ``server_urls`` are taken. So give it as it is, and not as ``**payload``, which would let
        whoever sent it choose the other arguments, too. Whether it worked is told by
        ``on_join_confirm`` and by :meth:`wait_joined`.

        Args:
            meeting_uuid: Id of the meeting; or the payload or event.
            webinar_uuid: Id of the webinar.
            session_id: Id of the Video SDK session.
            engagement_id: Id of the Contact Center engagement.
            rtms_stream_id: Id of the stream.
            server_urls: Address of the signaling server. Of several, with commas between, the next
                is tried, too, where one does not answer at once; what worked comes first later.
            signature: The handshake signature, where you made it yourself.
            timeout: Milliseconds that all of joining may take; -1 is 60,000, as long as Zoom holds
                a started stream.
            ca: File (PEM) with certificates to trust instead of certifi's; ``ZM_RTMS_CA`` else.
            client: Client id of the app; ``ZM_RTMS_CLIENT`` else.
            secret: Client secret of the app; ``ZM_RTMS_SECRET`` else.
            poll_interval: Does nothing, since nothing polls; the official SDK has it.
            call_id: Id of the phone call.
            allowed_hosts: Hosts that may be dialled beside Zoom's; ``ZM_RTMS_ALLOWED_HOSTS`` else.
            unified: Use one media socket for all media types, instead of one for each.
            buffer_data: False drops the up to 60 s of audio that Zoom buffered before we joined.
            id_field: Name of the id in handshakes, where it is not the one of the webhook.
            **fields: Other fields of a payload, which are ignored.

        Returns:
            True.

        Raises:
            ConfigurationError: an argument is missing or wrong; nothing was started.
            UsageError: this client is joined already, or its loop is being stopped.
        """
        given = {name: value for name, value in locals().items() if name in _OPTIONS | _IDS}
        event: str | None = None
        if meeting_uuid is not None and not isinstance(meeting_uuid, str):
            event, payload = _payload_of(meeting_uuid)
            chosen = {name: v for name, v in given.items() if v is not None}
            del chosen["meeting_uuid"]
            # Only what names the stream: a webhook must not choose whom we trust, or who we are.
            named = {name: v for name, v in payload.items() if name in _IN_PAYLOAD}
            given = {**given, "meeting_uuid": None, **named, **chosen}
        _refuse_misspelt(fields)
        if self._is_active and not self._has_ended:
            raise UsageError("this client is joined already: leave() first, or use another Client")
        request = self._make_order(given, event)
        self._subscription.check()
        hub_context = self._chosen_context or current_context()
        if hub_context.is_ending:
            raise UsageError("the loop of this client is being stopped: join when it runs again")
        self._request = request
        self._hub_context = hub_context
        hub_context.add(self)
        self._is_waiting = True
        hub_context.submit(self, self._begin)
        return True

    def _make_order(self, given: Mapping[str, Any], event: str | None) -> JoinRequest:
        hosts = given["allowed_hosts"]
        allowed = allowed_hosts(hosts if hosts is None or isinstance(hosts, str) else tuple(hosts))
        identity = StreamIdentity.from_fields(given, event=event, id_field=given["id_field"])
        signature = given["signature"]
        if not signature:
            credentials = Credentials.resolve(given["client"], given["secret"])
            signature = handshake_signature(
                credentials.client_id,
                credentials.client_secret,
                identity.uuid,
                identity.stream_id,
            )
        endpoints = parse_server_urls(given["server_urls"], allowed)
        options = ConnectOptions(
            ca_file(given["ca"]),
            Proxies.resolve(self._proxy),
            self._timeouts,
            self._limits,
            self._reconnect,
        )
        for endpoint in endpoints:
            options.proxy_for(endpoint)  # here it can still be told to who made the mistake
        return JoinRequest(
            identity=identity,
            endpoints=endpoints,
            signature=signature,
            options=options,
            allowed_hosts=allowed,
            timeout=_seconds(given["timeout"], self._timeouts.join),
            unified=given["unified"],
            buffer_data=given["buffer_data"],
        )

    def _begin(self) -> None:
        """Start the session; runs on the hub that the stream is to live on."""
        hub_context, request = self._hub_context, self._request
        assert hub_context is not None
        assert request is not None
        if hub_context.stage is None:  # else functions run beside the hub, and may block
            drivers.warn()

        def make_dispatcher(back_pressure: BackPressure) -> Dispatcher:
            self._dispatcher = Dispatcher(
                self,
                self._callbacks,
                RunnerSelector(hub_context, self._executor),
                stream=request.stream,
                context=self._context,
                inboxes=self._inboxes,
                back_pressure=back_pressure,
            )
            return self._dispatcher

        self._session = StreamSession(request, self._subscription, make_dispatcher)
        self._session.told.rawlink(lambda _: self._ended_on(hub_context))
        self._session.start()
        self._is_waiting = False  # last: other threads may ask at any time whether we are active

    def _ended_on(self, hub_context: HubContext) -> None:
        # The hub calls this a little later, when the client may have joined again already.
        if self._hub_context is not hub_context or not self._is_active:
            hub_context.discard(self)

    def bind(self, hub_context: HubContext) -> None:
        """Let the stream live on a chosen loop; ``EventLoop.add`` is how users say it.

        Raises:
            UsageError: it lives on another one already.
        """
        if self._hub_context is not hub_context and self._is_active:
            self.move_to(hub_context)
        self._chosen_context = hub_context
        hub_context.add(self)

    def move_to(self, hub_context: HubContext) -> None:
        """Take a join that has not begun to another home.

        Raises:
            UsageError: it has begun, or was never asked for.
        """
        earlier = self._hub_context
        if not self._is_waiting or earlier is None or earlier.withdraw(self) is None:
            raise UsageError("this client has begun to join on another loop: add it before")
        earlier.discard(self)
        self._hub_context = hub_context
        hub_context.add(self)
        hub_context.submit(self, self._begin)

    @property
    def _is_active(self) -> bool:
        return self._is_waiting or (self._session is not None and not self._session.over.is_set())

    @property
    def _has_ended(self) -> bool:
        """Whether only the end is left to be told, so that another stream may be joined."""
        return not self._is_waiting and self._session is not None and self._session.has_ended

    def wait_joined(self, timeout: float | None = None) -> None:
        """Wait until media may flow. Blocks this greenlet only.

        Args:
            timeout: Seconds to wait; ``None`` waits as long as joining may take.

        Raises:
            JoinError: joining failed; its class and text say why and what to do.
            JoinTimeout: not joined within ``timeout``; joining goes on.
            NotJoinedError: :meth:`join` was not called.
        """
        session = self._joined_session()
        if not session.joined.ready():
            # Not get(), whose Timeout could not be told from one that the caller has set.
            self._call(session.joined.wait, timeout)
        if not session.joined.ready():
            raise JoinTimeout(timeout or 0, "the end of joining, which goes on")
        session.joined.get(block=False)

    def wait(self, timeout: float | None = None) -> LeaveReason | None:
        """Wait until the stream has ended and everything was delivered; return why it ended.

        That is when :meth:`on_end` has returned.

        Args:
            timeout: Seconds to wait; where they pass first, ``None`` is returned.

        Raises:
            NotJoinedError: :meth:`join` was not called.
            UsageError: called from a callback of this client, which would wait for itself.
        """
        session = self._joined_session()
        if self._dispatcher is not None and self._dispatcher.is_delivering:
            raise UsageError("wait() cannot be called from a callback: the stream waits for it")
        if session.told.is_set():
            return session.end
        return session.end if self._call(session.told.wait, timeout) else None

    def leave(self, *, close_stream: bool = False) -> bool:
        """Leave the stream; when this returns, nothing is delivered any more but the end.

        May be called from anywhere, callbacks included, and again. It waits until :meth:`on_end`
        has returned. A callback that still runs comes before that, and is left to finish: then this
        returns after half a second, and inside of a callback at once.

        Args:
            close_stream: Ask Zoom first to end the stream, so that it does not wait for us to come
                back.

        Returns:
            True.
        """
        hub_context = self._hub_context
        if hub_context is None or not self._is_active:
            return True
        if hub_context.hub is None and hub_context.withdraw(self) is not None:
            self._is_waiting = False
            hub_context.discard(self)
            self._tell_end_without_hub()
        else:
            self._call(self._leave_session, close_stream)
        return True

    def _leave_session(self, close_stream: bool) -> None:
        session = self._joined_session()  # begins what waits for its turn yet, so that it can end
        session.leave(close_stream=close_stream)

    def _tell_end_without_hub(self) -> None:
        """Call ``on_end`` here: the loop that was to join never ran."""
        function = self._callbacks.get("end")
        if function is not None:
            reason = dataclasses.replace(LeaveReason.left(), was_joined=False)
            for problem in CallbackBatch(
                function, [(reason,)], self._context, CloseFlag()
            )().problems:
                logger.error("callback on_end failed", exc_info=problem)

    def stop(self) -> bool:
        """Do what :meth:`leave` does; the official SDK has both names."""
        return self.leave()

    def notify(self, event: Mapping[str, object] | ParsedEvent) -> None:
        """Tell the client what a later webhook said about its stream.

        A stop ends it, after everything that has arrived was delivered. An interruption makes it
        reconnect, if it has not yet. A start with other addresses makes it go there; one with the
        same is a repetition, and changes nothing. Events of other streams are ignored.

        Args:
            event: The webhook event: parsed, or as the dict that Zoom sent.

        Raises:
            ServerUrlError: a start names addresses that must not be dialled.
        """
        name, payload = _payload_of(event)
        if not self._is_active or payload.get("rtms_stream_id") != self.stream_id():
            return
        session = self._joined_session()
        kind = kind_of(name or "")
        if kind is WebhookKind.STOPPED:
            self._call(session.stopped_by_zoom, integer(payload, "stop_reason"))
        elif kind is WebhookKind.INTERRUPTED:
            self._call(session.interrupted_by_zoom, _event_ts(event))
        elif kind is WebhookKind.STARTED:
            urls = parse_server_urls(payload.get("server_urls"), session.request.allowed_hosts)
            self._call(session.moved_by_zoom, urls)

    # -- what is known -----------------------------------------------------------------------------

    @property
    def is_joined(self) -> bool:
        """Whether media may flow now."""
        return self._session is not None and self._session.is_joined

    @property
    def product(self) -> Product | None:
        """The product that the stream belongs to; ``None`` before :meth:`join`."""
        return None if self._request is None else self._request.identity.product

    @property
    def negotiated(self) -> dict[str, Any]:
        """What the server really sends: parameters by media type, as it answered."""
        return {} if self._session is None else dict(self._session.negotiated)

    @property
    def skipped(self) -> dict[str, int]:
        """Messages that could not be used, per socket; see the ``error`` signal."""
        return {} if self._session is None else dict(self._session.skipped)

    @property
    def dropped(self) -> dict[str, int]:
        """Packets that came, but were not delivered, per media type; see the ``error`` signal."""
        if self._dispatcher is None:
            return {}
        return {
            kind.name.lower(): sum(self._dispatcher.dropped(kind).values()) for kind in MEDIA_NAMES
        }

    @property
    def callback_errors(self) -> dict[str, int]:
        """How often each callback raised."""
        return {} if self._dispatcher is None else dict(self._dispatcher.callback_errors)

    def stats(self) -> ClientStats:
        """Return what came, what was delivered and what is missing, as it is now."""
        session, dispatcher = self._session, self._dispatcher
        media: dict[str, MediaStats] = {}
        if session is not None and dispatcher is not None:
            for kind in MEDIA_NAMES:
                tracker = session.trackers.get(kind)
                media[kind.name.lower()] = (
                    MediaStats()
                    if tracker is None
                    else tracker.stats(
                        dispatcher.delivered(kind),
                        dispatcher.dropped(kind),
                        dispatcher.failed(kind),
                    )
                )
        # Where another stream is joined just now, it has no numbers yet: these are the other's.
        request = self._request if session is None else session.request
        return ClientStats(
            stream_id="" if request is None else request.identity.stream_id,
            uuid="" if request is None else request.identity.uuid,
            is_joined=self.is_joined,
            media=media,
            skipped=self.skipped,
            callback_errors=self.callback_errors,
            outages=0 if session is None else session.outages,
            outage_ms=0 if session is None else session.outage_ms,
            forgotten=0 if session is None else session.forgotten,
        )

    def stream_id(self) -> str:
        """Return the ``rtms_stream_id``; empty before :meth:`join`."""
        return "" if self._request is None else self._request.identity.stream_id

    def uuid(self) -> str:
        """Return the id of the meeting, session, engagement or call; empty before :meth:`join`."""
        return "" if self._request is None else self._request.identity.uuid

    # -- media -------------------------------------------------------------------------------------

    def on_audio_data(self, callback: MediaCallback[Result]) -> MediaCallback[Result]:
        """Ask for audio. ``callback(data, size, timestamp, metadata)``; decorator or call.

        ``data`` is bytes in the negotiated codec, ``size`` their number, ``timestamp`` ms since
        the epoch, ``metadata`` a :class:`~rtms_gevent.Metadata`.
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
        """Ask for audio without a callback: for signals."""
        return self._enable(MediaDataType.AUDIO, enable)

    def enable_video(self, enable: bool = True) -> bool:
        """Ask for video without a callback: for signals."""
        return self._enable(MediaDataType.VIDEO, enable)

    def enable_deskshare(self, enable: bool = True) -> bool:
        """Ask for screen share without a callback: for signals."""
        return self._enable(MediaDataType.DESKSHARE, enable)

    def enable_transcript(self, enable: bool = True) -> bool:
        """Ask for the transcript without a callback: for signals."""
        return self._enable(MediaDataType.TRANSCRIPT, enable)

    def enable_chat(self, enable: bool = True) -> bool:
        """Ask for chat without a callback: for signals."""
        return self._enable(MediaDataType.CHAT, enable)

    def set_audio_params(self, params: AudioParams) -> bool:
        """Choose the form of audio.

        Where audio flows already, its socket is opened anew; what goes wrong then is told by the
        ``error`` signal.

        Raises:
            ConfigurationError: Zoom refuses this combination.
        """
        return self._set_params(MediaDataType.AUDIO, params)

    def set_video_params(self, params: VideoParams) -> bool:
        """Choose the form of video; see :meth:`set_audio_params`."""
        return self._set_params(MediaDataType.VIDEO, params)

    def set_deskshare_params(self, params: DeskshareParams) -> bool:
        """Choose the form of screen share; see :meth:`set_audio_params`."""
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
            ConfigurationError: that is no such proxy.
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

        Zoom's stop reason; -1 where Zoom gave none; 960 where the server closed a socket, 502
        where a connection broke.
        """
        return self._on("leave", callback)

    def on_end(self, callback: EndCallback[Result]) -> EndCallback[Result]:
        """``callback(reason)`` once for each :meth:`join`, when it is over, whatever the cause.

        Be it that joining failed, that Zoom ended the stream, that it broke off, that we left, or
        that the loop, the worker or the interpreter ends: ``reason`` is a
        :class:`~rtms_gevent.LeaveReason`. It comes last, when all other callbacks of the stream
        have returned, also :meth:`on_leave`; only :data:`rtms_gevent.signals.left` comes after it.
        So here is the place to close what was opened for the stream. The client may join again.

        It runs in a greenlet of its own where the other callbacks run. If the loop of the client
        has never run, it runs in :meth:`leave`. In a forked child it does not run: the stream is
        the parent's.
        """
        return self._on("end", callback)

    def on_session_update(
        self, callback: SessionUpdateCallback[Result]
    ) -> SessionUpdateCallback[Result]:
        """``callback(op, session)`` when a session begins, pauses, resumes or stops."""
        return self._on("session_update", callback)

    def on_user_update(self, callback: UserUpdateCallback[Result]) -> UserUpdateCallback[Result]:
        """``callback(op, participant)`` for each who joins (``USER_JOIN``) or leaves."""
        return self._on("user_update", callback)

    def on_participant_event(
        self, callback: ParticipantEventCallback[Result]
    ) -> ParticipantEventCallback[Result]:
        """``callback("join" or "leave", timestamp, participants)``, these as dicts."""
        return self._on("participant_event", callback)

    def on_active_speaker_event(
        self, callback: ActiveSpeakerCallback[Result]
    ) -> ActiveSpeakerCallback[Result]:
        """``callback(timestamp, user_id, user_name)`` when somebody else speaks."""
        return self._on("active_speaker_event", callback)

    def on_sharing_event(self, callback: SharingCallback[Result]) -> SharingCallback[Result]:
        """``callback("start" or "stop", timestamp, user_id, user_name)``; ``None`` at a stop."""
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
        """``callback(user_id, status, error)`` after :meth:`subscribe_video`; status 0 is good."""
        return self._on("video_subscribed", callback)

    def on_interrupted(self, callback: BrokenCallback[Result]) -> BrokenCallback[Result]:
        """``callback(what, error)`` when a socket broke and is being rebuilt.

        ``what`` is "signaling", "media" or a media type; ``error`` is ``None`` where Zoom says so.
        """
        return self._on("interrupted", callback)

    def on_reconnecting(
        self, callback: ReconnectingCallback[Result]
    ) -> ReconnectingCallback[Result]:
        """``callback(attempt, delay)`` before each attempt to rebuild; the delay is in ms."""
        return self._on("reconnecting", callback)

    def on_reconnected(self, callback: ReconnectedCallback[Result]) -> ReconnectedCallback[Result]:
        """``callback(outage)`` when all is whole again, after so many ms."""
        return self._on("reconnected", callback)

    def on_media_gap(self, callback: MediaGapCallback[Result]) -> MediaGapCallback[Result]:
        """``callback(gap)`` after an outage, when media of some time will not come any more."""
        return self._on("media_gap", callback)

    def on_gave_up(self, callback: GaveUpCallback[Result]) -> GaveUpCallback[Result]:
        """``callback(error)`` when it could not be rebuilt in time; ``on_leave`` follows."""
        return self._on("gave_up", callback)

    def on_event_ex(self, callback: EventExCallback[Result]) -> EventExCallback[Result]:
        """``callback(event)`` with any event as JSON text, known or not; subscribes to nothing."""
        return self._on("event_ex", callback)

    def subscribe_event(self, events: int | Iterable[int]) -> bool:
        """Ask for events (:class:`~rtms_gevent.EventType`), before or after joining."""
        return self._subscribe(events, True)

    def unsubscribe_event(self, events: int | Iterable[int]) -> bool:
        """Ask no more for events."""
        return self._subscribe(events, False)

    def subscribe_video(self, user_id: int, subscribe: bool = True) -> None:
        """Ask for the video of one participant, or no more for it.

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
        if self._session is not None and self._session.is_joined:
            self._call(self._session.subscribe_video, user_id, subscribe)

    # -- inside ------------------------------------------------------------------------------------

    def _on(self, name: str, callback: _Function) -> _Function:
        self._callbacks.set(name, callback)
        if name in _KINDS:
            self._enable(_KINDS[name], True)
        elif name in _NEEDED_EVENTS:
            self._subscribe(_NEEDED_EVENTS[name], True)
        return callback

    def _enable(self, kind: MediaDataType, enable: bool) -> bool:
        with self._telling_events():
            self._subscription.enable(kind, enable)
        if self._session is not None and self._session.is_joined and enable:
            self._call(self._session.catch_up)
        return True

    def _subscribe(self, events: int | Iterable[int], subscribe: bool) -> bool:
        asked = {events} if isinstance(events, int) else set(events)
        if not all(isinstance(event, int) for event in asked):
            raise ConfigurationError("events must be numbers, such as EventType.PARTICIPANT_JOIN")
        with self._telling_events():
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
        with self._telling_events():
            # A copy, since the caller may go on with the object.
            self._subscription.params[kind] = copy.copy(params)
        if self._session is not None and self._session.is_joined and not unchanged:
            self._call(self._session.renegotiate, kind)
        return True

    @contextlib.contextmanager
    def _telling_events(self) -> Iterator[None]:
        """Tell a joined server which events are wanted now and were not before, and vice versa."""
        before = set(self._subscription.events_to_subscribe)
        yield
        after = set(self._subscription.events_to_subscribe)
        if self._session is not None and self._session.is_joined:
            for changed, subscribe in ((after - before, True), (before - after, False)):
                if changed:
                    self._call(self._session.subscribe, tuple(sorted(changed)), subscribe)

    def _joined_session(self) -> StreamSession:
        if self._is_waiting and self._hub_context is not None:
            self._call(self._hub_context.run_waiting, self)
        if self._session is None:
            raise NotJoinedError("call join() first")
        return self._session

    def _call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call on the hub that the stream lives on, whichever thread we are in."""
        assert self._hub_context is not None
        return self._hub_context.call(function, *arguments)


def _payload_of(given: object) -> tuple[str | None, dict[str, Any]]:
    """Return event name and flat payload of a webhook event or payload, parsed or not."""
    if isinstance(given, Mapping):
        event, payload = given.get("event"), given.get("payload", given)
    else:
        event, payload = getattr(given, "event", None), getattr(given, "payload", None)
    if not isinstance(payload, Mapping):
        raise ConfigurationError(
            f"join() takes ids, a webhook's payload or a webhook event, not {type(given).__name__}"
        )
    return (event if isinstance(event, str) else None), flatten(payload)


def _event_ts(event: object) -> int | None:
    value = event.get("event_ts") if isinstance(event, Mapping) else getattr(event, "event_ts", 0)
    return value if isinstance(value, int) and value > 0 else None


def _refuse_misspelt(fields: Mapping[str, Any]) -> None:
    for name in fields:
        close = difflib.get_close_matches(name, _OPTIONS | _IDS, n=1, cutoff=0.8)
        if close:
            raise ConfigurationError(f"join() has no argument {name!r}; is {close[0]!r} meant?")


def _seconds(timeout: object, default: float) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise ConfigurationError(f"timeout must be milliseconds, not {type(timeout).__name__}")
    if timeout == -1:
        return default
    if timeout < 0:
        raise ConfigurationError(f"timeout must be -1 or milliseconds from 0 on, not {timeout}")
    return timeout / 1000

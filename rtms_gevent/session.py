"""One stream's life: signaling and media sockets, the order of handshakes, and the end."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Sequence

import gevent
from gevent.event import AsyncResult, Event
from gevent.lock import Semaphore

from ._version import __version__
from .channel import Channel, Dialling
from .dispatch import Dispatcher
from .enums import MediaDataType, StreamState
from .errors import (
    ConnectionLost,
    EndedBeforeJoined,
    HandshakeMalformed,
    JoinError,
    JoinTimeout,
    MediaNotOffered,
    RemoteProtocolError,
    RtmsError,
    ServerUrlError,
)
from .protocol.codec import JsonCodec
from .protocol.identity import StreamIdentity
from .protocol.media import MediaConversation
from .protocol.messages import (
    ClientReady,
    EventSubscription,
    EventUpdate,
    MediaHandshakeRequest,
    MediaHandshakeResponse,
    Message,
    SessionStateUpdate,
    SignalingHandshakeRequest,
    SignalingHandshakeResponse,
    StreamCloseRequest,
    StreamStateUpdate,
    VideoSubscriptionRequest,
    VideoSubscriptionResponse,
)
from .protocol.packets import MediaPacket
from .protocol.params import media_params
from .protocol.signaling import SignalingConversation
from .protocol.urls import Endpoint, parse_server_urls
from .reasons import LeaveReason
from .reports import Notice, Reports
from .transport.clock import Deadline
from .transport.greenlets import Crew
from .wishes import Wishes

__all__ = ["JoinOrder", "Session"]

logger = logging.getLogger(__name__)

#: How many skipped messages are told one by one. After these only every thousandth is, so that a
#: mad server can fill neither the disk nor the memory.
_TOLD_SKIPPED = 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JoinOrder:
    """All that is needed to join one stream, checked."""

    identity: StreamIdentity
    endpoints: tuple[Endpoint, ...]
    signature: str = dataclasses.field(repr=False)
    dialling: Dialling = dataclasses.field(repr=False)
    allowed_hosts: tuple[str, ...]
    #: Seconds that all of joining may take.
    timeout: float
    #: One media socket for all media types instead of one for each.
    unified: bool = False
    buffer_data: bool | None = None


class Session:
    """One stream, from joining to its end.

    A supervising greenlet joins, and watches for silence; the hub reads; the dispatcher's greenlets
    deliver. Greenlet-safety: any greenlet of the hub that started it.
    """

    def __init__(self, order: JoinOrder, wishes: Wishes, dispatcher: Dispatcher) -> None:
        """Prepare a session; :meth:`start` begins it."""
        self.order = order
        self.joined: AsyncResult[bool] = AsyncResult()  #: set, or has the error, once known
        self.over = Event()  #: set when the end was told to the user
        self.end: LeaveReason | None = None  #: set when the end is known
        #: Messages that could not be used, per socket.
        self.skipped: dict[str, int] = {}
        self._wishes = wishes
        self._dispatcher = dispatcher
        self._crew = Crew(f"rtms {order.identity.stream_id[:12]}")
        self._codec = JsonCodec(order.identity.product, max_nesting=order.dialling.limits.nesting)
        self._reports = Reports(order.identity.stream_id, order.identity.uuid)
        self._deadline = Deadline(order.timeout)
        self._ending = Event()
        self._step = "the signaling socket"
        self._offered: dict[MediaDataType, tuple[Endpoint, ...]] = {}
        self._signaling = Channel(
            "signaling",
            SignalingConversation(),
            self._codec,
            on_message=self._on_signaling,
            on_skipped=self._on_skipped,
            on_closed=self._on_lost,
            silence=order.dialling.timeouts.signaling_silence,
        )
        self._media: dict[MediaDataType, Channel] = {}
        #: The parameters that each media socket was asked for last.
        self._asked: dict[MediaDataType, dict[str, dict[str, int | bool]]] = {}
        self._changing_media = Semaphore()
        #: What the server really sends, per media type, as it said in its handshake response.
        self.negotiated: dict[str, object] = {}

    # -- the supervisor ----------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to join. Returns at once."""
        identity = self.order.identity
        self._dispatcher.put(
            Notice("joining", (identity.stream_id, identity.uuid, identity.product))
        )
        self._crew.spawn("session", self._run)

    def _run(self) -> None:
        try:
            self._join()
        except JoinError as problem:
            self._finish(LeaveReason.failed(problem))
        except Exception as problem:  # noqa: BLE001 - logged there
            self._finish(LeaveReason.failed(self._unexpected(problem)))
        else:
            self._watch()
        # A socket that is just being opened, anew or in addition, would outlive the stream.
        self._crew.stop()
        assert self.end is not None
        if self.end.by_us:
            return  # leave() does the rest
        if isinstance(self.end.error, JoinError):
            logger.error("stream %s: %s", self._stream, self.end)
            self._tell_error(self.end.error, "join")
        else:
            logger.info("stream %s is over: %s", self._stream, self.end)
        self._close_sockets()
        self._dispatcher.drain()
        self._dispatcher.put(Notice("left", (self.order.identity.stream_id, self.end)))
        self._dispatcher.drain()
        self._dispatcher.close()
        self.over.set()

    @property
    def _stream(self) -> str:
        """The stream as logs name it: its id is no secret, but long."""
        return self.order.identity.stream_id[:12]

    def _join(self) -> None:
        order = self.order
        try:
            with gevent.Timeout(self._deadline.left(), _TooLate):
                self._signaling.open(order.endpoints, order.dialling, self._deadline)
                self._step = "the answer to the signaling handshake"
                answer = self._signaling.greet(
                    SignalingHandshakeRequest(
                        identity=order.identity,
                        signature=order.signature,
                        buffer_data=order.buffer_data,
                        agent=f"rtms-gevent/{__version__}",
                    ),
                    SignalingHandshakeResponse,
                    order.dialling,
                    self._deadline,
                )
                self._offered = self._endpoints_of(answer)
                self._step = "the media sockets"
                wanted = self._wishes.media
                if not wanted:
                    logger.warning(
                        "stream %s: no media callback is registered, so only events will arrive",
                        self._stream,
                    )
                self._open_media(wanted)
                if self._ending.is_set():
                    return
                self._fulfil_wishes()
        except _TooLate:
            raise JoinTimeout(order.timeout, self._step) from None
        except ConnectionLost as problem:
            # It broke between two handshakes.
            raise HandshakeMalformed(problem.socket, problem.problem) from problem
        logger.info("stream %s is joined", self._stream)
        self._dispatcher.put(Notice("joined", (order.identity.stream_id, order.identity.uuid)))
        self.joined.set(True)
        self._catch_up(wanted)

    def _endpoints_of(
        self, answer: SignalingHandshakeResponse
    ) -> dict[MediaDataType, tuple[Endpoint, ...]]:
        """Return the addresses of the media servers that may be dialled."""
        if not answer.media_urls and self._wishes.media:
            raise HandshakeMalformed("signaling", "it names no media server")
        try:
            return {
                kind: parse_server_urls(urls, self.order.allowed_hosts)
                for kind, urls in answer.media_urls.items()
            }
        except ServerUrlError as problem:
            raise HandshakeMalformed("signaling", str(problem)) from problem

    def _watch(self) -> None:
        """Wait for the end, and declare it when a socket is silent for too long."""
        while not self._ending.is_set():
            now = time.monotonic()
            channels = [self._signaling, *self._media.values()]
            silent = next((channel for channel in channels if not channel.silent_for(now)), None)
            if silent is not None:
                self._on_lost(silent, ConnectionLost(silent.name, "nothing was heard for too long"))
                return
            self._ending.wait(min(channel.silent_for(now) for channel in channels))

    # -- media sockets -----------------------------------------------------------------------------

    def _open_media(self, wanted: Sequence[MediaDataType]) -> None:
        """Open the sockets for ``wanted``, all at once, and tell the server that we are ready.

        Raises:
            JoinError: one of them could not be opened, or none is offered.
        """
        plan = self._plan(wanted)
        if not plan:
            return
        openers = {
            kind: self._crew.spawn(f"open {channel.name}", self._open_one, channel, kind, endpoints)
            for kind, (channel, endpoints) in plan.items()
        }
        try:
            for opener in gevent.iwait(list(openers.values())):
                problem = opener.value
                if isinstance(problem, JoinError):
                    raise problem
        finally:
            gevent.killall(list(openers.values()), block=False)
        self._signaling.tell(ClientReady(stream_id=self.order.identity.stream_id))

    def _plan(
        self, wanted: Sequence[MediaDataType]
    ) -> dict[MediaDataType, tuple[Channel, tuple[Endpoint, ...]]]:
        """Return which channels to open, and where."""
        kinds = (MediaDataType.ALL,) if self.order.unified and wanted else wanted
        plan, missing = {}, []
        for kind in kinds:
            if kind in self._media:
                continue
            # Some servers name one address for everything.
            endpoints = self._offered.get(kind) or self._offered.get(MediaDataType.ALL)
            if endpoints:
                self._media[kind] = channel = self._media_channel(kind)
                plan[kind] = (channel, endpoints)
            else:
                missing.append(kind)
        if missing:
            problem = MediaNotOffered(
                tuple(kind.name.lower() for kind in missing),
                tuple(kind.name.lower() for kind in self._offered),
            )
            if not plan and not self._media:
                raise problem
            logger.error("stream %s: %s", self._stream, problem)
            self._tell_error(problem, "join")
        return plan

    def _media_channel(self, kind: MediaDataType) -> Channel:
        name = "unified" if kind is MediaDataType.ALL else kind.name.lower()
        return Channel(
            name,
            MediaConversation(name),
            self._codec,
            on_message=self._on_media,
            on_skipped=self._on_skipped,
            on_closed=self._on_lost,
            silence=self.order.dialling.timeouts.media_silence,
        )

    def _open_one(
        self, channel: Channel, kind: MediaDataType, endpoints: tuple[Endpoint, ...]
    ) -> JoinError | None:
        """Open one media socket; return what went wrong."""
        order = self.order
        try:
            self._asked[kind] = asked = self._params_for(kind)
            channel.open(endpoints, order.dialling, self._deadline)
            answer = channel.greet(
                MediaHandshakeRequest(
                    identity=order.identity,
                    signature=order.signature,
                    media_type=kind,
                    media_params=asked,
                ),
                MediaHandshakeResponse,
                order.dialling,
                self._deadline,
            )
        except JoinError as problem:
            return problem
        except Exception as problem:  # noqa: BLE001 - logged there
            return self._unexpected(problem)
        self.negotiated.update(answer.media_params)
        return None

    def _unexpected(self, problem: Exception) -> JoinError:
        """Log a bug, and return an error for it, so that nobody waits for ever because of it."""
        logger.exception("stream %s: joining failed in an unexpected way", self._stream)
        return JoinError(f"joining failed with {type(problem).__name__}: {problem}")

    def _params_for(self, kind: MediaDataType) -> dict[str, dict[str, int | bool]]:
        kinds = self._wishes.media if kind is MediaDataType.ALL else (kind,)
        chosen = {item: self._wishes.params_for(item) for item in kinds}
        return media_params({params.key: params for params in chosen.values() if params})

    # -- what the user wants, now and later --------------------------------------------------------

    @property
    def is_joined(self) -> bool:
        """Whether media may flow."""
        return self.joined.ready() and self.joined.successful() and not self._ending.is_set()

    def is_open(self, kind: MediaDataType) -> bool:
        """Whether a socket for this media type was asked for already."""
        return kind in self._media or MediaDataType.ALL in self._media

    def _fulfil_wishes(self) -> None:
        events = self._wishes.subscribable
        if events:
            self._signaling.tell(EventSubscription(events=events))
        if self._wishes.video_of is not None:
            self.subscribe_video(self._wishes.video_of, True)

    def subscribe(self, events: tuple[int, ...], subscribe: bool) -> None:
        """Tell the server which events are wanted, or wanted no more."""
        if events and self.is_joined:
            self._signaling.tell(EventSubscription(events=events, subscribe=subscribe))

    def subscribe_video(self, user_id: int, subscribe: bool) -> None:
        """Ask for a participant's video; the answer comes as ``video_subscribed``."""
        self._signaling.tell(
            VideoSubscriptionRequest(
                user_id=user_id, subscribe=subscribe, timestamp=int(time.time() * 1000)
            )
        )

    def add_media(self) -> None:
        """Open sockets for media that is wanted now and was not before. Returns at once."""
        if self.is_joined and any(not self.is_open(kind) for kind in self._wishes.media):
            self._crew.spawn("add media", self._add_media)

    def renegotiate(self, kind: MediaDataType) -> None:
        """Open the socket of ``kind`` anew, so that new parameters take effect. Returns at once."""
        if self.is_joined and self.is_open(kind):
            self._crew.spawn("renegotiate", self._renegotiate, kind)

    def _catch_up(self, wanted: Sequence[MediaDataType]) -> None:
        """Do what was wished for after ``wanted`` was read and its sockets were being opened."""
        if self._wishes.media != wanted:
            self.add_media()
        for kind, asked in self._asked.items():
            if asked != self._params_for(kind):
                self.renegotiate(kind)

    def _add_media(self) -> None:
        with self._changing_media:
            for kind in self._wishes.media:
                self._open_later(kind, "add media")

    def _renegotiate(self, kind: MediaDataType) -> None:
        with self._changing_media:
            self._close_media(kind)
            self._open_later(kind, "renegotiate")
        has_video = kind is MediaDataType.VIDEO or self.order.unified
        if has_video and self._wishes.video_of is not None:
            with contextlib.suppress(ConnectionLost):
                self.subscribe_video(self._wishes.video_of, True)

    def _open_later(self, kind: MediaDataType, where: str) -> None:
        """Open a media socket of a joined stream; what goes wrong is told, and the others go on."""
        self._deadline = Deadline(self.order.dialling.timeouts.join)
        try:
            self._open_media((kind,))
        except RtmsError as problem:
            logger.error("stream %s: %s", self._stream, problem)
            self._close_media(kind)  # so that it can be asked for again
            self._tell_error(problem, where)

    def _close_media(self, kind: MediaDataType) -> None:
        """Close the socket that ``kind`` comes on, if there is one, and forget it."""
        key = MediaDataType.ALL if self.order.unified else kind
        channel = self._media.get(key)
        if channel is not None:
            # All that the server has sent is read before its close frame. Until then we keep the
            # channel, so that a leave() in the meantime finds it.
            channel.close()
            channel.wait_closed(self.order.dialling.timeouts.close)
            del self._media[key]

    # -- in the hub --------------------------------------------------------------------------------

    def _on_signaling(self, channel: Channel, message: Message | MediaPacket) -> None:
        if isinstance(message, EventUpdate):
            notices = self._reports.of_event(message)
        elif isinstance(message, SessionStateUpdate):
            notices = self._reports.of_session_state(message)
        elif isinstance(message, StreamStateUpdate):
            self._on_stream_state(channel, message)
            return
        elif isinstance(message, VideoSubscriptionResponse):
            arguments = (message.user_id, message.status, message.reason)
            notices = iter((Notice("video_subscribed", arguments),))
        else:
            notices = iter((Notice("other_message", (message, channel.name)),))
        for notice in notices:
            self._dispatcher.put(notice)

    def _on_stream_state(self, channel: Channel, message: StreamStateUpdate) -> None:
        if message.stream_id and message.stream_id != self.order.identity.stream_id:
            self._on_skipped(channel, RemoteProtocolError("a state of another stream"))
            return
        self._dispatcher.put(
            Notice("stream_state", (message.state, message.reason, message.timestamp))
        )
        if message.state == StreamState.TERMINATED:
            self._finish(LeaveReason.stopped(message.reason))

    def _on_media(self, channel: Channel, message: Message | MediaPacket) -> None:
        if isinstance(message, MediaPacket):
            self._reports.complete(message)
            self._dispatcher.put_media(message)
        elif isinstance(message, StreamStateUpdate):
            self._on_stream_state(channel, message)
        else:
            self._dispatcher.put(Notice("other_message", (message, channel.name)))

    def _on_skipped(self, channel: Channel, problem: RemoteProtocolError) -> None:
        count = self.skipped[channel.name] = self.skipped.get(channel.name, 0) + 1
        if count > _TOLD_SKIPPED and count % 1000:
            return
        logger.warning(
            "stream %s, %s socket: skipped %s (%d so far)",
            self._stream,
            channel.name,
            problem,
            count,
        )
        self._tell_error(problem, channel.name)

    def _on_lost(self, channel: Channel, problem: ConnectionLost) -> None:
        self._finish(LeaveReason.failed(problem))

    def _tell_error(self, problem: Exception, where: str) -> None:
        self._dispatcher.put(Notice("error", (problem, where)))

    # -- the end -----------------------------------------------------------------------------------

    def _finish(self, reason: LeaveReason) -> None:
        """Note why the stream is over; the first reason counts. Never waits."""
        if self._ending.is_set():
            return
        self.end = reason
        if not self.joined.ready():
            self.joined.set_exception(reason.error or EndedBeforeJoined(str(reason)))
        self._ending.set()

    def stopped_by_zoom(self, stop_reason: int | None) -> None:
        """Note that a webhook said that the stream has stopped. Never waits."""
        self._finish(LeaveReason.stopped(stop_reason))

    def leave(self, *, close_stream: bool = False) -> None:
        """End our part; when this returns nothing is delivered any more.

        Args:
            close_stream: Ask Zoom to end the stream, and wait for its answer, before closing.
        """
        if self.over.is_set():
            return
        if close_stream and self.is_joined:
            self._ask_to_close_stream()
        self._dispatcher.close()
        self._finish(LeaveReason.left())
        try:
            self._crew.stop()
            self._close_sockets()
        finally:
            # Also where a time limit of the caller, or a kill, cuts the waiting short.
            for channel in (*self._media.values(), self._signaling):
                channel.abort()
            if not self.over.is_set():
                self.over.set()
                assert self.end is not None
                if self.end.by_us:
                    logger.info("stream %s is over: %s", self._stream, self.end)
                self._dispatcher.tell(Notice("left", (self.order.identity.stream_id, self.end)))

    def _ask_to_close_stream(self) -> None:
        request = StreamCloseRequest(stream_id=self.order.identity.stream_id)
        with contextlib.suppress(ConnectionLost):  # the stream is over then, too
            answer = self._signaling.ask_to_close_stream(
                request, self.order.dialling.timeouts.close
            )
            if answer is None:
                logger.warning("stream %s: Zoom did not answer the close request", self._stream)
            elif answer.status:
                logger.warning(
                    "stream %s: Zoom refused to close it, status %d", self._stream, answer.status
                )

    def _close_sockets(self) -> None:
        """Send close frames on all sockets, and wait for the answers, together."""
        channels = [*self._media.values(), self._signaling]
        for channel in channels:
            channel.close()
        deadline = Deadline(self.order.dialling.timeouts.close)
        for channel in channels:
            channel.wait_closed(deadline.left())


class _TooLate(Exception):
    """Joining as a whole took too long."""

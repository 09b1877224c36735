"""One stream's life: joining, watching, mending, and the end."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import random
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import gevent
from gevent.event import AsyncResult, Event
from gevent.lock import Semaphore

from ..delivery.dispatcher import Dispatcher
from ..delivery.media_inbox import MediaInbox
from ..delivery.overflow import BackPressure
from ..enums import EventType, MediaDataType, StreamState
from ..errors import (
    ConnectionLost,
    EndedBeforeJoined,
    GaveUp,
    InboxOverflow,
    JoinError,
    RemoteProtocolError,
    RtmsError,
)
from ..protocol.bounded import footprint
from ..protocol.events import ClientEvent, EventTranslator
from ..protocol.fields import integer
from ..protocol.messages import (
    EventSubscription,
    EventUpdate,
    Message,
    SessionStateUpdate,
    StreamStateUpdate,
    VideoSubscriptionResponse,
)
from ..protocol.packets import MediaPacket
from ..protocol.pieces import Pieces
from ..protocol.reconnect import (
    Backoff,
    ReconnectAttempt,
    ReconnectPolicy,
    WindowExpired,
    is_transient,
)
from ..protocol.subscription import Subscription
from ..protocol.urls import Endpoint
from ..runtime import watchdog
from ..runtime.deadline import MIN_TIMEOUT, Deadline, clamp_timeout
from ..runtime.fair_scheduling import yield_to_io
from ..runtime.file_descriptors import preallocate_fd_table
from ..runtime.fork import forget_in_child
from ..runtime.greenlets import GreenletGroup
from .connection import Connection
from .connections import Handlers, StreamConnections
from .decoding import warn_of_slow_decoding
from .join_request import JoinRequest
from .leave_reason import LeaveReason
from .stats import MediaTracker, Reconciled

__all__ = ["StreamSession"]

logger = logging.getLogger(__name__)

#: How many skipped messages are told one by one. After these only every thousandth is, so that a
#: mad server can fill neither the disk nor the memory.
_TOLD_SKIPPED = 20

#: Seconds to wait for the answers to close frames on sockets that are to be rebuilt: time is short,
#: and a server that cannot answer has sent all it could.
_FAREWELL = 0.5

#: Seconds after a repair in which Zoom may still tell of the loss that it mended.
_LATE_NEWS = 3.0

#: Seconds without a sign of life, not even a keep-alive, after which a socket is taken for the one
#: that Zoom says is interrupted, though others broke, too.
_SUSPICIOUS = 15.0

#: Seconds in which a socket breaks that Zoom says is interrupted, if we can see that at all.
_A_WHILE = 0.5


class StreamSession:
    """One stream, from joining to its end.

    A supervising greenlet joins, watches for silence and mends what breaks; the hub reads; the
    dispatcher's greenlets deliver. Greenlet-safety: any greenlet of the hub that started it.
    """

    def __init__(
        self,
        request: JoinRequest,
        subscription: Subscription,
        make_dispatcher: Callable[[BackPressure], Dispatcher],
    ) -> None:
        """Prepare a session; :meth:`start` begins it."""
        self.joined: AsyncResult[bool] = AsyncResult()  #: set, or has the error, once known
        self.over = Event()  #: set when nothing but the end is told any more
        self.told = Event()  #: set when the end was told, the last thing of all
        self.end: LeaveReason | None = None  #: set when the end is known
        self.has_ended = False  #: whether all was delivered, and only the end is left to be told
        #: Messages that could not be used, per socket.
        self.skipped: dict[str, int] = {}
        self._subscription = subscription
        self._dispatcher = make_dispatcher(self)
        self._greenlets = GreenletGroup(f"rtms {request.stream}")
        self._translator = EventTranslator(request.identity.stream_id, request.identity.uuid)
        self._pieces = Pieces()
        self._ending = Event()
        self._sockets = StreamConnections(
            request,
            subscription,
            self._greenlets,
            self._ending,
            Handlers(
                self._on_signaling,
                self._on_media,
                self._on_packets,
                self._on_skipped,
                self._on_lost,
                self._on_opened,
                self._tell_error,
            ),
        )
        self._news = Event()  # the supervisor has something to do
        self._is_told_by_zoom = False  # that something is broken, whatever we notice
        self._is_looking = False  # for what is broken, since Zoom says that something is
        self._changing_media = Semaphore()
        settings = request.options.reconnect
        self._backoff = Backoff(settings.base_delay, settings.max_delay)
        self._recovery = self._new_recovery()
        # When anything was mended last, and everything; both monotonic.
        self._restored_at = self._whole_since = float("-inf")
        self.trackers = _Accounts()
        #: Where packets go, by media type: made with the first of them.
        self._lanes: dict[MediaDataType, tuple[MediaTracker, MediaInbox]] = {}
        self._releasing: set[MediaDataType] = set()  # whose accounts hold packets back
        self.outages = self.outage_ms = 0
        self._cause = ""  # of the outage, in words
        self._is_leaving = False

    def _new_recovery(self) -> ReconnectPolicy:
        settings = self.request.options.reconnect
        return ReconnectPolicy(
            signaling_window=settings.signaling_window,
            media_window=settings.media_window,
            backoff=self._backoff,
            jitter=_jitter,
        )

    @property
    def request(self) -> JoinRequest:
        """What was asked for; its endpoints change where Zoom moves the stream."""
        return self._sockets.request

    @property
    def negotiated(self) -> dict[str, object]:
        """What the server really sends, per media type."""
        return self._sockets.negotiated

    @property
    def forgotten(self) -> int:
        """How many participants, channels and sessions are not known any more: too many came."""
        return self._translator.forgotten

    # -- the supervisor ----------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to join. Returns at once."""
        forget_in_child(self)
        identity = self.request.identity
        self._dispatcher.put(
            ClientEvent("joining", (identity.stream_id, identity.uuid, identity.product))
        )
        preallocate_fd_table()
        warn_of_slow_decoding()
        self._unwatch = watchdog.watch()
        self._greenlets.spawn("session", self._run)

    def _run(self) -> None:
        try:
            yield_to_io()
            self._join()
            while not self._ending.is_set():
                self._watch()
                self._mend()
        except JoinError as problem:
            self._finish(LeaveReason.failed(problem, was_joined=self._was_joined))
        except Exception as problem:  # noqa: BLE001 - logged there
            unexpected = self._sockets.unexpected(problem)
            self._finish(LeaveReason.failed(unexpected, was_joined=self._was_joined))
        # A socket that is just being opened, anew or in addition, would outlive the stream.
        self._greenlets.stop()
        assert self.end is not None
        if self.end.by_us:
            return  # leave() does the rest
        if self.end.error is None:
            logger.info("stream %s is over: %s", self.request.stream, self.end)
        else:
            logger.error("stream %s is over: %s", self.request.stream, self.end)
            self._tell_error(self.end.error, "reconnect" if self._was_joined else "join")
        self._close()
        self._settle_accounts()
        self._dispatcher.drain()
        self.has_ended = True
        self._dispatcher.put(ClientEvent("left", (self.request.identity.stream_id, self.end)))
        self._dispatcher.drain()
        self._dispatcher.close()
        self._unwatch()
        self._tell_end()

    def _close(self) -> None:
        """Close all sockets, and note where the server has not finished."""
        for key, heard in self._sockets.close().items():
            for kind in self._on((key,)):
                self.trackers[kind].went_down(heard * 1000, "the server did not finish in time")

    def _settle_accounts(self) -> None:
        """Nothing more will come: hand on what was held, and tell of the last gaps."""
        for kind, tracker in self.trackers.items():
            self._file(kind, tracker.ended(_now_ms()))

    @property
    def _was_joined(self) -> bool:
        return self.joined.ready() and self.joined.successful()

    def _join(self) -> None:
        """Open everything for the first time; what may pass is tried a few times."""
        deadline = Deadline(self.request.timeout)
        settings = self.request.options.reconnect
        for attempt in range(1, settings.join_attempts + 1):
            self._recovery = self._new_recovery()  # losses of an earlier attempt do not count
            try:
                self._sockets.connect(deadline)
                break
            except JoinError as problem:
                delay = self._backoff.delay(attempt + 1, _jitter())
                left = deadline.left()
                is_last = attempt == settings.join_attempts or not is_transient(problem)
                if self._ending.is_set() or is_last or (left is not None and left < delay):
                    raise
                logger.warning("stream %s, attempt %d: %s", self.request.stream, attempt, problem)
                self._tell_error(problem, "join")
                self._sockets.close()
                if self._ending.wait(clamp_timeout(delay)):
                    return
        if self._ending.is_set():
            return
        logger.info("stream %s is joined", self.request.stream)
        if not self._subscription.media:
            logger.warning(
                "stream %s: no media callback is registered, so only events will arrive",
                self.request.stream,
            )
        identity = self.request.identity
        self._dispatcher.put(ClientEvent("joined", (identity.stream_id, identity.uuid)))
        self._whole_since = time.monotonic()
        self.joined.set(True)
        self.catch_up()

    def catch_up(self) -> None:
        """Ask for what was wished for since the sockets were opened. Returns at once."""
        self._open_missing()
        for kind in self._sockets.outdated():
            self.renegotiate(kind)

    def _watch(self) -> None:
        """Wait until something is broken, or the end."""
        while not self._ending.is_set() and not self._recovery.is_broken:
            now = time.monotonic()
            silent = self._sockets.silent(now)
            if silent is not None:
                # Where this process was stopped (SIGSTOP, a laptop's sleep) what came meanwhile
                # lies there, unread: let the hub read it before we call the socket dead.
                gevent.sleep(MIN_TIMEOUT)
                yield_to_io()
                silent = self._sockets.silent(time.monotonic())
            if silent is not None and not self._recovery.is_broken:
                self._on_lost(silent, ConnectionLost(silent.name, "nothing was heard for too long"))
                return
            self._news.clear()
            self._news.wait(clamp_timeout(self._sockets.patience(now)))

    # -- mending -----------------------------------------------------------------------------------

    def _mend(self) -> None:
        """Rebuild what is broken, until all is whole, the window has passed, or the end.

        Raises:
            JoinError: what another try would not mend.
        """
        while not self._ending.is_set():
            step = self._recovery.next(time.monotonic())
            if step is None:
                return
            if isinstance(step, WindowExpired):
                self._give_up(step)
                return
            self._dispatcher.put(ClientEvent("reconnecting", (step.number, int(step.delay * 1000))))
            logger.info(
                "stream %s: attempt %d to reconnect %s in %d ms",
                self.request.stream,
                step.number,
                "everything" if step.media is None else _names(step.media),
                step.delay * 1000,
            )
            self._news.clear()
            # More may break, or new addresses come, while we wait: then look again.
            if self._news.wait(clamp_timeout(step.delay)):
                continue
            self._attempt(step)

    def _attempt(self, step: ReconnectAttempt) -> None:
        self._recovery.began(step)
        # What broke by itself is down already.
        self._media_down(step.media, zoom_says_so=self._is_told_by_zoom)
        self._is_told_by_zoom = False
        settings = self.request.options.reconnect
        try:
            with self._changing_media:
                deadline = Deadline(min(step.left, step.number * settings.attempt_timeout))
                if step.media is None:
                    self._sockets.close(_FAREWELL)
                    self._sockets.connect(deadline)
                else:
                    self._sockets.close_media(step.media, _FAREWELL)
                    self._sockets.open_media(self._on(step.media), deadline, partly=True)
                    self._subscribe_video_again(step.media)
        except ConnectionLost as problem:  # of the signaling socket, while media was mended
            logger.warning("stream %s: %s", self.request.stream, problem)
            now = time.monotonic()
            self._recovery.failed(step, now)
            self._recovery.lost_signaling(now)
            return
        except JoinError as problem:
            if not is_transient(problem):
                raise
            logger.warning("stream %s, attempt %d: %s", self.request.stream, step.number, problem)
            self._tell_error(problem, "reconnect")
            mended = () if step.media is None else self._sockets.ready(step.media)
            self._recovery.failed(step, time.monotonic(), mended)
            return
        if self._ending.is_set():
            return
        self._restored_at = time.monotonic()
        if step.media is None:
            self._whole_since = self._restored_at
        outage = self._recovery.succeeded(step, self._restored_at)
        if outage is not None:
            logger.info("stream %s is whole again after %.1f s", self.request.stream, outage)
            self.outages += 1
            self.outage_ms += int(outage * 1000)
            self._dispatcher.put(ClientEvent("reconnected", (int(outage * 1000),)))
            if step.media is None:
                self.catch_up()

    def _media_down(
        self, keys: Collection[MediaDataType] | None, *, zoom_says_so: bool = False
    ) -> None:
        """Note that the sockets of ``keys``, or all, do not work any more.

        What is missing is missing since they were heard last, however late we noticed. Where we
        notice nothing, since it is Zoom that says so, it may have been missing for as long as Zoom
        waits for us.
        """
        window = self.request.options.reconnect.media_window if zoom_says_so else 0.0
        # Without signaling Zoom need not send media, though it may still ask for keep-alives.
        limit = self._sockets.signaling_heard_at if keys is None else None
        for kind in self._on(keys):
            heard = self._sockets.heard_at(kind)
            if heard is None:  # it is not open: down already, or not offered
                continue
            if limit is not None:
                heard = min(heard, limit)
            self.trackers[kind].went_down(heard * 1000, self._cause, (heard - window) * 1000)

    def _on_opened(self, key: MediaDataType) -> None:
        """A media socket is open, and nothing has come on it yet. Called by the hub."""
        if self._dispatcher.is_closed:  # we have left
            return
        for kind in self._on((key,)):
            tracker, params = self.trackers[kind], self._sockets.negotiated.get(kind.name.lower())
            if isinstance(params, Mapping):
                tracker.frame_ms = _frame_ms(params)
            self._file(kind, tracker.came_up(_now_ms()))

    def _on(self, keys: Collection[MediaDataType] | None) -> list[MediaDataType]:
        """Return the wanted media types that travel on the sockets of ``keys``, or on all."""
        everything = keys is None or MediaDataType.ALL in keys
        return [kind for kind in self._subscription.media if everything or kind in (keys or ())]

    def _file(self, kind: MediaDataType, reconciled: Reconciled) -> None:
        """Tell what an account has found out, and deliver what it wants to be delivered."""
        self._tell_of(kind, reconciled)
        if reconciled.wanted:
            packets = [self._translator.with_speaker(packet) for packet in reconciled.wanted]
            self._dispatcher.inbox(kind).put(packets, reconciled.size)

    def _tell_of(self, kind: MediaDataType, reconciled: Reconciled) -> None:
        if reconciled.remark:
            logger.warning(
                "stream %s, %s: %s", self.request.stream, kind.name.lower(), reconciled.remark
            )
        for gap in reconciled.gaps:
            logger.warning("stream %s: %s", self.request.stream, gap)
            event = ClientEvent("media_gap", (gap,))
            if self._dispatcher.is_closed:  # we left: only signals are sent
                self._dispatcher.send_signal(event)
            else:
                self._dispatcher.put(event)

    def _subscribe_video_again(self, keys: frozenset[MediaDataType]) -> None:
        chosen = self._subscription.video_user_id
        if self._ending.is_set():
            return
        if chosen is not None and not keys.isdisjoint({MediaDataType.VIDEO, MediaDataType.ALL}):
            self._sockets.subscribe_video(chosen, True)

    def _give_up(self, step: WindowExpired) -> None:
        error = GaveUp(step.outage, step.attempts)
        self._dispatcher.put(ClientEvent("gave_up", (error,)))
        self._finish(LeaveReason.failed(error))

    def _news_of(self, loss: Callable[[float], bool]) -> bool:
        """Note a loss, and wake the supervisor if it is news."""
        is_news = not self._ending.is_set() and loss(time.monotonic())
        if is_news:
            self._news.set()
        return is_news

    def _interrupted(
        self, what: str, problem: RtmsError | None, words: str = "Zoom says that it was interrupted"
    ) -> None:
        self._cause = words if problem is None else str(problem)
        self._is_told_by_zoom = problem is None
        logger.warning("stream %s: %s is interrupted: %s", self.request.stream, what, self._cause)
        self._dispatcher.put(ClientEvent("interrupted", (what, problem)))

    def _on_lost(self, connection: Connection, problem: ConnectionLost) -> None:
        """A socket broke, or fell silent."""
        kind = self._sockets.kind_of(connection)
        self._cause = str(problem)
        if kind is not None:
            self._media_down((kind,))
        elif self._sockets.is_signaling(connection) and self._was_joined:
            self._media_down(None)
        if not self.request.options.reconnect.enabled:
            self._finish(LeaveReason.failed(problem))
            return
        if self._sockets.is_signaling(connection):
            is_news = self._news_of(self._recovery.lost_signaling)
        elif kind is not None:
            is_news = self._news_of(lambda now: self._recovery.lost_media((kind,), now))
        else:
            return
        if is_news and self._was_joined:
            self._interrupted(connection.name, problem)

    def _media_is_interrupted(self) -> None:
        """Zoom says that media is; it does not say which, and may say it late, and twice."""
        if self.request.options.reconnect.enabled and not self._is_looking:
            self._is_looking = True
            self._greenlets.spawn("look for broken media", self._look_for_broken_media)

    def _look_for_broken_media(self) -> None:
        """Leave it to the sockets that break, if any do; else take all of media for broken.

        Where something broke it is likely what Zoom means, but another socket may be dead without
        our noticing. So those that stay silent from now on are taken for broken, too.
        """
        began = time.monotonic()
        is_known = self._recovery.is_broken or began - self._restored_at <= _LATE_NEWS
        gevent.sleep(_A_WHILE)
        self._is_looking = False
        if not is_known and not self._recovery.is_broken and self._restored_at < began:
            self._lost_media(self._sockets.media)
        else:
            gevent.sleep(_SUSPICIOUS)
            self._lost_media(self._sockets.silent_since(began))

    def _lost_media(self, keys: Collection[MediaDataType]) -> None:
        """Take media sockets for broken, since Zoom says that some are."""
        if (
            keys
            and not self._recovery.is_signaling_broken
            and self._news_of(lambda now: self._recovery.lost_media(keys, now))
        ):
            self._interrupted("media", None)

    def interrupted_by_zoom(self, event_ts: int | None) -> None:
        """Act on a webhook that says that Zoom has lost us. Never waits.

        Args:
            event_ts: When Zoom noticed, ms since the epoch. What we have mended since is old news.
        """
        if self._recovery.is_signaling_broken:
            return  # it tells of what we know, or of the socket that we closed to mend it
        if event_ts is not None:
            age = time.time() - event_ts / 1000
            # Zoom's clock is not ours. A repair that answers its own echo would never end.
            if time.monotonic() - self._whole_since < age + _LATE_NEWS:
                return
        if self.request.options.reconnect.enabled and self._news_of(self._recovery.lost_signaling):
            self._interrupted("signaling", None)

    def moved_by_zoom(self, endpoints: tuple[Endpoint, ...]) -> None:
        """Act on a start webhook for this stream. Never waits.

        A repetition names the addresses that we use; others mean that a server has failed.
        """
        if endpoints == self.request.endpoints or self._ending.is_set():
            return
        if self._was_joined and not self.request.options.reconnect.enabled:
            return  # the old server will tell us of the end
        self._sockets.move(endpoints)
        if self._was_joined:
            self._recovery.relocated(time.monotonic())
            self._news.set()
            self._interrupted("signaling", None, "Zoom has moved the stream to another server")

    # -- what the user wants, now and later --------------------------------------------------------

    @property
    def is_joined(self) -> bool:
        """Whether Zoom listens to us: joined, not over, and the signaling socket not broken."""
        return (
            self._was_joined
            and not self._ending.is_set()
            and not self._recovery.is_signaling_broken
        )

    def is_open(self, kind: MediaDataType) -> bool:
        """Whether a socket for this media type was asked for already."""
        return self._sockets.key_of(kind) in self._sockets.media

    def subscribe(self, events: tuple[int, ...], subscribe: bool) -> None:
        """Tell the server which events are wanted, or wanted no more."""
        if events and self.is_joined:
            with contextlib.suppress(ConnectionLost):  # told again when that is mended
                self._sockets.send(EventSubscription(events=events, subscribe=subscribe))

    def subscribe_video(self, user_id: int, subscribe: bool) -> None:
        """Ask for a participant's video; the answer comes as ``video_subscribed``."""
        with contextlib.suppress(ConnectionLost):  # told again when that is mended
            self._sockets.subscribe_video(user_id, subscribe)

    def _open_missing(self) -> None:
        if self.is_joined and any(not self.is_open(kind) for kind in self._subscription.media):
            self._greenlets.spawn("add media", self._add_media)

    def renegotiate(self, kind: MediaDataType) -> None:
        """Open the socket of ``kind`` anew, so that new parameters take effect. Returns at once."""
        if self.is_joined and self.is_open(kind):
            self._greenlets.spawn("renegotiate", self._renegotiate, kind)

    def _add_media(self) -> None:
        with self._changing_media:
            for kind in self._subscription.media:
                self._open_later(kind, "add media")

    def _renegotiate(self, kind: MediaDataType) -> None:
        with self._changing_media:
            key = self._sockets.key_of(kind)
            if key not in self._sockets.outdated():
                return  # somebody else was quicker
            self._cause = "its parameters were changed"
            self._media_down((key,))
            # All that the server has sent in the old form is read before its close frame.
            self._sockets.close_media((key,))
            problem = self._open_later(kind, "renegotiate")
            if isinstance(problem, JoinError) and is_transient(problem):
                # What worked in the old form is a loss now, and is mended as one.
                self._news_of(lambda now: self._recovery.lost_media((key,), now))
            with contextlib.suppress(ConnectionLost):
                self._subscribe_video_again(frozenset({key}))

    def _open_later(self, kind: MediaDataType, where: str) -> RtmsError | None:
        """Open a media socket of a joined stream; what goes wrong is told, and the others go on."""
        try:
            self._sockets.open_media((kind,), Deadline(self.request.options.timeouts.join))
        except RtmsError as problem:
            logger.error("stream %s: %s", self.request.stream, problem)
            self._sockets.close_media((self._sockets.key_of(kind),))  # can be asked for again
            self._tell_error(problem, where)
            return problem
        return None

    # -- in the hub --------------------------------------------------------------------------------

    def _on_signaling(self, connection: Connection, message: Message) -> None:
        if isinstance(message, EventUpdate):
            notices = self._translator.from_event_update(message)
            if message.event_type is EventType.MEDIA_CONNECTION_INTERRUPTED:
                self._media_is_interrupted()
        elif isinstance(message, SessionStateUpdate):
            notices = self._translator.from_session_state(message)
        elif isinstance(message, StreamStateUpdate):
            self._on_stream_state(connection, message)
            return
        elif isinstance(message, VideoSubscriptionResponse):
            arguments = (message.user_id, message.status, message.reason)
            notices = iter((ClientEvent("video_subscribed", arguments),))
        else:
            notices = iter((ClientEvent("other_message", (message, connection.name)),))
        size = footprint(message.raw)
        for event in notices:
            self._dispatcher.put(event, size)
            size = 0  # they share it

    def _on_stream_state(self, connection: Connection, message: StreamStateUpdate) -> None:
        if message.stream_id and message.stream_id != self.request.identity.stream_id:
            self._on_skipped(connection, RemoteProtocolError("a state of another stream"))
            return
        self._dispatcher.put(
            ClientEvent("stream_state", (message.state, message.reason, message.timestamp))
        )
        if message.state == StreamState.TERMINATED:
            self._finish(LeaveReason.stopped(message.reason))
        elif message.state == StreamState.INTERRUPTED:
            self._media_is_interrupted()

    def _on_packets(self, packets: list[MediaPacket], is_mixed: bool, at_once: bool) -> None:
        """Take packets of one type, in their order; unless mixed, with the same metadata."""
        kind, _, _, metadata = packets[0]
        lane = self._lanes.get(kind)
        if lane is None:
            lane = self._lanes[kind] = self.trackers[kind], self._dispatcher.inbox(kind)
        tracker, inbox = lane
        now = time.monotonic() * 1000
        if tracker.is_steady:
            size = tracker.count(packets, is_mixed, now)
        else:
            reconciled = tracker.reconcile(packets, now)
            self._tell_of(kind, reconciled)
            if tracker.due is not None and kind not in self._releasing:
                self._releasing.add(kind)
                self._greenlets.spawn("release", self._release, kind)
            packets, size = reconciled.wanted, reconciled.size
            if not packets:
                return
            is_mixed = True
        if is_mixed or metadata.channelId or not metadata.userName:
            packets = [self._translator.with_speaker(packet) for packet in packets]
        if kind is MediaDataType.TRANSCRIPT:
            packets = [self._pieces.with_id(packet) for packet in packets]
        if at_once:
            inbox.put_and_switch(packets, size)
        else:
            inbox.put(packets, size)

    def _release(self, kind: MediaDataType) -> None:
        """Hand on what an account holds, when it is due."""
        tracker = self.trackers[kind]
        try:
            while tracker.due is not None:
                gevent.sleep(clamp_timeout((tracker.due - _now_ms()) / 1000))
                self._file(kind, tracker.release(_now_ms()))
        finally:
            self._releasing.discard(kind)

    def _on_media(self, connection: Connection, message: Message) -> None:
        if isinstance(message, StreamStateUpdate):
            self._on_stream_state(connection, message)
        else:
            event = ClientEvent("other_message", (message, connection.name))
            self._dispatcher.put(event, footprint(message.raw))

    def _on_skipped(self, connection: Connection, problem: Exception) -> None:
        count = self.skipped[connection.name] = self.skipped.get(connection.name, 0) + 1
        if count > _TOLD_SKIPPED and count % 1000:
            return
        is_ours = not isinstance(problem, RemoteProtocolError)
        logger.log(
            logging.ERROR if is_ours else logging.WARNING,
            "stream %s, %s socket: skipped %s (%d so far)",
            self.request.stream,
            connection.name,
            "a message that we failed to handle" if is_ours else problem,
            count,
            exc_info=problem if is_ours and count <= _TOLD_SKIPPED else None,
        )
        self._tell_error(problem, connection.name)

    def _tell_error(self, problem: Exception, where: str) -> None:
        self._dispatcher.put(ClientEvent("error", (problem, where)))

    # -- the end -----------------------------------------------------------------------------------

    def _finish(self, reason: LeaveReason) -> None:
        """Note why the stream is over; the first reason counts. Never waits."""
        if self._ending.is_set():
            return
        if self._is_leaving and not reason.by_us:
            reason = LeaveReason.left()  # such as the stop that we have asked for
        if not self.joined.ready():
            error = reason.error
            if not isinstance(error, JoinError):
                error = EndedBeforeJoined(str(reason))
                if reason.by_us:
                    reason = dataclasses.replace(reason, was_joined=False)
                else:
                    # A stop reason is no reason why joining failed; 0 would even mean that it did.
                    code = error.reason if reason.error is None else reason.code
                    reason = dataclasses.replace(reason, code=code, error=error, was_joined=False)
            self.joined.set_exception(error)
        self.end = reason
        self._ending.set()
        self._news.set()

    def pause(self, kind: MediaDataType) -> None:
        """Read nothing of a media type until :meth:`resume`: its inbox is full. Never waits."""
        self._sockets.pause(kind)

    def resume(self, kind: MediaDataType) -> None:
        """Read on. Never waits."""
        self._sockets.resume(kind)

    def fail(self, error: InboxOverflow) -> None:
        """End the stream, because callbacks are too slow for it. Never waits."""
        self._finish(LeaveReason.failed(error))

    def stopped_by_zoom(self, stop_reason: int | None) -> None:
        """Note that a webhook said that the stream has stopped. Never waits."""
        self._finish(LeaveReason.stopped(stop_reason))

    def leave(self, *, close_stream: bool = False) -> None:
        """End our part; when this returns nothing is delivered any more but the end.

        Waits for that, too, but only for a moment where functions still run, which come first.

        Args:
            close_stream: Ask Zoom to end the stream, and wait for its answer, before closing.
        """
        if self.over.is_set():
            return
        self._is_leaving = True
        try:
            if close_stream and self.is_joined:
                self._ask_to_close_stream()
            self._dispatcher.close()
            # First, or the supervisor would see the end and close the sockets, too.
            self._greenlets.stop()
            self._finish(LeaveReason.left())
            self._sockets.close()
        finally:
            # Also where a time limit of the caller, or a kill, cuts the waiting short.
            self._dispatcher.close()
            self._finish(LeaveReason.left())
            self._sockets.abort()
            if not self.over.is_set():
                self._settle_accounts()
                self._unwatch()
                logger.info("stream %s is over: %s", self.request.stream, self.end)
                self._tell_end()
        self._dispatcher.wait_finished()

    def _tell_end(self) -> None:
        assert self.end is not None
        self.over.set()
        event = ClientEvent("left", (self.request.identity.stream_id, self.end))
        self._dispatcher.finish(event, self.told.set)

    def after_fork_in_child(self, is_here: bool) -> None:
        """Let go of the stream in a forked child, whose parent has it. Calls no function."""
        if self.told.is_set():
            return
        self._dispatcher.forget(is_here)
        self._finish(LeaveReason.left())
        if is_here:
            self._greenlets.kill()
        self.over.set()
        self.told.set()

    def _ask_to_close_stream(self) -> None:
        with contextlib.suppress(ConnectionLost):  # the stream is over then, too
            answer = self._sockets.ask_to_close_stream()
            if answer is None:
                logger.warning(
                    "stream %s: Zoom did not answer the close request", self.request.stream
                )
            elif answer.status:
                logger.warning(
                    "stream %s: Zoom refused to close it, status %d",
                    self.request.stream,
                    answer.status,
                )


class _Accounts(dict[MediaDataType, MediaTracker]):
    """Makes an account when it is asked for first: most streams have one media type of five."""

    def __missing__(self, kind: MediaDataType) -> MediaTracker:
        # Zoom's clock is that of the world, until a packet tells how far it is from that.
        tracker = self[kind] = MediaTracker(kind, time.time() * 1000 - _now_ms())
        return tracker


def _jitter() -> float:
    return random.random()  # noqa: S311 - spreads retries, and is no secret


def _names(kinds: frozenset[MediaDataType]) -> str:
    return ", ".join(sorted(kind.name.lower() for kind in kinds))


def _now_ms() -> float:
    return time.monotonic() * 1000


def _frame_ms(params: Mapping[str, Any]) -> float:
    """Return the time from one packet to the next that negotiated parameters mean, if any."""
    send_rate, fps = integer(params, "send_rate") or 0, integer(params, "fps") or 0
    # Zoom sends no less than one packet a second. A longer frame would hide each gap.
    if 0 < send_rate <= 1000:
        return float(send_rate)
    return 1000 / fps if fps > 0 else 0.0

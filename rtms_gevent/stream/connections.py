"""The signaling and media connections of one stream, and the order in which they are opened."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import gevent
from gevent.lock import Semaphore

from ..enums import MediaDataType
from ..errors import (
    ConnectionLost,
    HandshakeClosed,
    HandshakeMalformed,
    JoinError,
    JoinTimeout,
    MediaNotOffered,
)
from ..protocol.codec import JsonCodec
from ..protocol.media import MediaState
from ..protocol.media_plan import MediaPlan
from ..protocol.messages import (
    ClientReady,
    EventSubscription,
    MediaHandshakeResponse,
    OutgoingMessage,
    StreamCloseRequest,
    StreamCloseResponse,
    VideoSubscriptionRequest,
)
from ..protocol.signaling import SignalingState
from ..protocol.subscription import PARAMS, Subscription
from ..protocol.urls import Endpoint
from ..runtime.clock import Clock
from ..runtime.deadline import Deadline
from ..runtime.greenlets import GreenletGroup
from .connection import Connection, name_of
from .join_request import JoinRequest
from .lifecycle import Lifecycle
from .media import MediaReceiver
from .opening import ConnectionOpener
from .router import MessageRouter

__all__ = ["StreamConnections"]

logger = logging.getLogger(__name__)


class StreamConnections:
    """Opens, keeps and closes the connections of a stream.

    A media connection is named by its key: a media type, or ``ALL`` for the unified one.

    Greenlet-safety: any greenlet of one hub; who opens holds :attr:`lock`.
    """

    def __init__(
        self,
        request: JoinRequest,
        subscription: Subscription,
        greenlets: GreenletGroup,
        lifecycle: Lifecycle,
        router: MessageRouter,
        media: MediaReceiver,
        clock: Clock,
    ) -> None:
        """Open nothing yet.

        Args:
            request: What to join.
            subscription: What is wanted of it.
            greenlets: Owns the greenlets that open media connections.
            lifecycle: Says when the stream ends, so that opening more is in vain.
            router: Gets all messages but media.
            media: Gets media, and is told when it can come, and when not.
            clock: Tells the time.
        """
        self.request = request
        #: What the server really sends, per media type, as it said in its handshake response.
        self.negotiated: dict[str, object] = {}
        #: Held while connections are opened or opened anew.
        self.lock = Semaphore()
        self.plan = MediaPlan(subscription, is_unified=request.unified)
        self._subscription = subscription
        self._greenlets = greenlets
        self._lifecycle = lifecycle
        self._router = router
        self._receiver = media
        self._clock = clock
        limits = request.options.limits
        self._codec = JsonCodec(request.identity.product, limits.nesting, limits.document_size)
        self._opener = ConnectionOpener(request)
        self._signaling = self._new_connection(None)
        self._media: dict[MediaDataType, Connection] = {}
        #: Media types that must not be read now.
        self._paused: set[MediaDataType] = set()

    # -- opening -----------------------------------------------------------------------------------

    def connect(self, deadline: Deadline) -> None:
        """Open everything that is wanted: signaling, media, subscriptions. Waits cooperatively.

        Raises:
            JoinError: something could not be opened.
        """
        try:
            with self._clock.limit(deadline.left(), _DeadlineExceeded):
                self._connect(deadline)
        except _DeadlineExceeded:
            raise JoinTimeout(deadline.seconds or 0, self._next_step) from None
        except ConnectionLost as problem:
            # It broke between two handshakes.
            raise HandshakeClosed(problem.socket, problem.close_code, problem.problem) from problem

    def _connect(self, deadline: Deadline) -> None:
        offered = self._opener.open_signaling(self._signaling, self.request.endpoints, deadline)
        if not offered and self._subscription.media:
            raise HandshakeMalformed("signaling", "it names no media server")
        self.plan.offered = offered
        self.open_media(self._subscription.media, deadline)
        events = self._subscription.events_to_subscribe
        if events:
            self.send(EventSubscription(events=events))
        if self._subscription.video_user_id is not None:
            self.subscribe_video(self._subscription.video_user_id, True)

    @property
    def _next_step(self) -> str:
        """What :meth:`connect` waits for."""
        if self._signaling.is_ready:
            return "the media sockets"
        is_open = self._signaling.heard_at is not None
        return "the answer to the signaling handshake" if is_open else "the signaling socket"

    def open_media(
        self, wanted: Sequence[MediaDataType], deadline: Deadline, *, partly: bool = False
    ) -> None:
        """Open the sockets for ``wanted``, all at once, and tell the server that we are ready.

        Returns early where the stream ends meanwhile.

        Args:
            wanted: Media types.
            deadline: When they must be open.
            partly: Let media flow on those that could be opened, where others could not.

        Raises:
            JoinError: one of them could not be opened, or none is offered.
            ConnectionLost: the signaling socket broke meanwhile.
        """
        missing = self._connections_for(wanted)
        if not missing:
            return
        openers = {
            self._greenlets.spawn(
                f"open {connection.name}", self._open_one, key, connection, deadline
            )
            for key, connection in missing.items()
        }
        waited_for: list[Any] = [self._lifecycle.ending, self._signaling.lost, *openers]
        problem: JoinError | None = None
        try:
            # The first two of them are not waited for: neither need come.
            # Closed at once, or what it has left at the ending would stay there.
            with gevent.iwait(waited_for) as ready:
                for done in itertools.islice(ready, len(openers)):
                    if done is self._lifecycle.ending:
                        return
                    if done is self._signaling.lost:
                        raise self._signaling.lost.get()
                    if isinstance(done.value, JoinError):
                        problem = done.value
                        if not partly:
                            raise problem
        finally:
            gevent.killall(openers, block=False)
        if problem is None or self.ready(missing):
            self.send(ClientReady(stream_id=self.request.identity.stream_id))
        if problem is not None:
            raise problem

    def ready(self, keys: Iterable[MediaDataType]) -> list[MediaDataType]:
        """Return those of ``keys`` on whose connections media may come."""
        return [key for key in keys if key in self._media and self._media[key].is_ready]

    def _connections_for(self, wanted: Sequence[MediaDataType]) -> dict[MediaDataType, Connection]:
        """Make the connections that are missing; report what the server does not offer."""
        made, not_offered = {}, []
        for key in self.plan.keys_for(wanted):
            if key in self._media:
                continue
            if self.plan.endpoints_for(key):
                self._media[key] = made[key] = self._new_connection(key)
            else:
                not_offered.append(key)
        if not_offered:
            problem = MediaNotOffered(
                tuple(key.name.lower() for key in not_offered),
                tuple(key.name.lower() for key in self.plan.offered),
            )
            if not self._media:
                raise problem
            logger.error("stream %s: %s", self.request.stream, problem)
            self._router.error(problem, "join")
        return made

    def _open_one(
        self, key: MediaDataType, connection: Connection, deadline: Deadline
    ) -> JoinError | None:
        """Open one media connection; return what went wrong."""
        try:
            self._opener.open_media(
                connection,
                self.plan.endpoints_for(key),
                self.plan.ask(key),
                deadline,
                lambda answer: self._opened(key, answer),
            )
        except JoinError as problem:
            return problem
        except Exception as problem:  # noqa: BLE001 - logged there
            return self.unexpected(problem)
        if self._is_paused(key):
            connection.pause()
        return None

    def _opened(self, key: MediaDataType, answer: MediaHandshakeResponse) -> None:
        """Note that a media connection is open; media may follow in the same read."""
        # Nothing that nobody asked for: a hostile server could send ever new names.
        names = {item.name.lower() for item in PARAMS}
        self.negotiated.update(
            (name, params) for name, params in answer.media_params.items() if name in names
        )
        for kind in self.plan.kinds_on((key,)):
            self._receiver.came_up(kind, self.negotiated.get(kind.name.lower()))

    def unexpected(self, problem: Exception) -> JoinError:
        """Log a bug, and return an error for it, so that nobody waits for ever because of it."""
        logger.exception("stream %s: opening failed in an unexpected way", self.request.stream)
        return JoinError(f"opening failed with {type(problem).__name__}: {problem}")

    def _new_connection(self, key: MediaDataType | None) -> Connection:
        """Make a media connection; with ``None``, the signaling one."""
        timeouts = self.request.options.timeouts
        is_media = key is not None
        return Connection(
            key,
            MediaState(name_of(key)) if is_media else SignalingState(),
            self._codec,
            events=self._router,
            media=self._receiver,
            silence=timeouts.media_silence if is_media else timeouts.signaling_silence,
            clock=self._clock,
        )

    def move(self, endpoints: tuple[Endpoint, ...]) -> None:
        """Use other signaling servers from the next :meth:`connect` on."""
        self.request = dataclasses.replace(self.request, endpoints=endpoints)

    # -- talking -----------------------------------------------------------------------------------

    def send(self, message: OutgoingMessage) -> None:
        """Send a message on the signaling socket; never waits.

        Raises:
            ConnectionLost: the socket is closed.
        """
        self._signaling.send(message)

    def subscribe_video(self, user_id: int, subscribe: bool) -> None:
        """Ask for a participant's video.

        Raises:
            ConnectionLost: the socket is closed.
        """
        self.send(
            VideoSubscriptionRequest(
                user_id=user_id, subscribe=subscribe, timestamp=int(self._clock.time() * 1000)
            )
        )

    def subscribe_video_again(self, keys: Collection[MediaDataType]) -> None:
        """Ask for the chosen participant's video, where video comes on one of these connections.

        Raises:
            ConnectionLost: the socket is closed.
        """
        chosen = self._subscription.video_user_id
        carries_video = MediaDataType.VIDEO in keys or MediaDataType.ALL in keys
        if chosen is not None and carries_video and not self._lifecycle.ending.is_set():
            self.subscribe_video(chosen, True)

    def ask_to_close_stream(self) -> StreamCloseResponse | None:
        """Ask Zoom to end the stream; ``None`` where it does not answer in time.

        Raises:
            ConnectionLost: the socket closed instead.
        """
        request = StreamCloseRequest(stream_id=self.request.identity.stream_id)
        return self._signaling.ask_to_close_stream(request, self.request.options.timeouts.close)

    # -- what is open ------------------------------------------------------------------------------

    @property
    def media_keys(self) -> tuple[MediaDataType, ...]:
        """Keys of the media connections, open or about to be."""
        return tuple(self._media)

    def key_of(self, kind: MediaDataType) -> MediaDataType:
        """Return the key of the connection that carries ``kind``."""
        return MediaDataType.ALL if MediaDataType.ALL in self._media else kind

    def pause(self, kind: MediaDataType) -> None:
        """Read nothing of a media type until :meth:`resume`, nor of others on the same socket."""
        self._paused.add(kind)
        connection = self._media.get(self.key_of(kind))
        if connection is not None:
            connection.pause()

    def resume(self, kind: MediaDataType) -> None:
        """Read on, unless another media type on the same socket is paused."""
        self._paused.discard(kind)
        key = self.key_of(kind)
        connection = self._media.get(key)
        if connection is not None and not self._is_paused(key):
            connection.resume()

    def media_down(
        self, keys: Collection[MediaDataType] | None, cause: str, window: float = 0.0
    ) -> None:
        """Note that nothing can come any more on the connections of ``keys``, or on all.

        What is missing is missing since they were heard last, however late we noticed.

        Args:
            keys: Which connections; ``None`` where it is the signaling one that broke.
            cause: What broke, in words.
            window: Seconds before that of which media may be missing as well.
        """
        # Without signaling Zoom need not send media, though it may still ask for keep-alives.
        limit = self._signaling.heard_at if keys is None else None
        for kind in self.plan.kinds_on(keys):
            connection = self._media.get(self.key_of(kind))
            heard = None if connection is None else connection.heard_at
            if heard is None:  # it is not open: down already, or not offered
                continue
            self._receiver.went_down(
                kind, heard if limit is None else min(heard, limit), cause, window
            )

    def silent_since(self, moment: float) -> list[MediaDataType]:
        """Return the media sockets on which nothing came since ``moment`` (monotonic seconds)."""
        return [
            kind
            for kind, connection in self._media.items()
            if connection.is_ready and (connection.heard_at or 0.0) < moment
        ]

    def _is_paused(self, key: MediaDataType) -> bool:
        return any(self.key_of(kind) is key for kind in self._paused)

    def outdated(self) -> list[MediaDataType]:
        """Return the connections on which something else was asked for than is wanted now."""
        return self.plan.outdated(self._media)

    def timed_out(self, now: float) -> Connection | None:
        """Return a connection that has been silent for too long, if there is one."""
        return next(
            (connection for connection in self._all if not connection.next_timeout(now)), None
        )

    def next_timeout(self, now: float) -> float:
        """Return the seconds until a connection may have been silent for too long."""
        return min(connection.next_timeout(now) for connection in self._all)

    @property
    def _all(self) -> list[Connection]:
        return [*self._media.values(), self._signaling]

    # -- closing -----------------------------------------------------------------------------------

    def close(self, timeout: float | None = None) -> list[Connection]:
        """Close all connections, and make ready to :meth:`connect` again. Waits for answers.

        What the server has sent before its own close frame is still handed on.

        Args:
            timeout: Seconds to wait at most, if that is less than ``Timeouts.close``.

        Returns:
            The connections whose end was not reached in time.
        """
        connections = self._all
        self._media = {}
        self._signaling = self._new_connection(None)
        return self._close(connections, timeout)

    def note_unfinished(self, connections: Iterable[Connection]) -> None:
        """Note that media may be missing of what :meth:`close` returned."""
        for connection in connections:
            if connection.media_type is not None and connection.heard_at is not None:
                for kind in self.plan.kinds_on((connection.media_type,)):
                    cause = "the server did not finish in time"
                    self._receiver.went_down(kind, connection.heard_at, cause)

    def abort(self) -> None:
        """Close what is not closed yet, at once."""
        for connection in self._all:
            connection.abort()

    def close_media(self, keys: Iterable[MediaDataType], timeout: float | None = None) -> None:
        """Close these media connections; see :meth:`close`."""
        self._close([self._media.pop(key) for key in keys if key in self._media], timeout)

    def _close(self, connections: list[Connection], timeout: float | None) -> list[Connection]:
        """Close connections; return those whose server said nothing to that in time."""
        for connection in connections:
            connection.close()
        seconds = self.request.options.timeouts.close
        deadline = self._clock.deadline(seconds if timeout is None else min(seconds, timeout))
        try:
            for connection in connections:
                connection.wait_closed(deadline.left())
            return [connection for connection in connections if not connection.has_ended]
        finally:  # also where we are killed while we wait
            for connection in connections:
                connection.abort()


class _DeadlineExceeded(Exception):
    """Opening took too long as a whole."""

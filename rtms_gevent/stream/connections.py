"""The signaling and media sockets of one stream, and the order in which they are opened."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gevent
from gevent.event import AsyncResult, Event

from .._version import __version__
from ..enums import MediaDataType
from ..errors import (
    ConnectionLost,
    HandshakeClosed,
    HandshakeMalformed,
    JoinError,
    JoinTimeout,
    MediaNotOffered,
    RtmsError,
    ServerUrlError,
)
from ..protocol.codec import JsonCodec
from ..protocol.media import MediaState
from ..protocol.messages import (
    ClientReady,
    EventSubscription,
    MediaHandshakeRequest,
    MediaHandshakeResponse,
    Message,
    OutgoingMessage,
    SignalingHandshakeRequest,
    SignalingHandshakeResponse,
    StreamCloseRequest,
    StreamCloseResponse,
    VideoSubscriptionRequest,
)
from ..protocol.packets import MediaPacket
from ..protocol.params import media_params
from ..protocol.signaling import SignalingState
from ..protocol.subscription import PARAMS, Subscription
from ..protocol.urls import Endpoint, parse_server_urls
from ..runtime.deadline import Deadline
from ..runtime.greenlets import GreenletGroup
from .connection import Connection
from .join_request import JoinRequest

__all__ = ["Handlers", "StreamConnections"]

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Handlers:
    """Who is told what arrives. All are called by the hub, but ``problem``, and must not block."""

    signaling: Callable[[Connection, Message], None]
    media: Callable[[Connection, Message], None]
    packets: Callable[[list[MediaPacket], bool, bool], None]
    skipped: Callable[[Connection, Exception], None]
    lost: Callable[[Connection, ConnectionLost], None]
    #: A media socket was opened, and nothing can have come on it yet.
    opened: Callable[[MediaDataType], None]
    #: Something could not be opened that the stream can go on without; and where.
    problem: Callable[[RtmsError, str], None]


class StreamConnections:
    """Opens, keeps and closes the sockets of a stream.

    Greenlet-safety: any greenlet of one hub; one :meth:`connect` or :meth:`open_media` at a time.
    """

    def __init__(
        self,
        request: JoinRequest,
        subscription: Subscription,
        greenlets: GreenletGroup,
        ending: Event,
        handlers: Handlers,
    ) -> None:
        """Open nothing yet.

        Args:
            request: What to join.
            subscription: What is wanted of it.
            greenlets: Owns the greenlets that open media sockets.
            ending: Set when the stream ends, so that opening more is in vain.
            handlers: Who is told what arrives.
        """
        self._ending = ending
        self.request = request
        #: What the server really sends, per media type, as it said in its handshake response.
        self.negotiated: dict[str, object] = {}
        self._subscription = subscription
        self._greenlets = greenlets
        self._handlers = handlers
        limits = request.options.limits
        self._codec = JsonCodec(request.identity.product, limits.nesting, limits.document_size)
        self._offered: dict[MediaDataType, tuple[Endpoint, ...]] = {}
        self._signaling_lost: AsyncResult[ConnectionLost] = AsyncResult()
        self._signaling = self._signaling_channel()
        self._media: dict[MediaDataType, Connection] = {}
        #: The parameters that each media socket was asked for last.
        self._asked: dict[MediaDataType, dict[str, dict[str, int | bool]]] = {}
        #: Media types that must not be read now.
        self._paused: set[MediaDataType] = set()
        self._step = ""

    # -- opening -----------------------------------------------------------------------------------

    def connect(self, deadline: Deadline) -> None:
        """Open everything that is wanted: signaling, media, subscriptions. Waits cooperatively.

        Raises:
            JoinError: something could not be opened.
        """
        self._step = "the signaling socket"
        try:
            with gevent.Timeout(deadline.left(), _TooLate):
                self._connect(deadline)
        except _TooLate:
            raise JoinTimeout(deadline.seconds or 0, self._step) from None
        except ConnectionLost as problem:
            # It broke between two handshakes.
            raise HandshakeClosed(problem.socket, problem.close_code, problem.problem) from problem

    def _connect(self, deadline: Deadline) -> None:
        request, connection = self.request, self._signaling
        connection.open(request.endpoints, request.options, deadline)
        self._step = "the answer to the signaling handshake"
        answer = connection.handshake(
            SignalingHandshakeRequest(
                identity=request.identity,
                signature=request.signature,
                buffer_data=request.buffer_data,
                agent=f"rtms-gevent/{__version__}",
            ),
            SignalingHandshakeResponse,
            request.options,
            deadline,
        )
        self._offered = self._endpoints_of(answer)
        self._step = "the media sockets"
        self.open_media(self._subscription.media, deadline)
        events = self._subscription.events_to_subscribe
        if events:
            self.send(EventSubscription(events=events))
        if self._subscription.video_user_id is not None:
            self.subscribe_video(self._subscription.video_user_id, True)

    def _endpoints_of(
        self, answer: SignalingHandshakeResponse
    ) -> dict[MediaDataType, tuple[Endpoint, ...]]:
        """Return the addresses of the media servers that may be dialled."""
        if not answer.media_urls and self._subscription.media:
            raise HandshakeMalformed("signaling", "it names no media server")
        try:
            return {
                kind: parse_server_urls(urls, self.request.allowed_hosts)
                for kind, urls in answer.media_urls.items()
            }
        except ServerUrlError as problem:
            raise HandshakeMalformed("signaling", str(problem)) from problem

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
        plan = self._plan(wanted)
        if not plan:
            return
        openers = {
            self._greenlets.spawn(
                f"open {connection.name}", self._open, connection, kind, places, deadline
            )
            for kind, (connection, places) in plan.items()
        }
        waited_for: list[Any] = [self._ending, self._signaling_lost, *openers]
        problem: JoinError | None = None
        try:
            # The last two of them are not waited for: neither need come.
            # Closed at once, or what it has left at the ending would stay there.
            with gevent.iwait(waited_for) as ready:
                for done in itertools.islice(ready, len(openers)):
                    if done is self._ending:
                        return
                    if done is self._signaling_lost:
                        raise self._signaling_lost.get()
                    if isinstance(done.value, JoinError):
                        problem = done.value
                        if not partly:
                            raise problem
        finally:
            gevent.killall(openers, block=False)
        if problem is None or self.ready(plan):
            self.send(ClientReady(stream_id=self.request.identity.stream_id))
        if problem is not None:
            raise problem

    def ready(self, kinds: Iterable[MediaDataType]) -> list[MediaDataType]:
        """Return those of ``kinds`` (as :attr:`media` has them) on whose sockets media may come."""
        return [kind for kind in kinds if kind in self._media and self._media[kind].accepts_media]

    def _plan(
        self, wanted: Sequence[MediaDataType]
    ) -> dict[MediaDataType, tuple[Connection, tuple[Endpoint, ...]]]:
        """Return which channels to open, and where."""
        kinds = (MediaDataType.ALL,) if self.request.unified and wanted else wanted
        plan, missing = {}, []
        for kind in kinds:
            if kind in self._media:
                continue
            # Some servers name one address for everything.
            places = self._offered.get(kind) or self._offered.get(MediaDataType.ALL)
            if places:
                self._media[kind] = connection = self._media_channel(kind)
                plan[kind] = (connection, places)
            else:
                missing.append(kind)
        if missing:
            problem = MediaNotOffered(
                tuple(kind.name.lower() for kind in missing),
                tuple(kind.name.lower() for kind in self._offered),
            )
            if not plan and not self._media:
                raise problem
            logger.error("stream %s: %s", self.request.stream, problem)
            self._handlers.problem(problem, "join")
        return plan

    def _open(
        self,
        connection: Connection,
        kind: MediaDataType,
        places: tuple[Endpoint, ...],
        deadline: Deadline,
    ) -> JoinError | None:
        """Open one media socket; return what went wrong."""
        request = self.request
        try:
            self._asked[kind] = asked = self._params_for(kind)
            connection.open(places, request.options, deadline)
            connection.handshake(
                MediaHandshakeRequest(
                    identity=request.identity,
                    signature=request.signature,
                    media_type=kind,
                    media_params=asked,
                ),
                MediaHandshakeResponse,
                request.options,
                deadline,
                lambda answer: self._opened(kind, answer),
            )
        except JoinError as problem:
            return problem
        except Exception as problem:  # noqa: BLE001 - logged there
            return self.unexpected(problem)
        if self._is_paused(kind):
            connection.pause()
        return None

    def _opened(self, kind: MediaDataType, answer: MediaHandshakeResponse) -> None:
        """Note that a media socket is open; media may follow in the same read."""
        # Nothing that nobody asked for: a hostile server could send ever new names.
        names = {item.name.lower() for item in PARAMS}
        self.negotiated.update(
            (name, params) for name, params in answer.media_params.items() if name in names
        )
        self._handlers.opened(kind)

    def unexpected(self, problem: Exception) -> JoinError:
        """Log a bug, and return an error for it, so that nobody waits for ever because of it."""
        logger.exception("stream %s: opening failed in an unexpected way", self.request.stream)
        return JoinError(f"opening failed with {type(problem).__name__}: {problem}")

    def _params_for(self, kind: MediaDataType) -> dict[str, dict[str, int | bool]]:
        kinds = self._subscription.media if kind is MediaDataType.ALL else (kind,)
        chosen = {item: self._subscription.params_for(item) for item in kinds}
        return media_params({params.key: params for params in chosen.values() if params})

    def _signaling_channel(self) -> Connection:
        lost: AsyncResult[ConnectionLost] = AsyncResult()
        self._signaling_lost = lost

        def on_closed(connection: Connection, problem: ConnectionLost) -> None:
            lost.set(problem)  # whoever opens media sockets now does so in vain
            self._handlers.lost(connection, problem)

        return Connection(
            "signaling",
            SignalingState(),
            self._codec,
            on_message=self._handlers.signaling,
            on_packets=self._handlers.packets,
            on_skipped=self._handlers.skipped,
            on_closed=on_closed,
            silence=self.request.options.timeouts.signaling_silence,
        )

    def _media_channel(self, kind: MediaDataType) -> Connection:
        name = "unified" if kind is MediaDataType.ALL else kind.name.lower()
        return Connection(
            name,
            MediaState(name),
            self._codec,
            on_message=self._handlers.media,
            on_packets=self._handlers.packets,
            on_skipped=self._handlers.skipped,
            on_closed=self._handlers.lost,
            silence=self.request.options.timeouts.media_silence,
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
                user_id=user_id, subscribe=subscribe, timestamp=int(time.time() * 1000)
            )
        )

    def ask_to_close_stream(self) -> StreamCloseResponse | None:
        """Ask Zoom to end the stream; ``None`` where it does not answer in time.

        Raises:
            ConnectionLost: the socket closed instead.
        """
        request = StreamCloseRequest(stream_id=self.request.identity.stream_id)
        return self._signaling.ask_to_close_stream(request, self.request.options.timeouts.close)

    # -- what is open ------------------------------------------------------------------------------

    @property
    def media(self) -> tuple[MediaDataType, ...]:
        """Media types that have a socket, open or about to be; ``ALL`` for the unified one."""
        return tuple(self._media)

    def key_of(self, kind: MediaDataType) -> MediaDataType:
        """Return under which media type the socket of ``kind`` is kept."""
        return MediaDataType.ALL if MediaDataType.ALL in self._media else kind

    def kind_of(self, connection: Connection) -> MediaDataType | None:
        """Return the media type of a channel; ``None`` for signaling, and for one of the past."""
        return next((kind for kind, kept in self._media.items() if kept is connection), None)

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

    def heard_at(self, kind: MediaDataType) -> float | None:
        """Return when anything came on the socket of ``kind`` last, in monotonic seconds."""
        connection = self._media.get(self.key_of(kind))
        return None if connection is None else connection.heard_at

    def silent_since(self, moment: float) -> list[MediaDataType]:
        """Return the media sockets on which nothing came since ``moment`` (monotonic seconds)."""
        return [
            kind
            for kind, connection in self._media.items()
            if connection.accepts_media and (connection.heard_at or 0.0) < moment
        ]

    @property
    def signaling_heard_at(self) -> float | None:
        """When anything came on the signaling socket last, in monotonic seconds."""
        return self._signaling.heard_at

    def _is_paused(self, key: MediaDataType) -> bool:
        return any(self.key_of(kind) is key for kind in self._paused)

    def outdated(self) -> list[MediaDataType]:
        """Return the media types whose sockets were asked for with other parameters than now."""
        return [kind for kind in self._media if self._asked.get(kind) != self._params_for(kind)]

    def is_signaling(self, connection: Connection) -> bool:
        """Whether this is the signaling channel of now."""
        return connection is self._signaling

    def silent(self, now: float) -> Connection | None:
        """Return a channel that has been silent for too long, if there is one."""
        return next(
            (connection for connection in self._all if not connection.silent_for(now)), None
        )

    def patience(self, now: float) -> float:
        """Return the seconds until a channel may have been silent for too long."""
        return min(connection.silent_for(now) for connection in self._all)

    @property
    def _all(self) -> list[Connection]:
        return [*self._media.values(), self._signaling]

    # -- closing -----------------------------------------------------------------------------------

    def close(self, patience: float | None = None) -> dict[MediaDataType, float]:
        """Close all sockets, and make ready to :meth:`connect` again. Waits for answers.

        What the server has sent before its own close frame is still handed on.

        Args:
            patience: Seconds to wait at most, if that is less than ``Timeouts.close``.

        Returns:
            The media sockets (as :attr:`media` has them) whose end was not reached in time, and
            when anything came on them last, in monotonic seconds.
        """
        media, channels = self._media, self._all
        self._media = {}
        self._signaling = self._signaling_channel()
        late = self._close(channels, patience)
        return {
            kind: connection.heard_at
            for kind, connection in media.items()
            if connection in late and connection.heard_at is not None
        }

    def abort(self) -> None:
        """Close what is not closed yet, at once."""
        for connection in self._all:
            connection.abort()

    def close_media(self, kinds: Iterable[MediaDataType], patience: float | None = None) -> None:
        """Close these media sockets; see :meth:`close`."""
        self._close([self._media.pop(kind) for kind in kinds if kind in self._media], patience)

    def _close(self, channels: list[Connection], patience: float | None) -> list[Connection]:
        """Close channels; return those whose server said nothing to that in time."""
        for connection in channels:
            connection.close()
        seconds = self.request.options.timeouts.close
        deadline = Deadline(seconds if patience is None else min(seconds, patience))
        try:
            for connection in channels:
                connection.wait_closed(deadline.left())
            return [connection for connection in channels if not connection.has_ended]
        finally:  # also where we are killed while we wait
            for connection in channels:
                connection.abort()


class _TooLate(Exception):
    """Opening took too long as a whole."""

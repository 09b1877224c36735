"""One WebSocket of a session, together with the state of what is said on it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from gevent.event import AsyncResult

from ..config import Limits, Reconnect, Timeouts
from ..enums import MediaDataType, MessageType, StatusCode
from ..errors import (
    ConnectError,
    ConnectionLost,
    HandshakeClosed,
    HandshakeMalformed,
    HandshakeRejected,
    JoinTimeout,
)
from ..logs import TRACE
from ..protocol.batches import BatchReader, PacketBatch, PacketReceiver
from ..protocol.codec import JsonCodec
from ..protocol.messages import (
    MediaHandshakeResponse,
    Message,
    OutgoingMessage,
    SignalingHandshakeResponse,
    StreamCloseResponse,
)
from ..protocol.packets import MediaPacket
from ..protocol.state import ConnectionState
from ..protocol.urls import Endpoint
from ..runtime.clock import Clock
from ..runtime.deadline import Deadline
from ..transport.base import Socket, Transport
from ..transport.websocket import CloseInfo

__all__ = ["ConnectOptions", "Connection", "ConnectionEvents"]

logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer", SignalingHandshakeResponse, MediaHandshakeResponse)


@dataclasses.dataclass(frozen=True, slots=True)
class ConnectOptions:
    """How sockets are opened and kept: the same for all sockets of a session."""

    timeouts: Timeouts
    limits: Limits
    reconnect: Reconnect


class ConnectionEvents(Protocol):
    """Who is told what happens on connections. Called by the hub; must neither wait nor raise."""

    def message(self, connection: Connection, message: Message) -> None:
        """Take a message that is neither media, a keep-alive nor an awaited answer."""

    def skipped(self, connection: Connection, problem: Exception) -> None:
        """Note that a message could not be used.

        Args:
            connection: Where it came.
            problem: What was wrong with it: a :class:`~rtms_gevent.RemoteProtocolError`, or an
                error of ours.
        """

    def lost(self, connection: Connection, problem: ConnectionLost) -> None:
        """Note that an open connection ended, though nobody closed it here."""


class Connection:
    """A socket, the state of what is said on it, and the answers that are waited for.

    Greenlet-safety: any greenlet of one hub.
    """

    __slots__ = (
        "__weakref__",
        "_answers",
        "_clock",
        "_closed",
        "_closing",
        "_codec",
        "_events",
        "_is_accepted",
        "_media",
        "_on_accepted",
        "_reader",
        "_silence",
        "_socket",
        "_state",
        "lost",
        "media_type",
        "name",
    )

    def __init__(
        self,
        media_type: MediaDataType | None,
        state: ConnectionState,
        codec: JsonCodec,
        *,
        events: ConnectionEvents,
        media: PacketReceiver,
        silence: float,
        clock: Clock,
    ) -> None:
        """Make a connection that is not open yet.

        Args:
            media_type: What comes on it; ``ALL`` is the unified one, ``None`` the signaling one.
            state: Which messages may come next.
            codec: Between messages and payloads.
            events: Is told what happens.
            media: Gets media.
            silence: Seconds without any message after which the connection counts as lost.
            clock: Tells the time.
        """
        self.media_type = media_type
        self.name = name_of(media_type)  #: as logs and errors have it
        #: Has the reason once the open connection has ended, though nobody closed it here.
        self.lost: AsyncResult[ConnectionLost] = AsyncResult()
        self._state = state
        self._codec = codec
        self._events = events
        self._media = media
        self._reader = BatchReader(codec.fast_media, state, media, self)
        self._silence = silence
        self._clock = clock
        self._socket: Socket | None = None
        self._answers: dict[type[Message], AsyncResult[Message]] = {}
        self._on_accepted: Callable[[Any], None] | None = None
        self._is_accepted = False
        self._closed: CloseInfo | None = None
        self._closing = False

    def open(
        self, endpoints: Sequence[Endpoint], transport: Transport, deadline: Deadline
    ) -> Endpoint:
        """Open a socket to the first endpoint that takes it, and return that one.

        Waits cooperatively.

        Raises:
            ConnectError: none did.
        """
        socket = transport.open(
            endpoints,
            name=self.name,
            deadline=deadline,
            on_messages=self._reader.read,
            on_closed=self._ended,
        )
        if self._closing:  # closed while it was being opened
            socket.abort("closed by us")
            raise ConnectError(socket.endpoint.origin, "http", "closed by us")
        self._socket = socket
        return socket.endpoint

    def handshake(
        self,
        request: OutgoingMessage,
        answer_type: type[_Answer],
        deadline: Deadline,
        on_accepted: Callable[[_Answer], None] | None = None,
    ) -> _Answer:
        """Send a handshake request and wait for its answer.

        Args:
            request: What to send.
            answer_type: What is waited for.
            deadline: When it must have come.
            on_accepted: Called by the hub with an answer that accepts us, before anything that came
                after it is handed on. Must not wait.

        Raises:
            HandshakeRejected: the answer's status is not OK.
            HandshakeMalformed: it has none, or the server broke the rules of WebSocket.
            HandshakeClosed: the server closed the socket instead.
            JoinTimeout: no answer in time.
        """
        result: AsyncResult[Message] = AsyncResult()
        self._answers[answer_type] = result
        self._on_accepted = on_accepted
        try:
            self.send(request)
            if not self._clock.wait(result, deadline.left()):
                raise JoinTimeout(deadline.seconds or 0, f"the answer to the {self.name} handshake")
            answer = result.get(block=False)
        except ConnectionLost:
            closed = self._closed or CloseInfo(None, "", False, "")
            if closed.is_violation:
                raise HandshakeMalformed(self.name, closed.problem) from None
            raise HandshakeClosed(self.name, closed.code, closed.reason) from None
        finally:
            self._answers.pop(answer_type, None)
            self._on_accepted = None
        assert isinstance(answer, answer_type)
        if answer.status is None:
            raise HandshakeMalformed(self.name, "it has no status_code")
        if answer.status != StatusCode.OK:
            raise HandshakeRejected(self.name, int(answer.status), answer.reason)
        self._is_accepted = True
        return answer

    def ask_to_close_stream(
        self, request: OutgoingMessage, timeout: float
    ) -> StreamCloseResponse | None:
        """Ask Zoom to end the stream; ``None`` where it did not answer within ``timeout`` seconds.

        Raises:
            ConnectionLost: the socket closed instead.
        """
        result: AsyncResult[Message] = AsyncResult()
        self._answers[StreamCloseResponse] = result
        self.send(request)
        if not self._clock.wait(result, timeout):
            return None
        answer = result.get(block=False)
        assert isinstance(answer, StreamCloseResponse)
        return answer

    def send(self, message: OutgoingMessage) -> None:
        """Send a message; never waits.

        Raises:
            LocalProtocolError: it may not be sent now.
            ConnectionLost: the socket is closed.
        """
        if self._socket is None:
            raise ConnectionLost(self.name, "it is not open")
        self._state.sending(message)
        logger.log(TRACE, "%s socket: sent %s", self.name, message.number.name)
        self._socket.send(self._codec.encode(message))

    def next_timeout(self, now: float) -> float:
        """Return the seconds (monotonic) until this connection counts as lost; 0 if it does now."""
        if self._socket is None or self._closed is not None or self._socket.is_paused:
            return self._silence
        return max(0.0, self._socket.silent_since + self._silence - now)

    def pause(self) -> None:
        """Read nothing until :meth:`resume`, so that TCP makes the server wait."""
        if self._socket is not None:
            self._socket.pause()

    def resume(self) -> None:
        """Read on."""
        if self._socket is not None:
            self._socket.resume()

    @property
    def heard_at(self) -> float | None:
        """When anything came last, in monotonic seconds; None where it never was open."""
        return None if self._socket is None else self._socket.last_heard

    def close(self, code: int = 1000) -> None:
        """Send a close frame. Never waits."""
        self._closing = True
        if self._socket is not None:
            self._socket.close(code)

    def wait_closed(self, timeout: float | None) -> None:
        """Wait for the server to answer the close frame, ``timeout`` seconds at most."""
        if self._socket is not None:
            self._clock.wait(self._socket.closed, timeout)

    @property
    def is_ready(self) -> bool:
        """Whether it is open, and the server has accepted us."""
        return self._is_accepted and not self.has_ended

    @property
    def has_ended(self) -> bool:
        """Whether nothing more can come: the socket ended, or was never open."""
        return self._socket is None or self._closed is not None

    def abort(self) -> None:
        """Close at once. Never waits."""
        self._closing = True
        if self._socket is not None:
            self._socket.abort("closed by us, without waiting for the server's answer")

    # -- in the hub --------------------------------------------------------------------------------

    def receive_message(self, payload: memoryview) -> None:
        """Handle one message that is not usual media; whatever is wrong costs that one alone."""
        try:
            message = self._codec.decode(payload)
            reply = self._state.received(message)
            self._hand_on(message, reply)
        except Exception as problem:  # noqa: BLE001 - reported there
            self.skipped(problem)

    def skipped(self, problem: Exception) -> None:
        """Note that a message could not be used."""
        self._events.skipped(self, problem)

    def _hand_on(self, message: Message | MediaPacket, reply: OutgoingMessage | None) -> None:
        if isinstance(message, MediaPacket):
            batch = PacketBatch((message,))
            batch.is_last = False
            self._media.receive(batch)
            return
        logger.log(TRACE, "%s socket: received %s", self.name, _name(message))
        waiting = self._answers.get(type(message))
        if reply is not None:
            self._reply(reply)
        elif waiting is not None:
            is_ok = getattr(message, "status", None) == StatusCode.OK
            if is_ok and self._on_accepted is not None:
                self._on_accepted(message)
            waiting.set(message)
        else:
            self._events.message(self, message)

    def _reply(self, reply: OutgoingMessage) -> None:
        assert self._socket is not None
        try:
            self._socket.send(self._codec.encode(reply))
        except ConnectionLost:
            logger.debug("%s socket: closed before a keep-alive could be answered", self.name)

    def _ended(self, closed: CloseInfo) -> None:
        self._closed = closed
        lost = ConnectionLost(self.name, closed.problem, closed.code)
        waiting = list(self._answers.values())
        for result in waiting:
            result.set_exception(lost)
        if not self._closing and not waiting:
            self.lost.set(lost)  # whoever opens media sockets now does so in vain
            self._events.lost(self, lost)


def name_of(media_type: MediaDataType | None) -> str:
    """Return a connection's name: "signaling", a media type, or "unified"."""
    if media_type is None:
        return "signaling"
    return "unified" if media_type is MediaDataType.ALL else media_type.name.lower()


def _name(message: Message) -> str:
    number = message.msg_type
    try:
        return MessageType(number or 0).name
    except ValueError:
        return f"message {number}"

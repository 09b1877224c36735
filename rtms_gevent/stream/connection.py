"""One WebSocket of a session, together with the conversation on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from gevent import Timeout, ssl
from gevent.event import AsyncResult

from ..config import Limits, Proxies, Reconnect, Timeouts
from ..enums import MessageType, StatusCode
from ..errors import (
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    FrameError,
    HandshakeClosed,
    HandshakeMalformed,
    HandshakeRejected,
    JoinTimeout,
)
from ..logs import TRACE
from ..protocol.codec import JsonCodec
from ..protocol.liveness import Liveness
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
from ..runtime.deadline import Deadline
from ..runtime.fair_scheduling import yield_to_io
from ..transport.connect import open_connection, tls_context
from ..transport.frames import ReceivedMessage
from ..transport.happy_eyeballs import History
from ..transport.proxy import Proxy
from ..transport.websocket import CloseInfo, WebSocket

__all__ = ["ConnectOptions", "Connection"]

logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer", SignalingHandshakeResponse, MediaHandshakeResponse)


class ConnectOptions:
    """How sockets are opened: the same for all sockets of a session."""

    def __init__(
        self,
        ca: str | None,
        proxies: Proxies,
        timeouts: Timeouts,
        limits: Limits,
        reconnect: Reconnect,
    ) -> None:
        """Read the CA file.

        Raises:
            ConfigurationError: it cannot be used.
        """
        self._ca = ca
        self._context = tls_context(ca)
        self._proxies = proxies
        self.timeouts = timeouts
        self.limits = limits
        self.reconnect = reconnect
        #: What has worked for this session: addresses, and endpoints for each of its sockets.
        self.history = History()

    @property
    def context(self) -> ssl.SSLContext:
        """TLS settings with the CA file as it is now, since streams last for hours."""
        try:
            self._context = tls_context(self._ca)
        except ConfigurationError as problem:  # it may be about to be replaced
            logger.warning("%s; what was read of it before counts", problem)
        return self._context

    def proxy_for(self, endpoint: Endpoint) -> Proxy | None:
        """Return the proxy that leads to an endpoint; ``None`` if none is needed.

        Raises:
            ConfigurationError: its address is wrong.
        """
        url = self._proxies.url_for(endpoint.host, endpoint.port, secure=endpoint.secure)
        return Proxy.parse(url) if url else None


class Connection:
    """A socket, its conversation, and the answers that are waited for.

    ``on_message``, ``on_packets``, ``on_skipped`` and ``on_closed`` are called by the hub and must
    not block.
    """

    __slots__ = (
        "__weakref__",
        "_accepted",
        "_answers",
        "_closed",
        "_closing",
        "_codec",
        "_conversation",
        "_decode_fast",
        "_endpoint",
        "_is_accepted",
        "_on_closed",
        "_on_message",
        "_on_packets",
        "_on_skipped",
        "_silence",
        "_socket",
        "name",
    )

    def __init__(
        self,
        name: str,
        conversation: ConnectionState,
        codec: JsonCodec,
        *,
        on_message: Callable[[Connection, Message], None],
        on_packets: Callable[[list[MediaPacket], bool, bool], None],
        on_skipped: Callable[[Connection, Exception], None],
        on_closed: Callable[[Connection, ConnectionLost], None],
        silence: float,
    ) -> None:
        """Make a channel that is not open yet.

        Args:
            name: "signaling", a media type, or "unified".
            conversation: Which messages may come next.
            codec: Between messages and payloads.
            on_message: Gets each message that is neither media, a keep-alive nor an awaited answer.
            on_packets: Gets media: packets of one type, in their order; whether they have different
                metadata; and whether they were the last of a read, so that they may be delivered
                at once. Takes all of them, or raises and takes none.
            on_skipped: Gets what was wrong with a message that could not be used: a
                :class:`~rtms_gevent.RemoteProtocolError`, or an error of ours.
            on_closed: Gets why the open socket ended; not called after :meth:`close`.
            silence: Seconds without any message after which the socket counts as lost.
        """
        self.name = name
        self._conversation = conversation
        self._codec = codec
        self._decode_fast = codec.fast_media.decode
        self._on_message = on_message
        self._on_packets = on_packets
        self._on_skipped = on_skipped
        self._on_closed = on_closed
        self._silence = silence
        self._endpoint: Endpoint | None = None
        self._socket: WebSocket | None = None
        self._answers: dict[type[Message], AsyncResult[Message]] = {}
        self._accepted: Callable[[Any], None] | None = None
        self._is_accepted = False
        self._closed: CloseInfo | None = None
        self._closing = False

    def open(
        self, endpoints: Sequence[Endpoint], options: ConnectOptions, deadline: Deadline
    ) -> None:
        """Open a socket to the first endpoint that takes it; waits cooperatively.

        The endpoint whose server answered last time comes first, then the others in their order.

        Raises:
            ConnectError: none did; this is the error of one of them, and the others are logged.
        """
        opened = open_connection(
            options.history.best_first(endpoints, key=self._remembered),
            deadline=deadline.within(options.timeouts.connect),
            context=options.context,
            proxy_for=options.proxy_for,
            history=options.history,
            on_failed=lambda error: logger.warning("%s socket: %s", self.name, error),
            max_header_bytes=options.limits.http_headers,
        )
        if self._closing:  # closed while it was being opened
            opened.sock.close()
            raise ConnectError(opened.endpoint.origin, "http", "closed by us")
        self._endpoint = opened.endpoint
        # A server that never answers must not be the first choice again.
        options.history.tried(self._remembered(opened.endpoint))
        self._socket = WebSocket(
            opened,
            name=self.name,
            on_messages=self._received,
            on_closed=self._ended,
            max_message_size=options.limits.message_size,
        )

    def _remembered(self, endpoint: Endpoint) -> tuple[str, Endpoint]:
        """Return what a history knows an endpoint by: several sockets may try it at a time."""
        return self.name, endpoint

    def handshake(
        self,
        request: OutgoingMessage,
        answer_type: type[_Answer],
        options: ConnectOptions,
        deadline: Deadline,
        accepted: Callable[[_Answer], None] | None = None,
    ) -> _Answer:
        """Send a handshake request and wait for its answer.

        Args:
            request: What to send.
            answer_type: What is waited for.
            options: How long that may take.
            deadline: When it must have come at the latest.
            accepted: Called by the hub with an answer that accepts us, before anything that came
                after it is handed on. Must not wait.

        Raises:
            HandshakeRejected: the answer's status is not OK.
            HandshakeMalformed: it has none, or the server broke the rules of WebSocket.
            HandshakeClosed: the server closed the socket instead.
            JoinTimeout: no answer in time.
        """
        result: AsyncResult[Message] = AsyncResult()
        self._answers[answer_type] = result
        self._accepted = accepted
        limit = deadline.within(options.timeouts.handshake)
        try:
            self.send(request)
            answer = result.get(timeout=limit.left())
        except Timeout:
            raise JoinTimeout(
                limit.seconds or 0, f"the answer to the {self.name} handshake"
            ) from None
        except ConnectionLost:
            closed = self._closed or CloseInfo(None, "", False, "")
            if closed.is_violation:
                raise HandshakeMalformed(self.name, closed.problem) from None
            raise HandshakeClosed(self.name, closed.code, closed.reason) from None
        finally:
            self._answers.pop(answer_type, None)
            self._accepted = None
        yield_to_io()
        assert isinstance(answer, answer_type)
        if answer.status is None:
            raise HandshakeMalformed(self.name, "it has no status_code")
        if answer.status != StatusCode.OK:
            raise HandshakeRejected(self.name, int(answer.status), answer.reason)
        self._is_accepted = True
        assert self._endpoint is not None
        options.history.worked(self._remembered(self._endpoint))
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
        # Not get() with a timeout: this runs in a greenlet of the user, who may have set one, too.
        result.wait(timeout)
        if not result.ready():
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
        self._conversation.sending(message)
        logger.log(TRACE, "%s socket: sent %s", self.name, message.number.name)
        self._socket.send(self._codec.encode(message))

    def silent_for(self, now: float) -> float:
        """Return the seconds (monotonic) until this channel counts as lost; 0 if it does now."""
        if self._socket is None or self._closed is not None or self._socket.is_paused:
            return self._silence
        return Liveness(self._silence, self._socket.silent_since).left(now)

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
            self._socket.closed.wait(timeout)

    @property
    def accepts_media(self) -> bool:
        """Whether media may come: it is open, and the server has accepted us."""
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

    def _received(self, messages: Iterator[ReceivedMessage]) -> None:
        """Hand on what one read has brought: media in lots of one type, all else one by one."""
        # Functions in attributes are not called there: Python takes a long way to do that.
        conversation, decode, take = self._conversation, self._decode_fast, self._on_packets
        lot: list[MediaPacket] = []
        kind, metadata, is_mixed = None, None, False
        try:
            for _, buffer, start, stop in messages:
                if conversation.accepts_media:
                    try:
                        packet = decode(buffer, start, stop)
                    except Exception:  # noqa: BLE001 - the long way tells what is wrong
                        packet = None
                    if packet is not None:
                        if packet[3] is metadata:  # of the same type, too
                            lot.append(packet)
                            continue
                        metadata = packet[3]
                        if packet[0] is kind:
                            lot.append(packet)
                            is_mixed = True
                            continue
                        if lot:
                            self._take_lot(lot, is_mixed)
                        kind, lot, is_mixed = packet[0], [packet], False
                        continue
                if lot:
                    self._take_lot(lot, is_mixed)
                    kind, lot, metadata = None, [], None
                self._take(memoryview(buffer)[start:stop])
        except FrameError:  # what came before is good
            if lot:
                self._take_lot(lot, is_mixed)
            raise
        if lot:
            try:
                take(lot, is_mixed, True)
            except Exception as problem:  # noqa: BLE001 - told there
                self._take_singly(lot, problem)

    def _take_lot(self, packets: list[MediaPacket], is_mixed: bool) -> None:
        """Hand on packets that are not the last of a read."""
        try:
            self._on_packets(packets, is_mixed, False)
        except Exception as problem:  # noqa: BLE001 - told there
            self._take_singly(packets, problem)

    def _take_singly(self, packets: list[MediaPacket], problem: Exception) -> None:
        """Hand on one by one what could not be handed on together, but for what spoils it."""
        if len(packets) == 1:
            self._on_skipped(self, problem)
            return
        for packet in packets:
            self._take_lot([packet], False)

    def _take(self, payload: memoryview) -> None:
        """Handle one message that is not usual media; whatever is wrong costs that one alone."""
        try:
            message = self._codec.decode(payload)
            reply = self._conversation.received(message)
            self._hand_on(message, reply)
        except Exception as problem:  # noqa: BLE001 - told there
            self._on_skipped(self, problem)

    def _hand_on(self, message: Message | MediaPacket, reply: OutgoingMessage | None) -> None:
        if isinstance(message, MediaPacket):
            self._on_packets([message], False, False)
            return
        logger.log(TRACE, "%s socket: received %s", self.name, _name(message))
        waiting = self._answers.get(type(message))
        if reply is not None:
            self._reply(reply)
        elif waiting is not None:
            if self._accepted is not None and getattr(message, "status", None) == StatusCode.OK:
                self._accepted(message)
            waiting.set(message)
        else:
            self._on_message(self, message)

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
            self._on_closed(self, lost)


def _name(message: Message) -> str:
    number = message.msg_type
    try:
        return MessageType(number or 0).name
    except ValueError:
        return f"message {number}"

"""One WebSocket of a client: its handshake and its keep-alives.

Source: https://developers.zoom.us/docs/rtms/event-reference/ and what the
official SDK was seen to need. Every message is written out by hand here.
"""

from __future__ import annotations

import abc
import collections
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

import gevent
from gevent.event import Event

from ...enums import MessageType, Product, StatusCode, known
from ..clock import milliseconds, move_on_after
from ..options import Options
from .keep_alive import PendingKeepAlives
from .negotiation import MEDIA_MESSAGES, Refusal, reason_text
from .network import EmulatedNetwork
from .rejections import Rejection
from .websocket import Encoded, ServerWebSocket

__all__ = ["AnyConnection", "Connection", "MeetingSide", "ServerSide"]

logger = logging.getLogger(__name__)

#: Real seconds that a client has for its first message.
HANDSHAKE_TIMEOUT = 15.0
#: Real seconds that a client has to read a refusal, before its socket is closed.
REFUSAL_TIMEOUT = 0.5
#: Keep-alives that may stay unanswered.
MAX_UNANSWERED = 3

_MEDIA_NUMBERS = frozenset(MEDIA_MESSAGES.values())


def _refuse_constant(name: str) -> None:
    """Python reads NaN and Infinity, which JSON does not have."""
    raise ValueError(name)


def _handshake_signature(client_id: str, client_secret: str, uuid: str, stream_id: str) -> str:
    """Return the hex HMAC-SHA256 that both handshakes carry."""
    text = f"{client_id},{uuid},{stream_id}"
    return hmac.new(client_secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class MeetingSide(Protocol):
    """What every connection asks of the meeting that it belongs to."""

    product: Product
    uuid: str
    stream_id: str
    #: the latest messages from clients
    received: collections.deque[dict[str, Any]]

    @property
    def is_over(self) -> bool:
        """Whether the stream has been stopped."""

    def is_dead(self, address: str) -> bool:
        """Whether a server of this address has failed."""

    def handshake_rejection(self, role: str) -> Rejection | None:
        """Return what a fault has in store for this handshake, and count it."""

    def keep_alive_failed(self, connection: AnyConnection) -> None:
        """The client does not answer keep-alives on this socket."""


SideT = TypeVar("SideT", bound=MeetingSide)
SideT_co = TypeVar("SideT_co", bound=MeetingSide, covariant=True)


class ServerSide(Protocol[SideT_co]):
    """What every connection asks of the server that has accepted it."""

    #: the latest messages from clients, of all meetings
    requests: collections.deque[dict[str, Any]]

    @property
    def options(self) -> Options:
        """What holds for every meeting."""

    def find_meeting(self, stream_id: str) -> SideT_co | None:
        """Return the meeting that has this stream."""


class Connection(abc.ABC, Generic[SideT]):
    """What both kinds of socket share.

    :meth:`serve` runs in the greenlet of the WSGI server; a second greenlet of its own sends
    keep-alives. Any greenlet of the same hub may :meth:`send`, :meth:`close` and :meth:`reset`.
    """

    request = MessageType.UNDEFINED
    response = MessageType.UNDEFINED

    def __init__(
        self,
        role: str,
        address: str,
        socket: ServerWebSocket,
        server: ServerSide[SideT],
    ) -> None:
        self.role = role  #: "signaling", or the media type in the socket's URL
        self.address = address  #: the rest of the URL's path: which of our servers it is
        self.number = 0  #: counts the sockets of a meeting, from 1 on
        self.network = EmulatedNetwork(socket, frame=server.options.fragment)
        self._socket = socket
        self._server = server
        self._options = server.options
        self.meeting: SideT | None = None
        self.ended = Event()
        #: Set where a fault of ours may make the client close the socket, and come back.
        self.is_disrupted = False
        self._ignoring_input_until = 0.0  # monotonic
        self._keep_alive_paused_until = 0.0  # monotonic
        self._closing = Event()  # nothing that is sent will be read any more
        self._pending = PendingKeepAlives()
        self._all_answered = Event()

    # -- for the meeting ---------------------------------------------------------------------------

    def send(self, message: dict[str, Any] | bytes) -> bool:
        """Send one message; return False where the socket is gone."""
        is_media = False
        if isinstance(message, bytes):
            payload = message
        else:
            # What is echoed may hold half a surrogate pair, which has no UTF-8.
            payload = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
            is_media = message.get("msg_type") in _MEDIA_NUMBERS
        return self.network.send(Encoded(payload, self._options.is_binary(is_media=is_media)))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame; the socket ends when the client answers, or soon after."""
        self._begin_closing()
        self._socket.close(code, reason)

    def half_close(self) -> None:
        """End what we send without a close frame; the socket ends when the client closes, too."""
        self._begin_closing()
        self._socket.half_close()

    def reset(self) -> None:
        """Break the TCP connection."""
        self._begin_closing()
        self._socket.reset()

    def _begin_closing(self) -> None:
        self.is_disrupted = True
        self._closing.set()

    def stall(self, seconds: float, *, reading: bool, sending: bool) -> None:
        """Act on nothing that arrives, or send nothing, or both, for so long."""
        self.is_disrupted = True
        self.pause_keep_alives(seconds)
        if reading:
            self._ignoring_input_until = max(self._ignoring_input_until, time.monotonic() + seconds)
        if sending:
            self.network.stall(seconds)

    def pause_keep_alives(self, seconds: float) -> None:
        """Send no keep-alives for so long."""
        self.is_disrupted = True
        self._keep_alive_paused_until = max(
            self._keep_alive_paused_until, time.monotonic() + seconds
        )

    @property
    def keep_alives_sent(self) -> int:
        """How many keep-alives the client was asked to answer."""
        return self._pending.sent

    @property
    def unanswered_keep_alives(self) -> int:
        """How many keep-alives the client has not answered so far."""
        return len(self._pending)

    @property
    def client_close_code(self) -> int | None:
        """The code of the client's close frame, 1005 where it has none; ``None`` before it."""
        return self._socket.peer_close_code

    @property
    def was_closed_by_client(self) -> bool:
        """Whether the client closed the socket of its own accord, rather than being lost."""
        return self.client_close_code is not None and not self.is_disrupted

    # -- the greenlet of the socket ----------------------------------------------------------------

    def serve(self) -> None:
        """Serve the socket until it is closed."""
        keep_alive = None
        try:
            if not self._handshake():
                return
            keep_alive = gevent.spawn(self._keep_alive)
            for message in self._messages():
                self._answer(message)
        finally:
            self.ended.set()
            self._all_answered.set()
            self.network.stop()
            if keep_alive is not None:
                keep_alive.kill(block=False)
            self._socket.release()
            if self.meeting is not None:
                self._leave(self.meeting)

    def _messages(self) -> Iterator[dict[str, Any]]:
        for text in self._socket.messages():
            while (left := self._ignoring_input_until - time.monotonic()) > 0:
                if self._closing.wait(left):
                    break
            try:
                message = json.loads(text, parse_constant=_refuse_constant)
            except (ValueError, RecursionError):
                message = None
            if not isinstance(message, dict):
                self._complain({}, StatusCode.INVALID_PAYLOAD, "not a JSON object")
                continue
            self._server.requests.append({"socket": self.role, "message": message})
            if self.meeting is not None:
                self.meeting.received.append(message)
            if not self._socket.closed:
                yield message

    def _complain(self, message: dict[str, Any], status: StatusCode, reason: str) -> None:
        """Send the client what was wrong with a message that has no answer of its own.

        Zoom documents no such answer; clients ignore message types that they do not expect.
        """
        self.send(
            {
                "msg_type": message.get("msg_type", MessageType.UNDEFINED),
                "status_code": status,
                "reason": reason,
            }
        )

    def _handshake(self) -> bool:
        message = None
        with move_on_after(HANDSHAKE_TIMEOUT):
            message = next(self._messages(), None)
        if message is None:
            self.close(1008, "no handshake")
            return False
        answer = {
            "msg_type": self.response,
            "protocol_version": 1,
            "sequence": message.get("sequence", 0),
        }
        try:
            meeting = self._identify(message)
            if meeting.is_dead(self.address):
                self.reset()
                return False
            rejection = meeting.handshake_rejection(self.role)
            if rejection is not None:
                if rejection.status is None:
                    self._wait_for_close(HANDSHAKE_TIMEOUT)  # and say nothing
                    return False
                raise Refusal(rejection.status, "simulated")
            fields = self._accept(meeting, message)
        except Refusal as refusal:
            status = known(StatusCode, refusal.status)
            name = status.name if isinstance(status, StatusCode) else status
            logger.info("%s handshake refused: %s (%.200s)", self.role, name, refusal.detail)
            reason = reason_text(refusal.status)
            self.send({**answer, "status_code": refusal.status, "reason": reason})
            self._wait_for_close(REFUSAL_TIMEOUT)
            return False
        self.meeting = meeting
        meeting.received.append(message)
        self.send({**answer, "status_code": StatusCode.OK, "reason": "", **fields})
        return True

    def _wait_for_close(self, seconds: float) -> None:
        """Let the client close the socket; or it gets a close frame, as it does from Zoom."""
        with move_on_after(seconds):
            for _ in self._messages():
                pass
        self.close(1000, "handshake refused")
        for _ in self._socket.messages():
            pass  # until the client has closed, too, or has had its time

    def _identify(self, message: dict[str, Any]) -> SideT:
        if message.get("msg_type") != self.request:
            raise Refusal(StatusCode.INVALID_MESSAGE_TYPE, f"expected message {self.request:d}")
        stream_id, signature = message.get("rtms_stream_id"), message.get("signature")
        if not isinstance(stream_id, str) or not isinstance(signature, str):
            raise Refusal(StatusCode.INVALID_PAYLOAD, "rtms_stream_id and signature are needed")
        meeting = self._server.find_meeting(stream_id)
        if meeting is None or meeting.is_over:
            raise Refusal(StatusCode.INVALID_RTMS_STREAM_ID, "no such stream")
        # The official SDK names every product's id meeting_uuid; newer samples use its own name.
        uuid = message.get(meeting.product.value, message.get(Product.MEETING.value))
        if uuid != meeting.uuid:
            raise Refusal(StatusCode.INVALID_RTMS_STREAM_ID, "the stream is of another meeting")
        options = self._options
        expected = _handshake_signature(
            options.client_id, options.client_secret, meeting.uuid, meeting.stream_id
        )
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            raise Refusal(StatusCode.INVALID_SIGNATURE, "the signature does not match")
        return meeting

    def _keep_alive(self) -> None:
        """Ask every ``keep_alive`` seconds; after three questions without answer, give up."""
        while not self.ended.wait(self._options.keep_alive):
            if time.monotonic() < self._keep_alive_paused_until:
                continue
            if len(self._pending) >= MAX_UNANSWERED:
                break
            sent = False
            # A client that reads nothing would block us here for ever.
            with move_on_after(MAX_UNANSWERED * self._options.keep_alive):
                sent = self._ask()
            if not sent:
                break
        if not self.ended.is_set():
            logger.info("%s socket: keep-alives were not answered", self.role)
            if self.meeting is not None:
                self.meeting.keep_alive_failed(self)

    def _ask(self) -> bool:
        return self.send(self._pending.request(milliseconds()))

    def _take_keep_alive(self, message: dict[str, Any]) -> None:
        self._pending.answered(message)
        if not self._pending:
            self._all_answered.set()

    @abc.abstractmethod
    def _accept(self, meeting: SideT, message: dict[str, Any]) -> dict[str, Any]:
        """Take the client in, or raise :class:`Refusal`; return the answer's own fields."""

    @abc.abstractmethod
    def _answer(self, message: dict[str, Any]) -> None:
        """Do what a message asks for that comes after the handshake, and is no keep-alive."""

    @abc.abstractmethod
    def _leave(self, meeting: SideT) -> None:
        """Be the meeting's socket no more."""


#: A connection of either kind.
AnyConnection = Connection[Any]

"""One WebSocket of a client: handshake, keep-alives, and what the client asks for.

Source of the conversation: https://developers.zoom.us/docs/rtms/event-reference/ and what the
official SDK was seen to need. Every message is written out by hand here.
"""

from __future__ import annotations

import abc
import functools
import hashlib
import hmac
import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event

from ...enums import DataOption, MediaDataType, MessageType, Product, StatusCode, known
from ..options import Options
from .negotiation import MEDIA_KEYS, Refusal, negotiate, reason_text
from .network import Wire
from .websocket import Encoded

if TYPE_CHECKING:
    from ..meeting.meeting import Meeting
    from .websocket import ServerWebSocket

__all__ = [
    "Connection",
    "MediaConnection",
    "SignalingConnection",
    "handshake_signature",
    "milliseconds",
    "patience",
]

logger = logging.getLogger(__name__)

#: Real seconds that a client has for its first message.
HANDSHAKE_PATIENCE = 15.0
#: Real seconds that a client has to read a refusal, before its socket is closed.
REFUSAL_PATIENCE = 0.5
#: Keep-alives that may stay unanswered.
MAX_UNANSWERED = 3

#: Finds the meeting of a stream id.
Find = Callable[[object], "Meeting | None"]

_MEDIA_MESSAGES = frozenset(
    {
        MessageType.MEDIA_DATA_AUDIO,
        MessageType.MEDIA_DATA_VIDEO,
        MessageType.MEDIA_DATA_SHARE,
        MessageType.MEDIA_DATA_TRANSCRIPT,
        MessageType.MEDIA_DATA_CHAT,
    }
)

_NOT_OFFERED = {
    MediaDataType.AUDIO: StatusCode.MEDIA_TYPE_AUDIO_NOT_SUPPORT,
    MediaDataType.VIDEO: StatusCode.MEDIA_TYPE_VIDEO_NOT_SUPPORT,
    MediaDataType.DESKSHARE: StatusCode.MEDIA_TYPE_DESKSHARE_NOT_SUPPORT,
    MediaDataType.TRANSCRIPT: StatusCode.MEDIA_TYPE_TRANSCRIPT_NOT_SUPPORT,
    MediaDataType.CHAT: StatusCode.MEDIA_TYPE_CHAT_NOT_SUPPORT,
}


def milliseconds() -> int:
    """Return the time since the epoch, as all timestamps on the wire are counted."""
    return time.time_ns() // 1_000_000


def patience(seconds: float) -> gevent.Timeout:
    """Return a context manager that leaves its block after ``seconds``, without an error."""
    return gevent.Timeout(seconds, False)  # type: ignore[arg-type]  # documented, not in the stubs


def _refuse_constant(name: str) -> None:
    """Python reads NaN and Infinity, which JSON does not have."""
    raise ValueError(name)


def handshake_signature(client_id: str, client_secret: str, uuid: str, stream_id: str) -> str:
    """Return the hex HMAC-SHA256 that both handshakes carry."""
    text = f"{client_id},{uuid},{stream_id}"
    return hmac.new(client_secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class Connection(abc.ABC):
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
        find: Find,
        options: Options,
        requests: Callable[[dict[str, Any]], None],
    ) -> None:
        self.role = role  #: "signaling", or the media type in the socket's URL
        self.address = address  #: the rest of the URL's path: which of our servers it is
        self.number = 0  #: counts the sockets of a meeting, from 1 on
        self.wire = Wire(socket, frame=options.fragment)
        self._socket = socket
        self._find = find
        self._options = options
        self._note_request = requests
        self.meeting: Meeting | None = None
        self.ended = Event()
        #: Set where a fault of ours may make the client close the socket, and come back.
        self.is_disturbed = False
        self._deaf_until = 0.0  # monotonic
        self._quiet_until = 0.0  # monotonic
        self._gone = Event()  # nothing that is said to the client will be heard
        self._unanswered: list[tuple[int, int]] = []
        self._keep_alives = itertools.count(1)
        self._answered = Event()

    # -- for the meeting ---------------------------------------------------------------------------

    def send(self, message: dict[str, Any] | bytes) -> bool:
        """Send one message; return False where the socket is gone."""
        is_media = False
        if isinstance(message, bytes):
            payload = message
        else:
            # What is echoed may hold half a surrogate pair, which has no UTF-8.
            payload = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
            is_media = message.get("msg_type") in _MEDIA_MESSAGES
        return self.wire.send(Encoded(payload, self._options.is_binary(is_media=is_media)))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame; the socket ends when the client answers, or soon after."""
        self._take_away()
        self._socket.close(code, reason)

    def half_close(self) -> None:
        """End what we send without a close frame; the socket ends when the client closes, too."""
        self._take_away()
        self._socket.half_close()

    def reset(self) -> None:
        """Break the TCP connection."""
        self._take_away()
        self._socket.reset()

    def _take_away(self) -> None:
        self.is_disturbed = True
        self._gone.set()

    def stall(self, seconds: float, *, reading: bool, sending: bool) -> None:
        """Act on nothing that arrives, or send nothing, or both, for so long."""
        self.is_disturbed = True
        self.be_quiet(seconds)
        if reading:
            self._deaf_until = max(self._deaf_until, time.monotonic() + seconds)
        if sending:
            self.wire.stall(seconds)

    def be_quiet(self, seconds: float) -> None:
        """Send no keep-alives for so long."""
        self.is_disturbed = True
        self._quiet_until = max(self._quiet_until, time.monotonic() + seconds)

    @property
    def was_closed_by_client(self) -> bool:
        """Whether the client said goodbye, rather than being lost."""
        return self._socket.peer_close_code is not None and not self.is_disturbed

    # -- the greenlet of the socket ----------------------------------------------------------------

    def serve(self) -> None:
        """Run the whole life of the socket."""
        keeper = None
        try:
            if not self._handshake():
                return
            keeper = gevent.spawn(self._keep_alive)
            for message in self._messages():
                self._answer(message)
        finally:
            self.ended.set()
            self._answered.set()
            self.wire.stop()
            if keeper is not None:
                keeper.kill(block=False)
            self._socket.release()
            if self.meeting is not None:
                self._leave(self.meeting)

    def _messages(self) -> Iterator[dict[str, Any]]:
        while (text := self._socket.receive()) is not None:
            while (deaf := self._deaf_until - time.monotonic()) > 0 and not self._gone.wait(deaf):
                pass
            try:
                message = json.loads(text, parse_constant=_refuse_constant)
            except (ValueError, RecursionError):
                message = None
            if not isinstance(message, dict):
                self._complain({}, StatusCode.INVALID_PAYLOAD, "not a JSON object")
                continue
            self._note_request({"socket": self.role, "message": message})
            if self.meeting is not None:
                self.meeting.received.append(message)
            if not self._socket.closed:
                yield message

    def _complain(self, message: dict[str, Any], status: StatusCode, reason: str) -> None:
        """Tell the client what was wrong with a message that has no answer of its own.

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
        with patience(HANDSHAKE_PATIENCE):
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
            bar = meeting.handshakes.meet(self.role)
            if bar is not None:
                if bar.status is None:
                    self._wait_for_close(HANDSHAKE_PATIENCE)  # and say nothing
                    return False
                raise Refusal(bar.status, "simulated")
            fields = self._accept(meeting, message)
        except Refusal as refusal:
            status = known(StatusCode, refusal.status)
            name = status.name if isinstance(status, StatusCode) else status
            logger.info("%s handshake refused: %s (%.200s)", self.role, name, refusal.detail)
            reason = reason_text(refusal.status)
            self.send({**answer, "status_code": refusal.status, "reason": reason})
            self._wait_for_close(REFUSAL_PATIENCE)
            return False
        self.meeting = meeting
        meeting.received.append(message)
        self.send({**answer, "status_code": StatusCode.OK, "reason": "", **fields})
        return True

    def _wait_for_close(self, seconds: float) -> None:
        """Let the client close the socket; or it gets a close frame, as it does from Zoom."""
        with patience(seconds):
            for _ in self._messages():
                pass
        self.close(1000, "handshake refused")
        while self._socket.receive() is not None:
            pass  # until the client has closed, too, or has had its time

    def _identify(self, message: dict[str, Any]) -> Meeting:
        if message.get("msg_type") != self.request:
            raise Refusal(StatusCode.INVALID_MESSAGE_TYPE, f"expected message {self.request:d}")
        stream_id, signature = message.get("rtms_stream_id"), message.get("signature")
        if not isinstance(stream_id, str) or not isinstance(signature, str):
            raise Refusal(StatusCode.INVALID_PAYLOAD, "rtms_stream_id and signature are needed")
        meeting = self._find(stream_id)
        if meeting is None or meeting.is_over:
            raise Refusal(StatusCode.INVALID_RTMS_STREAM_ID, "no such stream")
        # The official SDK names every product's id meeting_uuid; newer samples use its own name.
        uuid = message.get(meeting.product.value, message.get(Product.MEETING.value))
        if uuid != meeting.uuid:
            raise Refusal(StatusCode.INVALID_RTMS_STREAM_ID, "the stream is of another meeting")
        options = self._options
        expected = handshake_signature(
            options.client_id, options.client_secret, meeting.uuid, meeting.stream_id
        )
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            raise Refusal(StatusCode.INVALID_SIGNATURE, "the signature does not match")
        return meeting

    def _keep_alive(self) -> None:
        """Ask every ``keep_alive`` seconds; after three questions without answer, give up."""
        while not self.ended.wait(self._options.keep_alive):
            if time.monotonic() < self._quiet_until:
                continue
            if len(self._unanswered) >= MAX_UNANSWERED:
                break
            sent = False
            # A client that reads nothing would block us here for ever.
            with patience(MAX_UNANSWERED * self._options.keep_alive):
                sent = self._ask()
            if not sent:
                break
        if not self.ended.is_set():
            logger.info("%s socket: keep-alives were not answered", self.role)
            if self.meeting is not None:
                self.meeting.keep_alive_failed(self)

    def _ask(self) -> bool:
        sequence, timestamp = next(self._keep_alives), milliseconds()
        self._unanswered.append((timestamp, sequence))
        return self.send(
            {
                "msg_type": MessageType.KEEP_ALIVE_REQ,
                "timestamp": timestamp,
                "sequence": sequence,
            }
        )

    def _take_keep_alive(self, message: dict[str, Any]) -> None:
        """Accept an answer only if it echoes what was asked."""
        echo = message.get("timestamp"), message.get("sequence")
        for position, (timestamp, sequence) in enumerate(self._unanswered):
            if echo in ((timestamp, sequence), (timestamp, None)):
                del self._unanswered[: position + 1]
                if not self._unanswered:
                    self._answered.set()
                return

    @abc.abstractmethod
    def _accept(self, meeting: Meeting, message: dict[str, Any]) -> dict[str, Any]:
        """Take the client in, or raise :class:`Refusal`; return the answer's own fields."""

    @abc.abstractmethod
    def _answer(self, message: dict[str, Any]) -> None:
        """Do what a message asks for that comes after the handshake, and is no keep-alive."""

    @abc.abstractmethod
    def _leave(self, meeting: Meeting) -> None:
        """Be the meeting's socket no more."""


class SignalingConnection(Connection):
    """The control socket: events, subscriptions, states."""

    request = MessageType.SIGNALING_HAND_SHAKE_REQ
    response = MessageType.SIGNALING_HAND_SHAKE_RESP

    def __init__(self, *args: Any) -> None:
        super().__init__("signaling", *args)
        self.is_ready = False  #: the client has said that media may flow
        self.had_media = False  #: a media handshake was accepted since this one
        self.subscriptions: set[int] = set()
        self.video_of: int | None = None  #: participant whose video was asked for

    def _accept(self, meeting: Meeting, message: dict[str, Any]) -> dict[str, Any]:
        if meeting.signaling is not None and meeting.scenario.second_client != "evicts":
            raise Refusal(StatusCode.DUPLICATE_SIGNAL_REQUEST, "a client is connected already")
        meeting.attach_signaling(self, buffer_data=message.get("buffer_data") is not False)
        return {"media_server": {"server_urls": meeting.media_urls}}

    def _leave(self, meeting: Meeting) -> None:
        meeting.detach_signaling(self)

    def _answer(self, message: dict[str, Any]) -> None:
        assert self.meeting is not None
        meeting = self.meeting
        now = milliseconds()
        number = message.get("msg_type")
        if number == MessageType.KEEP_ALIVE_RESP:
            self._take_keep_alive(message)
        elif number == MessageType.EVENT_SUBSCRIPTION:
            self._subscribe(meeting, message)
        elif number == MessageType.CLIENT_READY_ACK:
            if message.get("rtms_stream_id") != meeting.stream_id or not self.had_media:
                self._complain(
                    message, StatusCode.INVALID_CLIENT_READY_ACK, "no media handshake came first"
                )
            else:
                meeting.client_ready()
        elif number == MessageType.SESSION_STATE_REQ:
            known = message.get("rtms_session_id") == meeting.session_id
            answer = {
                "msg_type": MessageType.SESSION_STATE_RESP,
                "rtms_session_id": message.get("rtms_session_id"),
                "timestamp": now,
            }
            if known:
                answer["state"] = meeting.session_state
            else:
                answer["status_code"] = StatusCode.INVALID_RTMS_SESSION_ID
            self.send(answer)
        elif number == MessageType.STREAM_STATE_REQ:
            answer = {
                "msg_type": MessageType.STREAM_STATE_RESP,
                "rtms_stream_id": message.get("rtms_stream_id"),
                "timestamp": now,
            }
            if message.get("rtms_stream_id") == meeting.stream_id:
                answer["state"] = meeting.stream_state
            else:
                answer["status_code"] = StatusCode.INVALID_RTMS_STREAM_ID
            self.send(answer)
        elif number == MessageType.STREAM_CLOSE_REQ:
            self._close_stream(meeting, message)
        elif number == MessageType.VIDEO_SUBSCRIPTION_REQ:
            self._subscribe_video(meeting, message)
        else:
            self._complain(message, StatusCode.INVALID_MESSAGE_TYPE, "not expected here")

    def _subscribe(self, meeting: Meeting, message: dict[str, Any]) -> None:
        wishes = message.get("events")
        if not isinstance(wishes, list) or not all(
            isinstance(wish, dict)
            and isinstance(_event_number(wish), int)
            and isinstance(wish.get("subscribe"), bool)
            for wish in wishes
        ):
            self._complain(
                message,
                StatusCode.INVALID_EVENT_SUBSCRIBE,
                "events must be a list of objects with event_type and subscribe",
            )
            return
        for wish in wishes:
            number = _event_number(wish)
            if not wish["subscribe"]:
                self.subscriptions.discard(number)
            elif number not in self.subscriptions:
                self.subscriptions.add(number)
                meeting.subscribed(number)

    def _close_stream(self, meeting: Meeting, message: dict[str, Any]) -> None:
        is_ours = message.get("rtms_stream_id") == meeting.stream_id
        status = StatusCode.OK if is_ours else StatusCode.INVALID_RTMS_STREAM_ID
        self.send(
            {
                "msg_type": MessageType.STREAM_CLOSE_RESP,
                "rtms_stream_id": message.get("rtms_stream_id"),
                "status_code": status,
                "reason": reason_text(status),
                "timestamp": milliseconds(),
            }
        )
        if is_ours:
            meeting.client_closed_stream()

    def _subscribe_video(self, meeting: Meeting, message: dict[str, Any]) -> None:
        user_id, subscribe = message.get("user_id"), message.get("subscribe")
        status = StatusCode.OK
        if not isinstance(user_id, int) or not isinstance(subscribe, bool):
            status = StatusCode.INVALID_PAYLOAD
        elif not any(
            socket.params.get("video", {}).get("data_opt")
            == DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM
            for socket in meeting.media
        ):
            status = StatusCode.INVALID_MEDIA_VIDEO_DATA_OPT
        elif subscribe and self.video_of == user_id:
            status = StatusCode.DUPLICATE_VIDEO_SUBSCRIPTION
        elif subscribe:
            self.video_of = user_id
        elif self.video_of == user_id:
            self.video_of = None
        self.send(
            {
                "msg_type": MessageType.VIDEO_SUBSCRIPTION_RESP,
                "user_id": user_id,
                "subscribe": subscribe,
                "sequence": message.get("sequence", 0),
                "status_code": status,
                "reason": reason_text(status),
                "timestamp": milliseconds(),
            }
        )


def _event_number(wish: dict[str, Any]) -> Any:
    """Return ``event_type``, or ``event_code`` where the product uses that."""
    return wish.get("event_type", wish.get("event_code"))


class MediaConnection(Connection):
    """A media socket: of one type, or unified."""

    request = MessageType.DATA_HAND_SHAKE_REQ
    response = MessageType.DATA_HAND_SHAKE_RESP

    def __init__(self, role: str, *args: Any) -> None:
        super().__init__(role, *args)
        self.is_ready = False  #: the client's client-ready came after this handshake
        self.is_unified = False  #: it carries more than one media type, or was asked for all
        self.has_carried = False  #: some media was sent on it
        self.media_types: frozenset[MediaDataType] = frozenset()
        self.params: dict[str, dict[str, Any]] = {}

    def drain(self) -> None:
        """Wait until the client has read the media that was sent to it, or is gone.

        The end of a stream is told on another socket than its media travels on, and clients close
        everything when they hear it. A keep-alive is answered after all that came before it.
        """
        if self.has_carried and not self.ended.is_set():
            self._answered.clear()
            if self._ask():
                self._answered.wait()

    def _accept(self, meeting: Meeting, message: dict[str, Any]) -> dict[str, Any]:
        if self.address not in meeting.keys or meeting.signaling is None:
            raise Refusal(
                StatusCode.INVALID_RTMS_STREAM_ID, "the stream has no signaling socket here"
            )
        media_types = self._media_types(meeting, message.get("media_type"))
        self._refuse_duplicates(meeting, media_types)
        tolerates = functools.partial(self._tolerates, meeting)
        self.params = negotiate(media_types, message.get("media_params"), tolerates)
        self.media_types = media_types
        self.is_unified = len(media_types) > 1 or message.get("media_type") == MediaDataType.ALL
        meeting.attach_media(self)
        return {"payload_encrypted": False, "media_params": self.params}

    def _media_types(self, meeting: Meeting, wanted: object) -> frozenset[MediaDataType]:
        if not isinstance(wanted, int) or isinstance(wanted, bool):
            raise Refusal(StatusCode.INVALID_MEDIA_TYPE, "media_type must be a number")
        if wanted == MediaDataType.ALL and (
            self.role == "all"
            or self._tolerates(meeting, f"media_type 32 (all) at the address of {self.role}")
        ):
            return meeting.offered
        asked = frozenset(kind for kind in MEDIA_KEYS if kind & wanted)
        if sum(asked) != wanted or not asked:
            raise Refusal(StatusCode.MEDIA_TYPE_INVALID_VALUE, f"no media_type is {wanted}")
        if self.role != "all" and {MEDIA_KEYS[kind] for kind in asked} != {self.role}:
            raise Refusal(
                StatusCode.MEDIA_TYPE_INVALID_VALUE, f"this address serves {self.role} only"
            )
        for kind in sorted(asked - meeting.offered):
            raise Refusal(_NOT_OFFERED[kind], f"the meeting offers no {MEDIA_KEYS[kind]}")
        return asked

    def _tolerates(self, meeting: Meeting, what: str) -> bool:
        """Take what breaks Zoom's rules where the simulator is lenient, and say what it was."""
        if self._options.lenient:
            meeting.tolerated[what] += 1
            logger.warning("taken because the simulator is lenient: %s", what)
        return self._options.lenient

    def _refuse_duplicates(self, meeting: Meeting, media_types: frozenset[MediaDataType]) -> None:
        if any(other.is_unified for other in meeting.media):
            raise Refusal(
                StatusCode.MEDIA_DATA_ALL_CONNECTION_EXIST, "a unified media socket is open"
            )
        if any(other.media_types & media_types for other in meeting.media):
            raise Refusal(
                StatusCode.DUPLICATE_MEDIA_DATA_CONNECTION, "a media socket for this is open"
            )

    def _leave(self, meeting: Meeting) -> None:
        meeting.detach_media(self)

    def _answer(self, message: dict[str, Any]) -> None:
        number = message.get("msg_type")
        if number == MessageType.KEEP_ALIVE_RESP:
            self._take_keep_alive(message)
        elif number == MessageType.CLIENT_READY_ACK:
            return  # belongs on the signaling socket; Zoom's samples are not consistent
        else:
            self._complain(message, StatusCode.INVALID_MESSAGE_TYPE, "not expected here")

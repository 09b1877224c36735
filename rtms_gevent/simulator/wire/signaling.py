"""A client's signaling socket: its handshake, subscriptions and requests."""

from __future__ import annotations

from typing import Any, Protocol

from ...enums import MessageType, StatusCode
from ..clock import milliseconds
from .connection import Connection, MeetingSide, ServerSide
from .negotiation import Refusal, reason_text
from .websocket import ServerWebSocket

__all__ = ["SignalingConnection", "SignalingSide"]


class SignalingSide(MeetingSide, Protocol):
    """What a signaling connection asks of its meeting."""

    session_id: str
    #: whether a client that joins replaces one that is there, rather than being refused
    evicts: bool

    @property
    def signaling(self) -> SignalingConnection | None:
        """The socket of the client that is there."""

    @property
    def media_urls(self) -> dict[str, str]:
        """Where media sockets are opened, by media type, and "all"."""

    @property
    def session_state(self) -> int:
        """The session's state that was sent last."""

    @property
    def stream_state(self) -> int:
        """The stream's state that was sent last."""

    @property
    def has_individual_video(self) -> bool:
        """Whether a client has negotiated video per participant."""

    def attach_signaling(self, connection: SignalingConnection, *, buffer_data: bool) -> None:
        """A client has opened the signaling socket.

        Args:
            connection: its socket.
            buffer_data: whether it wants what was kept before anyone was ready.
        """

    def detach_signaling(self, connection: SignalingConnection) -> None:
        """The signaling socket is gone."""

    def client_ready(self) -> None:
        """The client says that media may flow on the sockets it has opened so far."""

    def subscribed(self, number: int) -> None:
        """The client has subscribed to an event."""

    def client_closed_stream(self) -> None:
        """The client asked to close the stream."""


class SignalingConnection(Connection[SignalingSide]):
    """One signaling socket of a client."""

    request = MessageType.SIGNALING_HAND_SHAKE_REQ
    response = MessageType.SIGNALING_HAND_SHAKE_RESP

    def __init__(
        self, role: str, address: str, socket: ServerWebSocket, server: ServerSide[SignalingSide]
    ) -> None:
        super().__init__(role, address, socket, server)
        self.is_ready = False  #: the client has said that media may flow
        self.had_media = False  #: a media handshake was accepted since this one
        self.subscriptions: set[int] = set()
        self.video_user_id: int | None = None  #: participant whose video was asked for

    def _accept(self, meeting: SignalingSide, message: dict[str, Any]) -> dict[str, Any]:
        if meeting.signaling is not None and not meeting.evicts:
            raise Refusal(StatusCode.DUPLICATE_SIGNAL_REQUEST, "a client is connected already")
        meeting.attach_signaling(self, buffer_data=message.get("buffer_data") is not False)
        return {"media_server": {"server_urls": meeting.media_urls}}

    def _leave(self, meeting: SignalingSide) -> None:
        meeting.detach_signaling(self)

    def _answer(self, message: dict[str, Any]) -> None:
        assert self.meeting is not None
        meeting = self.meeting
        match message.get("msg_type"):
            case MessageType.KEEP_ALIVE_RESP:
                self._take_keep_alive(message)
            case MessageType.EVENT_SUBSCRIPTION:
                self._subscribe(meeting, message)
            case MessageType.CLIENT_READY_ACK:
                self._client_ready(meeting, message)
            case MessageType.SESSION_STATE_REQ:
                self._tell_session_state(meeting, message)
            case MessageType.STREAM_STATE_REQ:
                self._tell_stream_state(meeting, message)
            case MessageType.STREAM_CLOSE_REQ:
                self._close_stream(meeting, message)
            case MessageType.VIDEO_SUBSCRIPTION_REQ:
                self._subscribe_video(meeting, message)
            case _:
                self._complain(message, StatusCode.INVALID_MESSAGE_TYPE, "not expected here")

    def _client_ready(self, meeting: SignalingSide, message: dict[str, Any]) -> None:
        if message.get("rtms_stream_id") != meeting.stream_id or not self.had_media:
            self._complain(
                message, StatusCode.INVALID_CLIENT_READY_ACK, "no media handshake came first"
            )
        else:
            meeting.client_ready()

    def _tell_session_state(self, meeting: SignalingSide, message: dict[str, Any]) -> None:
        session_id = message.get("rtms_session_id")
        answer = {
            "msg_type": MessageType.SESSION_STATE_RESP,
            "rtms_session_id": session_id,
            "timestamp": milliseconds(),
        }
        if session_id == meeting.session_id:
            answer["state"] = meeting.session_state
        else:
            answer["status_code"] = StatusCode.INVALID_RTMS_SESSION_ID
        self.send(answer)

    def _tell_stream_state(self, meeting: SignalingSide, message: dict[str, Any]) -> None:
        stream_id = message.get("rtms_stream_id")
        answer = {
            "msg_type": MessageType.STREAM_STATE_RESP,
            "rtms_stream_id": stream_id,
            "timestamp": milliseconds(),
        }
        if stream_id == meeting.stream_id:
            answer["state"] = meeting.stream_state
        else:
            answer["status_code"] = StatusCode.INVALID_RTMS_STREAM_ID
        self.send(answer)

    def _subscribe(self, meeting: SignalingSide, message: dict[str, Any]) -> None:
        events = message.get("events")
        if not isinstance(events, list) or not all(
            isinstance(event, dict)
            and isinstance(_event_number(event), int)
            and isinstance(event.get("subscribe"), bool)
            for event in events
        ):
            self._complain(
                message,
                StatusCode.INVALID_EVENT_SUBSCRIBE,
                "events must be a list of objects with event_type and subscribe",
            )
            return
        for event in events:
            number = _event_number(event)
            if not event["subscribe"]:
                self.subscriptions.discard(number)
            elif number not in self.subscriptions:
                self.subscriptions.add(number)
                meeting.subscribed(number)

    def _close_stream(self, meeting: SignalingSide, message: dict[str, Any]) -> None:
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

    def _subscribe_video(self, meeting: SignalingSide, message: dict[str, Any]) -> None:
        user_id, subscribe = message.get("user_id"), message.get("subscribe")
        status = StatusCode.OK
        if not isinstance(user_id, int) or not isinstance(subscribe, bool):
            status = StatusCode.INVALID_PAYLOAD
        elif not meeting.has_individual_video:
            status = StatusCode.INVALID_MEDIA_VIDEO_DATA_OPT
        elif subscribe and self.video_user_id == user_id:
            status = StatusCode.DUPLICATE_VIDEO_SUBSCRIPTION
        elif subscribe:
            self.video_user_id = user_id
        elif self.video_user_id == user_id:
            self.video_user_id = None
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


def _event_number(event: dict[str, Any]) -> Any:
    """Return ``event_type``, or ``event_code`` where the product uses that."""
    return event.get("event_type", event.get("event_code"))

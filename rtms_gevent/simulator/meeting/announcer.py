"""Sends a client events, and the states of session and stream, on its signaling socket."""

from __future__ import annotations

from typing import Any

from ...enums import EventType, MessageType, Product, SessionState, StopReason, StreamState, known
from ..clock import milliseconds
from .identity import Identity
from .sockets import OpenSockets

__all__ = ["StateAnnouncer"]

#: Sent without a subscription.
_AUTOMATIC = frozenset({EventType.FIRST_PACKET_TIMESTAMP, EventType.MEDIA_CONNECTION_INTERRUPTED})


class StateAnnouncer:
    """Sends the client of one stream its states and events, and keeps what was sent."""

    def __init__(self, identity: Identity, sockets: OpenSockets) -> None:
        self._identity = identity
        self._sockets = sockets
        self.session_state: int = SessionState.INITIALIZE
        self.stream_state: int = StreamState.INACTIVE
        #: every event object that was sent, in order
        self.events_sent: list[dict[str, Any]] = []
        self._had_first_packet = False

    def send_event(self, event: dict[str, Any], *, to_all: bool = False) -> bool:
        """Send one event update, if the client has subscribed to it; see :class:`.Meeting`."""
        event = dict(event)
        product = self._identity.product
        number = event.get("event_type", event.get("event_code"))
        of_engagement = product is Product.CONTACT_CENTER and number not in range(8)
        event.setdefault("event_ts" if of_engagement else "timestamp", milliseconds())
        if product is Product.PHONE and "event_type" in event:
            event["event_code"] = event.pop("event_type")
        signaling = self._sockets.signaling
        if signaling is None or not (
            to_all or number in _AUTOMATIC or number in signaling.subscriptions
        ):
            return False
        if not signaling.send({"msg_type": MessageType.EVENT_UPDATE, "event": event}):
            return False
        self.events_sent.append(event)
        return True

    def set_session_state(self, state: int, reason: int | None = None) -> bool:
        """Send a new state of the session; without a ``reason``, a stop has one of its own."""
        self.session_state = known(SessionState, state)
        message = {
            "msg_type": MessageType.SESSION_STATE_UPDATE,
            "rtms_session_id": self._identity.session_id,
            "state": int(state),
            "timestamp": milliseconds(),
        }
        if reason is None and state == SessionState.STOPPED:
            reason = StopReason.UNDEFINED
        if reason is not None:
            message["stop_reason"] = int(reason)
        return self._sockets.send_signaling(message)

    def set_stream_state(self, state: int, reason: int) -> bool:
        """Send a new state of the stream."""
        self.stream_state = known(StreamState, state)
        return self._sockets.send_signaling(
            {
                "msg_type": MessageType.STREAM_STATE_UPDATE,
                "state": int(state),
                "reason": int(reason),
                "timestamp": milliseconds(),
            }
        )

    def expect_first_packet(self) -> None:
        """Announce the next packet of media as the first one."""
        self._had_first_packet = False

    def before_packet(self, timestamp: int) -> None:
        """Media is about to be sent: announce the time of the first packet (ms)."""
        if not self._had_first_packet:
            self._had_first_packet = True
            self.send_event(
                {"event_type": int(EventType.FIRST_PACKET_TIMESTAMP), "timestamp": timestamp}
            )

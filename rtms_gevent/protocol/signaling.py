"""Which messages may come next on the signaling socket, as a table."""

from __future__ import annotations

from ..enums import MessageType
from .state import ConnectionState, State, Transitions, received, sent

__all__ = ["SIGNALING_TRANSITIONS", "SignalingState"]

_M, _S = MessageType, State

# What may come at any time. Nobody asks for states here, but answers would do no harm.
_UPDATES = (
    _M.EVENT_UPDATE,
    _M.STREAM_STATE_UPDATE,
    _M.SESSION_STATE_UPDATE,
    _M.STREAM_STATE_RESP,
    _M.SESSION_STATE_RESP,
    _M.VIDEO_SUBSCRIPTION_RESP,
)

SIGNALING_TRANSITIONS: Transitions = {
    _S.IDLE: sent(_M.SIGNALING_HAND_SHAKE_REQ, to=_S.HANDSHAKING),
    _S.HANDSHAKING: received(_M.SIGNALING_HAND_SHAKE_RESP, to=_S.READY),
    _S.READY: {
        # Client-ready is sent after each media handshake, so it may be sent again.
        **sent(
            _M.CLIENT_READY_ACK,
            _M.EVENT_SUBSCRIPTION,
            _M.VIDEO_SUBSCRIPTION_REQ,
            to=_S.READY,
        ),
        **sent(_M.STREAM_CLOSE_REQ, to=_S.CLOSING),
        **received(*_UPDATES, to=_S.READY),
    },
    _S.CLOSING: {
        **received(*_UPDATES, to=_S.CLOSING),
        **received(_M.STREAM_CLOSE_RESP, to=_S.CLOSED),
    },
    # Zoom reports the end of the stream after it has agreed to close it.
    _S.CLOSED: received(*_UPDATES, to=_S.CLOSED),
}


class SignalingState(ConnectionState):
    """The state of the signaling socket."""

    def __init__(self) -> None:
        super().__init__(SIGNALING_TRANSITIONS, "signaling")

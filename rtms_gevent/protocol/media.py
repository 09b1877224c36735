"""Which messages may come next on a media socket, as a table."""

from __future__ import annotations

from ..enums import MessageType
from .state import ConnectionState, State, Transitions, received, sent

__all__ = ["MEDIA_TRANSITIONS", "MediaState"]

_M, _S = MessageType, State

MEDIA_TRANSITIONS: Transitions = {
    _S.IDLE: sent(_M.DATA_HAND_SHAKE_REQ, to=_S.HANDSHAKING),
    _S.HANDSHAKING: received(_M.DATA_HAND_SHAKE_RESP, to=_S.READY),
    # The number of a message says what it is, not the socket that it came on.
    _S.READY: received(
        _M.MEDIA_DATA_AUDIO,
        _M.MEDIA_DATA_VIDEO,
        _M.MEDIA_DATA_SHARE,
        _M.MEDIA_DATA_TRANSCRIPT,
        _M.MEDIA_DATA_CHAT,
        _M.STREAM_STATE_UPDATE,
        to=_S.READY,
    ),
    _S.CLOSING: {},
    _S.CLOSED: {},
}


class MediaState(ConnectionState):
    """The state of a media socket."""

    def __init__(self, name: str) -> None:
        """Begin idle; ``name`` is the media type, or "unified"."""
        super().__init__(MEDIA_TRANSITIONS, name)

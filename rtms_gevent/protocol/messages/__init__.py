"""Zoom's messages as dataclasses: what travels between us and the servers.

A message that we send knows how to write itself (``to_wire``), one that we receive how to be read
(``from_wire``). Reading is tolerant, since sources and servers differ (each difference is a row in
``tests/protocol/test_conflicts.py``), and nothing is thrown away: ``raw`` keeps the document.

Source: https://developers.zoom.us/docs/rtms/event-reference/ and its 2026 split pages.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..packets import MEDIA_TYPES, MediaPacket
from .base import Message, OutgoingMessage, UnknownMessage
from .events import (
    EventSubscription,
    EventUpdate,
    VideoSubscriptionRequest,
    VideoSubscriptionResponse,
)
from .handshake import (
    ClientReady,
    MediaHandshakeRequest,
    MediaHandshakeResponse,
    SignalingHandshakeRequest,
    SignalingHandshakeResponse,
)
from .keepalive import KeepAliveRequest, KeepAliveResponse
from .state import (
    SessionStateUpdate,
    StreamCloseRequest,
    StreamCloseResponse,
    StreamStateUpdate,
)

__all__ = [
    "RECEIVED",
    "ClientReady",
    "EventSubscription",
    "EventUpdate",
    "KeepAliveRequest",
    "KeepAliveResponse",
    "MediaHandshakeRequest",
    "MediaHandshakeResponse",
    "Message",
    "OutgoingMessage",
    "SessionStateUpdate",
    "SignalingHandshakeRequest",
    "SignalingHandshakeResponse",
    "StreamCloseRequest",
    "StreamCloseResponse",
    "StreamStateUpdate",
    "UnknownMessage",
    "VideoSubscriptionRequest",
    "VideoSubscriptionResponse",
]

#: What a server may send: by its number, how it is read.
RECEIVED: Mapping[int, type[Message] | type[MediaPacket]] = {
    **{
        kind.number: kind
        for kind in (
            SignalingHandshakeResponse,
            MediaHandshakeResponse,
            EventUpdate,
            StreamStateUpdate,
            SessionStateUpdate,
            KeepAliveRequest,
            StreamCloseResponse,
            VideoSubscriptionResponse,
        )
    },
    **dict.fromkeys(MEDIA_TYPES, MediaPacket),
}

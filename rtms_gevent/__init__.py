"""Zoom Realtime Media Streams (RTMS) for synchronous Python.

    import rtms_gevent as rtms

    @rtms.on_webhook_event
    def handle(payload):
        if payload["event"] == "meeting.rtms_started":
            client = rtms.Client()
            client.on_transcript_data(lambda data, size, timestamp, metadata: print(data.decode()))
            client.join(payload["payload"])

    rtms.run()

Importing patches nothing, starts nothing and reads nothing.
"""

from __future__ import annotations

from . import signals
from ._version import __version__
from .client import Client
from .config import Limits, Timeouts
from .enums import (
    AudioChannel,
    AudioSampleRate,
    ChatGroupMemberStatus,
    ChatOperation,
    ChatSessionType,
    Codec,
    ContactCenterEventType,
    ContentType,
    DataOption,
    EventType,
    MediaDataType,
    MessageAttribute,
    MessageType,
    Product,
    SessionState,
    StatusCode,
    StopReason,
    StreamState,
    TranscriptLanguage,
    VideoResolution,
)
from .errors import (
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    EndedBeforeJoined,
    FrameError,
    HandshakeClosed,
    HandshakeMalformed,
    HandshakeRejected,
    InboxOverflow,
    JoinError,
    JoinTimeout,
    LocalProtocolError,
    MediaNotOffered,
    MissingExtra,
    NotJoinedError,
    RemoteProtocolError,
    RtmsError,
    ServerUrlError,
    StreamLost,
    TlsError,
    UsageError,
    WebhookError,
)
from .explanations import Explanation, explain_status, explain_stop
from .loop import EventLoop, EventLoopPool, run, run_async, run_soon, stop
from .protocol.packets import ChatDetails, Metadata
from .protocol.params import (
    AudioParams,
    ChatParams,
    DeskshareParams,
    TranscriptParams,
    VideoParams,
)
from .protocol.people import ChannelParticipant, Participant
from .reasons import LeaveReason
from .reports import (
    SESS_STATUS_ACTIVE,
    SESS_STATUS_PAUSED,
    SESSION_EVENT_ADD,
    SESSION_EVENT_PAUSE,
    SESSION_EVENT_RESUME,
    SESSION_EVENT_STOP,
    USER_JOIN,
    USER_LEAVE,
    Session,
)
from .webhook import WebhookEvent, WebhookKind, WebhookServer, on_webhook_event

__all__ = [
    "SESSION_EVENT_ADD",
    "SESSION_EVENT_PAUSE",
    "SESSION_EVENT_RESUME",
    "SESSION_EVENT_STOP",
    "SESS_STATUS_ACTIVE",
    "SESS_STATUS_PAUSED",
    "USER_JOIN",
    "USER_LEAVE",
    "AudioChannel",
    "AudioParams",
    "AudioSampleRate",
    "ChannelParticipant",
    "ChatDetails",
    "ChatGroupMemberStatus",
    "ChatOperation",
    "ChatParams",
    "ChatSessionType",
    "Client",
    "Codec",
    "ConfigurationError",
    "ConnectError",
    "ConnectionLost",
    "ContactCenterEventType",
    "ContentType",
    "DataOption",
    "DeskshareParams",
    "EndedBeforeJoined",
    "EventLoop",
    "EventLoopPool",
    "EventType",
    "Explanation",
    "FrameError",
    "HandshakeClosed",
    "HandshakeMalformed",
    "HandshakeRejected",
    "InboxOverflow",
    "JoinError",
    "JoinTimeout",
    "LeaveReason",
    "Limits",
    "LocalProtocolError",
    "MediaDataType",
    "MediaNotOffered",
    "MessageAttribute",
    "MessageType",
    "Metadata",
    "MissingExtra",
    "NotJoinedError",
    "Participant",
    "Product",
    "RemoteProtocolError",
    "RtmsError",
    "ServerUrlError",
    "Session",
    "SessionState",
    "StatusCode",
    "StopReason",
    "StreamLost",
    "StreamState",
    "Timeouts",
    "TlsError",
    "TranscriptLanguage",
    "TranscriptParams",
    "UsageError",
    "VideoParams",
    "VideoResolution",
    "WebhookError",
    "WebhookEvent",
    "WebhookKind",
    "WebhookServer",
    "__version__",
    "explain_status",
    "explain_stop",
    "on_webhook_event",
    "run",
    "run_async",
    "run_soon",
    "signals",
    "stop",
]

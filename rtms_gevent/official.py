"""Names that the official SDK has beside ours: constants, split enums, a few functions.

Every number is taken from :mod:`rtms_gevent.enums`. A client's names are in
:mod:`rtms_gevent.official_names`, those of parameters on the parameter classes.

Source of names and values: the official Python package ``rtms`` 1.1.0.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path

import certifi

from .config import Credentials, ca_file, set_default_ca
from .enums import Codec, ContentType, DataOption, EventType, MediaDataType
from .errors import ConfigurationError
from .official_names import receive_webhooks_with
from .protocol.identity import handshake_signature
from .transport.connect import tls_context
from .webhook.exchange import WebhookRequest
from .webhook.server import on_webhook_event

__all__ = [
    "DIFFERENT",
    "EVENT_ACTIVE_SPEAKER_CHANGE",
    "EVENT_CONSUMER_ANSWERED",
    "EVENT_CONSUMER_END",
    "EVENT_FIRST_PACKET_TIMESTAMP",
    "EVENT_MEDIA_CONNECTION_INTERRUPTED",
    "EVENT_PARTICIPANT_JOIN",
    "EVENT_PARTICIPANT_LEAVE",
    "EVENT_PARTICIPANT_VIDEO_OFF",
    "EVENT_PARTICIPANT_VIDEO_ON",
    "EVENT_SHARING_START",
    "EVENT_SHARING_STOP",
    "EVENT_UNDEFINED",
    "EVENT_USER_ANSWERED",
    "EVENT_USER_END",
    "EVENT_USER_HOLD",
    "EVENT_USER_UNHOLD",
    "LEFT_OUT",
    "MEDIA_TYPE_ALL",
    "MEDIA_TYPE_AUDIO",
    "MEDIA_TYPE_CHAT",
    "MEDIA_TYPE_DESKSHARE",
    "MEDIA_TYPE_TRANSCRIPT",
    "MEDIA_TYPE_VIDEO",
    "RTMS_SDK_FAILURE",
    "RTMS_SDK_INVALID_ARGS",
    "RTMS_SDK_INVALID_STATUS",
    "RTMS_SDK_NOT_EXIST",
    "RTMS_SDK_OK",
    "RTMS_SDK_TIMEOUT",
    "RTMS_SDK_WRONG_TYPE",
    "AudioCodec",
    "AudioContentType",
    "AudioDataOption",
    "VideoCodec",
    "VideoContentType",
    "VideoDataOption",
    "WebhookHandler",
    "find_ca_certificate",
    "generate_signature",
    "initialize",
    "onWebhookEvent",
    "uninitialize",
]

#: What of the official package is not here, and why.
LEFT_OUT: Mapping[str, str] = {
    "Client.alloc": "allocates a handle of the C library; there is none",
    "Client.is_allocated": "tells whether the C library's handle exists; there is none",
    "Client.initialize": "sets up the C library per process; initialize() sets the CA file",
    "Client.uninitialize": "see Client.initialize; uninitialize() takes the CA file back",
    "WebhookHandler.__init__": "requests are made by the server",
    "WebhookHandler.do_POST": "a method of the standard library's HTTP server, for itself to call",
    "WebhookHandler.send_response": "answers are given by response.set_status() and "
    "response.send()",
    "WebhookResponse.__init__": "responses are made by the server",
}

#: What has another default or shape here, and why.
DIFFERENT: Mapping[str, str] = {
    "WebhookServer.port": "None means ZM_RTMS_PORT, and 8080 where that is not set",
    "WebhookServer.path": "None means ZM_RTMS_PATH, and /rtms/webhook and / where that is not set",
}

# -- constants -------------------------------------------------------------------------------------

MEDIA_TYPE_AUDIO = MediaDataType.AUDIO.value
MEDIA_TYPE_VIDEO = MediaDataType.VIDEO.value
MEDIA_TYPE_DESKSHARE = MediaDataType.DESKSHARE.value
MEDIA_TYPE_TRANSCRIPT = MediaDataType.TRANSCRIPT.value
MEDIA_TYPE_CHAT = MediaDataType.CHAT.value
MEDIA_TYPE_ALL = MediaDataType.ALL.value

EVENT_UNDEFINED = EventType.UNDEFINED.value
EVENT_FIRST_PACKET_TIMESTAMP = EventType.FIRST_PACKET_TIMESTAMP.value
EVENT_ACTIVE_SPEAKER_CHANGE = EventType.ACTIVE_SPEAKER_CHANGE.value
EVENT_PARTICIPANT_JOIN = EventType.PARTICIPANT_JOIN.value
EVENT_PARTICIPANT_LEAVE = EventType.PARTICIPANT_LEAVE.value
EVENT_SHARING_START = EventType.SHARING_START.value
EVENT_SHARING_STOP = EventType.SHARING_STOP.value
EVENT_MEDIA_CONNECTION_INTERRUPTED = EventType.MEDIA_CONNECTION_INTERRUPTED.value
EVENT_PARTICIPANT_VIDEO_ON = EventType.PARTICIPANT_VIDEO_ON.value
EVENT_PARTICIPANT_VIDEO_OFF = EventType.PARTICIPANT_VIDEO_OFF.value
EVENT_CONSUMER_ANSWERED = EventType.CONSUMER_ANSWERED.value
EVENT_CONSUMER_END = EventType.CONSUMER_END.value
EVENT_USER_ANSWERED = EventType.USER_ANSWERED.value
EVENT_USER_END = EventType.USER_END.value
EVENT_USER_HOLD = EventType.USER_HOLD.value
EVENT_USER_UNHOLD = EventType.USER_UNHOLD.value

# What functions of the C library return; kept for programs that compare with them.
RTMS_SDK_FAILURE = -1
RTMS_SDK_OK = 0
RTMS_SDK_TIMEOUT = 1
RTMS_SDK_NOT_EXIST = 2
RTMS_SDK_WRONG_TYPE = 3
RTMS_SDK_INVALID_STATUS = 4
RTMS_SDK_INVALID_ARGS = 5

# -- enums that are one here, and several there ----------------------------------------------------


class AudioCodec(enum.IntEnum):
    """The codecs of :class:`~rtms_gevent.Codec` that audio can have."""

    UNDEFINED = Codec.UNDEFINED.value
    L16 = Codec.L16.value
    G711 = Codec.G711.value
    G722 = Codec.G722.value
    OPUS = Codec.OPUS.value


class VideoCodec(enum.IntEnum):
    """The codecs of :class:`~rtms_gevent.Codec` that video and screen share can have."""

    UNDEFINED = Codec.UNDEFINED.value
    JPG = Codec.JPG.value
    PNG = Codec.PNG.value
    H264 = Codec.H264.value


class AudioContentType(enum.IntEnum):
    """:class:`~rtms_gevent.ContentType` without video."""

    UNDEFINED = ContentType.UNDEFINED.value
    RTP = ContentType.RTP.value
    RAW_AUDIO = ContentType.RAW_AUDIO.value
    FILE_STREAM = ContentType.FILE_STREAM.value
    TEXT = ContentType.TEXT.value


class VideoContentType(enum.IntEnum):
    """:class:`~rtms_gevent.ContentType` without audio."""

    UNDEFINED = ContentType.UNDEFINED.value
    RTP = ContentType.RTP.value
    RAW_VIDEO = ContentType.RAW_VIDEO.value
    FILE_STREAM = ContentType.FILE_STREAM.value
    TEXT = ContentType.TEXT.value


AudioDataOption = VideoDataOption = DataOption

# -- functions -------------------------------------------------------------------------------------

#: What a webhook handler gets as ``request``, under the official SDK's name.
WebhookHandler = WebhookRequest

onWebhookEvent = on_webhook_event
receive_webhooks_with(on_webhook_event)


def generate_signature(
    client: str | None, secret: str | None, uuid: str, rtms_stream_id: str
) -> str:
    """Return the handshake signature of a stream, as hex; ``join()`` makes it by itself.

    Args:
        client: Client id of the app; ``ZM_RTMS_CLIENT`` where it is empty.
        secret: Client secret of the app; ``ZM_RTMS_SECRET`` where it is empty.
        uuid: Id of the meeting, webinar, session, engagement or call.
        rtms_stream_id: Id of the stream.

    Raises:
        ConfigurationError: client or secret is given nowhere.
    """
    credentials = Credentials.resolve(client, secret)
    return handshake_signature(
        credentials.client_id, credentials.client_secret, uuid, rtms_stream_id
    )


def find_ca_certificate(specified_path: str | None = None) -> str:
    """Return the CA file that a join would trust.

    That is ``specified_path``, else what :func:`initialize` has set, else ``ZM_RTMS_CA``, else
    certifi's.

    Raises:
        ConfigurationError: that file does not exist. Trusting others in its place would be worse.
    """
    path = ca_file(specified_path) or certifi.where()
    if not Path(path).is_file():
        raise ConfigurationError(f"the CA file {path!r} does not exist; check ca= and ZM_RTMS_CA")
    return path


def initialize(ca_path: str | None = None) -> bool:
    """Set the CA file of later joins that name none. Nothing else needs to be initialized.

    Args:
        ca_path: File (PEM) with certificates to trust. Without it nothing is set, but the file
            that joins would trust is checked.

    Returns:
        True.

    Raises:
        ConfigurationError: the file cannot be read, or holds no certificate.
    """
    tls_context(ca_path or ca_file())
    if ca_path:
        set_default_ca(ca_path)
    return True


def uninitialize() -> bool:
    """Take back what :func:`initialize` has set; streams that run are left alone.

    Returns:
        True.
    """
    set_default_ca(None)
    return True

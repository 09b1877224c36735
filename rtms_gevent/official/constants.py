"""Constants of the official SDK, and its enums where it has several for one of ours.

Every number is taken from :mod:`rtms_gevent.enums`.

Source of names and values: the official Python package ``rtms`` 1.1.0.
"""

from __future__ import annotations

import enum

from ..enums import Codec, ContentType, DataOption, EventType, MediaDataType

__all__ = [
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
]

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

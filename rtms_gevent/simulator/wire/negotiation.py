"""What the media server accepts in ``media_params``, and what it answers.

Written from Zoom's documents on purpose, and not shared with the SDK's own tables: the audio
combinations of the media types reference, the limits of the event reference, and the status codes
18 to 43 for what is wrong. Missing fields get the defaults of the wire (L16 at 16 kHz mono, JPG
at 5 fps), which are not those of the official SDK.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ...enums import (
    Codec,
    ContentType,
    DataOption,
    MediaDataType,
    MessageType,
    StatusCode,
    TranscriptLanguage,
    known,
)

__all__ = ["DEFAULTS", "MEDIA_KEYS", "MEDIA_MESSAGES", "Refusal", "negotiate", "reason_text"]

#: Name of each media type in URLs, scenario files and ``media_params``.
MEDIA_KEYS = {
    MediaDataType.AUDIO: "audio",
    MediaDataType.VIDEO: "video",
    MediaDataType.DESKSHARE: "deskshare",
    MediaDataType.TRANSCRIPT: "transcript",
    MediaDataType.CHAT: "chat",
}

#: What carries media, by media type.
MEDIA_MESSAGES = {
    MediaDataType.AUDIO: MessageType.MEDIA_DATA_AUDIO,
    MediaDataType.VIDEO: MessageType.MEDIA_DATA_VIDEO,
    MediaDataType.DESKSHARE: MessageType.MEDIA_DATA_SHARE,
    MediaDataType.TRANSCRIPT: MessageType.MEDIA_DATA_TRANSCRIPT,
    MediaDataType.CHAT: MessageType.MEDIA_DATA_CHAT,
}

DEFAULTS: dict[MediaDataType, dict[str, Any]] = {
    MediaDataType.AUDIO: {
        "content_type": 2,
        "codec": 1,
        "sample_rate": 1,
        "channel": 1,
        "data_opt": 1,
        "send_rate": 20,
    },
    MediaDataType.VIDEO: {
        "content_type": 3,
        "codec": 5,
        "resolution": 2,
        "data_opt": 3,
        "fps": 5,
    },
    MediaDataType.DESKSHARE: {"content_type": 3, "codec": 5, "resolution": 3, "fps": 1},
    MediaDataType.TRANSCRIPT: {"content_type": 5, "src_language": 9, "enable_lid": True},
    MediaDataType.CHAT: {"content_type": 5},
}


@dataclasses.dataclass(frozen=True, slots=True)
class AudioRow:
    """One row of the matrix: what goes with a content type and a codec."""

    sample_rates: frozenset[int]
    channels: frozenset[int]
    send_rates: range


_ENCODED = range(20, 21, 20)
_RAW = range(20, 1001, 20)
_MONO, _ANY_CHANNEL = frozenset({1}), frozenset({1, 2})

_OPUS = AudioRow(frozenset({3}), _ANY_CHANNEL, _ENCODED)
_G711 = AudioRow(frozenset({0}), _MONO, _ENCODED)
_G722 = AudioRow(frozenset({1}), _MONO, _ENCODED)

#: By content type and codec; what is not listed is refused.
AUDIO_MATRIX = {
    (ContentType.RTP, Codec.OPUS): _OPUS,
    (ContentType.RTP, Codec.G711): _G711,
    (ContentType.RTP, Codec.G722): _G722,
    (ContentType.RAW_AUDIO, Codec.L16): AudioRow(frozenset({0, 1, 2, 3}), _ANY_CHANNEL, _RAW),
    (ContentType.RAW_AUDIO, Codec.OPUS): _OPUS,
    (ContentType.RAW_AUDIO, Codec.G711): _G711,
    (ContentType.RAW_AUDIO, Codec.G722): _G722,
}

#: What Zoom's samples sent until March 2026, when they were changed.
_OLD_SAMPLES = (ContentType.RTP, Codec.L16)

#: Gets what breaks Zoom's rules, and returns whether it is taken all the same.
Tolerates = Callable[[str], bool]


def reason_text(status: int) -> str:
    """Return the ``reason`` of an answer: the status's name in words, as Zoom writes it.

    Clients look for the words rather than the number, whose meaning has changed: Zoom's samples
    for "duplicate signal request". Source: zoom/rtms-samples, their signaling handlers.
    """
    member = known(StatusCode, status)
    if not isinstance(member, StatusCode):
        return f"status {status}"
    return "OK" if member is StatusCode.OK else member.name.replace("_", " ").lower()


class Refusal(Exception):
    """The handshake is answered with ``status``; ``detail`` is for our own log."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


def _tolerates_nothing(what: str) -> bool:
    return False


def negotiate(
    media_types: frozenset[MediaDataType],
    media_params: object,
    tolerates: Tolerates = _tolerates_nothing,
) -> dict[str, dict[str, Any]]:
    """Return the effective ``media_params`` for the media types of one socket.

    Args:
        media_types: what flows on the socket.
        media_params: as the client sent it; None where it sent none.
        tolerates: asked about what clients were seen to send against the rules.

    Raises:
        Refusal: with the status code of what is wrong.
    """
    if media_params is None:
        media_params = {}
    if not isinstance(media_params, dict):
        raise Refusal(StatusCode.INVALID_MEDIA_PARAMS, "media_params must be an object")
    effective = {}
    for media_type in sorted(media_types):
        key = MEDIA_KEYS[media_type]
        wanted = media_params.get(key)
        if wanted is None:
            wanted = {}
        if not isinstance(wanted, dict):
            raise Refusal(_MALFORMED[media_type], f"media_params.{key} must be an object")
        params = {**DEFAULTS[media_type], **wanted}
        _CHECKS[media_type](params, tolerates)
        effective[key] = {name: params[name] for name in (*DEFAULTS[media_type], *wanted)}
    return effective


_MALFORMED = {
    MediaDataType.AUDIO: StatusCode.INVALID_MEDIA_AUDIO_PARAMS,
    MediaDataType.VIDEO: StatusCode.INVALID_MEDIA_VIDEO_PARAMS,
    MediaDataType.DESKSHARE: StatusCode.INVALID_MEDIA_DESKSHARE_PARAMS,
    MediaDataType.TRANSCRIPT: StatusCode.INVALID_MEDIA_TRANSCRIPT_PARAMS,
    MediaDataType.CHAT: StatusCode.INVALID_MEDIA_CHAT_PARAMS,
}


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _require(params: dict[str, Any], name: str, allowed: Any, status: StatusCode) -> None:
    if not _is_whole(params[name]) or params[name] not in allowed:
        raise Refusal(status, f"{name} {params[name]!r} is not allowed here")


def _check_audio(params: dict[str, Any], tolerates: Tolerates) -> None:
    status = StatusCode
    _require(params, "content_type", (1, 2), status.INVALID_MEDIA_AUDIO_CONTENT_TYPE)
    _require(params, "data_opt", (1, 2), status.INVALID_MEDIA_AUDIO_DATA_OPT)
    _require(params, "codec", (1, 2, 3, 4), status.INVALID_MEDIA_AUDIO_CODEC)
    combination = params["content_type"], params["codec"]
    row = AUDIO_MATRIX.get(combination)
    if combination == _OLD_SAMPLES and tolerates("content_type 1 (RTP) with codec 1 (L16)"):
        row = AUDIO_MATRIX[ContentType.RAW_AUDIO, Codec.L16]
    if row is None:
        raise Refusal(
            status.INVALID_MEDIA_AUDIO_CODEC,
            f"codec {params['codec']} does not go with content_type {params['content_type']}",
        )
    _require(params, "sample_rate", row.sample_rates, status.INVALID_MEDIA_AUDIO_SAMPLE_RATE)
    _require(params, "channel", row.channels, status.INVALID_MEDIA_AUDIO_CHANNEL)
    if params["codec"] == Codec.L16 and _is_whole(params["send_rate"]):
        params["send_rate"] = min(params["send_rate"], 1000)  # as documented: clamped
    _require(params, "send_rate", row.send_rates, status.INVALID_MEDIA_AUDIO_SEND_RATE)


def _check_video(params: dict[str, Any], tolerates: Tolerates) -> None:
    status = StatusCode
    _require(params, "content_type", (1, 3), status.INVALID_MEDIA_VIDEO_CONTENT_TYPE)
    _require(params, "codec", (5, 6, 7), status.INVALID_MEDIA_VIDEO_CODEC)
    _require(params, "resolution", (1, 2, 3, 4), status.INVALID_MEDIA_VIDEO_RESOLUTION)
    _require(
        params,
        "data_opt",
        (DataOption.VIDEO_SINGLE_ACTIVE_STREAM, DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM),
        status.INVALID_MEDIA_VIDEO_DATA_OPT,
    )
    _require(params, "fps", range(1, 31), status.INVALID_MEDIA_VIDEO_FPS)
    # Still pictures up to 5 fps, H.264 above.
    if (params["codec"] == Codec.H264) != (params["fps"] > 5):
        raise Refusal(
            status.INVALID_MEDIA_VIDEO_FPS,
            f"fps {params['fps']} does not go with codec {params['codec']}",
        )


def _check_deskshare(params: dict[str, Any], tolerates: Tolerates) -> None:
    status = StatusCode
    _require(params, "content_type", (1, 3), status.INVALID_MEDIA_DESKSHARE_CONTENT_TYPE)
    _require(params, "codec", (5, 6, 7), status.INVALID_MEDIA_DESKSHARE_CODEC)
    _require(params, "resolution", (1, 2, 3, 4), status.INVALID_MEDIA_DESKSHARE_RESOLUTION)
    _require(params, "fps", range(1, 31), status.INVALID_MEDIA_DESKSHARE_FPS)
    # Zoom's sources disagree on the limit between 1 and 5 fps, so both codecs pass there.
    if (params["codec"] == Codec.H264 and params["fps"] <= 1) or (
        params["codec"] != Codec.H264 and params["fps"] > 5
    ):
        raise Refusal(
            status.INVALID_MEDIA_DESKSHARE_FPS,
            f"fps {params['fps']} does not go with codec {params['codec']}",
        )


def _check_transcript(params: dict[str, Any], tolerates: Tolerates) -> None:
    status = StatusCode
    _require(params, "content_type", (5,), status.INVALID_MEDIA_TRANSCRIPT_CONTENT_TYPE)
    _require(
        params,
        "src_language",
        frozenset(int(language) for language in TranscriptLanguage),
        status.INVALID_MEDIA_TRANSCRIPT_SOURCE_LANGUAGE,
    )
    if not isinstance(params["enable_lid"], bool):
        raise Refusal(status.INVALID_MEDIA_TRANSCRIPT_PARAMS, "enable_lid must be true or false")


def _check_chat(params: dict[str, Any], tolerates: Tolerates) -> None:
    _require(params, "content_type", (5,), StatusCode.INVALID_MEDIA_CHAT_CONTENT_TYPE)


_CHECKS = {
    MediaDataType.AUDIO: _check_audio,
    MediaDataType.VIDEO: _check_video,
    MediaDataType.DESKSHARE: _check_deskshare,
    MediaDataType.TRANSCRIPT: _check_transcript,
    MediaDataType.CHAT: _check_chat,
}

"""Media parameters (codec, sample rate, resolution) with the official SDK's defaults and checks.

Each class is one media type. Attributes may be set at any time before joining, in any order; a
value of the wrong kind is refused at once, a combination that Zoom refuses when joining
(:meth:`MediaParams.check`). The official SDK's camelCase names are aliases.

Source of the combinations: Zoom's media parameter definition, as gathered in
``docs/media-parameters.md``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, overload

from .._alias import FieldAlias
from ..enums import (
    AudioChannel,
    AudioSampleRate,
    Codec,
    ContentType,
    DataOption,
    TranscriptLanguage,
    VideoResolution,
)
from ..errors import ConfigurationError

__all__ = [
    "AUDIO_COMBINATIONS",
    "AudioParams",
    "ChatParams",
    "DeskshareParams",
    "MediaParams",
    "TranscriptParams",
    "VideoParams",
]

_Value = TypeVar("_Value")


class _Field(Generic[_Value]):
    """One parameter: its default, its name on the wire, and what it may be."""

    def __init__(
        self,
        default: _Value,
        convert: Callable[[Any], _Value],
        allowed: str,
        *,
        wire: str | None = "",
    ) -> None:
        self.default = default
        self.convert = convert
        self.allowed = allowed
        self.wire = wire

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        if self.wire == "":
            self.wire = name

    @overload
    def __get__(self, instance: None, owner: type) -> _Field[_Value]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> _Value: ...
    def __get__(self, instance: object | None, owner: type) -> _Field[_Value] | _Value:
        if instance is None:
            return self
        value: _Value = instance.__dict__.get(self.name, self.default)
        return value

    def __set__(self, instance: object, value: Any) -> None:
        try:
            if isinstance(value, bool) is not isinstance(self.default, bool):
                raise ValueError
            instance.__dict__[self.name] = self.convert(value)
        except (ValueError, TypeError, LookupError, ArithmeticError):
            raise ConfigurationError(
                f"{type(instance).__name__}.{self.name} cannot be {value!r:.60}; "
                f"allowed: {self.allowed}"
            ) from None


def _one_of(kind: type[enum.IntEnum], *members: int) -> dict[str, Any]:
    # A whole float is equal to its integer and finds it; a text or 4.9 does not.
    chosen = {int(m): kind(m) for m in (members or tuple(kind))}
    allowed = ", ".join(f"{m.name} ({int(m)})" for m in chosen.values())
    return {"convert": chosen.__getitem__, "allowed": allowed}


def _whole(low: int, high: int, step: int = 1) -> dict[str, Any]:
    def convert(value: Any) -> int:
        number = int(value)
        if number != value or not low <= number <= high or number % step:
            raise ValueError
        return number

    every = f", in steps of {step}" if step > 1 else ""
    return {"convert": convert, "allowed": f"{low} to {high}{every}"}


class MediaParams:
    """Base of all parameters: keyword arguments set fields, and equal fields make equals."""

    key: ClassVar[str]  #: name of the media type in ``media_params``

    def __init__(self, **fields: Any) -> None:
        """Set ``fields``; what is not given keeps its default.

        Raises:
            ConfigurationError: there is no such field, or it cannot have that value.
        """
        for name, value in fields.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if not isinstance(getattr(type(self), name, None), _Field):
            raise ConfigurationError(
                f"{type(self).__name__} has no field {name!r}; it has {', '.join(self._fields())}"
            )
        super().__setattr__(name, value)

    @classmethod
    def _fields(cls) -> dict[str, _Field[Any]]:
        return {
            name: field
            for base in reversed(cls.__mro__)
            for name, field in vars(base).items()
            if isinstance(field, _Field)
        }

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._fields())

    __hash__ = None  # type: ignore[assignment]  # fields can change

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._fields())
        return f"{type(self).__name__}({fields})"

    def to_wire(self) -> dict[str, int | bool]:
        """Return the fields as they travel in ``media_params``."""
        return {
            field.wire: value if isinstance(value, bool) else int(value)
            for name, field in self._fields().items()
            if field.wire is not None
            for value in (getattr(self, name),)
        }

    def check(self) -> None:
        """Check the fields together.

        Raises:
            ConfigurationError: Zoom refuses this combination; says which ones it takes.
        """


class AudioCombination(NamedTuple):
    """One row of what Zoom's media servers take."""

    content_type: ContentType
    codec: Codec
    sample_rates: tuple[AudioSampleRate, ...]
    channels: tuple[AudioChannel, ...]
    durations: range  #: ms of audio per packet


_MONO = (AudioChannel.MONO,)
_BOTH = (AudioChannel.MONO, AudioChannel.STEREO)
_FIXED = range(20, 21, 20)
_ANY = range(20, 1001, 20)

AUDIO_COMBINATIONS = (
    AudioCombination(ContentType.RTP, Codec.OPUS, (AudioSampleRate.SR_48K,), _BOTH, _FIXED),
    AudioCombination(ContentType.RTP, Codec.G711, (AudioSampleRate.SR_8K,), _MONO, _FIXED),
    AudioCombination(ContentType.RTP, Codec.G722, (AudioSampleRate.SR_16K,), _MONO, _FIXED),
    AudioCombination(ContentType.RAW_AUDIO, Codec.L16, tuple(AudioSampleRate), _BOTH, _ANY),
    AudioCombination(ContentType.RAW_AUDIO, Codec.OPUS, (AudioSampleRate.SR_48K,), _BOTH, _FIXED),
    AudioCombination(ContentType.RAW_AUDIO, Codec.G711, (AudioSampleRate.SR_8K,), _MONO, _FIXED),
    AudioCombination(ContentType.RAW_AUDIO, Codec.G722, (AudioSampleRate.SR_16K,), _MONO, _FIXED),
)


class AudioParams(MediaParams):
    """Audio: by default OPUS, 48 kHz, stereo, a stream per participant, 20 ms per packet."""

    key = "audio"

    content_type = _Field(
        ContentType.RAW_AUDIO, **_one_of(ContentType, ContentType.RTP, ContentType.RAW_AUDIO)
    )
    codec = _Field(Codec.OPUS, **_one_of(Codec, Codec.L16, Codec.G711, Codec.G722, Codec.OPUS))
    sample_rate = _Field(AudioSampleRate.SR_48K, **_one_of(AudioSampleRate))
    channel = _Field(AudioChannel.STEREO, **_one_of(AudioChannel))
    data_opt = _Field(
        DataOption.AUDIO_MULTI_STREAMS,
        **_one_of(DataOption, DataOption.AUDIO_MIXED_STREAM, DataOption.AUDIO_MULTI_STREAMS),
    )
    #: ms of audio per packet.
    duration = _Field(20, **_whole(20, 1000, 20), wire="send_rate")
    #: Samples per packet and channel; kept for the official SDK's sake, and not sent.
    frame_size = _Field(960, **_whole(1, 48_000), wire=None)

    contentType = FieldAlias("content_type")
    sampleRate = FieldAlias("sample_rate")
    dataOpt = FieldAlias("data_opt")
    frameSize = FieldAlias("frame_size")

    def check(self) -> None:
        """Check against the table of combinations.

        Raises:
            ConfigurationError: no row of the table fits; names the field that spoils it.
        """
        rows: list[AudioCombination] = list(AUDIO_COMBINATIONS)
        for name, value, fits in (
            ("codec", self.codec, lambda row: row.codec == self.codec),
            ("content_type", self.content_type, lambda row: row.content_type == self.content_type),
            ("sample_rate", self.sample_rate, lambda row: self.sample_rate in row.sample_rates),
            ("channel", self.channel, lambda row: self.channel in row.channels),
            ("duration", self.duration, lambda row: self.duration in row.durations),
        ):
            left = [row for row in rows if fits(row)]
            if not left:
                allowed = " or ".join(dict.fromkeys(_describe(row) for row in rows))
                raise ConfigurationError(
                    f"AudioParams.{name} cannot be {_name(value)} with the other parameters; "
                    f"Zoom takes {allowed}"
                )
            rows = left


def _name(value: int) -> str:
    return value.name if isinstance(value, enum.IntEnum) else str(value)


def _describe(row: AudioCombination) -> str:
    rates = "/".join(rate.name for rate in row.sample_rates)
    channels = "/".join(channel.name for channel in row.channels)
    durations = f"{row.durations[0]} ms" if len(row.durations) == 1 else "20 to 1000 ms"
    return f"{row.content_type.name} {row.codec.name} {rates} {channels} {durations}"


_PICTURE_CODECS = (Codec.JPG, Codec.PNG, Codec.H264)
_PICTURE_CONTENT = (ContentType.RTP, ContentType.RAW_VIDEO)


class _PictureParams(MediaParams):
    """What video and screen share have in common: by default H.264, HD, 30 frames per second."""

    content_type = _Field(ContentType.RAW_VIDEO, **_one_of(ContentType, *_PICTURE_CONTENT))
    codec = _Field(Codec.H264, **_one_of(Codec, *_PICTURE_CODECS))
    resolution = _Field(VideoResolution.HD, **_one_of(VideoResolution))
    #: Frames per second: JPG and PNG up to 5, H.264 above.
    fps = _Field(30, **_whole(1, 30))

    contentType = FieldAlias("content_type")
    dataOpt = FieldAlias("data_opt")

    def check(self) -> None:
        """Check codec against frame rate.

        Raises:
            ConfigurationError: JPG or PNG with more than 5 frames per second.
        """
        if self.codec in (Codec.JPG, Codec.PNG) and self.fps > 5:
            raise ConfigurationError(
                f"{type(self).__name__}.fps cannot be {self.fps} with {self.codec.name}; allowed: "
                "1 to 5, or use H264"
            )


class VideoParams(_PictureParams):
    """Video: by default the active speaker's."""

    key = "video"

    data_opt = _Field(
        DataOption.VIDEO_SINGLE_ACTIVE_STREAM,
        **_one_of(
            DataOption,
            DataOption.VIDEO_SINGLE_ACTIVE_STREAM,
            DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM,
            DataOption.VIDEO_MIXED_GALLERY_VIEW,
        ),
    )

    def check(self) -> None:
        """Check codec against frame rate.

        Raises:
            ConfigurationError: JPG or PNG with more than 5, or H.264 with 5 or fewer frames.
        """
        super().check()
        if self.codec == Codec.H264 and self.fps <= 5:
            raise ConfigurationError(
                f"VideoParams.fps cannot be {self.fps} with H264; allowed: 6 to 30, or use JPG"
            )


class DeskshareParams(_PictureParams):
    """Screen share. Zoom takes no ``data_opt`` for it; it is kept for the official SDK's sake."""

    key = "deskshare"

    data_opt = _Field(DataOption.VIDEO_SINGLE_ACTIVE_STREAM, **_one_of(DataOption), wire=None)

    def check(self) -> None:
        """Check codec against frame rate.

        Zoom's sources disagree on H.264 with 2 to 5 frames, so the server decides there.

        Raises:
            ConfigurationError: JPG or PNG with more than 5, or H.264 with 1 frame per second.
        """
        super().check()
        if self.codec == Codec.H264 and self.fps == 1:
            raise ConfigurationError(
                "DeskshareParams.fps cannot be 1 with H264; allowed: 6 to 30, or use JPG"
            )


class TranscriptParams(MediaParams):
    """Transcript: by default in the language that Zoom detects."""

    key = "transcript"

    content_type = _Field(ContentType.TEXT, **_one_of(ContentType, ContentType.TEXT))
    #: Language of the first 30 s; then Zoom detects it, unless ``enable_lid`` is False.
    src_language = _Field(TranscriptLanguage.NONE, **_one_of(TranscriptLanguage))
    enable_lid = _Field(True, convert=bool, allowed="True or False")

    contentType = FieldAlias("content_type")
    srcLanguage = FieldAlias("src_language")
    enableLid = FieldAlias("enable_lid")


class ChatParams(MediaParams):
    """Chat: there is nothing to choose."""

    key = "chat"

    content_type = _Field(ContentType.TEXT, **_one_of(ContentType, ContentType.TEXT))

    contentType = FieldAlias("content_type")


def media_params(params: Mapping[str, MediaParams]) -> dict[str, dict[str, int | bool]]:
    """Return ``media_params`` of a media handshake."""
    return {key: value.to_wire() for key, value in params.items()}

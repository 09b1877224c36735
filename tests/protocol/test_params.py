"""Media parameters: defaults, allowed values, and how they are sent."""

import copy
import itertools
import pickle

import pytest

from rtms_gevent.enums import (
    AudioChannel,
    AudioSampleRate,
    Codec,
    ContentType,
    DataOption,
    TranscriptLanguage,
    VideoResolution,
)
from rtms_gevent.errors import ConfigurationError
from rtms_gevent.protocol.params import (
    AudioParams,
    ChatParams,
    DeskshareParams,
    MediaParams,
    TranscriptParams,
    VideoParams,
    media_params,
)

ALL_PARAMS = (AudioParams, VideoParams, DeskshareParams, TranscriptParams, ChatParams)

# -- the audio matrix ------------------------------------------------------------------------------

RTP, RAW = 1, 2
L16, G711, G722, OPUS = 1, 2, 3, 4
ANY_DURATION = set(range(20, 1001, 20))

# Zoom's table of audio parameters, as numbers: what is in no row is refused.
# (content_type, codec): sample rates, channels, durations
MATRIX = {
    (RTP, OPUS): ({3}, {1, 2}, {20}),
    (RTP, G711): ({0}, {1}, {20}),
    (RTP, G722): ({1}, {1}, {20}),
    (RAW, L16): ({0, 1, 2, 3}, {1, 2}, ANY_DURATION),
    (RAW, OPUS): ({3}, {1, 2}, {20}),
    (RAW, G711): ({0}, {1}, {20}),
    (RAW, G722): ({1}, {1}, {20}),
}
DURATIONS = (0, 10, 20, 30, 40, 100, 500, 980, 1000, 1020)


def is_accepted(**fields):
    try:
        AudioParams(**fields).check()
    except ConfigurationError:
        return False
    return True


@pytest.mark.parametrize("codec", range(9))
@pytest.mark.parametrize("content_type", range(7))
def test_audio_is_accepted_exactly_when_zoom_takes_it(content_type, codec):
    rates, channels, durations = MATRIX.get((content_type, codec), (set(), set(), set()))
    for rate, channel, duration in itertools.product(range(-1, 5), range(4), DURATIONS):
        accepted = is_accepted(
            content_type=content_type,
            codec=codec,
            sample_rate=rate,
            channel=channel,
            duration=duration,
        )
        expected = rate in rates and channel in channels and duration in durations
        assert accepted is expected, (rate, channel, duration)


def test_pcm_may_be_as_long_as_any_step():
    accepted = {
        duration
        for duration in range(1, 1100)
        if is_accepted(codec=Codec.L16, channel=1, sample_rate=1, duration=duration)
    }
    assert accepted == ANY_DURATION


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"codec": Codec.L16, "content_type": ContentType.RTP},
            "AudioParams.content_type cannot be RTP with the other parameters; Zoom takes"
            " RAW_AUDIO L16",
        ),
        (
            {"sample_rate": AudioSampleRate.SR_16K},
            "AudioParams.sample_rate cannot be SR_16K with the other parameters; Zoom takes"
            " RAW_AUDIO OPUS SR_48K MONO/STEREO 20 ms",
        ),
        (
            {"codec": Codec.G711, "sample_rate": AudioSampleRate.SR_8K},
            "AudioParams.channel cannot be STEREO with the other parameters; Zoom takes"
            " RAW_AUDIO G711 SR_8K MONO 20 ms",
        ),
        (
            {"duration": 40},
            "AudioParams.duration cannot be 40 with the other parameters; Zoom takes"
            " RAW_AUDIO OPUS SR_48K MONO/STEREO 20 ms",
        ),
    ],
)
def test_the_field_that_spoils_it_is_named(fields, problem):
    with pytest.raises(ConfigurationError) as caught:
        AudioParams(**fields).check()
    assert str(caught.value).startswith(problem)


def test_fields_may_be_set_in_any_order():
    params = AudioParams()
    params.codec = Codec.L16
    params.sample_rate = AudioSampleRate.SR_16K
    params.channel = AudioChannel.MONO
    params.duration = 100
    params.check()
    assert params.to_wire() == {
        "content_type": 2,
        "codec": 1,
        "sample_rate": 1,
        "channel": 1,
        "data_opt": 2,
        "send_rate": 100,
    }


# -- pictures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", range(1, 31))
@pytest.mark.parametrize("codec", [Codec.JPG, Codec.PNG, Codec.H264])
def test_video_codec_and_frame_rate(codec, fps):
    params = VideoParams(codec=codec, fps=fps)
    if (codec is Codec.H264) is (fps > 5):
        params.check()
    else:
        with pytest.raises(ConfigurationError, match=f"VideoParams.fps cannot be {fps} with"):
            params.check()


@pytest.mark.parametrize(
    ("codec", "fps", "accepted"),
    [
        (Codec.JPG, 1, True),
        (Codec.JPG, 5, True),
        (Codec.JPG, 6, False),
        (Codec.PNG, 30, False),
        # Zoom's sources disagree on where H.264 begins: above 1 or above 5 frames per second.
        (Codec.H264, 1, False),
        (Codec.H264, 2, True),
        (Codec.H264, 6, True),
        (Codec.H264, 30, True),
    ],
)
def test_deskshare_codec_and_frame_rate(codec, fps, accepted):
    params = DeskshareParams(codec=codec, fps=fps)
    if accepted:
        params.check()
    else:
        with pytest.raises(ConfigurationError, match=f"DeskshareParams.fps cannot be {fps} with"):
            params.check()


# -- defaults and the wire -------------------------------------------------------------------------

# Numbers that the official SDK's objects have when nobody has set anything.
DEFAULTS = {
    AudioParams: {
        "content_type": 2,
        "codec": 4,
        "sample_rate": 3,
        "channel": 2,
        "data_opt": 2,
        "duration": 20,
        "frame_size": 960,
    },
    VideoParams: {"content_type": 3, "codec": 7, "resolution": 2, "fps": 30, "data_opt": 3},
    DeskshareParams: {"content_type": 3, "codec": 7, "resolution": 2, "fps": 30, "data_opt": 3},
    TranscriptParams: {"content_type": 5, "src_language": -1, "enable_lid": True},
    ChatParams: {"content_type": 5},
}


@pytest.mark.parametrize("kind", ALL_PARAMS)
def test_defaults_are_the_official_ones_and_good(kind):
    params = kind()
    assert {name: getattr(params, name) for name in kind._fields()} == DEFAULTS[kind]
    params.check()


# What the official SDK sent, in a recorded session and by default.
@pytest.mark.parametrize(
    ("params", "document"),
    [
        (
            AudioParams(),
            {
                "channel": 2,
                "codec": 4,
                "content_type": 2,
                "data_opt": 2,
                "sample_rate": 3,
                "send_rate": 20,
            },
        ),
        (
            VideoParams(data_opt=DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM),
            {"codec": 7, "content_type": 3, "data_opt": 4, "fps": 30, "resolution": 2},
        ),
        (
            VideoParams(),
            {"codec": 7, "content_type": 3, "data_opt": 3, "fps": 30, "resolution": 2},
        ),
        (DeskshareParams(), {"codec": 7, "content_type": 3, "fps": 30, "resolution": 2}),
        (
            TranscriptParams(src_language=TranscriptLanguage.ENGLISH, enable_lid=False),
            {"content_type": 5, "enable_lid": False, "src_language": 9},
        ),
        (TranscriptParams(), {"content_type": 5, "enable_lid": True, "src_language": -1}),
        (ChatParams(), {"content_type": 5}),
    ],
)
def test_to_wire(params, document):
    found = params.to_wire()
    assert found == document
    assert {type(value) for value in found.values()} <= {int, bool}
    assert media_params({params.key: params}) == {params.key: document}


def test_media_types_have_zooms_names():
    assert [kind.key for kind in ALL_PARAMS] == [
        "audio",
        "video",
        "deskshare",
        "transcript",
        "chat",
    ]


# -- values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "field", "value", "allowed"),
    [
        (AudioParams, "codec", 7, "L16 (1), G711 (2), G722 (3), OPUS (4)"),
        (AudioParams, "codec", "4", "OPUS (4)"),
        (AudioParams, "codec", "OPUS", "OPUS (4)"),
        (AudioParams, "codec", 4.9, "OPUS (4)"),
        (AudioParams, "codec", None, "OPUS (4)"),
        (AudioParams, "codec", [4], "OPUS (4)"),
        (AudioParams, "codec", True, "OPUS (4)"),
        (AudioParams, "content_type", 3, "RTP (1), RAW_AUDIO (2)"),
        (AudioParams, "sample_rate", 16000, "SR_8K (0), SR_16K (1), SR_32K (2), SR_48K (3)"),
        (AudioParams, "sample_rate", False, "SR_8K (0)"),
        (AudioParams, "channel", 3, "MONO (1), STEREO (2)"),
        (AudioParams, "channel", True, "MONO (1), STEREO (2)"),
        (AudioParams, "data_opt", 3, "AUDIO_MIXED_STREAM (1), AUDIO_MULTI_STREAMS (2)"),
        (AudioParams, "duration", 10, "20 to 1000, in steps of 20"),
        (AudioParams, "duration", 30, "20 to 1000, in steps of 20"),
        (AudioParams, "duration", 1020, "20 to 1000, in steps of 20"),
        (AudioParams, "duration", "20", "20 to 1000, in steps of 20"),
        (AudioParams, "duration", 20.5, "20 to 1000, in steps of 20"),
        (AudioParams, "duration", float("inf"), "20 to 1000, in steps of 20"),
        (AudioParams, "duration", float("nan"), "20 to 1000, in steps of 20"),
        (AudioParams, "frame_size", 0, "1 to 48000"),
        (VideoParams, "fps", 0, "1 to 30"),
        (VideoParams, "fps", 31, "1 to 30"),
        (VideoParams, "fps", True, "1 to 30"),
        (VideoParams, "codec", 4, "JPG (5), PNG (6), H264 (7)"),
        (VideoParams, "content_type", 2, "RTP (1), RAW_VIDEO (3)"),
        (VideoParams, "resolution", 0, "SD (1), HD (2), FHD (3), QHD (4)"),
        (VideoParams, "data_opt", 2, "VIDEO_SINGLE_ACTIVE_STREAM (3)"),
        (DeskshareParams, "fps", -1, "1 to 30"),
        (TranscriptParams, "content_type", 1, "TEXT (5)"),
        (TranscriptParams, "src_language", 37, "VIETNAMESE (36)"),
        (TranscriptParams, "src_language", "en", "ENGLISH (9)"),
        (TranscriptParams, "enable_lid", 1, "True or False"),
        (TranscriptParams, "enable_lid", None, "True or False"),
        (ChatParams, "content_type", 2, "TEXT (5)"),
    ],
)
def test_wrong_values_are_refused_at_once(kind, field, value, allowed):
    params = kind()
    with pytest.raises(ConfigurationError) as caught:
        setattr(params, field, value)
    text = str(caught.value)
    assert text.startswith(f"{kind.__name__}.{field} cannot be {value!r:.60}; allowed: ")
    assert allowed in text
    assert params == kind()
    with pytest.raises(ConfigurationError):
        kind(**{field: value})


@pytest.mark.parametrize(
    ("kind", "field", "given", "kept"),
    [
        (AudioParams, "codec", 1, Codec.L16),
        (AudioParams, "codec", 1.0, Codec.L16),
        (AudioParams, "codec", Codec.L16, Codec.L16),
        (AudioParams, "duration", 100.0, 100),
        (VideoParams, "resolution", 4, VideoResolution.QHD),
        (VideoParams, "data_opt", 5, DataOption.VIDEO_MIXED_GALLERY_VIEW),
        (
            VideoParams,
            "data_opt",
            DataOption.VIDEO_MIXED_SPEAKER_VIEW,
            DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM,
        ),
        (TranscriptParams, "src_language", -1, TranscriptLanguage.NONE),
        (TranscriptParams, "src_language", 36, TranscriptLanguage.VIETNAMESE),
        (TranscriptParams, "enable_lid", False, False),
    ],
)
def test_values_become_what_they_mean(kind, field, given, kept):
    value = getattr(kind(**{field: given}), field)
    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize("kind", ALL_PARAMS)
@pytest.mark.parametrize("name", ["colour", "key", "check", "__class__", "_fields"])
def test_unknown_fields_are_refused(kind, name):
    with pytest.raises(ConfigurationError, match=f"{kind.__name__} has no field '{name}'; it has "):
        setattr(kind(), name, 1)
    with pytest.raises(ConfigurationError):
        kind(**{name: 1})


def test_the_known_fields_are_told():
    with pytest.raises(ConfigurationError) as caught:
        AudioParams(bitrate=1)
    assert str(caught.value) == (
        "AudioParams has no field 'bitrate'; it has content_type, codec, sample_rate, channel, "
        "data_opt, duration, frame_size"
    )


# The official SDK's second spellings.
@pytest.mark.parametrize(
    ("kind", "name", "alias", "value"),
    [
        (AudioParams, "content_type", "contentType", ContentType.RTP),
        (AudioParams, "data_opt", "dataOpt", DataOption.AUDIO_MIXED_STREAM),
        (AudioParams, "frame_size", "frameSize", 320),
        (AudioParams, "sample_rate", "sampleRate", AudioSampleRate.SR_16K),
        (VideoParams, "content_type", "contentType", ContentType.RTP),
        (VideoParams, "data_opt", "dataOpt", DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM),
        (DeskshareParams, "content_type", "contentType", ContentType.RTP),
        (TranscriptParams, "src_language", "srcLanguage", TranscriptLanguage.GERMAN),
        (TranscriptParams, "enable_lid", "enableLid", False),
        (TranscriptParams, "content_type", "contentType", ContentType.TEXT),
        (ChatParams, "content_type", "contentType", ContentType.TEXT),
    ],
)
def test_camel_case(kind, name, alias, value):
    params = kind()
    assert getattr(params, alias) == DEFAULTS[kind][name]
    setattr(params, alias, value)
    assert getattr(params, name) == getattr(params, alias) == value
    assert params == kind(**{name: value}) == kind(**{alias: value})
    with pytest.raises(ConfigurationError, match=rf"{kind.__name__}\.{name} cannot be 'x'"):
        setattr(params, alias, "x")


def test_equal_fields_make_equals():
    assert AudioParams() == AudioParams(codec=4)
    assert AudioParams() != AudioParams(channel=1)
    assert VideoParams() != DeskshareParams()
    assert TranscriptParams() != 5
    with pytest.raises(TypeError):
        hash(AudioParams())


def test_objects_are_independent():
    changed = AudioParams()
    changed.codec = Codec.L16
    assert AudioParams().codec is Codec.OPUS


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
def test_copies_are_equal(again):
    params = VideoParams(fps=10, codec=7)
    assert again(params) == params
    assert again(params) is not params


def test_repr_tells_all_fields():
    assert repr(TranscriptParams(src_language=9)) == (
        "TranscriptParams(content_type=<ContentType.TEXT: 5>, "
        "src_language=<TranscriptLanguage.ENGLISH: 9>, enable_lid=True)"
    )


def test_the_base_accepts_everything_together():
    assert MediaParams().to_wire() == {}
    MediaParams().check()

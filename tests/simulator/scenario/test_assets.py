"""Audio and pictures in what was negotiated: sizes, counts, and what they decode to."""

from __future__ import annotations

import array
import math
import wave

import pytest

from rtms_gevent.simulator.scenario.assets import SHIPPED, Library, mix, silence

LIBRARY = Library((SHIPPED / "assets",))
CLIP, SECONDS = "standup-1-ada", 5.29
RATES = {0: 8000, 1: 16000, 2: 32000, 3: 48000}


def audio(codec=1, sample_rate=1, channel=1, send_rate=20):
    return {"codec": codec, "sample_rate": sample_rate, "channel": channel, "send_rate": send_rate}


def samples(data):
    return array.array("h", data)


@pytest.mark.parametrize("sample_rate", [0, 1, 2, 3])
@pytest.mark.parametrize("channel", [1, 2])
@pytest.mark.parametrize("send_rate", [20, 100, 1000])
def test_l16_packets_have_the_length_of_their_time(sample_rate, channel, send_rate):
    params = audio(1, sample_rate, channel, send_rate)
    packets = LIBRARY.speech(CLIP, params)
    size = RATES[sample_rate] * send_rate // 1000 * channel * 2
    assert {len(packet) for packet in packets} == {size}
    assert len(packets) == math.ceil(SECONDS * 1000 / send_rate)
    assert len(silence(params)) == size
    assert max(samples(b"".join(packets))) > 3000  # somebody is heard


def test_stereo_has_the_same_in_both_ears():
    mono = samples(b"".join(LIBRARY.speech(CLIP, audio(channel=1))))
    stereo = samples(b"".join(LIBRARY.speech(CLIP, audio(channel=2))))
    assert stereo[0::2] == stereo[1::2] == mono


@pytest.mark.parametrize(
    ("params", "sizes"),
    [
        (audio(codec=2, sample_rate=0), {160}),
        (audio(codec=3, sample_rate=1), {160}),
    ],
)
def test_g711_and_g722_packets_are_20_ms(params, sizes):
    packets = LIBRARY.speech(CLIP, params)
    assert {len(packet) for packet in packets} == sizes
    assert len(packets) == int(SECONDS * 50)
    assert len(silence(params)) == 160


@pytest.mark.parametrize("channel", [1, 2])
def test_opus_packets_are_20_ms_in_the_negotiated_channels(channel):
    params = audio(codec=4, sample_rate=3, channel=channel)
    packets = LIBRARY.speech(CLIP, params)
    assert len(packets) == pytest.approx(SECONDS * 50, abs=2)
    for packet in (*packets, silence(params)):
        stereo, frames = packet[0] >> 2 & 1, packet[0] & 3  # RFC 6716 section 3.1
        assert frames == 0
        assert stereo == channel - 1 or len(packet) < 10  # silence may be coded as mono


def test_a_law_and_l16_are_the_same_sound():
    """8 kHz from the G.711 file, decoded by the textbook, is close to the resampled L16."""

    def expand(code):
        code ^= 0x55
        segment, value = (code >> 4) & 7, (code & 15) * 16 + 8
        value = value if segment == 0 else (value + 256) << (segment - 1)
        return value if code & 128 else -value

    textbook = [
        expand(code) for code in b"".join(LIBRARY.speech(CLIP, audio(codec=2, sample_rate=0)))
    ]
    ours = samples(b"".join(LIBRARY.speech(CLIP, audio(sample_rate=0))))[: len(textbook)]
    both = sum(a * b for a, b in zip(textbook, ours, strict=False))
    power = math.sqrt(sum(a * a for a in textbook) * sum(b * b for b in ours))
    assert both / power > 0.9


@pytest.mark.parametrize("channels", [1, 2])
def test_users_bring_wave_files(tmp_path, channels):
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(44100)
        tone = [int(9000 * math.sin(2 * math.pi * 440 * i / 44100)) for i in range(4410)]
        file.writeframes(array.array("h", [v for v in tone for _ in range(channels)]).tobytes())
    library = Library((tmp_path,))
    packets = library.speech("tone", audio(sample_rate=1))
    assert len(packets) == 5
    assert 8900 <= max(samples(b"".join(packets))) <= 9000
    assert library.speech("tone", audio(codec=4, sample_rate=3)) == ()


def test_mixing_adds_and_clips():
    one, two = array.array("h", [1, -2, 30000, -30000]), array.array("h", [10, 20, 9000, -9000])
    mixed = samples(mix([one.tobytes(), two.tobytes()], audio()))
    assert list(mixed) == [11, 18, 32767, -32768]
    assert mix([b"opus-1", b"opus-2"], audio(codec=4)) == b"opus-2"


def test_pictures_are_what_they_say():
    frames = LIBRARY.pictures("standup-ada", 5)
    assert len(set(frames)) == 6
    assert all(f.startswith(b"\xff\xd8") and f.endswith(b"\xff\xd9") for f in frames)
    (png,) = LIBRARY.pictures("standup-ada", 6)
    assert png.startswith(b"\x89PNG\r\n")
    (slide,) = LIBRARY.pictures("standup-slide-1", 5)
    assert slide != LIBRARY.pictures("standup-slide-2", 5)[0]


@pytest.mark.parametrize(("name", "count"), [("standup-ada", 30), ("standup-slide-1", 1)])
def test_h264_comes_in_whole_access_units(name, count):
    units = LIBRARY.pictures(name, 7)
    assert len(units) == count
    for unit in units:
        assert unit.startswith(b"\0\0\0\1\x09")  # delimiter
        assert unit.count(b"\0\0\0\1\x09") == 1
    kinds = {part[0] & 31 for part in units[0].replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]}
    assert kinds >= {7, 8, 5}  # parameter sets and a key frame, so that a loop can begin anew


def test_the_assets_stay_small():
    assert sum(path.stat().st_size for path in (SHIPPED / "assets").iterdir()) < 1.6e6

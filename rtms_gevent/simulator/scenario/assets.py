"""Speech and pictures that simulated participants send, read from files in this package.

Nothing is encoded here but L16, which is plain samples; the other codecs come from files made by
``scripts/make_assets.py``. A recording named ``hello`` is looked for as

=========== ==========================================================
``.wav``    16 bit PCM, any rate: the source of every L16 format
``.al16``   A-law at 16 kHz, mono: the same, if there is no ``.wav``
``.al8``    A-law at 8 kHz, mono: G.711
``.g722``   G.722 at 64 kbit/s
``.opus1``  Opus packets of 20 ms, mono, each after its length (16 bit)
``.opus2``  the same in stereo
=========== ==========================================================

and pictures as ``.jpg`` (or ``-1.jpg``, ``-2.jpg`` and so on), ``.png`` and ``.h264`` (Annex B,
access unit delimiters, a key frame first).
"""

from __future__ import annotations

import array
import functools
import pathlib
import re
import struct
import sys
import wave
from collections.abc import Sequence
from typing import Any

from ...enums import Codec

__all__ = ["SHIPPED", "Library", "mix", "silence"]

#: Scenarios that are shipped; their recordings and pictures are in its folder ``assets``.
SHIPPED = pathlib.Path(__file__).parent.parent / "scenarios"

_SAMPLE_RATES = {0: 8000, 1: 16000, 2: 32000, 3: 48000}

_NAME = re.compile(r"[\w][\w .-]*(/[\w][\w .-]*)*")

_SPEECH_FILES = (".wav", ".al16", ".al8", ".g722", ".opus1", ".opus2")
_PICTURE_FILES = (".jpg", "-1.jpg", ".png", ".h264")

#: An Opus packet that decodes to 20 ms of silence (CELT, full band), mono and stereo.
_OPUS_SILENCE = {1: b"\xf8\xff\xfe", 2: b"\xfc\xff\xfe"}

#: Bytes that decode to (nearly) nothing: A-law's smallest level, and G.722's idle pattern.
_IDLE = {Codec.G711: b"\xd5", Codec.G722: b"\xfa"}

#: Bytes in 20 ms of G.711 at 8 kHz, and of G.722 at 64 kbit/s.
_ENCODED_FRAME = 160


class Library:
    """Finds recordings and pictures by name, in the first folder that has them."""

    def __init__(self, folders: tuple[pathlib.Path, ...]) -> None:
        self._folders = folders
        self._ready: dict[tuple[object, ...], Sequence[bytes]] = {}

    def check_speech(self, name: str) -> str:
        """Return ``name``, or raise ValueError where there is no such recording."""
        return self._check(name, _SPEECH_FILES)

    def check_pictures(self, name: str) -> str:
        """Return ``name``, or raise ValueError where there are no such pictures."""
        return self._check(name, _PICTURE_FILES)

    def _check(self, name: str, endings: tuple[str, ...]) -> str:
        if not _NAME.fullmatch(name) or ".." in name:
            raise ValueError("must be a file name without ending, relative to the scenario")
        if not any(self._find(name, ending) for ending in endings):
            raise ValueError(f"names no file: {name!r} with one of {' '.join(endings)}")
        return name

    def _find(self, name: str, ending: str) -> pathlib.Path | None:
        for folder in self._folders:
            path = folder / f"{name}{ending}"
            if path.is_file():
                return path
        return None

    def speech(self, name: str, params: dict[str, Any]) -> Sequence[bytes]:
        """Return a recording as packets of ``send_rate`` ms; empty where that codec is missing."""
        key = (name, *(params[field] for field in ("codec", "channel", "sample_rate", "send_rate")))
        if key not in self._ready:
            self._ready[key] = self._load_speech(name, params)
        return self._ready[key]

    def _load_speech(self, name: str, params: dict[str, Any]) -> Sequence[bytes]:
        codec, channels = params["codec"], params["channel"]
        if codec == Codec.L16:
            path = self._find(name, ".wav") or self._find(name, ".al16")
            if path is None:
                return ()
            rate = _SAMPLE_RATES[params["sample_rate"]]
            return _samples(path, rate, channels, params["send_rate"])
        ending = {Codec.G711: ".al8", Codec.G722: ".g722"}.get(codec, f".opus{channels}")
        path = self._find(name, ending)
        if path is None:
            return ()
        return _opus_packets(path) if codec == Codec.OPUS else _slices(path, _ENCODED_FRAME)

    def pictures(self, name: str, codec: int) -> Sequence[bytes]:
        """Return the frames of a loop; empty where there are none in that codec."""
        if (name, codec) not in self._ready:
            self._ready[name, codec] = self._load_pictures(name, codec)
        return self._ready[name, codec]

    def _load_pictures(self, name: str, codec: int) -> Sequence[bytes]:
        if codec == Codec.H264:
            path = self._find(name, ".h264")
            return () if path is None else _access_units(path)
        ending = ".png" if codec == Codec.PNG else ".jpg"
        single = self._find(name, ending)
        if single is not None:
            return (_read(single),)
        frames: list[bytes] = []
        while (path := self._find(name, f"-{len(frames) + 1}{ending}")) is not None:
            frames.append(_read(path))
        return frames


def silence(params: dict[str, Any]) -> bytes:
    """Return one packet of silence: what an open microphone in a quiet room gives."""
    codec, channels = params["codec"], params["channel"]
    if codec == Codec.L16:
        rate = _SAMPLE_RATES[params["sample_rate"]]
        return bytes(rate * params["send_rate"] // 1000 * channels * 2)
    if codec == Codec.OPUS:
        return _OPUS_SILENCE[channels]
    return _IDLE[codec] * _ENCODED_FRAME


def mix(packets: Sequence[bytes], params: dict[str, Any]) -> bytes:
    """Lay several voices over each other; of encoded ones, the last is all that is heard."""
    if len(packets) == 1 or params["codec"] != Codec.L16:
        return packets[-1]
    voices = [_little_endian(packet) for packet in packets]
    total = array.array("h", (max(-32768, min(32767, sum(at))) for at in zip(*voices)))  # noqa: B905
    return _to_bytes(total)


# -- files, each read once per process -------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _read(path: pathlib.Path) -> bytes:
    return path.read_bytes()


@functools.lru_cache(maxsize=256)
def _slices(path: pathlib.Path, size: int) -> Sequence[bytes]:
    """Cut into packets; a rest that fills none is left out, as it has no length in time."""
    data = path.read_bytes()
    return [data[start : start + size] for start in range(0, len(data) - size + 1, size)]


@functools.lru_cache(maxsize=256)
def _opus_packets(path: pathlib.Path) -> Sequence[bytes]:
    data, position, packets = path.read_bytes(), 0, []
    while position < len(data):
        (length,) = struct.unpack_from(">H", data, position)
        packets.append(data[position + 2 : position + 2 + length])
        position += 2 + length
    return packets


@functools.lru_cache(maxsize=64)
def _access_units(path: pathlib.Path) -> Sequence[bytes]:
    """Split Annex B at its access unit delimiters (NAL unit type 9)."""
    data = path.read_bytes()
    starts = [match.start() for match in re.finditer(rb"\x00\x00\x00\x01\x09", data)]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)])]  # noqa: B905


@functools.lru_cache(maxsize=64)
def _samples(path: pathlib.Path, rate: int, channels: int, send_rate: int) -> Sequence[bytes]:
    """Return L16: signed 16 bit, little endian as Zoom sends it, channels interleaved."""
    samples, source_rate = _load(path)
    samples = _resample(samples, source_rate, rate)
    if channels == 2:
        doubled = array.array("h", bytes(4 * len(samples)))
        doubled[0::2] = samples
        doubled[1::2] = samples
        samples = doubled
    data = _to_bytes(samples)
    size = rate * send_rate // 1000 * channels * 2
    # The last packet is filled up with silence: all are of one length.
    return [data[start : start + size].ljust(size, b"\0") for start in range(0, len(data), size)]


def _load(path: pathlib.Path) -> tuple[array.array[int], int]:
    """Return mono samples and their rate."""
    if path.suffix == ".al16":
        return array.array("h", map(_A_LAW.__getitem__, path.read_bytes())), 16000
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2:
            raise ValueError(f"{path.name} must have 16 bit samples")
        samples = _little_endian(file.readframes(file.getnframes()))
        return samples[:: file.getnchannels()], file.getframerate()


def _resample(samples: array.array[int], source: int, target: int) -> array.array[int]:
    """Change the rate by drawing straight lines between samples: enough for speech."""
    if source == target or not samples:
        return samples
    extended = [*samples, samples[-1]]
    step = (source << 16) // target
    resampled = array.array("h")
    position = 0
    for _ in range(len(samples) * target // source):
        index, fraction = position >> 16, position & 0xFFFF
        here = extended[index]
        resampled.append(here + ((extended[index + 1] - here) * fraction >> 16))
        position += step
    return resampled


def _little_endian(data: bytes) -> array.array[int]:
    samples = array.array("h", data)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _to_bytes(samples: array.array[int]) -> bytes:
    if sys.byteorder == "big":
        samples = samples[:]
        samples.byteswap()
    return samples.tobytes()


def _decode_a_law(code: int) -> int:
    """Expand one A-law byte (ITU-T G.711)."""
    code ^= 0x55
    exponent, mantissa = (code & 0x70) >> 4, code & 0x0F
    magnitude = (mantissa << 4) + 8
    if exponent:
        magnitude = (magnitude + 0x100) << (exponent - 1)
    return magnitude if code & 0x80 else -magnitude


_A_LAW = [_decode_a_law(code) for code in range(256)]

"""Make the simulator's speech and pictures: ``python scripts/make_assets.py``.

Needs espeak-ng, ffmpeg (with libopus and libx264) and ImageMagick; the results are committed, so
that the package itself needs none of them. The words come from the ``speak`` steps of the
scenario, the voices from its participants. Runs one tool at a time.

What is written per clip, next to the scenario:

=========== ==========================================================
``.al16``   A-law at 16 kHz, mono: the source of every L16 format
``.al8``    A-law at 8 kHz, mono: G.711
``.g722``   G.722 at 64 kbit/s
``.opus1``  Opus packets of 20 ms, mono, each after its length (16 bit)
``.opus2``  the same in stereo
=========== ==========================================================
"""

from __future__ import annotations

import json
import pathlib
import struct
import subprocess
import tempfile
from collections.abc import Iterator

SCENARIOS = pathlib.Path(__file__).parent.parent / "rtms_gevent" / "simulator" / "scenarios"
ASSETS = SCENARIOS / "assets"

WORDS_PER_MINUTE = 178

#: As ImageMagick names it.
FONT = "DejaVu-Sans"

#: Frames of a camera's loop, and every how many of them one is kept as a JPG too.
CAMERA_FRAMES, JPG_EVERY = 30, 5

CAMERAS = {
    "standup-ada": ("Ada Moreau", "AM", "#1f3a5f", "#f2b441"),
    "standup-ben": ("Ben O'Neill", "BO", "#1d4d3a", "#f07c5a"),
}

SLIDES = {
    "standup-slide-1": ("What we found", ["40 recordings", "3 gaps in the audio", "0 lost words"]),
    "standup-slide-2": ("The plan", ["1. Measure", "2. Make it fast", "3. Measure again"]),
}


def run(*command: str | pathlib.Path) -> None:
    """Run one tool, quietly, and stop if it fails."""
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def ffmpeg(source: pathlib.Path, *options: str | pathlib.Path) -> None:
    """Convert without metadata, so that the same input gives the same bytes."""
    run("ffmpeg", "-y", "-i", source, "-map_metadata", "-1", "-bitexact", *options)


def make_speech(folder: pathlib.Path) -> None:
    """Speak every ``speak`` step that has a text."""
    scenario = json.loads((SCENARIOS / "standup.json").read_text("utf-8"))
    for step in scenario["timeline"]:
        if step["do"] != "speak":
            continue
        voice = scenario["participants"][step["who"]]["voice"]
        target, wave = ASSETS / step["audio"], folder / "speech.wav"
        run("espeak-ng", "-v", voice, "-s", str(WORDS_PER_MINUTE), "-w", wave, step["text"])
        for suffix, rate, codec, form in (
            (".al16", "16000", "pcm_alaw", "alaw"),
            (".al8", "8000", "pcm_alaw", "alaw"),
            (".g722", "16000", "g722", "g722"),
        ):
            output = target.with_suffix(suffix)
            ffmpeg(wave, "-ac", "1", "-ar", rate, "-c:a", codec, "-f", form, output)
        for channels in (1, 2):
            ogg = folder / "speech.ogg"
            ffmpeg(
                wave, "-ac", str(channels), "-ar", "48000", "-c:a", "libopus", "-b:a", "24k",
                "-frame_duration", "20", "-application", "voip", ogg,
            )  # fmt: skip
            packets = list(ogg_packets(ogg.read_bytes()))[2:]  # after OpusHead and OpusTags
            target.with_suffix(f".opus{channels}").write_bytes(
                b"".join(struct.pack(">H", len(packet)) + packet for packet in packets)
            )
        seconds = target.with_suffix(".al16").stat().st_size / 16000
        print(f"{step['audio']}: {seconds:.2f} s, from {step['at']} to {step['at'] + seconds:.2f}")


def ogg_packets(data: bytes) -> Iterator[bytes]:
    """Take the packets out of an Ogg stream (RFC 3533)."""
    packet, position = b"", 0
    while position < len(data):
        count = data[position + 26]
        sizes = data[position + 27 : position + 27 + count]
        position += 27 + count
        for size in sizes:
            packet += data[position : position + size]
            position += size
            if size < 255:
                yield packet
                packet = b""


def make_cameras(folder: pathlib.Path) -> None:
    """Draw somebody who moves, as JPG frames, one PNG, and one H.264 loop that begins anew."""
    for name, (title, initials, background, light) in CAMERAS.items():
        for number in range(CAMERA_FRAMES):
            frame = folder / f"{name}-{number:02}.png"
            swing = abs(number - CAMERA_FRAMES // 2)
            x, mouth = 560 + swing * 11, 8 + (number * 7) % 34
            run(
                "convert", "-size", "1280x720", f"xc:{background}",
                "-fill", light, "-draw", f"circle {x},300 {x},140",
                "-font", FONT, "-fill", background, "-pointsize", "110", "-gravity", "NorthWest",
                "-annotate", f"+{x - 82}+215", initials,
                "-draw", f"ellipse {x},390 60,{mouth} 0,360",
                "-fill", "white", "-pointsize", "54", "-annotate", "+48+620", title,
                "-draw", f"rectangle 0,708 {(number + 1) * 1280 // CAMERA_FRAMES},720",
                frame,
            )  # fmt: skip
            if number % JPG_EVERY == 0:
                picture = ASSETS / f"{name}-{number // JPG_EVERY + 1}.jpg"
                run("convert", frame, "-strip", "-quality", "60", picture)
        run("convert", folder / f"{name}-00.png", "-strip", "-colors", "32", ASSETS / f"{name}.png")
        encode(folder / f"{name}-%02d.png", ASSETS / f"{name}.h264")


def make_slides(folder: pathlib.Path) -> None:
    """Draw the slides, as JPG, PNG and one H.264 key frame each."""
    for name, (title, lines) in SLIDES.items():
        frame = folder / f"{name}-00.png"
        text: list[str] = []
        for number, line in enumerate(lines):
            text += ["-annotate", f"+180+{430 + number * 150}", line]
        run(
            "convert", "-size", "1920x1080", "xc:#fbfaf6",
            "-fill", "#1f3a5f", "-draw", "rectangle 0,0 60,1080", "-gravity", "NorthWest",
            "-font", FONT, "-pointsize", "120", "-annotate", "+160+140", title,
            "-fill", "#333333", "-pointsize", "80", *text, frame,
        )  # fmt: skip
        run("convert", frame, "-strip", "-quality", "70", ASSETS / f"{name}.jpg")
        run("convert", frame, "-strip", "-colors", "16", ASSETS / f"{name}.png")
        encode(folder / f"{name}-%02d.png", ASSETS / f"{name}.h264")


def encode(frames: pathlib.Path, target: pathlib.Path) -> None:
    """Encode as Annex B, one key frame first, each access unit begun by a delimiter."""
    run(
        "ffmpeg", "-y", "-framerate", "30", "-i", frames, "-c:v", "libx264", "-pix_fmt", "yuv420p",
        "-threads", "1", "-crf", "28", "-preset", "slow", "-bsf:v", "filter_units=remove_types=6",
        "-x264-params", "aud=1:bframes=0:keyint=300:scenecut=0:repeat-headers=1",
        "-f", "h264", target,
    )  # fmt: skip


def main() -> None:
    """Make everything anew."""
    ASSETS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_speech(folder)
        make_cameras(folder)
        make_slides(folder)
    total = sum(path.stat().st_size for path in ASSETS.iterdir())
    print(f"{total / 1e6:.2f} MB in {len(list(ASSETS.iterdir()))} files")


if __name__ == "__main__":
    main()

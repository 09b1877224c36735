"""msgspec and pybase64 make media cheaper, and nothing else; and their absence is told."""

from __future__ import annotations

import importlib.metadata
import logging
import platform
import subprocess
import sys

import pytest
from support.recorder import Recorder

from rtms_gevent import cli
from rtms_gevent.protocol import codec
from rtms_gevent.protocol.fast_media import fast_media_decoder, missing_accelerators
from rtms_gevent.stream import decoding


@pytest.fixture(params=["with", "without"])
def accelerators(request, monkeypatch):
    plainly = request.param == "without"
    if not plainly and missing_accelerators():
        pytest.skip("they are not installed")
    monkeypatch.setattr(codec, "fast_media_decoder", lambda: fast_media_decoder(plainly=plainly))


@pytest.mark.parametrize("unified", [False, True], ids=["split", "unified"])
def test_all_media_arrive_alike(accelerators, unified, join, meeting, client):
    recorder = Recorder(client, "audio_data", "video_data", "deskshare_data", "transcript_data")
    join(unified=unified)
    for number in range(5):
        meeting.send_audio(b"%d" % number * 100, 7, "Ada", timestamp=1738392033000 + number)
        meeting.send_video(b"%d" % number * 30_000)
        meeting.send_deskshare(b"%d" % number * 30_000)
        meeting.send_transcript(f"line {number}")
    for name in ("audio_data", "video_data", "deskshare_data", "transcript_data"):
        recorder.wait_for(name, 5)
    assert recorder.payloads("audio_data") == [b"%d" % number * 100 for number in range(5)]
    assert recorder.payloads("video_data") == [b"%d" % number * 30_000 for number in range(5)]
    assert recorder.payloads("deskshare_data") == recorder.payloads("video_data")
    assert recorder.payloads("transcript_data") == [b"line %d" % number for number in range(5)]
    data, size, timestamp, metadata = recorder.of("audio_data")[3]
    assert (len(data), size, timestamp) == (100, 100, 1738392033003)
    assert (metadata.userId, metadata.userName) == (7, "Ada")
    stats = client.stats().media
    assert all(stats[kind].delivered == 5 for kind in ("audio", "video", "deskshare"))


@pytest.mark.skipif(platform.python_implementation() != "CPython", reason="they are for CPython")
def test_a_plain_installation_has_them():
    """And the extra that had them can still be asked for."""
    needed = importlib.metadata.requires("rtms-gevent")
    for name in ("msgspec", "pybase64"):
        (line,) = [line for line in needed if line.startswith(name)]
        assert 'platform_python_implementation == "CPython"' in line
        assert "extra" not in line
    assert "fast" in importlib.metadata.metadata("rtms-gevent").get_all("Provides-Extra")
    assert not missing_accelerators()


def test_their_absence_is_logged_once_in_a_process(join, client, caplog, monkeypatch):
    monkeypatch.setattr(decoding, "_warned", False)
    monkeypatch.setattr(decoding, "missing_accelerators", lambda: {"msgspec": "it is broken"})
    client.on_audio_data(lambda *_: None)
    for _ in range(2):
        join()
        client.leave()
    (told,) = [record for record in caplog.records if "decoding" in record.getMessage()]
    assert told.levelno == logging.WARNING
    assert "slow, without msgspec (it is broken)" in told.getMessage()
    assert "pip install msgspec" in told.getMessage()


def test_their_presence_is_not_worth_a_line(join, client, caplog, monkeypatch):
    monkeypatch.setattr(decoding, "_warned", False)
    monkeypatch.setattr(decoding, "missing_accelerators", dict)
    join()
    assert not [record for record in caplog.records if "decoding" in record.getMessage()]


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ({}, "decoding fast, with msgspec and pybase64"),
        ({"pybase64": "it is broken"}, "decoding slow, without pybase64 (it is broken): "),
    ],
)
@pytest.mark.parametrize("arguments", [["--version", "-v"], ["--verbose", "--version"]])
def test_the_command_line_says_it(missing, told, arguments, capsys, monkeypatch):
    monkeypatch.setattr(decoding, "missing_accelerators", lambda: missing)
    with pytest.raises(SystemExit):
        cli.main(arguments)
    first, *others = capsys.readouterr().out.splitlines()
    assert first == f"rtms-gevent {importlib.metadata.version('rtms-gevent')}"
    assert any(line.startswith(told) for line in others)


def test_the_version_alone_is_one_line(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert len(capsys.readouterr().out.splitlines()) == 1


#: Plays a meeting where the packages named on the command line cannot be imported.
PROGRAM = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))
import gevent, rtms_gevent
from rtms_gevent.simulator import Simulator
got = []
with Simulator("empty") as simulator, rtms_gevent.Client() as client:
    client.on_audio_data(lambda data, *_: got.append(data))
    event = simulator.meeting.started_event
    client.join(event, client=simulator.client_id, secret=simulator.client_secret)
    client.wait_joined(10)
    assert simulator.meeting.wait_ready(5)
    for size in (160, 30_000):
        simulator.meeting.send_audio(b"x" * size)
    with gevent.Timeout(10):
        while len(got) < 2:
            gevent.sleep(0.01)
print([len(data) for data in got])
from rtms_gevent.cli import main
main(["--version", "-v"])
"""


@pytest.mark.parametrize("missing", [["msgspec"], ["pybase64"], ["msgspec", "pybase64"]])
def test_where_they_cannot_be_imported(missing, monkeypatch):
    monkeypatch.setenv("ZM_RTMS_ALLOWED_HOSTS", "127.0.0.1")
    command = [sys.executable, "-c", PROGRAM, *missing]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.splitlines()[0] == "[160, 30000]"
    assert done.stderr.count("decoding of media is slow") == 1
    last = done.stdout.splitlines()[-1]
    assert last.startswith("decoding slow, without ")
    for name in missing:
        assert f"import of {name} halted" in last

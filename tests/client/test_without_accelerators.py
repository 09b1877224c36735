"""The extra ``fast`` makes media cheaper, and nothing else."""

from __future__ import annotations

import pytest
from support.recorder import Recorder

from rtms_gevent.protocol import usual


@pytest.fixture(params=["with", "without"])
def accelerators(request, monkeypatch):
    if request.param == "without":
        monkeypatch.setattr(usual, "msgspec", None)
    else:
        pytest.importorskip("msgspec")
        pytest.importorskip("pybase64")


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

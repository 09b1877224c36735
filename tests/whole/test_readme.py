"""The README's examples, word for word."""

from __future__ import annotations

import pathlib
import re
import sys

import gevent
import pytest
from gevent import subprocess as gsubprocess
from support.rawserver import unused_port
from support.recorder import wait_until

from rtms_gevent import Client, signals
from rtms_gevent.simulator import Simulator

from .test_servers import Server

README = pathlib.Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)

ENVIRONMENT = {
    "ZM_RTMS_CLIENT": "simulated-client",
    "ZM_RTMS_SECRET": "simulated-secret",
    "ZM_RTMS_WEBHOOK_SECRET": "hook",
    "ZM_RTMS_ALLOWED_HOSTS": "127.0.0.1",
}


def example(mark):
    (found,) = [block for block in BLOCKS if mark in block]
    return found


def simulator(webhook_url=None):
    return Simulator(
        "empty", client_secret="simulated-secret", webhook_url=webhook_url, webhook_secret="hook"
    )


@pytest.fixture
def environment(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def test_every_example_is_tested():
    marks = ("@rtms.on_webhook_event", "@rtms.on_stream_started", "def record", "@signals.")
    assert [sum(mark in block for block in BLOCKS) for mark in marks] == [1] * len(marks)
    assert len(BLOCKS) == len(marks)


def test_what_serves_an_example_is_installed():
    """gunicorn's gevent worker needs more than gunicorn and gevent."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    (served,) = [block for block in blocks if "gunicorn -k gevent" in block]
    assert "pip install 'rtms-gevent[flask]' 'gunicorn[gevent]'\n" in served


def test_the_script(environment, monkeypatch):
    port = unused_port()
    monkeypatch.setenv("ZM_RTMS_PORT", str(port))
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    script = gsubprocess.Popen(
        [sys.executable, "-c", example("@rtms.on_webhook_event")],
        stdout=gsubprocess.PIPE,
        stderr=gsubprocess.PIPE,
    )
    try:
        # Where README's Flask app and docs/simulator.md have it, too.
        with simulator(f"http://127.0.0.1:{port}/rtms/webhook") as zoom:
            # The simulator retries until the script listens.
            assert wait_until(zoom.meeting.start, 20) == 200
            assert zoom.meeting.wait_ready(10)
            zoom.meeting.send_transcript("Good morning", 5, "Ana")
            with gevent.Timeout(10):
                assert script.stdout.readline() == b"Ana: Good morning\n"
    finally:
        script.terminate()
        with gevent.Timeout(10):
            output, errors = script.communicate()
    assert script.returncode == 0
    assert output == b"over: we left\n"
    assert b"Traceback" not in errors


def test_the_flask_app(tmp_path):
    (tmp_path / "app.py").write_text(example("@rtms.on_stream_started"))
    command = ["gunicorn", "-k", "gevent", "app:create_app()"]
    # Any answer tells that it serves: the app has no page of its own.
    with (
        Server(command, tmp_path, ready=None, **ENVIRONMENT) as server,
        simulator(f"http://127.0.0.1:{server.port}/rtms/webhook") as zoom,
    ):
        assert zoom.meeting.start() == 200
        assert zoom.meeting.wait_ready(10)
        zoom.meeting.send_transcript("Good morning", 5, "Ana")
        zoom.meeting.stop(6)
    # gunicorn's own lines may come between.
    said = [line for line in server.output.splitlines() if line.startswith((b"Ana", b"over"))]
    assert said[0] == b"Ana: Good morning"
    assert said[1].startswith(b"over: Zoom ended the stream, reason 6")
    assert len(said) == 2


def test_recording(environment):
    space = {}
    exec(example("def record"), space)
    saved = []
    with simulator() as zoom:
        running = gevent.spawn(space["record"], zoom.meeting.payload, saved.append)
        assert zoom.meeting.wait_ready(10)
        zoom.meeting.send_audio(b"\x00\x01" * 320)
        zoom.meeting.stop(6)
        assert running.get(timeout=10).code == 6
    assert saved == [b"\x00\x01" * 320]


def test_signals(environment, capsys):
    space = {}
    exec(example("@signals."), space)
    try:
        with simulator() as zoom, Client() as client:
            client.enable_transcript()
            client.join(zoom.meeting.payload)
            assert zoom.meeting.wait_ready(10)
            zoom.meeting.send_transcript("Good morning")
            zoom.meeting.stop(6)
            client.wait(10)
            assert f"{zoom.meeting.stream_id} Good morning" in capsys.readouterr().out
    finally:
        signals.transcript_data.disconnect(space["transcript"])

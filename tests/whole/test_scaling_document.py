"""The example in docs/scaling.md, word for word."""

from __future__ import annotations

import pathlib
import re
import sys
import types

import pytest
from gevent.pywsgi import WSGIServer
from support.recorder import wait_until

from rtms_gevent.simulator import Simulator

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "scaling.md"
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)


class Tasks:
    """As much of Celery as the example uses."""

    def __init__(self, name, broker):
        self.queued = []

    def task(self, **options):
        def decorate(function):
            function.delay = lambda *args, **kwargs: self.queued.append((args, kwargs))
            return function

        return decorate


@pytest.fixture
def example(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "celery", types.SimpleNamespace(Celery=Tasks))
    monkeypatch.setenv("ZM_RTMS_CLIENT", "simulated-client")
    monkeypatch.setenv("ZM_RTMS_SECRET", "simulated-secret")
    monkeypatch.setenv("ZM_RTMS_WEBHOOK_SECRET", "hook")
    monkeypatch.setenv("ZM_RTMS_ALLOWED_HOSTS", "127.0.0.1")
    space = {"__name__": "app"}
    exec(EXAMPLE, space)
    return space


def test_a_finished_recording_goes_to_a_task(example):
    app, queued = example["create_app"](), example["tasks"].queued
    server = WSGIServer(("127.0.0.1", 0), app, log=None, environ={"SERVER_NAME": "localhost"})
    server.start()
    url = f"http://127.0.0.1:{server.address[1]}/rtms/webhook"
    try:
        with Simulator(
            "empty", client_secret="simulated-secret", webhook_url=url, webhook_secret="hook"
        ) as zoom:
            assert zoom.meeting.start() == 200
            assert zoom.meeting.wait_ready(10)
            zoom.meeting.send_audio(b"\x00\x01" * 320)
            zoom.meeting.stop(6)
            wait_until(lambda: queued, 10)
    finally:
        server.stop()
    (((path,), options),) = queued
    assert options == {"is_last": True}
    assert pathlib.Path(path).read_bytes() == b"\x00\x01" * 320

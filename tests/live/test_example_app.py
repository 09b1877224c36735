"""The example app as its README runs it: gunicorn, and the simulator for Zoom."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import gevent
import pytest

from rtms_gevent.simulator import Simulator

from .conftest import PERMITTED
from .page_app import TOKEN

#: How a request looks that came through nginx from elsewhere.
NGINX = {"Host": "127.0.0.1:8000", "Accept": "text/html"}
EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "flask_app"
SECRETS = {
    "ZM_RTMS_CLIENT": "simulated-client",
    "ZM_RTMS_SECRET": "secret",
    "ZM_RTMS_WEBHOOK_SECRET": "token",
    "ZM_RTMS_ALLOWED_HOSTS": "127.0.0.1,localhost",
    "ZM_RTMS_LIVE_TOKEN": TOKEN,
}


def fetch(url: str, headers: dict[str, str] = PERMITTED) -> str:
    """Get a page in a thread, since the simulator lives on this hub."""

    def get() -> str:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.read().decode())

    return str(gevent.get_hub().threadpool.apply(get))


def wait_for(url: str, words: str) -> str:
    with gevent.Timeout(20):
        while True:
            try:
                if words in (text := fetch(url)):
                    return text
            except urllib.error.URLError:
                pass
            gevent.sleep(0.05)


@pytest.fixture
def served() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}", "wsgi:app"],
            cwd=EXAMPLE,
            env={**os.environ, **SECRETS},
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with process:
        try:
            wait_for(f"{url}/healthz", "ok")
            yield url
        finally:
            process.terminate()
            process.wait(20)


def test_the_minutes_of_a_meeting_are_kept(served: str) -> None:
    with Simulator(
        "short",
        webhook_url=f"{served}/rtms/webhook",
        client_secret=SECRETS["ZM_RTMS_SECRET"],
        webhook_secret=SECRETS["ZM_RTMS_WEBHOOK_SECRET"],
        speed=4,
    ) as simulator:
        meeting = simulator.meeting
        assert meeting.start() == 200
        assert meeting.finished.wait(20)
        home = wait_for(f"{served}/", "1 line by")
        minutes = fetch(f"{served}/meetings/{meeting.stream_id}")
        wait_for(f"{served}/rtms/live/stats", '"state":"ended"')
        for path in ("/", f"/meetings/{meeting.stream_id}", "/rtms/live/", "/rtms/live/stats"):
            for headers in ({}, {"Authorization": "Bearer another-token"}, NGINX):
                with pytest.raises(urllib.error.HTTPError) as caught:
                    fetch(f"{served}{path}", headers)
                assert caught.value.code == 403
                assert meeting.stream_id not in caught.value.read().decode()
        (stats,) = json.loads(fetch(f"{served}/rtms/live/stats"))["streams"]
    assert meeting.stream_id in home
    assert "<strong>" in minutes
    sent = {kind.name.lower(): counted.messages for kind, counted in meeting.sent.items()}
    assert {media: counted["messages"] for media, counted in stats["media"].items()} == sent

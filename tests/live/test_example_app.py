"""The example app as its README runs it: gunicorn, and the simulator for Zoom."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from rtms_gevent.simulator import Simulator

from .conftest import PERMITTED
from .page_app import TOKEN

#: As the example's settings of gunicorn say.
WORKERS = 4
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
def directory() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:  # pytest's own are too long for sockets
        yield directory


@pytest.fixture
def served(directory: str) -> Iterator[str]:
    own = {"XDG_RUNTIME_DIR": directory, "FLASK_MINUTES": f"{directory}/minutes.sqlite"}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}", "wsgi:app"],
            cwd=EXAMPLE,
            env={**os.environ, **SECRETS, **own},
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


def workers_in(directory: str) -> set[int]:
    """Return the processes of all workers, once they know each other."""
    command = [sys.executable, "-m", "rtms_gevent.cli", "status", "--store", "local", "--json"]
    while True:
        told = subprocess.check_output(command, env={**os.environ, "XDG_RUNTIME_DIR": directory})
        workers = [
            worker["pid"] for store in json.loads(told)["stores"] for worker in store["workers"]
        ]
        if len(workers) == WORKERS:
            return set(workers)


def stats_of(pid: int, workers: set[int], url: str) -> dict[str, Any]:
    """Return what one of the workers shows, once it knows of a stream."""
    connection = http.client.HTTPConnection(url.partition("://")[2], timeout=10)
    others = workers - {pid}
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        connection.request("GET", "/healthz")  # only this one accepts now
        connection.getresponse().read()
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)
    with contextlib.closing(connection):
        while True:
            connection.request("GET", "/rtms/live/stats", headers=PERMITTED)
            stats: dict[str, Any] = json.load(connection.getresponse())
            assert stats["workers"][0] == pid
            if stats["streams"]:
                return stats


def test_every_worker_shows_a_meeting_and_its_minutes(served: str, directory: str) -> None:
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
        wait_for(f"{served}/rtms/live/stats", '"state":"ended"')
        workers = workers_in(directory)
        answers = [stats_of(pid, workers, served) for pid in workers]
        pages = {fetch(f"{served}/meetings/{meeting.stream_id}") for _ in range(8)}
        for path in ("/", f"/meetings/{meeting.stream_id}", "/rtms/live/", "/rtms/live/stats"):
            for headers in ({}, {"Authorization": "Bearer another-token"}, NGINX):
                with pytest.raises(urllib.error.HTTPError) as caught:
                    fetch(f"{served}{path}", headers)
                assert caught.value.code == 403
                assert meeting.stream_id not in caught.value.read().decode()
    assert meeting.stream_id in home
    (minutes,) = pages
    assert "<strong>" in minutes
    sent = {kind.name.lower(): counted.messages for kind, counted in meeting.sent.items()}
    owners = set()
    for answer in answers:
        (stats,) = answer["streams"]
        owners.add(stats["worker"])
        assert {media: one["messages"] for media, one in stats["media"].items()} == sent
    assert len(owners) == 1

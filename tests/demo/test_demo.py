"""``rtms-gevent demo`` as users run it: real processes, from outside of the checkout."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from rtms_gevent.demo.latency import Probe
from rtms_gevent.protocol.metadata import Metadata

PROGRAM = [sys.executable, "-m", "rtms_gevent.cli", "demo"]
WAIT = 30
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

pytestmark = pytest.mark.timeout(120)


def demo(
    *arguments: str, cwd: pathlib.Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=WAIT,
    )


def take_signals() -> None:
    """Let the process that begins here hear all signals: nohup, or a shell's &, ignores some."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)


class Link:
    """What a demo prints, to open its page with."""

    def __init__(self, line: str) -> None:
        found = re.search(r"http://127\.0\.0\.1:(\d+)/rtms/live/#token=(\w+)", line)
        assert found, line
        self.url = found[0]
        self.port = int(found[1])
        self.token = found[2]

    def get(self, path: str) -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/rtms/live/{path}",
            headers={"Authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())


@contextlib.contextmanager
def running(cwd: pathlib.Path) -> Iterator[tuple[subprocess.Popen[str], Link]]:
    """Start a demo, and yield it and its link as soon as it says that it is live."""
    with subprocess.Popen(
        [*PROGRAM, "--port", "0"],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=take_signals,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, Link(process.stdout.readline())
        finally:
            process.kill()


def wait_until_live(link: Link) -> None:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        streams = json.loads(link.get("stats"))["streams"]
        if [one["state"] for one in streams] == ["live"]:
            return
        time.sleep(0.02)
    pytest.fail("the stream is not live")


def wait_until_nobody_listens(port: int) -> None:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return
        time.sleep(0.02)
    pytest.fail("the server is still there")


def test_one_meeting_is_delivered_without_loss(tmp_path: pathlib.Path) -> None:
    done = demo("--once", "--json", "--scenario", "short", "--speed", "4", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    report = json.loads(line)
    assert report["lost"] == 0
    assert report["sent"] == report["delivered"]
    assert all(report["sent"].values()), "the scenario has every media type"
    assert report["transcript_lines"] == report["sent"]["transcript"]
    assert 0 < report["p50_ms"] <= report["p99_ms"]
    assert list(tmp_path.iterdir()) == []


def test_people_get_a_sentence(tmp_path: pathlib.Path) -> None:
    done = demo("--once", "--scenario", "short", "--speed", "4", cwd=tmp_path)
    assert done.returncode == 0
    assert " 0 lost; 1 transcript lines; from send to callback " in done.stdout


def test_what_is_lost_is_told(tmp_path: pathlib.Path) -> None:
    # Python runs this first in every process, the server's included.
    (tmp_path / "sitecustomize.py").write_text(
        "from rtms_gevent.demo import latency\n"
        "take = latency._Stream.take\n"
        "def forget_some(self, media, size, stamp, now_ns):\n"
        "    if media != 'audio' or stamp['sequence'] not in (3, 5):\n"
        "        take(self, media, size, stamp, now_ns)\n"
        "latency._Stream.take = forget_some\n"
    )
    quickly = ("--once", "--json", "--scenario", "short", "--speed", "4")
    done = demo(*quickly, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    report = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, report["lost"]) == (1, 2)
    assert report["sent"]["audio"] - report["delivered"]["audio"] == 2


def test_only_the_link_that_is_printed_opens_the_page(tmp_path: pathlib.Path) -> None:
    with running(tmp_path) as (process, link):
        assert b"<main" in link.get("")
        link.token += "x"
        for path in ("", "stats"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                link.get(path)
            assert caught.value.code == 403
            caught.value.close()
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=WAIT)
    assert "token" not in out + errors


@pytest.mark.parametrize("number", ENDING)
def test_it_ends_cleanly_when_it_is_told_to(tmp_path: pathlib.Path, number: int) -> None:
    with running(tmp_path) as (process, link):
        wait_until_live(link)
        process.send_signal(number)
        _, errors = process.communicate(timeout=WAIT)
        assert (process.returncode, errors) == (0, "")
        wait_until_nobody_listens(link.port)


def test_the_server_does_not_outlive_a_demo_that_was_killed(tmp_path: pathlib.Path) -> None:
    with running(tmp_path) as (process, link):
        process.kill()
        process.wait(WAIT)
        wait_until_nobody_listens(link.port)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_does_not_outlive_who_started_it(tmp_path: pathlib.Path, number: int) -> None:
    """A signal that ends tox does not reach what tox runs."""
    command = [*PROGRAM, "--port", "0", "--end-with-parent"]
    with subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run({command})"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=take_signals,
    ) as parent:
        assert parent.stdout is not None
        link = Link(parent.stdout.readline())
        wait_until_live(link)
        parent.send_signal(number)
        _, errors = parent.communicate(timeout=WAIT)  # until nobody can write there any more
    assert errors == ""
    wait_until_nobody_listens(link.port)


def test_tox_runs_it_so() -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(pathlib.Path(__file__).parents[2] / "tox.ini")
    assert "demo --end-with-parent" in settings["testenv:demo"]["commands"]


def test_a_port_in_use_is_told(tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = demo("--port", str(port), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"rtms-gevent demo: cannot listen on port {port}: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "99999"], "cannot listen on port 99999"),
        (["--scenario", "no-such"], "no-such"),
        (["--speed", "0"], "speed"),
    ],
)
def test_bad_arguments_are_told_in_a_line(
    tmp_path: pathlib.Path, arguments: list[str], words: str
) -> None:
    done = demo(*arguments, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_server_that_does_not_start_is_told(tmp_path: pathlib.Path) -> None:
    fake = tmp_path / "gunicorn"
    fake.mkdir()
    (fake / "__init__.py").touch()
    (fake / "__main__.py").write_text("import sys\nsys.exit(3)\n")
    done = demo("--once", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "gunicorn ended with code 3" in line


def test_missing_packages_are_named(tmp_path: pathlib.Path) -> None:
    program = (
        "import sys; sys.modules['gunicorn'] = None\n"
        "from rtms_gevent.cli import main; sys.exit(main(['demo']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'rtms-gevent[demo]'" in done.stderr


# -- what it measures ------------------------------------------------------------------------------


class Callbacks:
    """Takes callbacks as a client does."""

    def __init__(self) -> None:
        self.taken: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return lambda callback: self.taken.__setitem__(name, callback)


def test_the_probe_counts_gaps_and_times() -> None:
    probe, client = Probe(), Callbacks()
    probe.attach(client, "one")
    now_ns = time.time_ns()
    for sequence, age_ms in ((1, 10), (2, 20), (5, 30)):
        stamp = {"sequence": sequence, "sent_ns": now_ns - age_ms * 1_000_000}
        client.taken["on_audio_data"](b"1234", 4, 0, Metadata(extra={"simulator": stamp}))
    client.taken["on_chat_data"](b"plain", 5, 0, Metadata())
    report = probe.report("one")
    assert report["delivered"]["audio"] == {"messages": 3, "bytes": 12, "missing": 2}
    assert report["delivered"]["chat"] == {"messages": 1, "bytes": 5, "missing": 0}
    assert report["latency_ms"]["samples"] == 3
    assert 20 <= report["latency_ms"]["p50"] < 30 <= report["latency_ms"]["p99"]
    assert probe.report("unknown") == {}

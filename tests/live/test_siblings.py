"""A viewer, and streams of other workers: here both are in one process, with a socket between."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import struct
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.queue import Queue

from rtms_gevent.cluster import local_directory
from rtms_gevent.cluster.records import Worker
from rtms_gevent.live import LivePage, page, sharing, viewer
from rtms_gevent.live.feed import Feed
from rtms_gevent.live.pipe import Pipe, PipeClosed
from rtms_gevent.live.sharing import SharedPage
from rtms_gevent.live.siblings import numbers_of
from rtms_gevent.wsgi.websocket import WebSocketClosed

from .recording import JPG, Recording
from .test_page import look, make

PAGE = "tests 0"


class Browser:
    """The browser of a viewer that lives on this hub."""

    def __init__(self) -> None:
        self.sent: Queue[str | bytes] = Queue()
        self.wanted: Queue[str] = Queue()

    def send(self, message: str | bytes) -> None:
        self.sent.put(message)

    def receive(self) -> str:
        if (wanted := self.wanted.get()) == "leave":
            raise WebSocketClosed("left")
        return wanted

    def close(self, code: int) -> None: ...

    def until(self, found: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        while True:
            message = self.sent.get(timeout=20)
            if isinstance(message, str) and found(decoded := json.loads(message)):
                return dict(decoded)

    def state(self, state: str) -> dict[str, Any]:
        def find(message: dict[str, Any]) -> Any:
            return next((one for one in message.get("streams", ()) if one["state"] == state), None)

        return dict(find(self.until(find)))

    def detail(self, part: str) -> Any:
        return self.until(lambda message: part in message.get("detail", {}))["detail"][part]

    def picture(self) -> tuple[dict[str, Any], bytes]:
        while True:
            message = self.sent.get(timeout=20)
            if isinstance(message, bytes):
                (length,) = struct.unpack_from("!H", message)
                return json.loads(message[2 : 2 + length]), message[2 + length :]


class OtherWorker:
    """A worker with a feed of its own, which it shares."""

    def __init__(self, directory: Path, recording: Recording) -> None:
        self.socket = sharing._LiveSocket()
        self.socket._open()
        self.feed = recording.feed
        self.worker = Worker("other", socket.gethostname(), 4711, 0, live_socket=self.socket.path)
        self.page = SharedPage("tests", self.feed, self.numbers)

    def numbers(self) -> dict[str, Any]:
        return {"viewers": 2, "streams": self.feed.stats()}

    def die(self) -> None:
        server, self.socket._server = self.socket._server, None
        if server is not None:
            server.stop(timeout=0)  # ends its greenlets, too


@pytest.fixture
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (viewer, "INTERVAL"),
        (viewer, "SIBLINGS_INTERVAL"),
        (sharing, "INTERVAL"),
        (sharing, "LIST_INTERVAL"),
    ):
        monkeypatch.setattr(module, name, 0.01)


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page here is the first of its name, as in a process of its own."""
    monkeypatch.setattr(sharing, "_counters", defaultdict(lambda: repeat(0)))


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(local_directory, "default_directory", lambda namespace: tmp_path / "x")
    return tmp_path / "live"


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[Worker]:
    found: list[Worker] = []
    monkeypatch.setattr(viewer, "siblings", lambda: list(found))
    return found


@pytest.fixture
def other(
    directory: Path, short_times: None, workers: list[Worker], recording: Recording
) -> Iterator[OtherWorker]:
    """Another worker, with the stream "one"."""
    other = OtherWorker(directory, recording)
    workers.append(other.worker)
    yield other
    other.die()


@contextlib.contextmanager
def looking(here: Recording) -> Iterator[Browser]:
    browser: Any = Browser()
    greenlet = gevent.spawn(viewer.Viewer(here.feed, browser, PAGE).run)
    try:
        yield browser
    finally:
        browser.wanted.put("leave")
        greenlet.join(10)
        assert greenlet.dead


@pytest.fixture
def here() -> Iterator[Recording]:
    """This process, which has no stream."""
    here = Recording(shows=lambda client: False)
    yield here
    here.recorder.disconnect()


def test_a_stream_of_another_worker_is_shown_like_our_own(
    other: OtherWorker, here: Recording, recording: Recording
) -> None:
    recording.say("before")
    with looking(here) as browser:
        first = browser.until(lambda message: "ids" in message)
        assert first["ids"] == ["one"]
        assert first["streams"][0]["worker"] == 4711
        browser.wanted.put("one")
        detail = browser.until(lambda message: message.get("detail", {}).get("full"))["detail"]
        assert [line["text"] for line in detail["transcript"]] == ["before"]
        recording.media("video_data", JPG)
        header, data = browser.picture()
        assert (header["stream"], data) == ("one", JPG)
        recording.say("after", start=2)
        assert [line["text"] for line in browser.detail("transcript")] == ["after"]
    with gevent.Timeout(10):
        while other.feed.find("one").watchers:  # type: ignore[union-attr]
            gevent.sleep(0.01)


def test_how_many_workers_there_are_is_told(other: OtherWorker, here: Recording) -> None:
    with looking(here) as browser:
        assert browser.until(lambda message: "workers" in message)["workers"] == 2


def test_a_stream_is_followed_to_its_next_worker(
    other: OtherWorker,
    workers: list[Worker],
    here: Recording,
    recording: Recording,
    directory: Path,
) -> None:
    with looking(here) as browser:
        browser.state("live")
        browser.wanted.put("one")
        browser.until(lambda message: message.get("detail", {}).get("full"))
        other.die()
        workers.clear()
        assert browser.state("interrupted")["worker"] == 4711
        next_worker = OtherWorker(directory, recording)
        workers.append(next_worker.worker)
        try:
            browser.state("live")
            browser.until(lambda message: message.get("detail", {}).get("full"))
            recording.say("here I am")
            assert [line["text"] for line in browser.detail("transcript")] == ["here I am"]
        finally:
            next_worker.die()


def test_the_socket_is_nobody_elses(other: OtherWorker, directory: Path) -> None:
    assert stat.S_IMODE(os.stat(other.socket.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700


def test_another_page_is_not_shown(other: OtherWorker) -> None:
    """Pages of one process may be closed to different people."""
    assert numbers_of([other.worker], "tests 1") == []
    ((worker, numbers),) = numbers_of([other.worker], PAGE)
    assert worker is other.worker
    assert numbers["streams"][0]["stream_id"] == "one"


@pytest.mark.parametrize("asked", [{"format": 0, "page": PAGE, "want": "numbers"}, {"format": 2}])
def test_what_is_not_understood_is_not_answered(other: OtherWorker, asked: object) -> None:
    pipe = Pipe.connect(other.socket.path)
    pipe.send(json.dumps(asked))
    with pytest.raises(PipeClosed), gevent.Timeout(10):
        pipe.receive()
    pipe.close()


def test_sockets_of_the_dead_are_removed(other: OtherWorker, directory: Path) -> None:
    dead, new = directory / "1-dead", directory / "2-new"
    for path in (dead, new):
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    os.utime(dead, (0, 0))
    os.utime(other.socket.path, (0, 0))
    another = sharing._LiveSocket()
    another._open()
    try:
        assert not dead.exists()
        assert new.exists()  # it may be about to listen
        assert os.path.exists(other.socket.path)
    finally:
        another._server.close()  # type: ignore[union-attr]


def test_a_viewer_that_does_not_read_holds_up_nobody(
    other: OtherWorker, here: Recording, recording: Recording
) -> None:
    """It loses pictures, not words; and the other worker keeps nothing for it."""
    pipe = Pipe.connect(other.socket.path)
    pipe.send(json.dumps({"format": sharing.FORMAT, "page": PAGE, "want": "news"}))
    pipe.send("one")
    big = JPG + bytes(1_000_000)
    with looking(here) as quick:
        quick.wanted.put("one")
        quick.until(lambda message: message.get("detail", {}).get("full"))
        for number in range(1, 21):
            recording.media("video_data", big)
            recording.say(str(number), start=number)
            assert quick.picture()[0]["number"] == number
    recording.say("end", start=100)
    pictures, words = 0, []
    with gevent.Timeout(20):
        while "end" not in words:
            message = pipe.receive()
            if isinstance(message, bytes):
                pictures += 1
            else:
                lines = json.loads(message).get("detail", {}).get("transcript", [])
                words += [line["text"] for line in lines]
    pipe.close()
    assert pictures < 20
    assert words == [*map(str, range(1, 21)), "end"]


def test_the_numbers_of_all_workers_are_one_answer(
    other: OtherWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = LivePage(shows=lambda client: False)
    app = make(live)
    live._shared[app].key = PAGE
    monkeypatch.setattr(page, "siblings", lambda: [other.worker])
    numbers = gevent.spawn(look, app, "/rtms/live/stats").get(timeout=10).json
    assert numbers["viewers"] == 2
    assert numbers["workers"] == [os.getpid(), 4711]
    (stream,) = numbers["streams"]
    assert (stream["stream_id"], stream["worker"]) == ("one", 4711)


def test_what_the_app_adds_fails_and_is_logged(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The other workers tell the rest."""

    def fail() -> dict[str, Any]:
        raise ValueError("the shop's own")

    shared, opened = SharedPage("tests", Feed(), fail), sharing._LiveSocket()
    opened._open()
    worker = Worker("other", "here", 4711, 0, live_socket=opened.path)
    assert numbers_of([worker], shared.key) == []
    opened._server.close()  # type: ignore[union-attr]
    assert "the shop's own" in caplog.text


def test_a_socket_that_cannot_be_made_is_said_once(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory.write_text("no directory")
    unusable = sharing._LiveSocket()
    unusable.announce([])
    unusable.announce([])
    (record,) = caplog.records
    assert "other workers cannot show the streams of this one" in record.message
    assert unusable.path == ""


PROGRAM = """
import json, os, gevent
from rtms_gevent.live import sharing
from rtms_gevent.live.feed import Feed
from rtms_gevent.live.pipe import Pipe

feed = Feed()
page = sharing.SharedPage("page", feed, dict)
sharing._socket.announce([])
pipe = Pipe.connect(sharing.live_socket())
pipe.send(json.dumps({"format": sharing.FORMAT, "page": page.key, "want": "news"}))
assert json.loads(pipe.receive())["ids"] == []
child = os.fork()
if not child:
    feed.add("the child's", "u")
    gevent.sleep(2 * sharing.LIST_INTERVAL)
    os._exit(0 if sharing.live_socket() == "" else 1)
assert os.waitpid(child, 0)[1] == 0
feed.add("the parent's", "u")
assert json.loads(pipe.receive())["ids"] == ["the parent's"]
print("done")
"""


def test_a_forked_child_says_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=50
    )
    assert ran.stdout == "done\n", ran.stderr
    assert list((tmp_path / "rtms-gevent" / "live").iterdir()) == []

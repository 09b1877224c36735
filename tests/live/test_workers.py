"""The page under gunicorn with two workers, which share streams by the local store."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import PageServer, Signals, serve_page
from .test_viewer import JPG, Browser, browse


class Workers:
    """The two workers, and a stream of each."""

    def __init__(self, server: PageServer) -> None:
        self.server = server
        while len(pids := self._ask("workers")) < 2:
            pass
        self.streams = {pid: Signals(f"stream-of-{pid}") for pid in pids}
        for pid, script in self.streams.items():
            with self.only(pid):
                chat = script.media("chat", f"typed in {pid}", userId=1, userName="Ada")
                assert server.emit(*script.begin(uuid=f"uuid-{pid}"), chat) == pid
        while sorted(stream["worker"] for stream in server.stats()["streams"]) != sorted(pids):
            pass

    def _ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://{self.server.address}/{path}", timeout=10) as answer:
            return json.load(answer)

    @contextlib.contextmanager
    def only(self, pid: int) -> Iterator[None]:
        """Let one worker answer what is asked meanwhile; the other one is stopped."""
        (other,) = self.streams.keys() - {pid}
        os.kill(other, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(other, signal.SIGCONT)

    @contextlib.contextmanager
    def browse(self, pid: int) -> Iterator[Browser]:
        """Look at the page of one worker."""
        with contextlib.ExitStack() as stack:
            with self.only(pid):
                browser = stack.enter_context(browse(self.server))
                browser.until(lambda message: "hello" in message)
            yield browser


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with tempfile.TemporaryDirectory() as directory:
        environment = {"RTMS_STORE": "local", "XDG_RUNTIME_DIR": directory}
        with serve_page(
            app="page_app:create_shared_app()", workers=2, environment=environment
        ) as server:
            yield Workers(server)
    assert "Traceback" not in server.log


def test_each_worker_shows_the_streams_of_both(workers: Workers) -> None:
    for pid in workers.streams:
        with workers.browse(pid) as browser:
            known: dict[str, int] = {}
            while len(known) < 2:
                message = browser.until(lambda message: "streams" in message)
                known |= {about["id"]: about["worker"] for about in message["streams"]}
            assert known == {script.stream: owner for owner, script in workers.streams.items()}
            for owner, script in workers.streams.items():
                browser.watch(script.stream)
                (line,) = browser.detail("chat", script.stream)
                assert line["text"] == f"typed in {owner}"


def test_pictures_are_relayed_as_they_come(workers: Workers) -> None:
    for pid in workers.streams:
        ((owner, script),) = [item for item in workers.streams.items() if item[0] != pid]
        with workers.browse(pid) as browser:
            browser.watch(script.stream)
            browser.until(lambda message: message.get("detail", {}).get("full"))
            with workers.only(owner):
                workers.server.emit(script.media("video", JPG))
            header, data = browser.picture()
            assert (header["stream"], data) == (script.stream, JPG)


def test_viewers_of_all_workers_are_counted(workers: Workers) -> None:
    first, second = workers.streams
    with workers.browse(first), workers.browse(second), workers.browse(second):
        while workers.server.stats()["viewers"] != 3:
            pass

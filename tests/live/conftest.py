"""A stage in a process of its own, for all tests that need a real server."""

from __future__ import annotations

import base64
import contextlib
import json
import pathlib
import re
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

if not hasattr(TestResponse, "text"):  # Werkzeug before 2.1
    TestResponse.text = property(lambda self: self.get_data(as_text=True))

from .stage import TOKEN

HERE = pathlib.Path(__file__).parent
PERMITTED = {"Authorization": f"Bearer {TOKEN}"}


class Theatre:
    """Tells a stage in another process what to play."""

    log = ""

    def __init__(self, port: int) -> None:
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://{self.address}/rtms/live/"
        self.link = f"{self.url}#token={TOKEN}"

    def wait_ready(self) -> None:
        """Wait until the server answers; it listens from the beginning."""
        with urllib.request.urlopen(f"http://{self.address}/contexts", timeout=50) as answer:
            assert answer.status == 200

    def act(self, *acts: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"http://{self.address}/act", data=json.dumps(acts).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 204

    def contexts(self) -> int:
        """Return how many requests hold their context now, this one included."""
        with urllib.request.urlopen(f"http://{self.address}/contexts", timeout=10) as answer:
            return int(answer.read())

    def requests(self) -> list[str]:
        """Return the address and the Referer of each of the latest requests."""
        with urllib.request.urlopen(f"http://{self.address}/requests", timeout=10) as answer:
            requests: list[str] = json.load(answer)
        return requests

    def stats(self) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}stats", headers=PERMITTED)
        with urllib.request.urlopen(request, timeout=10) as answer:
            stats: dict[str, Any] = json.load(answer)
        return stats


class Script:
    """Writes the acts of one stream."""

    def __init__(self, stream: str) -> None:
        self.stream = stream

    def signal(self, name: str, **arguments: Any) -> dict[str, Any]:
        return {"signal": name, "stream": self.stream, "arguments": arguments}

    def begin(self, uuid: str = "4Jk2mQ==") -> list[dict[str, Any]]:
        return [
            self.signal("joining", stream_id=self.stream, uuid=uuid, product="meeting_uuid"),
            self.signal("joined", stream_id=self.stream, uuid=uuid),
        ]

    def end(self, reason: int = 6) -> dict[str, Any]:
        return self.signal("left", stream_id=self.stream, reason=reason)

    def arrive(self, user: int, name: str) -> dict[str, Any]:
        people = [{"user_id": user, "user_name": name}]
        return self.signal("participant_event", event="join", timestamp=1, participants=people)

    def speak(self, user: int, name: str) -> dict[str, Any]:
        return self.signal("active_speaker_event", timestamp=1, user_id=user, user_name=name)

    def media(
        self, kind: str, data: str | bytes, at: int = 1_700_000_000_000, **metadata: Any
    ) -> dict[str, Any]:
        packed = (
            {"text": data} if isinstance(data, str) else {"b64": base64.b64encode(data).decode()}
        )
        return self.signal(f"{kind}_data", data=packed, timestamp=at, metadata=metadata)


@contextlib.contextmanager
def open_theatre(
    worker: str = "gevent", port: int = 0, app: str = "stage:create_app()", workers: int = 1
) -> Iterator[Theatre]:
    """Serve a stage with gunicorn; what it logs is in ``theatre.log`` afterwards."""
    with socket.create_server(("127.0.0.1", port)) as listener, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--log-level", "warning"),
                *("--config", str(HERE / "stage_server.py")),
                *("--chdir", str(HERE), "--bind", f"fd://{listener.fileno()}"),
                *("-k", worker, "--workers", str(workers), app),
            ],
            pass_fds=[listener.fileno()],
            stderr=log,
        )
        theatre = Theatre(listener.getsockname()[1])
        listener.close()
        try:
            theatre.wait_ready()
            yield theatre
        finally:
            process.send_signal(signal.SIGINT)  # a quick end, whoever looks
            process.wait(10)
            log.seek(0)
            theatre.log = log.read().decode()


@pytest.fixture(scope="session")
def theatre() -> Iterator[Theatre]:
    with open_theatre() as theatre:
        yield theatre
    assert theatre.log == ""


class Nginx(socketserver.ThreadingTCPServer):
    """Does to requests what nginx does that was told of WebSockets, and of nothing else.

    The server behind it is told its own name as Host, and nothing of the client.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        super().__init__(("127.0.0.1", 0), Passage)


class Passage(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Nginx)
        head = b"".join(iter(self.rfile.readline, b"\r\n"))
        head = re.sub(rb"(?im)^Host:.*$", b"Host: 127.0.0.1:%d\r" % self.server.upstream, head)
        with socket.create_connection(("127.0.0.1", self.server.upstream)) as behind:
            behind.sendall(head + b"\r\n")
            back = threading.Thread(target=self.carry, args=(behind, self.connection))
            back.start()
            self.carry(self.connection, behind)
            back.join()

    @staticmethod
    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def nginx(theatre: Theatre) -> Iterator[int]:
    with Nginx(theatre.port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def script(request: pytest.FixtureRequest) -> Script:
    return Script(request.node.name)

"""The page in a process of its own, for all tests that need a real server."""

from __future__ import annotations

import base64
import contextlib
import json
import os
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
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from werkzeug.test import TestResponse

if not hasattr(TestResponse, "text"):  # Werkzeug before 2.1
    TestResponse.text = property(lambda self: self.get_data(as_text=True))

from rtms_gevent.enums import Product

from .page_app import TOKEN
from .recording import Recording

HERE = pathlib.Path(__file__).parent
PERMITTED = {"Authorization": f"Bearer {TOKEN}"}


class PageServer:
    """Tells a page in another process which signals to emit."""

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

    def emit(self, *emitted: dict[str, Any]) -> int:
        """Send signals in one worker; return its process id."""
        request = urllib.request.Request(
            f"http://{self.address}/emit", data=json.dumps(emitted).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 204
            return int(answer.headers["Worker"])

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


class Signals:
    """Makes the signals of one stream."""

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
def serve_page(
    worker: str = "gevent",
    port: int = 0,
    app: str = "page_app:create_app()",
    workers: int = 1,
    environment: Mapping[str, str] | None = None,
) -> Iterator[PageServer]:
    """Serve the page with gunicorn; what it logs is in ``server.log`` afterwards."""
    with socket.create_server(("127.0.0.1", port)) as listener, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--log-level", "warning"),
                *("--config", str(HERE / "gunicorn_conf.py")),
                *("--chdir", str(HERE), "--bind", f"fd://{listener.fileno()}"),
                *("-k", worker, "--workers", str(workers), app),
            ],
            pass_fds=[listener.fileno()],
            stderr=log,
            env={**os.environ, **(environment or {})},
        )
        server = PageServer(listener.getsockname()[1])
        listener.close()
        try:
            server.wait_ready()
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # a quick end, whoever looks
            process.wait(10)
            log.seek(0)
            server.log = log.read().decode()


@pytest.fixture(scope="session")
def server() -> Iterator[PageServer]:
    with serve_page() as server:
        yield server
    assert server.log == ""


class Nginx(socketserver.ThreadingTCPServer):
    """Does to requests what nginx does that is configured for WebSockets, and for nothing else.

    The server behind it gets its own name as Host, and nothing of the client.
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
def nginx(server: PageServer) -> Iterator[int]:
    with Nginx(server.port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield proxy.server_address[1]
        finally:
            proxy.shutdown()
            thread.join()


@pytest.fixture
def script(request: pytest.FixtureRequest) -> Signals:
    return Signals(request.node.name)


@pytest.fixture
def recording() -> Iterator[Recording]:
    recording = Recording()
    recording.emit("joining", stream_id="one", uuid="abc==", product=Product.MEETING)
    recording.emit("joined", stream_id="one", uuid="abc==")
    yield recording
    recording.recorder.disconnect()

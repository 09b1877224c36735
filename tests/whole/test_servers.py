"""The same Flask app under the servers that people use, from the webhook to the callback."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import sys
import tempfile

import gevent
import pytest
from gevent import socket
from gevent import subprocess as gsubprocess
from support.floods import MALFORMED, Flood, are_refused, send_malformed
from support.rawserver import unused_port
from support.recorder import wait_until
from support.webhooks import stopped

from rtms_gevent import MessageType
from rtms_gevent.simulator import Simulator

from .spraying import spray

HERE = pathlib.Path(__file__).parent

SERVERS = {
    "gunicorn gevent": ["gunicorn", "-k", "gevent", "shop:create_app()"],
    "gunicorn gevent, preloaded": ["gunicorn", "-k", "gevent", "--preload", "shop:create_app()"],
    "gunicorn with WebSockets": [
        "gunicorn",
        "-k",
        "geventwebsocket.gunicorn.workers.GeventWebSocketWorker",
        "shop:create_app()",
    ],
    "gunicorn gthread": ["gunicorn", "-k", "gthread", "--threads", "4", "shop:create_app()"],
    "gunicorn sync": ["gunicorn", "-k", "sync", "shop:create_app()"],
    "flask run": ["flask", "run"],
}


class Server:
    """A server in a process of its own, watched without blocking our hub."""

    may_fail = False  #: whether what it serves may log a traceback

    def __init__(self, command, directory=HERE, *, ready="/seen", graceful=3, **environment):
        self.port = unused_port()
        self._ready = ready
        name, *options = command
        where = (
            ["--port", str(self.port)]
            if name == "flask"
            else ["--bind", f"127.0.0.1:{self.port}", "--graceful-timeout", str(graceful)]
        )
        self.process = gsubprocess.Popen(
            [sys.executable, "-m", name, *options, *where],
            cwd=directory,
            stdout=gsubprocess.PIPE,
            stderr=gsubprocess.STDOUT,
            env={**os.environ, "FLASK_APP": "shop:create_app", **environment},
        )

    def get(self, path, headers=""):
        """Return status and body of a GET."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"{headers}Connection: close\r\n\r\n".encode()
            )
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def serves(self, path):
        """Tell whether ``path`` is served; with ``None`` any answer will do."""
        try:
            status, _ = self.get(path or "/")
            return path is None or status == 200
        except (OSError, IndexError):
            assert self.process.poll() is None, self.process.stdout.read().decode()
            return False

    def seen(self):
        return json.loads(self.get("/seen")[1])

    def __enter__(self):
        try:
            wait_until(lambda: self.serves(self._ready), 20)
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        with gevent.Timeout(20):
            self.output, _ = self.process.communicate()
        assert self.may_fail or b"Traceback" not in self.output, self.output.decode()


@pytest.mark.parametrize("name", SERVERS)
def test_from_webhook_to_callback(name):
    with (
        Server(
            SERVERS[name], ZM_RTMS_CLIENT="simulated-client", ZM_RTMS_SECRET="simulated-secret"
        ) as server,
        Simulator(
            "empty",
            client_secret="simulated-secret",
            webhook_url=f"http://127.0.0.1:{server.port}/rtms/webhook",
            webhook_secret="hook",
        ) as simulator,
    ):
        meetings = [simulator.meeting, simulator.add_meeting()]
        for meeting in meetings:
            assert meeting.start() == 200
        for number, meeting in enumerate(meetings):
            assert meeting.wait_ready(10)
            for line in range(10):
                assert meeting.send_transcript(f"meeting {number} line {line}", 5, "Ana")
        wait_until(lambda: len(server.seen()["lines"]) == 20, 10)
        for meeting in meetings:
            meeting.stop(6)
        wait_until(lambda: server.seen()["ended"] == [6, 6], 10)
        seen = server.seen()
        assert seen["left"] == [6, 6]
        last = simulator.add_meeting()
        assert last.start() == 200
        assert last.wait_ready(10)
    if not name.startswith("flask"):  # which SIGTERM ends without a word
        ends = [line for line in server.output.decode().splitlines() if last.stream_id in line]
        assert [line.partition("ended: ")[2] for line in ends if "ended: " in line] == ["we left"]
    assert sorted(seen["started"]) == sorted(meeting.stream_id for meeting in meetings)
    for number in range(2):
        assert [line for line in seen["lines"] if f"meeting {number}" in line] == [
            f"Ana: meeting {number} line {line}" for line in range(10)
        ]


@pytest.mark.parametrize("name", ["gunicorn gevent", "gunicorn gthread", "gunicorn sync"])
def test_a_worker_that_ends_leaves_its_streams(name):
    """Else Zoom would hold each for a minute."""
    with (
        Server(
            SERVERS[name], ZM_RTMS_CLIENT="simulated-client", ZM_RTMS_SECRET="simulated-secret"
        ) as server,
        Simulator(
            "empty",
            client_secret="simulated-secret",
            webhook_url=f"http://127.0.0.1:{server.port}/rtms/webhook",
            webhook_secret="hook",
        ) as simulator,
    ):
        meeting = simulator.meeting
        assert meeting.start() == 200
        assert meeting.wait_ready(10)
        connections = meeting.connections("all_sockets")
        server.process.terminate()
        for connection in connections:
            assert connection.ended.wait(10)
            assert connection.client_close_code == 1000


@pytest.mark.parametrize("name", ["gunicorn gevent", "gunicorn gthread", "gunicorn sync"])
@pytest.mark.parametrize("graceful", [30, 3], ids=["in time", "too late"])
def test_functions_that_run_when_a_worker_ends_come_to_their_end(name, graceful, tmp_path):
    """As requests do: they have gunicorn's graceful_timeout, and then still their ``finally``."""
    diary = tmp_path / "diary"
    diary.touch()
    with (
        Server(
            [word.replace("shop:", "slow_shop:") for word in SERVERS[name]],
            ready="/",
            graceful=graceful,
            DIARY=str(diary),
            ZM_RTMS_CLIENT="simulated-client",
            ZM_RTMS_SECRET="simulated-secret",
        ) as server,
        Simulator(
            "empty",
            client_secret="simulated-secret",
            webhook_url=f"http://127.0.0.1:{server.port}/rtms/webhook",
            webhook_secret="hook",
        ) as simulator,
    ):
        meetings = [simulator.meeting, simulator.add_meeting()]
        for meeting in meetings:
            assert meeting.start() == 200
            assert meeting.wait_ready(10)
        for meeting in meetings:
            assert meeting.send_transcript("a word", 5, "Ana")
        meetings[1].stop(6)
        begun = {"callback begun", "stopped begun"}
        wait_until(lambda: begun <= set(diary.read_text().splitlines()), 10)
        connections = meetings[0].connections("all_sockets")
        server.process.terminate()
        for connection in connections:
            assert connection.ended.wait(10)
        if graceful == 30:
            (tmp_path / "diary.go").touch()
        server.may_fail = graceful == 3  # the log says where they were
    entries = diary.read_text().splitlines()
    assert entries.count("callback finally") == 2
    assert entries.count("stopped finally") == 1
    assert entries.count("callback done") == (2 if graceful == 30 else 0)


def test_a_forged_webhook_starts_nothing():
    with Server(SERVERS["gunicorn gevent"]) as server:
        with Simulator(
            "empty",
            webhook_url=f"http://127.0.0.1:{server.port}/rtms/webhook",
            webhook_secret="another",
        ) as simulator:
            assert simulator.meeting.start() == 401
        assert server.seen()["started"] == []


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        # Trailers are for gunicorn's own parser to bound, which it does from 27 on.
        ("gunicorn gevent", ["chunks", "a length"]),
        ("gunicorn with WebSockets", ["chunks", "trailers", "a length"]),
    ],
)
def test_a_flood_of_webhooks_does_not_freeze_a_worker(name, kinds):
    """One stranger who sends as fast as the worker parses; others are answered meanwhile."""
    with Server(SERVERS[name]) as server:
        for kind in kinds:
            flood = Flood(server.port, "/rtms/webhook", kind)
            while not flood.has_ended:
                assert server.seen()
            assert flood.was_stopped, kind
        assert server.seen()


@pytest.mark.parametrize(
    "name", ["gunicorn gevent", "gunicorn with WebSockets", "gunicorn gthread", "flask run"]
)
def test_a_malformed_body_is_no_error_of_ours(name):
    with Server(SERVERS[name]) as server:
        for body in MALFORMED:
            statuses = send_malformed(server.port, "/rtms/webhook", body)
            assert are_refused(statuses, by_lenient_server=name == "flask run"), body
        assert server.seen()


def test_the_example_app():
    """examples/flask_app, as its README says to run it."""
    with (
        Server(
            ["gunicorn", "wsgi:app"],
            HERE.parents[1] / "examples" / "flask_app",
            ready="/healthz",
            ZM_RTMS_CLIENT="simulated-client",
            ZM_RTMS_SECRET="simulated-secret",
            ZM_RTMS_WEBHOOK_SECRET="hook",
            ZM_RTMS_ALLOWED_HOSTS="127.0.0.1",
            ZM_RTMS_LIVE_TOKEN="token-of-the-viewers",
        ) as server,
        Simulator(
            "empty",
            client_secret="simulated-secret",
            webhook_url=f"http://127.0.0.1:{server.port}/rtms/webhook",
            webhook_secret="hook",
        ) as simulator,
    ):
        meeting = simulator.meeting
        assert meeting.start() == 200
        assert meeting.wait_ready(10)
        meeting.send_transcript("Let's <b>begin</b>", 5, "Ana")
        minutes = f"/meetings/{meeting.stream_id}"
        token = "Authorization: Bearer token-of-the-viewers\r\n"
        wait_until(
            lambda: b"Let&#39;s &lt;b&gt;begin&lt;/b&gt;" in server.get(minutes, token)[1], 10
        )
        for path in ("/", minutes, "/rtms/live/"):
            assert server.get(path, token)[0] == 200
            assert server.get(path)[0] == 403
        meeting.stop(6)


@pytest.mark.parametrize("worker", ["gevent", "gthread", "sync"])
def test_the_django_example(worker):
    """examples/django_app, as its README says to run it."""
    with (
        Server(
            ["gunicorn", "-k", worker, "app:application"],
            HERE.parents[1] / "examples" / "django_app",
            ready="/",
            ZM_RTMS_CLIENT="simulated-client",
            ZM_RTMS_SECRET="simulated-secret",
            ZM_RTMS_WEBHOOK_SECRET="hook",
            ZM_RTMS_ALLOWED_HOSTS="127.0.0.1",
        ) as server,
        Simulator(
            "empty",
            client_secret="simulated-secret",
            webhook_url=f"http://127.0.0.1:{server.port}/rtms/webhook",
            webhook_secret="hook",
        ) as simulator,
    ):
        assert simulator.validate_webhook()
        meeting = simulator.meeting
        assert meeting.start() == 200
        assert meeting.wait_ready(10)
        meeting.send_transcript("Let's begin", 5, "Ana")
        wait_until(lambda: b"Ana: Let's begin" in server.get("/")[1], 10)
        meeting.stop(6)
        wait_until(lambda: b"-- " in server.get("/")[1], 10)


def test_the_django_example_with_two_workers():
    """Any of them gets a webhook, again and again; and a reload loses no stream."""
    with (
        tempfile.TemporaryDirectory(prefix="rtms-") as directory,
        Server(
            ["gunicorn", "-k", "gevent", "-w", "2", "app:application"],
            HERE.parents[1] / "examples" / "django_app",
            ready="/",
            XDG_RUNTIME_DIR=directory,
            ZM_RTMS_CLIENT="simulated-client",
            ZM_RTMS_SECRET="simulated-secret",
            ZM_RTMS_WEBHOOK_SECRET="hook",
            ZM_RTMS_ALLOWED_HOSTS="127.0.0.1",
        ) as server,
        Simulator("empty", client_secret="simulated-secret") as simulator,
    ):
        meetings = [simulator.meeting, *(simulator.add_meeting() for _ in range(3))]
        said = set()

        def is_heard(meeting, line):
            meeting.send_transcript(line, 5, "Ana")
            said.update(server.get("/")[1].decode().splitlines())
            return f"Ana: {line}" in said

        for number, meeting in enumerate(meetings):
            meeting.start()
            spray([server.port] * 3, meeting.started_event)
            assert meeting.wait_ready(20)
            wait_until(lambda m=meeting, n=number: is_heard(m, f"in meeting {n}"), 20)
        before = [meeting.signaling for meeting in meetings]
        server.process.send_signal(signal.SIGHUP)
        for number, meeting in enumerate(meetings):
            wait_until(lambda m=meeting: m.signaling not in (None, *before), 20)
            wait_until(lambda m=meeting, n=number: is_heard(m, f"still in meeting {n}"), 20)
        for meeting in meetings:
            spray([server.port] * 3, stopped(meeting.stream_id))
            meeting.stop(6)
        handshakes = [
            request["message"]
            for request in simulator.requests
            if request["message"].get("msg_type") == MessageType.SIGNALING_HAND_SHAKE_REQ
        ]
        assert len(handshakes) == 2 * len(meetings)

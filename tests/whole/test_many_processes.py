"""One script in several processes that share a store, as examples/many_processes runs it."""

from __future__ import annotations

import contextlib
import pathlib
import re
import shutil
import signal
import sys
import tempfile

import gevent
import pytest
from cluster.redis_server import RedisServer
from gevent import socket, subprocess
from support.rawserver import unused_port
from support.recorder import wait_until
from support.script import Script
from support.webhooks import stopped

from rtms_gevent.simulator import Simulator

from .spraying import now, spray

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "many_processes"

#: Prints each call, and joins as the programs of the official SDK do.
PROGRAM = """
import rtms_gevent as rtms

def handle(payload):
    stream = payload["payload"].get("rtms_stream_id")
    print("event", stream, payload["event"], payload.is_takeover)
    if payload["event"] == "meeting.rtms_started" and stream not in clients:
        clients[stream] = client = rtms.Client()
        client.on_audio_data(lambda data, *_: print("heard", stream, data.decode()))
        client.on_media_gap(lambda gap: print("gap", stream))
        client.on_end(lambda reason: print("left", stream, reason.code))
        client.join(payload["payload"])
    elif payload["event"] == "meeting.rtms_stopped":
        print("stopped", stream, stream in clients)

clients = {}
rtms.on_webhook_event(handle, host="127.0.0.1")
rtms.run()
print("end")
"""

#: The same with several loops, as the official guide's fourth layer has them.
POOL = (
    PROGRAM.replace("clients = {}", "clients, pool = {}, rtms.EventLoopPool(threads=2)")
    .replace("client.join(", "pool.add(client)\n        client.join(")
    .replace("rtms.run()", "pool.run()")
)


class Process:
    """A running script that listens, and what it has printed."""

    def __init__(self, code, port, **environment):
        self.port = port
        self.lines = []
        self._script = Script(
            code,
            PYTHONUNBUFFERED="1",
            ZM_RTMS_CLIENT="simulated-client",
            ZM_RTMS_SECRET="simulated-secret",
            ZM_RTMS_WEBHOOK_SECRET="hook",
            ZM_RTMS_ALLOWED_HOSTS="127.0.0.1",
            ZM_RTMS_PORT=str(port),
            **environment,
        )
        self.process = self._script.process
        self.errors = []
        self._readers = [
            gevent.spawn(self._read, self.process.stdout, self.lines),
            gevent.spawn(self._read, self.process.stderr, self.errors),
        ]

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def count(self, *words):
        """Return how many lines begin with these words."""
        return sum(line.split()[: len(words)] == list(words) for line in self.lines)

    def end(self, number=signal.SIGTERM):
        """Send a signal, and wait for the end."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        with gevent.Timeout(20):
            self.process.wait()
            gevent.joinall(self._readers)
        self.process.stdout.close()
        self.process.stderr.close()


def is_open(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def shared_store(kind):
    """Yield the address of a store that several processes can use."""
    if kind == "redis":
        with RedisServer() as redis:
            yield redis.url
    else:
        with tempfile.TemporaryDirectory(prefix="rtms-") as directory:  # short, for Unix sockets
            yield f"local://{directory}"


@contextlib.contextmanager
def processes(code, store, *ports):
    """Run a script in a process for each port."""
    running = [Process(code, port, ZM_RTMS_STORE=store) for port in ports]
    try:
        for one in running:
            wait_until(lambda one=one: is_open(one.port), 20)
        yield running
    except BaseException:
        for one in running:
            sys.stderr.write("\n".join(["a process printed:", *one.lines, *one.errors, ""]))
        raise
    finally:
        for one in running:
            one.end()
    for one in running:
        assert "Traceback" not in "\n".join(one.errors)


def owners(running, stream_id):
    """Return the processes whose handler was called for the start of a stream."""
    return [
        one for one in running for _ in range(one.count("event", stream_id, "meeting.rtms_started"))
    ]


def unused_ports(number):
    ports = set()
    while len(ports) < number:
        ports.add(unused_port())
    return sorted(ports)


@pytest.mark.parametrize("kind", ["local", "redis"])
def test_each_stream_lives_in_one_process(kind):
    ports = unused_ports(3)
    with (
        shared_store(kind) as store,
        Simulator("empty", client_secret="simulated-secret") as simulator,
        processes(PROGRAM, store, *ports) as running,
    ):
        meetings = [simulator.meeting, *(simulator.add_meeting() for _ in range(5))]
        ids = [meeting.stream_id for meeting in meetings]
        for meeting in meetings:
            meeting.start()
            spray(ports, meeting.started_event)
        for meeting in meetings:
            assert meeting.wait_ready(20)
            meeting.send_audio(b"Hello")
        owner_of = {}
        for stream_id in ids:
            (owner_of[stream_id],) = owners(running, stream_id)
            wait_until(lambda id=stream_id: owner_of[id].count("heard", id) == 1, 10)

        # What comes later, wherever it comes, is for the owner: a failover start and a stop.
        spray(ports, {**meetings[0].started_event, "event_ts": now()})
        wait_until(lambda: len(owners(running, ids[0])) == 2, 10)
        assert set(owners(running, ids[0])) == {owner_of[ids[0]]}
        for stream_id in ids:
            spray(ports, stopped(stream_id))
        wait_until(lambda: all(owner_of[id].count("stopped", id, "True") for id in ids), 10)
        # What nobody has, and what is about no stream, is for anybody.
        spray(ports, stopped("another"))
        spray(ports, {"event": "rtms.concurrency_limited", "payload": {}})
        wait_until(lambda: sum(one.count("stopped", "another", "False") for one in running), 10)
        wait_until(lambda: sum(one.count("event", "None") for one in running), 10)
        for meeting in meetings:
            meeting.stop(6)
        wait_until(lambda: all(owner_of[id].count("left", id, "6") for id in ids), 10)
    assert sum(one.count("event") for one in running) == 2 * len(meetings) + 3
    assert all(one.count("end") == 1 for one in running)


@pytest.mark.parametrize(
    ("kind", "program", "number"),
    [
        ("local", PROGRAM, signal.SIGTERM),
        ("local", PROGRAM, signal.SIGKILL),
        ("local", POOL, signal.SIGTERM),
        ("redis", PROGRAM, signal.SIGTERM),
    ],
    ids=["ends", "is killed", "ends with its pool of loops", "ends, by Redis"],
)
def test_the_streams_of_a_process_that_ends_go_on_in_another(kind, program, number):
    ports = unused_ports(2)
    with (
        shared_store(kind) as store,
        Simulator("empty", client_secret="simulated-secret") as simulator,
        processes(program, store, *ports) as running,
    ):
        meetings = [simulator.meeting, simulator.add_meeting(), simulator.add_meeting()]
        for meeting in meetings:
            meeting.start()
            spray(ports, meeting.started_event)
            assert meeting.wait_ready(20)
        (owner,) = owners(running, meetings[0].stream_id)
        (other,) = set(running) - {owner}
        theirs = [one for one in meetings if owners(running, one.stream_id) == [owner]]
        for meeting in theirs:
            meeting.send_audio(b"before", timestamp=now() - 5000)  # so that there is a gap
            wait_until(lambda id=meeting.stream_id: owner.count("heard", id, "before"), 10)
        owner.end(number)
        for meeting in theirs:
            start = ("event", meeting.stream_id, "meeting.rtms_started", "True")
            wait_until(lambda start=start: other.count(*start), 20)
            wait_until(lambda meeting=meeting: meeting.send_audio(b"after"), 10)
            wait_until(lambda id=meeting.stream_id: other.count("heard", id, "after"), 10)
            wait_until(lambda id=meeting.stream_id: other.count("gap", id), 10)
        spray([other.port], stopped(meetings[0].stream_id))
        wait_until(lambda: other.count("stopped", meetings[0].stream_id, "True"), 10)
        assert len(owners(running, meetings[0].stream_id)) == 2
        for meeting in meetings:
            meeting.stop(6)


@contextlib.contextmanager
def nginx(ports):
    """Run nginx as the example says, but for the certificate; yield its port."""
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    port = unused_port()
    text = (EXAMPLE / "nginx.conf").read_text()
    text = re.sub(r"listen 443 ssl;\n.*\n.*;", f"listen 127.0.0.1:{port};", text)
    for number, own in zip((8081, 8082, 8083), ports, strict=True):
        text = text.replace(str(number), str(own))
    with tempfile.TemporaryDirectory(prefix="rtms-nginx-") as directory:
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
            text = text.replace("http {", f"http {{ {kind}_temp_path {directory}/{kind};", 1)
        text = text.replace("http {", "http { access_log off;", 1)
        pathlib.Path(directory, "nginx.conf").write_text(text)
        own = f"daemon off; pid {directory}/pid; error_log {directory}/error.log;"
        command = ["nginx", "-p", directory, "-c", "nginx.conf", "-g", own]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: is_open(port), 10)
            yield port
        finally:
            server.terminate()
            server.wait()


@pytest.mark.parametrize("front", ["nginx", "nothing"])
def test_the_example(front):
    """Each of its processes gets some of the webhooks, and nothing is lost when one is gone."""
    ports = unused_ports(3)
    code = (EXAMPLE / "app.py").read_text()
    with (
        shared_store("local") as store,
        processes(code, store, *ports) as running,
        nginx(ports) if front == "nginx" else contextlib.nullcontext() as port,
        Simulator("empty", client_secret="simulated-secret") as simulator,
    ):
        meetings = [simulator.meeting, *(simulator.add_meeting() for _ in range(5))]
        for number, meeting in enumerate(meetings):
            if number == 3:
                running[0].end()
                del ports[0]
            meeting.start()
            spray([port] * 3 if port else ports, meeting.started_event)
            assert meeting.wait_ready(20)
        for meeting in meetings:
            wait_until(lambda meeting=meeting: meeting.send_transcript("Hello", 5, "Ana"), 10)
        wait_until(lambda: sum(one.count("Ana", "Hello") for one in running) == len(meetings), 10)
        for meeting in meetings:
            meeting.stop(6)

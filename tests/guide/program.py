"""Runs the guide's examples as their readers do: each as a program of its own."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import sys

import gevent
from gevent import socket
from gevent import subprocess as gsubprocess
from support.rawserver import unused_port
from support.recorder import wait_until

from rtms_gevent.simulator import Simulator

EXAMPLES = pathlib.Path(__file__).parent / "examples"

ENVIRONMENT = {
    "ZM_RTMS_CLIENT": "simulated-client",
    "ZM_RTMS_SECRET": "simulated-secret",
    "ZM_RTMS_WEBHOOK_SECRET": "hook",
    "ZM_RTMS_ALLOWED_HOSTS": "127.0.0.1",
}


class Program:
    """A running example; a context manager that ends it, and shows its errors if a test fails."""

    def __init__(self, name, *payloads, directory=None, environment=None):
        self.port = unused_port()
        own = {name: text for name, text in os.environ.items() if not name.startswith("ZM_RTMS_")}
        if environment is None:
            environment = {**ENVIRONMENT, "ZM_RTMS_PORT": str(self.port)}
        self.process = gsubprocess.Popen(
            [sys.executable, str(EXAMPLES / f"{name}.py"), *map(json.dumps, payloads)],
            cwd=directory,
            stdout=gsubprocess.PIPE,
            stderr=gsubprocess.PIPE,
            env={**own, "PYTHONUNBUFFERED": "1", **environment},
        )
        self.lines = []
        self.errors = []
        self._readers = [
            gevent.spawn(self._read, self.process.stdout, self.lines),
            gevent.spawn(self._read, self.process.stderr, self.errors),
        ]

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line.decode().rstrip("\n"))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()
        if kind is not None:
            sys.stderr.write("\n".join(["the program printed:", *self.lines, *self.errors, ""]))

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def wait_for(self, line, seconds=10):
        """Wait until the program has printed a line."""
        wait_until(lambda: line in self.lines, seconds)

    def post(self, body, headers):
        """Post bytes to the program's webhook server; return status and body of the answer."""
        fields = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **headers}
        head = "".join(f"{name}: {text}\r\n" for name, text in fields.items())
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(f"POST / HTTP/1.1\r\n{head}\r\n".encode() + body)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def wait(self, seconds=15):
        """Wait until the program has ended, and return its code."""
        with gevent.Timeout(seconds):
            gevent.joinall(self._readers)
            return self.process.wait()

    def stop(self, number=signal.SIGTERM):
        """End the program with a signal, and return its code."""
        self.process.send_signal(number)
        return self.wait()


def simulator(program=None, path="/", scenario="empty", **options):
    """A Zoom that knows the examples' credentials, and posts its webhooks to a program."""
    return Simulator(
        scenario,
        client_secret=ENVIRONMENT["ZM_RTMS_SECRET"],
        webhook_secret=ENVIRONMENT["ZM_RTMS_WEBHOOK_SECRET"],
        webhook_url=None if program is None else program.url(path),
        **options,
    )


def start(meeting, status=200):
    """Post the start webhook, again until the program listens, and wait for its client."""
    assert wait_until(meeting.start, 20) == status
    assert meeting.wait_ready(10)

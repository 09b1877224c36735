"""A real redis-server for tests, with a directory of its own on a free port."""

from __future__ import annotations

import functools
import shutil
import signal
import socket
import tempfile
from collections.abc import Sequence

import gevent
import pytest
from gevent import subprocess


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


class RedisServer:
    """Runs until :meth:`stop`, and can begin again with the data that it had."""

    def __init__(self, *options: str, tls: bool = False, before: Sequence[str] = ()) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("redis-server is not installed")
        self.directory = tempfile.mkdtemp(prefix="rtms-redis-")
        self.port = free_port()
        self._command = [program, *before, "--dir", self.directory, "--bind", "127.0.0.1"]
        self._command += ["--tls-port" if tls else "--port", str(self.port), *options]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with gevent.Timeout(20):
            while not self._listens():
                gevent.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End at once; data that is not in a file is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End for good."""
        self.kill()
        shutil.rmtree(self.directory)

    def client(self):
        """Return what runs commands here."""
        from rtms_gevent.cluster.redis_connection import RedisClient, RedisServers

        return RedisClient(RedisServers(self.url))

    def __enter__(self) -> RedisServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@functools.cache
def shared_server() -> RedisServer:
    """Return the server of this session; :func:`pytest_sessionfinish` stops it."""
    return RedisServer()


def stop_shared_server() -> None:
    if shared_server.cache_info().currsize:
        shared_server().stop()
        shared_server.cache_clear()

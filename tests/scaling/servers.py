"""gunicorn and redis-server in processes of their own, and what /proc says of them."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile

import pytest
from gevent import socket, subprocess
from support.rawserver import unused_port
from support.recorder import wait_until

from .diary import Diary

__all__ = ["Gunicorn", "Redis", "needs_proc", "needs_redis"]

HERE = pathlib.Path(__file__).parent

needs_proc = pytest.mark.skipif(
    not pathlib.Path("/proc/self/fd").exists(), reason="needs Linux's /proc"
)
needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server")


def children(pid):
    """Return the processes that a process has started and that live."""
    try:
        found = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in found if is_running(child)]


def zombies(pid):
    """Return the children of a process that have ended, and that it did not ask after."""
    found = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if _state(child) == "Z"]


def _state(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def is_running(pid):
    """Whether a process lives."""
    return _state(pid) not in (None, "Z")


def descriptors(pid):
    """Return how many of each kind a process has open."""
    found = collections.Counter()
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found[re.sub(r"[0-9]+", "", os.readlink(path))] += 1
    return found


class Gunicorn:
    """The shop under gunicorn. A context manager, which ends all processes.

    Args:
        workers: How many.
        kind: gunicorn's class of workers.
        options: More of gunicorn's options.
        directory: Where it keeps its files, so that a later server can go on; its own by default.
        diary: Where its workers note what they see, if other servers' do so, too.
        environment: What else is set.
    """

    def __init__(
        self,
        *options,
        workers=4,
        kind="gevent",
        graceful=10,
        directory=None,
        diary=None,
        **environment,
    ):
        self.size = workers
        self.port = unused_port()
        self._own = tempfile.TemporaryDirectory(prefix="rtms-") if directory is None else None
        self.directory = pathlib.Path(self._own.name if self._own else directory)
        self.diary = diary or Diary(self.directory / "diary")
        self.log = self.directory / "log"
        self._command = [
            *(str(pathlib.Path(sys.executable).parent / "gunicorn"), "shop:create_app()"),
            *(
                "-w",
                str(workers),
                "-k",
                kind,
                "-c",
                str(HERE / "gunicorn_conf.py"),
            ),
            *("--bind", f"127.0.0.1:{self.port}"),
            *options,
        ]
        self._environment = {
            **os.environ,
            "DIARY": str(self.diary.directory),
            "XDG_RUNTIME_DIR": str(self.directory),
            "ZM_RTMS_CLIENT": "simulated-client",
            "ZM_RTMS_SECRET": "simulated-secret",
            **environment,
        }

    def __enter__(self):
        try:
            self.start()
        except BaseException as problem:
            self.__exit__(type(problem))
            raise
        return self

    def start(self):
        """Start it, and wait until all workers serve."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=HERE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        self.pid = self.process.pid  #: of the master
        self.wait_served()

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.stop()
        finally:
            self.kill()
            if kind is not None:
                sys.stdout.write(self.log.read_text()[-10_000:])  # pytest shows it
            if self._own is not None:
                self._own.cleanup()

    @property
    def workers(self):
        """The processes of the workers, without what ends."""
        return children(self.pid)

    def served(self):
        """Return the workers that have begun to serve."""
        born = {entry["pid"] for entry in self.diary.of("born")}
        return [pid for pid in self.workers if pid in born]

    def wait_served(self, without=(), seconds=30):
        """Wait until there are as many workers as there are to be, and none of ``without``."""

        def all_serve():
            assert is_running(self.pid), "gunicorn has ended"
            served = set(self.served())
            if len(served) != self.size or served & set(without):
                return False
            known = self.cluster() if self.size > 1 else {"workers": served}
            return known is not None and served <= set(known["workers"])

        wait_until(all_serve, seconds)

    def busiest(self, streams):
        """Return the worker that has most of these streams, and those."""
        owners = self.diary.owners()
        [(pid, _)] = collections.Counter(owners[stream.id] for stream in streams).most_common(1)
        return pid, [stream for stream in streams if owners[stream.id] == pid]

    def signal(self, number):
        """Send the master a signal."""
        os.kill(self.pid, number)

    def cluster(self):
        """Return what one of the workers says of all streams and workers; ``None`` if it fails."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer = b""
                while chunk := connection.recv(65536):
                    answer += chunk
            head, _, body = answer.partition(b"\r\n\r\n")
            return json.loads(body) if b" 200 " in head.splitlines()[0] else None
        except (OSError, IndexError):
            return None

    def rows(self):
        """Return what the store knows of streams; a text where it cannot be asked."""
        known = self.cluster()
        return "no answer" if known is None else known["streams"]

    def stop(self):
        """End it as systemd does, and wait for that."""
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGTERM)
        wait_until(lambda: self.process.poll() is not None and not is_running(self.pid), 30)

    def upgrade(self):
        """Let another master take the place of this one, as with a new version of gunicorn."""
        old, workers = self.pid, set(self.workers)
        self.signal(signal.SIGUSR2)
        [self.pid] = wait_until(lambda: set(children(old)) - workers, 20)
        self.wait_served()
        os.kill(old, signal.SIGTERM)
        self.process.wait()

    def kill(self):
        """End all its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def complaints(self):
        """Return what it has logged that nobody should have to read."""
        return [
            line
            for line in self.log.read_text(errors="replace").splitlines()
            if "Traceback" in line or "Error" in line
        ]


class Redis:
    """A redis-server with nothing in it. A context manager."""

    def __init__(self):
        self.port = unused_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = tempfile.TemporaryDirectory(prefix="rtms-redis-")

    def __enter__(self):
        self.start()
        return self

    def start(self):
        """Start it, empty, and wait until it answers."""
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            cwd=self._directory.name,
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._answers, 10)

    def _answers(self):
        assert self.process.poll() is None, "redis-server has ended"
        try:
            return self.ask("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def ask(self, command):
        """Send an inline command; return the first bytes of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(command.encode() + b"\r\n")
            return connection.recv(65536)

    def pause(self):
        """Let it stand still; connections stay open."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        """Let it work again."""
        self.process.send_signal(signal.SIGCONT)

    def left(self):
        """Return what it holds of streams: names of keys, and entries that wait or are pending."""
        answer = self.ask("KEYS *").decode().splitlines()
        keys = {line.rpartition(":")[2]: line for line in answer if line.startswith("{")}
        entries = self.ask(f"XLEN {keys['starts']}"), self.ask(f"XPENDING {keys['starts']} workers")
        left = sorted(keys.keys() & {"streams", "documents", "progress", "letters", "due"})
        return left + [reply for reply in entries if not reply.startswith((b":0", b"*4\r\n:0"))]

    def stop(self):
        """End it; what it held is gone."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def __exit__(self, *_):
        self.stop()
        self._directory.cleanup()

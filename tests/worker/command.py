"""A command in a process of its own, and what it has said so far."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import sys

from gevent import subprocess
from support.recorder import wait_until

HERE = pathlib.Path(__file__).parent


class Command:
    """Runs a command in a directory, and keeps what it says in ``log``. A context manager."""

    def __init__(self, command, directory, log, **environment):
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                stdout=output,
                stderr=output,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self.send(signal.SIGTERM)
            self.wait_ended()

    @property
    def log(self):
        return self._log.read_text()

    def told(self, pattern):
        """Return all that the log says of a pattern: whole matches, or groups."""
        return re.findall(pattern, self.log)

    def wait_told(self, pattern, count=1):
        try:
            wait_until(lambda: len(self.told(pattern)) >= count, 20)
        except AssertionError:
            raise AssertionError(f"{pattern!r} was not told:\n{self.log}") from None
        return self.told(pattern)

    def send(self, number):
        self._process.send_signal(number)

    def wait_ended(self):
        """Return the exit code."""
        return wait_until(lambda: (code := self._process.poll()) is not None and (code,), 20)[0]


class WorkerCommand(Command):
    """``rtms-gevent worker``, for apps that are in this folder."""

    def __init__(self, directory, *arguments, **environment):
        super().__init__(
            [sys.executable, "-m", "rtms_gevent.cli", "worker", *arguments],
            directory,
            directory / f"worker-{id(self):x}.log",
            PYTHONPATH=os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
            PYTHONUNBUFFERED="1",
            **environment,
        )

    def __exit__(self, *_):
        super().__exit__()
        for pid in self.pids:  # also those that were left behind
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @property
    def pids(self):
        """The processes that were started, in their order."""
        return [int(pid) for pid in self.told(r"process (\d+) of .* starts")]

    def wait_taking(self, count):
        """Wait until so many processes, of all that were started, have taken part."""
        return [int(pid) for pid in self.wait_told(r"(\d+) takes streams", count)]

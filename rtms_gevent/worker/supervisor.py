"""``Supervisor``: starts the worker's processes, and replaces those that die. Knows no app."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import logging
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from .options import READY, Options
from .systemd import notify

__all__ = ["Supervisor"]

logger = logging.getLogger(__package__)

#: Seconds before a process is started in the place of one that died, and the most.
_DELAY, _MAX_DELAY = 1.0, 30.0
#: Seconds that a process lives before its death counts as the first one.
_STABLE = 60.0

#: A fresh interpreter patches before it imports anything else, as gevent wants it.
_PATCH = "from gevent import monkey; monkey.patch_all(); "
_PROGRAM = "from rtms_gevent.worker.process import main; main()"


class _Process:
    """A process of ours, and our end of its control socket."""

    def __init__(self, options: Options, program: str) -> None:
        self.is_ready = False
        self.started = time.monotonic()
        self.kill_at: float | None = None  # from end() on
        self.control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - no shell, and our own interpreter
                [sys.executable, "-c", program, str(theirs.fileno()), options.app],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a terminal's Ctrl-C is for us
            )
        with contextlib.suppress(OSError):  # it has died already, as will be seen
            self.control.sendall(json.dumps(dataclasses.asdict(options)).encode() + b"\n")
        self.control.setblocking(False)

    @property
    def pid(self) -> int:
        return self._process.pid

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def cause(self) -> str:
        """Say how it ended."""
        code = self._process.returncode
        return f"exit code {code}" if code >= 0 else f"signal {-code}, {signal.strsignal(-code)}"

    def end(self, timeout: float) -> None:
        """Give it some seconds to hand its streams over."""
        self.kill_at = time.monotonic() + timeout
        if not self.is_ready:  # it does not look at its control socket yet
            self._process.terminate()

    def kill(self) -> None:
        self.kill_at = None
        self._process.kill()


class Supervisor:
    """Keeps a number of processes running.

    SIGTERM and SIGINT end them, a second one at once. SIGHUP replaces them: new ones first.
    """

    def __init__(self, options: Options, processes: int, *, is_patched: bool = True) -> None:
        """Start nothing yet.

        Args:
            options: For each process.
            processes: How many.
            is_patched: Whether gevent patches the standard library in them.
        """
        self._options = options
        self._count = processes
        self._program = _PATCH + _PROGRAM if is_patched else _PROGRAM
        self._active: list[_Process] = []  # to be as many as were asked for
        self._old: list[_Process] = []  # to be replaced, once the active ones are ready
        self._ending: list[_Process] = []
        self._signals: collections.deque[int] = collections.deque()
        self._selector = selectors.DefaultSelector()
        self._is_reload_wanted = False
        self._is_stopping = False
        self._has_served = False
        self._code = 0
        self._delay = 0.0
        self._start_at = 0.0

    def run(self) -> int:
        """Run until a signal ends it.

        Returns:
            The exit code: 0, or 1 where the app did not start, or streams were not handed over.
        """
        with self._selector, self._handling_signals():
            while True:
                self._handle_signals()
                self._reap()
                self._kill_late()
                if self._is_stopping and not self._ending:
                    return self._code
                self._reload()
                self._start_missing()
                self._selector.select(self._time_left())
                self._read_controls()

    # -- signals -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _handling_signals(self) -> Iterator[None]:
        # The interpreter writes to this pair whatever signal comes, which wakes the selector.
        wake, woken = socket.socketpair()
        for end in (wake, woken):
            end.setblocking(False)
        self._woken = woken
        self._selector.register(woken, selectors.EVENT_READ)
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
        before = {
            number: signal.signal(number, lambda got, _: self._signals.append(got))
            for number in numbers
        }
        old_fd = signal.set_wakeup_fd(wake.fileno())
        with wake, woken:
            try:
                yield
            finally:
                signal.set_wakeup_fd(old_fd)
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _handle_signals(self) -> None:
        while self._signals:
            number = self._signals.popleft()
            if number == signal.SIGHUP:
                self._is_reload_wanted = True
            elif number in (signal.SIGTERM, signal.SIGINT):
                if self._is_stopping:
                    self._kill_all(signal.Signals(number).name)
                else:
                    self._stop(signal.Signals(number).name)

    def _stop(self, cause: str) -> None:
        notify("STOPPING=1")
        logger.info(
            "%s: all processes hand their streams over, within %g s",
            cause,
            self._options.graceful_timeout,
        )
        self._end_all()

    def _kill_all(self, cause: str) -> None:
        logger.warning("%s again: all processes are killed", cause)
        self._code = 1
        for process in self._ending:
            process.kill()

    # -- processes ---------------------------------------------------------------------------------

    def _start_missing(self) -> None:
        """Start processes: the first alone, since where that one fails they all would."""
        if self._is_stopping or time.monotonic() < self._start_at:
            return
        wanted = self._count if any(process.is_ready for process in self._active) else 1
        while len(self._active) < wanted:
            try:
                process = _Process(self._options, self._program)
            except OSError as problem:  # too many processes, or no memory
                self._back_off(is_first=False)
                logger.error(
                    "no process can be started, next attempt in %g s: %s", self._delay, problem
                )
                return
            self._selector.register(process.control, selectors.EVENT_READ, process)
            self._active.append(process)
            logger.info("process %d of %s starts", process.pid, self._options.app)

    def _read_controls(self) -> None:
        """Note which processes are ready."""
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)
        for key in list(self._selector.get_map().values()):
            process = key.data
            if process is None:
                continue
            try:
                said = process.control.recv(64)
            except BlockingIOError:
                continue
            except OSError:
                said = b""
            if not said:
                self._hang_up(process)
            elif said.startswith(READY):
                process.is_ready = True
                self._note_ready()

    def _note_ready(self) -> None:
        if len(self._active) < self._count or not all(one.is_ready for one in self._active):
            return
        if not self._has_served:
            self._has_served = True
            notify("READY=1")
        if self._old:
            logger.info("reloaded: the old processes hand their streams over")
            self._end(self._old)
            self._old = []

    def _reload(self) -> None:
        """Begin to replace all processes, unless they are being replaced."""
        if self._is_reload_wanted and self._has_served and not self._old and not self._is_stopping:
            self._is_reload_wanted = False
            logger.info("SIGHUP: new processes start, and then the old ones end")
            self._active, self._old = [], self._active
            self._start_at = 0.0

    def _end_all(self) -> None:
        self._is_stopping = True
        self._end(self._active + self._old)
        self._active, self._old = [], []

    def _end(self, processes: list[_Process]) -> None:
        for process in processes:
            process.end(self._options.graceful_timeout)
            self._hang_up(process)
            self._ending.append(process)

    def _hang_up(self, process: _Process) -> None:
        """Close the control socket of a process: it ends then, if it has not."""
        with contextlib.suppress(KeyError, ValueError):  # that was done before
            self._selector.unregister(process.control)
        process.control.close()

    def _reap(self) -> None:
        for process in self._ending + self._old + self._active:
            if not process.has_ended():
                continue
            self._hang_up(process)
            if process in self._ending:
                self._ending.remove(process)
                logger.info("process %d has ended (%s)", process.pid, process.cause())
            elif process in self._old:
                self._old.remove(process)
                logger.error("process %d died (%s)", process.pid, process.cause())
            else:
                self._active.remove(process)
                self._replace(process)

    def _replace(self, process: _Process) -> None:
        """Decide what follows the death of a process that was to run on."""
        if not process.is_ready and self._old:
            logger.error(
                "process %d did not start (%s): nothing is reloaded, and the old ones go on",
                process.pid,
                process.cause(),
            )
            failed, self._active, self._old = self._active, self._old, []
            self._end(failed)
        elif not process.is_ready and not self._has_served:
            logger.error(
                "%s does not start (%s); its own words are above",
                self._options.app,
                process.cause(),
            )
            self._code = 1
            self._end_all()
        else:
            lived = time.monotonic() - process.started
            self._back_off(is_first=process.is_ready and lived > _STABLE)
            logger.error(
                "process %d died (%s); another one starts in %g s",
                process.pid,
                process.cause(),
                self._delay,
            )

    def _back_off(self, *, is_first: bool) -> None:
        self._delay = _DELAY if is_first else min(2 * self._delay or _DELAY, _MAX_DELAY)
        self._start_at = time.monotonic() + self._delay

    def _kill_late(self) -> None:
        for process in self._ending:
            if process.kill_at is not None and time.monotonic() >= process.kill_at:
                logger.error(
                    "process %d has not ended within %g s, and is killed",
                    process.pid,
                    self._options.graceful_timeout,
                )
                self._code = 1
                process.kill()

    def _time_left(self) -> float | None:
        """Return the seconds until something is to be done, whatever happens."""
        times = [process.kill_at for process in self._ending if process.kill_at is not None]
        if self._start_at > time.monotonic():
            times.append(self._start_at)
        return max(0.0, min(times) - time.monotonic()) if times else None

"""The store of one machine: SQLite in a directory, and locks by which the kernel tells who died."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..errors import StoreError
from ..runtime.fork import forget_in_child
from ..runtime.threads import HubThread
from .local_database import LocalDatabase
from .local_directory import LocalDirectory
from .local_steps import LocalSteps
from .records import Claim, StreamRow, Wakeup, Worker
from .store import Store
from .worker_sockets import WorkerSocket

__all__ = ["LocalStore"]

_Result = TypeVar("_Result")

#: What may be better in a moment; else an error of the system stays until somebody does something.
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN}

#: Connections of the processes that this one was forked from. SQLite must not close them here.
_left_to_parents: list[contextlib.ExitStack] = []


class LocalStore(Store):
    """Ownership between the processes of one machine that share a directory.

    A worker that dies is known to be dead at once, since the kernel then releases its lock. The
    directory is best in a ``tmpfs``, and cannot lie on a network's file system.
    """

    may_fall_back = True

    def __init__(
        self,
        directory: str | os.PathLike[str],
        lease: float = 8.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Do nothing yet.

        Args:
            directory: Where the workers meet. It and its parent must be private to this user; what
                is above them is trusted. What is missing is made.
            lease: Seconds without a renewal after which another worker may take a stream over.
            clock: Returns seconds, the same in all processes.
        """
        self.lease = lease
        self.name = f"local:{os.fspath(directory)}"
        self._directory = LocalDirectory(Path(directory))
        self._clock = clock
        self._is_open = False
        #: Numbers of letters that :meth:`wait` has returned, and that are not removed yet.
        self._taken: set[int] = set()

    # -- workers -----------------------------------------------------------------------------------

    def open(self, worker: Worker) -> None:
        """Make a worker known."""
        self._id = worker.id
        self._thread = HubThread()
        self._socket = WorkerSocket(self._directory.socket(worker.id))
        self._resources = contextlib.ExitStack()
        self._is_open = True
        forget_in_child(self)
        try:
            self._call(lambda: self._open(worker))
        except BaseException:
            self._shut(self._resources.close)
            raise

    def _open(self, worker: Worker) -> None:
        if _left_to_parents:
            # SQLite would believe that this process holds the locks of its parent.
            raise StoreError(
                f"{self.name} was open in the process that this one was forked from: fork first, "
                "or spawn",
                is_lasting=True,
            )
        self._resources.callback(self._directory.leave)
        self._directory.enter(worker.id)
        self._resources.callback(self._directory.remove, worker.id)
        self._socket.bind()
        self._database = LocalDatabase(self._directory.database)
        self._resources.callback(self._database.close)
        self._steps = LocalSteps(
            self._database.connection,
            worker.id,
            self.lease,
            self._clock,
            self._directory.has_died,
        )
        self._write(lambda: self._steps.note(worker))

    def close(self) -> None:
        """Forget the worker, and give up all files and sockets."""
        if self._is_open:
            self._shut(self._close)

    def _close(self) -> None:
        with self._resources:
            self._directory.remove(self._id)  # before others look whether it lives
            self._write(self._steps.forget)

    def _shut(self, last: Callable[[], None]) -> None:
        """Do something last, behind all that waits for the thread, and end that."""
        self._is_open = False
        try:
            with contextlib.suppress(Exception):
                self._thread.call(last)
        finally:
            self._thread.stop()
            self._socket.close()

    def after_fork_in_child(self, is_here: bool) -> None:
        """Leave all to the parent, above all its locks: the child would hold them, too."""
        if self._is_open:
            self._is_open = False
            self._directory.leave()
            self._socket.close(is_here)
            _left_to_parents.append(self._resources)

    def workers(self) -> list[Worker]:
        """Return the workers that live."""
        return self._call(lambda: self._read(self._steps.workers))

    # -- streams -----------------------------------------------------------------------------------

    def offer(self, stream_id: str, document: Mapping[str, Any]) -> bool:
        """Note a start; return whether the stream waits for a worker now."""
        return self._call(lambda: self._write(lambda: self._steps.offer(stream_id, document)))

    def send(self, stream_id: str, document: Mapping[str, Any], *, ends: bool = False) -> bool:
        """Send a webhook to the owner of a stream; return whether it has one, or waits for one."""
        return self._call(lambda: self._write(lambda: self._steps.send(stream_id, document, ends)))

    def claim(self, *, may_expire: bool) -> Claim | None:
        """Claim one stream that waits, or whose owner has died."""
        return self._call(lambda: self._claim(may_expire))

    def _claim(self, may_expire: bool) -> Claim | None:
        # Most often there is none: then nobody has to wait for a lock.
        if self._read(lambda: self._steps.find_claimable(may_expire)) is None:
            return None
        return self._write(lambda: self._steps.claim(may_expire))

    def renew(self, worker: Worker, claims: Collection[Claim]) -> Collection[str]:
        """Say that this worker lives, and how far it got; return the streams that it has lost."""
        return self._call(lambda: self._renew(worker, claims))

    def _renew(self, worker: Worker, claims: Collection[Claim]) -> Collection[str]:
        self._database.check()
        return self._write(lambda: self._steps.renew(worker, claims))

    def release(self, claim: Claim, *, has_ended: bool) -> bool:
        """Give a claim up; return whether it was ours."""
        return self._call(lambda: self._write(lambda: self._steps.release(claim, has_ended)))

    def take_expired(self) -> list[StreamRow]:
        """Forget, and return, the offers that nobody has claimed in time."""
        return self._call(self._take_expired)

    def _take_expired(self) -> list[StreamRow]:
        if not any(self._read(self._steps.find_expired)):
            return []
        expired, dead = self._write(self._steps.take_expired)
        for worker_id in dead:
            self._directory.remove(worker_id)
        return expired

    def streams(self) -> list[StreamRow]:
        """Return all streams that are known."""
        return self._call(lambda: self._read(self._steps.streams))

    # -- news --------------------------------------------------------------------------------------

    def wait(self, timeout: float) -> Wakeup:
        """Wait for letters to streams of this worker, or for offers."""
        self._check_open()
        self._socket.wait(timeout)
        if not self._is_open:
            return Wakeup()
        letters, has_offers = self._call(lambda: self._read(self._steps.news))
        # Whoever kills this greenlet has done so by now: what is removed has been returned.
        new = letters.keys() - self._taken
        if new:
            self._taken |= new
            self._thread.spawn(self._remove_taken)
        return Wakeup(tuple(letters[number] for number in letters if number in new), has_offers)

    def _remove_taken(self) -> None:
        taken = tuple(self._taken)
        with contextlib.suppress(StoreError, sqlite3.Error):  # later, with those that come then
            self._write(lambda: self._steps.remove_letters(taken))
            self._taken.difference_update(taken)

    def wake(self) -> None:
        """Let :meth:`wait` return soon."""
        if self._is_open:
            self._socket.wake()

    # -- deliveries --------------------------------------------------------------------------------

    def add(self, key: str, now: float) -> bool:
        """Add a delivery, and return whether it is new."""
        return self._call(lambda: self._write(lambda: self._steps.add(key, now)))

    def discard(self, key: str) -> None:
        """Remove a delivery, as if it was not received."""
        self._call(lambda: self._write(lambda: self._steps.discard(key)))

    # -- the native thread -------------------------------------------------------------------------

    def _read(self, step: Callable[[], _Result]) -> _Result:
        return self._database.read(step)

    def _write(self, step: Callable[[], _Result]) -> _Result:
        result = self._database.write(step)
        self._socket.hint(map(self._directory.socket, self._steps.take_hints()))
        return result

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreError(f"{self.name} is not open", is_lasting=True)

    def _call(self, function: Callable[[], _Result]) -> _Result:
        """Run a function in the native thread, wait for it, and return what it returns."""
        self._check_open()
        try:
            return self._thread.call(function)
        except (sqlite3.Error, OSError) as problem:
            raise StoreError(
                f"{self.name} does not work ({problem}): make room or repair its permissions; or "
                "stop all workers, and remove it; or set RTMS_STORE=local:///another/path",
                is_lasting=getattr(problem, "errno", None) not in _PASSING,
            ) from problem

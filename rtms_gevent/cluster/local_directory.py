"""The directory of the local store: who may use it, who lives in it, and what is cleaned.

Each worker holds two locks for life (flock), which the kernel releases when it dies: one of its own
file, exclusive, by which others know that it lives; and one of the directory, shared. Who gets that
one exclusively is alone, and may clean. systemd-tmpfiles leaves what is locked alone, too.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from pathlib import Path

from gevent import monkey

from .._environment import runtime_directory
from ..errors import StoreError
from .local_database import VERSION
from .store import DELIVERIES_KEPT

__all__ = ["LocalDirectory", "default_directory", "directory_below", "open_private"]

#: Bytes that the path of a Unix socket may have: 107 on Linux, 103 on macOS and the BSDs.
MAX_SOCKET_PATH = 107 if sys.platform == "linux" else 103
#: Seconds that another worker may take for cleaning, before this is said.
PATIENCE = 2.0

_sleep = monkey.get_original("time", "sleep")  # in a native thread

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


def default_directory(namespace: str) -> Path:
    """Return where the workers of this machine, this user and this app meet.

    That is in ``$XDG_RUNTIME_DIR`` where this is the user's own, else where temporary files are.
    """
    runtime = runtime_directory()
    with contextlib.suppress(OSError):
        # Another user's comes with sudo, for example.
        if os.path.isabs(runtime) and os.stat(runtime).st_uid == os.geteuid():
            return directory_below(runtime, namespace)
    user = f"rtms-gevent-{os.geteuid()}"  # many users share the directory of temporary files
    return Path(tempfile.gettempdir(), user, _key(namespace))


def directory_below(base: str | Path, namespace: str) -> Path:
    """Return where the workers of an app meet, below a directory that was chosen."""
    return Path(base, "rtms-gevent", _key(namespace))


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class LocalDirectory:
    """A directory, and one worker's two locks in it. Its methods block: not for the hub.

    The directory and its parent must be this user's, and nobody else's to read or write. What is
    above them is trusted. What is missing is made.
    """

    def __init__(self, path: Path) -> None:
        """Do nothing yet.

        Args:
            path: The directory. Others in its parent are those of other apps.
        """
        self.path = path
        self._descriptors: list[int] = []

    @property
    def database(self) -> Path:
        """File of the database. Times in it are those of one boot, so each boot has its own."""
        return self.path / f"streams-{VERSION}-{_boot()}.sqlite"

    def socket(self, worker_id: str) -> str:
        """Return the path of a worker's socket."""
        return str(self.path / f"{_key(worker_id)}.sock")

    def _lock_file(self, worker_id: str) -> Path:
        return self.path / f"{_key(worker_id)}.lock"

    def enter(self, worker_id: str) -> None:
        """Take both locks, and clean up where nobody else is there.

        Raises:
            StoreError: the directory cannot be used.
            OSError: the same, in the system's words.
        """
        excess = len(os.fsencode(self.socket(worker_id))) - MAX_SOCKET_PATH
        if excess > 0:
            raise StoreError(
                f"the path {self.path} is {excess} bytes too long for a Unix socket: name a "
                "shorter one, such as RTMS_STORE=local:///run/myapp",
                is_lasting=True,
            )
        self._enter()
        descriptor = os.open(self._lock_file(worker_id), _FILE | os.O_CREAT | os.O_EXCL, 0o600)
        self._descriptors.append(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._remove_other_apps()

    def _enter(self) -> None:
        ends = time.monotonic() + PATIENCE
        while True:
            descriptor = open_private(self.path)
            if _lock(descriptor, fcntl.LOCK_EX) and _is_at(descriptor, self.path):
                self._remove_remains()
            if _lock(descriptor, fcntl.LOCK_SH) and _is_at(descriptor, self.path):
                self._descriptors.append(descriptor)
                return
            os.close(descriptor)  # somebody cleans it, or has removed it
            if time.monotonic() > ends:
                raise StoreError(f"the directory {self.path} is locked by another process")
            _sleep(0.005)

    def _remove_remains(self) -> None:
        """Remove what dead workers and earlier boots have left; nobody else is there."""
        current = self.database.name
        for name in os.listdir(self.path):
            if not name.startswith(current) and _OURS.fullmatch(name):
                _unlink(self.path / name)

    def _remove_other_apps(self) -> None:
        """Remove what was left by apps that do not run any more, and whose deliveries are old."""
        for path in self.path.parent.iterdir():
            if path == self.path or not _KEY.fullmatch(path.name):
                continue
            with contextlib.suppress(OSError):
                descriptor = os.open(path, _DIRECTORY)
                try:
                    if _lock(descriptor, fcntl.LOCK_EX) and _age(path) > DELIVERIES_KEPT:
                        shutil.rmtree(path)
                finally:
                    os.close(descriptor)

    def has_died(self, worker_id: str) -> bool:
        """Return whether a worker that was known does not live any more."""
        try:
            descriptor = os.open(self._lock_file(worker_id), _FILE)
        except FileNotFoundError:
            return True
        try:
            return _lock(descriptor, fcntl.LOCK_SH)  # shared: others may look at the same time
        finally:
            os.close(descriptor)

    def remove(self, worker_id: str) -> None:
        """Remove the files of a worker that is dead, or ends."""
        _unlink(self._lock_file(worker_id))
        _unlink(Path(self.socket(worker_id)))

    def leave(self) -> None:
        """Give up both locks. In a forked child they stay its parent's."""
        while self._descriptors:
            os.close(self._descriptors.pop())


#: A directory of an app, and what is in one.
_KEY = re.compile(r"[0-9a-f]{16}")
_OURS = re.compile(
    r"[0-9a-f]{16}\.(lock|sock)|streams-[0-9]+-[0-9a-f]*\.sqlite(-wal|-shm|-journal)?"
)


def _boot() -> str:
    """Return what this boot of the machine has for itself; "" where the system does not tell."""
    with contextlib.suppress(OSError):
        return _key(Path("/proc/sys/kernel/random/boot_id").read_text())
    return ""


def open_private(path: Path) -> int:
    """Open a directory and its parent, or make them; return the descriptor.

    Raises:
        StoreError: one of them is not this user's alone.
        OSError: they cannot be made.
    """
    path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    above = os.open(path.parent.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        parent = _open_private_in(above, path.parent)
    finally:
        os.close(above)
    try:
        return _open_private_in(parent, path)
    finally:
        os.close(parent)


def _open_private_in(above: int, path: Path) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(path.name, 0o700, dir_fd=above)
    try:
        descriptor = os.open(path.name, _DIRECTORY, dir_fd=above)
    except OSError as problem:
        if problem.errno in (errno.ENOTDIR, errno.ELOOP):
            raise _refused(path, "is no directory, or a symbolic link") from problem
        raise
    found = os.fstat(descriptor)
    if found.st_uid != os.geteuid():
        os.close(descriptor)
        raise _refused(path, f"belongs to the user with the id {found.st_uid}")
    if stat.S_IMODE(found.st_mode) & 0o077:
        os.close(descriptor)
        raise _refused(path, f"is open to others (mode {stat.S_IMODE(found.st_mode):o}, not 700)")
    return descriptor


def _refused(path: Path, what: str) -> StoreError:
    return StoreError(
        f"{path} {what}, so it is not used: remove it, or name another directory with "
        "RTMS_STORE=local:///path",
        is_lasting=True,
    )


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether what is open is what lies there: not removed, or replaced, meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _age(path: Path) -> float:
    """Return the seconds since anything in a directory was written."""
    times = [entry.stat(follow_symlinks=False).st_mtime for entry in os.scandir(path)]
    return time.time() - max(times, default=path.stat().st_mtime)


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()

"""The SQLite database of the local store: its tables, and transactions that wait without haste.

Everything here blocks, and belongs to one native thread: not for the hub.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gevent import monkey

from ..errors import StoreError

__all__ = ["VERSION", "LocalDatabase"]

_Result = TypeVar("_Result")

#: Seconds that other workers may hold the lock, before this is said. A transaction takes some 0.1
#: ms; but a worker can be stopped, or starved, in the middle of one.
PATIENCE = 2.0
#: Seconds between two attempts to get the lock, at random. SQLite's own waits grow to 100 ms.
PAUSE = (0.0003, 0.003)

#: To be counted up with each change of the tables. Each version has a file of its own.
VERSION = 1

_TABLES = """
CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL,  -- Worker.to_json()
    seen REAL NOT NULL  -- all times are those of CLOCK_MONOTONIC, but in "deliveries"
) WITHOUT ROWID;
CREATE TABLE streams (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    since REAL NOT NULL,
    owner TEXT,
    fence INTEGER NOT NULL DEFAULT 0,
    is_takeover INTEGER NOT NULL DEFAULT 0,  -- whoever claims it is not the first
    has_ended INTEGER NOT NULL DEFAULT 0,
    is_over INTEGER NOT NULL DEFAULT 0,  -- it is forgotten when its owner has got its letters
    progress TEXT NOT NULL DEFAULT '{}'
) WITHOUT ROWID;
CREATE INDEX streams_by_owner ON streams (owner, has_ended, since);
CREATE TABLE letters (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    document TEXT NOT NULL
);
CREATE INDEX letters_by_stream ON letters (stream);
CREATE TABLE deliveries (
    key TEXT PRIMARY KEY,
    added REAL NOT NULL  -- seconds since the epoch
) WITHOUT ROWID;
CREATE INDEX deliveries_by_age ON deliveries (added);
"""

_sleep = monkey.get_original("time", "sleep")


class LocalDatabase:
    """A connection."""

    def __init__(self, path: Path) -> None:
        """Open a database, and make its tables where there are none.

        Raises:
            StoreError: it is locked, or another program's.
            sqlite3.Error: it cannot be used.
        """
        self.path = path
        # Without transactions of Python's making, and without SQLite's way to wait for a lock.
        self.connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            self._patiently(self._set_up)
            self.write(self._make_tables)
            self._file = os.stat(path)
        except BaseException:
            self.close()
            raise

    def _set_up(self) -> None:
        # Without a write-ahead log readers would wait for writers. It cannot lie on a network's
        # file system.
        (mode,) = self.connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(f"the file system of {self.path} is unfit for it", is_lasting=True)
        # Nothing waits for the disk. What could be lost is lost when the machine stops; then there
        # are no streams left either, and the next boot begins with a new file.
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.execute("PRAGMA foreign_keys = ON")

    def _make_tables(self) -> None:
        db = self.connection
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version == 0 and tables == 0:
            for statement in _TABLES.split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
        elif version != VERSION:
            raise StoreError(
                f"{self.path} was not made by this package: remove it", is_lasting=True
            )

    def read(self, step: Callable[[], _Result]) -> _Result:
        """Return what ``step`` returns, which sees one moment.

        Raises:
            StoreError: it is locked for too long.
            sqlite3.Error: something does not work.
        """
        return self._patiently(lambda: self._transact("BEGIN", step))

    def write(self, step: Callable[[], _Result]) -> _Result:
        """Return what ``step`` returns, which alone writes meanwhile; all of it is done, or none.

        Raises:
            StoreError: it is locked for too long.
            sqlite3.Error: something does not work.
        """
        # The lock is taken at the beginning: a reader that wants to write then may be refused.
        return self._patiently(lambda: self._transact("BEGIN IMMEDIATE", step))

    def _transact(self, begin: str, step: Callable[[], _Result]) -> _Result:
        self.connection.execute(begin)
        try:
            result = step()
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:  # SQLite may have rolled back by itself
                self.connection.execute("ROLLBACK")
            raise
        return result

    def _patiently(self, function: Callable[[], _Result]) -> _Result:
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                return function()
            except sqlite3.OperationalError as problem:
                # "database is locked", "locking protocol"; Python 3.10 has no other sign of it.
                if "lock" not in str(problem):
                    raise
                if time.monotonic() > ends:
                    raise StoreError(
                        f"{self.path} was locked by other processes for {PATIENCE} s"
                    ) from problem
            _sleep(random.uniform(*PAUSE))  # noqa: S311 - no secret

    def check(self) -> None:
        """Make sure that others who come find this very file.

        Raises:
            StoreError: it was removed, or there is another.
        """
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(self._file, os.stat(self.path)):
                return
        raise StoreError(f"{self.path} was removed while it was in use", is_lasting=True)

    def close(self) -> None:
        """Close the connection. Never raises."""
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()

"""The minutes of meetings, in a file: all worker processes write them, and all show them.

A real app has its database here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import pathlib
import sqlite3
from collections.abc import Callable
from typing import Any

import gevent

MAX_MEETINGS = 100

TABLES = """
CREATE TABLE IF NOT EXISTS meetings (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, is_over INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS lines (
    meeting TEXT NOT NULL REFERENCES meetings (id) ON DELETE CASCADE,
    name TEXT NOT NULL, text TEXT NOT NULL, at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS lines_by_meeting ON lines (meeting);
"""


@dataclasses.dataclass
class Line:
    name: str
    text: str
    at: datetime.datetime


@dataclasses.dataclass
class Meeting:
    id: str
    is_over: bool
    lines: list[Line]

    @property
    def speakers(self) -> list[str]:
        return list(dict.fromkeys(line.name for line in self.lines))


class Minutes:
    """Keeps the newest meetings."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connected(lambda db: db.executescript(TABLES))

    def begin(self, stream_id: str) -> None:
        """Begin a meeting's minutes, or go on with them: the worker that had it has ended."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR IGNORE INTO meetings (id) VALUES (?)", (stream_id,))
            db.execute(
                "DELETE FROM meetings WHERE number NOT IN "
                "(SELECT number FROM meetings ORDER BY number DESC LIMIT ?)",
                (MAX_MEETINGS,),
            )

        self._call(write)

    def add(self, stream_id: str, name: str, text: str, timestamp: int) -> None:
        line = (stream_id, name, text, timestamp)
        self._call(lambda db: db.execute("INSERT INTO lines VALUES (?, ?, ?, ?)", line))

    def end(self, stream_id: str) -> None:
        over = "UPDATE meetings SET is_over = 1 WHERE id = ?"
        self._call(lambda db: db.execute(over, (stream_id,)))

    def get(self, stream_id: str) -> Meeting | None:
        found = "SELECT id, is_over FROM meetings WHERE id = ?"
        return next(iter(self._call(lambda db: read(db, found, stream_id))), None)

    def newest_first(self) -> list[Meeting]:
        found = "SELECT id, is_over FROM meetings ORDER BY number DESC"
        return self._call(lambda db: read(db, found))

    def _call(self, function: Callable[[sqlite3.Connection], Any]) -> Any:
        # SQLite blocks, and would hold up all streams of this process: so not in their thread.
        return gevent.get_hub().threadpool.apply(self._connected, (function,))

    def _connected(self, function: Callable[[sqlite3.Connection], Any]) -> Any:
        with contextlib.closing(sqlite3.connect(self._path)) as db, db:
            db.execute("PRAGMA foreign_keys = ON")
            return function(db)


def read(db: sqlite3.Connection, query: str, *values: str) -> list[Meeting]:
    return [
        Meeting(stream_id, bool(is_over), lines_of(db, stream_id))
        for stream_id, is_over in db.execute(query, values).fetchall()
    ]


def lines_of(db: sqlite3.Connection, stream_id: str) -> list[Line]:
    said = "SELECT name, text, at FROM lines WHERE meeting = ? ORDER BY at, rowid"
    return [
        Line(name, text, datetime.datetime.fromtimestamp(at / 1000, datetime.timezone.utc))
        for name, text, at in db.execute(said, (stream_id,))
    ]

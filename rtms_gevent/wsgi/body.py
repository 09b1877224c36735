"""Reads request bodies of strangers, with limits on bytes and time, and lets others run meanwhile.

A read that need not wait does not switch to others. Whoever sends as fast as we can parse would
have the hub for himself, and no ``gevent.Timeout`` would ever fire. So bytes and time are checked
here while reading, and others get a turn.
"""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

import gevent

from ..runtime.deadline import Deadline
from ..runtime.fair_scheduling import yield_to_io

__all__ = [
    "REQUEST_TIMEOUT",
    "BoundedFile",
    "Readable",
    "RequestRefused",
    "bytes_on_the_wire",
    "let_others_run",
    "read_body",
]

#: Seconds within which a request must have come in.
REQUEST_TIMEOUT = 10.0

#: Bytes of a body that are read between two turns. In chunks of one byte each these are that many
#: chunks: 10 ms of work for gunicorn's parser, which takes at least so many at a time.
_STEP = 1024

#: Bytes on the wire between two turns: at worst 20 ms of work for gevent's parser.
_TURN_EVERY = 8 * 1024


class RequestRefused(OSError):  # servers take an OSError for a connection that broke, not for a bug
    """A request was not read to its end."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(status, problem)
        self.status = status  #: HTTP status to answer with
        self.problem = problem  #: for our own log

    def __str__(self) -> str:
        return self.problem


class Readable(Protocol):
    """Something with a ``read`` that returns ``b""`` at its end."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, at least one before the end."""


def read_body(stream: Readable, limit: int, seconds: float = REQUEST_TIMEOUT) -> bytes:
    """Read a body to its end, in small steps, with a turn for others after each.

    Args:
        stream: The body, as the server's parser gives it.
        limit: The most bytes that a body may have.
        seconds: How long reading may take. In a plain thread, whose waits nobody can end, this is
            looked at between two steps only.

    Raises:
        RequestRefused: with 413, the body is too long; with 408, it took too long; with 400, the
            stream raised, which is the cause: each server has its own error for a body that breaks
            off or is malformed.
    """
    deadline = Deadline(seconds)
    pieces: list[bytes] = []
    size = since_turn = 0
    with _no_longer_than(seconds):
        while piece := _read(stream):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise RequestRefused(413, f"the body is longer than {limit} bytes")
            _check(deadline)
            since_turn += len(piece)
            if since_turn >= _STEP:  # nearly all webhooks are smaller, and wait for nobody
                since_turn = 0
                let_others_run()
    return b"".join(pieces)


def _read(stream: Readable) -> bytes:
    try:
        return stream.read(_STEP)
    except RequestRefused:
        raise
    except Exception as problem:
        raise RequestRefused(
            400, f"the body broke off, or is malformed ({type(problem).__name__})"
        ) from problem


def bytes_on_the_wire(limit: int) -> int:
    """Return how many bytes a body of at most ``limit`` bytes may take with all that is around it.

    Only who is up to something sends chunks so small, or so much beside them, that it is more.
    """
    return 2 * limit + 64 * 1024


class BoundedFile:
    """The file that gevent's WSGI server reads a request from, bounded in bytes and time.

    It bounds what the server's own parser reads on its own account, too: sizes of chunks, what is
    added to them, trailers, and what is left of a body that nobody wanted. Never reads ahead, since
    what follows may be another request.
    """

    def __init__(self, file: Any, limit: int, deadline: Deadline) -> None:
        """Bound ``file``, which is left open: ``limit`` bytes, until ``deadline``."""
        self._file = file
        self._left = limit
        self._deadline = deadline
        self._since_turn = 0

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return bool(self._file.closed)

    def allow(self, limit: int) -> None:
        """Allow so many bytes from now on; 0 ends all reading."""
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        """Read as a file does. Raises RequestRefused where it was too much, or took too long."""
        piece: bytes = self._file.read(self._allowed(size))
        self._count(len(piece))
        return piece

    def readline(self, size: int = -1) -> bytes:
        """Read a line as a file does. Raises RequestRefused as :meth:`read` does."""
        piece: bytes = self._file.readline(self._allowed(size))
        self._count(len(piece))
        return piece

    def _allowed(self, size: int) -> int:
        if self._left <= 0:
            raise RequestRefused(413, "the request has too many bytes")
        return self._left if size < 0 else min(size, self._left)

    def _count(self, count: int) -> None:
        self._left -= count
        self._since_turn += count
        if self._since_turn >= _TURN_EVERY:
            self._since_turn = 0
            _check(self._deadline)
            let_others_run()


def _is_greenlet() -> bool:
    """Return whether others on a hub wait for us; else we are in a plain thread."""
    return isinstance(gevent.getcurrent(), gevent.Greenlet)


def _no_longer_than(seconds: float) -> contextlib.AbstractContextManager[object]:
    if not _is_greenlet():
        return contextlib.nullcontext()
    return gevent.Timeout(seconds, RequestRefused(408, _TOO_SLOW))


def _check(deadline: Deadline) -> None:
    if deadline.left() == 0:
        raise RequestRefused(408, _TOO_SLOW)


def let_others_run() -> None:
    """Wait for a turn behind other requests; in a plain thread others run anyway."""
    if _is_greenlet():
        yield_to_io("requests")  # gevent.sleep(0) comes back 50 times before anything else is read


_TOO_SLOW = "the request took too long to come in"

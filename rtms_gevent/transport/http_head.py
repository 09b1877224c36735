"""The head of an HTTP response: status, headers, and nothing behind them."""

from __future__ import annotations

import re
from typing import NamedTuple

from gevent import socket

from ..runtime.fair_scheduling import yield_to_io

__all__ = ["Head", "ResponseError", "read_head"]

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: .*)?\r?\n")
_END_OF_HEAD = re.compile(rb"\n\r?\n")


class ResponseError(Exception):
    """An HTTP response is not the one that was asked for."""

    def __init__(self, problem: str, advice: str | None = None) -> None:
        """Make an error.

        Args:
            problem: What is wrong with it.
            advice: The kind of :func:`.explain_connect`, if one fits.
        """
        super().__init__(problem)
        self.advice = advice


class Head(NamedTuple):
    """What was read of a response."""

    status: int
    head: bytes  #: with the empty line at its end
    rest: bytes  #: what came behind it


def read_head(sock: socket.socket, max_bytes: int, *, sender: str = "the server") -> Head:
    """Read the head of a response; waits cooperatively.

    Args:
        sock: Where it comes.
        max_bytes: Bytes to read before it counts as endless.
        sender: Who sends it, for error texts.

    Raises:
        ResponseError: it is none, too long, or cut short.
        OSError: the connection broke.
    """
    read, status, end = b"", None, None
    while status is None or end is None:
        if len(read) > max_bytes:
            raise ResponseError("the HTTP response is too long")
        chunk = sock.recv(4096)
        yield_to_io()  # many answers may have come at once, and reading one takes a while
        if not chunk:
            raise ResponseError(f"{sender} closed the connection during the upgrade")
        read += chunk
        status, end = _STATUS_LINE.match(read), _END_OF_HEAD.search(read)
        if status is None and b"\n" in read:
            raise ResponseError(f"the answer is no WebSocket upgrade, nor HTTP ({read[:60]!r})")
    return Head(int(status[1]), read[: end.end()], read[end.end() :])

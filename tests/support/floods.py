"""Clients that mean harm: requests without end, as fast as they can be sent, and broken ones."""

from __future__ import annotations

import re

import gevent
from gevent import monkey, socket

#: Where a flood that nobody stopped ends. What the kernel takes, though nobody reads, is far less.
ENOUGH = 48 << 20

#: More than the kernel's buffers take while nobody reads.
BUFFERS = 16 << 20

_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"

#: What follows the first two lines of a request, and what then comes again and again.
FLOODS = {
    "chunks": (_CHUNKED, b"1\r\na\r\n"),
    "trailers": (_CHUNKED + b"0\r\n", b"X-A: b\r\n"),
    "extensions": (_CHUNKED, b"1;x=" + b"a" * 1000 + b"\r\na\r\n"),
    "an extension": (_CHUNKED + b"1;", b"a"),
    "a length": (b"Content-Length: 1000000000000\r\n\r\n", b"a"),
    "fields": (b"", b"X-A: b\r\n"),
    "a field": (b"X-A: ", b"b"),
}

#: Bodies that are no chunks, whose senders then send no more.
MALFORMED = [
    b"",
    b"\r\n",
    b"zz\r\n",
    b";x=y\r\n\r\n",
    b"-5\r\nabcde\r\n0\r\n\r\n",
    b"0x5\r\nabcde\r\n0\r\n\r\n",
    b" 5\r\nabcde\r\n0\r\n\r\n",
    b"5\nabcde\r\n0\r\n\r\n",
    b"5\r\r\nabcde\r\n0\r\n\r\n",
    b"f" * 17 + b"\r\n",
    b"5",
    b"5\r\nabc",
    b"5\r\nabcde\r\n",
    b"5\r\nabcdeXX0\r\n\r\n",
    b"5\r\nabcde\n0\r\n\r\n",
    b"5\r\nabcde\r\n\xff\xff\r\n",
    b"0\rX",
    b"0\r\n",
    b"0\r\nX-A",
    b"0\r\n: b\r\n\r\n",
    b"0\r\nX A: b\r\n\r\n",
    b"0\r\nX-A: " + b"b" * 9000 + b"\r\n\r\n",
]


def are_refused(statuses, *, by_lenient_server=False):
    """Tell whether a malformed body was answered as such: by 400, and by nothing else.

    Older gevents, as other lenient servers, take some for chunks, which are then unsigned or too
    long, and what is left for another request.
    """
    if by_lenient_server or gevent.version_info < (23, 9):
        return statuses[0] in (400, 401, 413) and max(statuses) < 500
    return statuses == [400]


def request_line(path):
    return b"POST %s HTTP/1.1\r\nHost: localhost\r\n" % path.encode()


class Flood:
    """A flood from a thread of its own, which needs no hub that runs."""

    def __init__(self, port, path, kind):
        self.sent = 0
        self.was_stopped = False
        head, piece = FLOODS[kind]
        self._beginning = request_line(path) + head
        self._piece = piece * (65536 // len(piece) + 1)
        self._address = ("127.0.0.1", port)
        self._thread = gevent.get_hub().threadpool.spawn(self._send)

    def _send(self):
        native = monkey.get_original("socket", "socket")
        with native() as connection:
            connection.connect(self._address)
            try:
                connection.sendall(self._beginning)
                while self.sent < ENOUGH:
                    self.sent += connection.send(self._piece)
            except OSError:
                self.was_stopped = True

    @property
    def has_ended(self):
        return self._thread.ready()

    def most_between_two_turns(self):
        """Wait for the end; return the most that was sent while no other greenlet had a turn."""
        before, most = self.sent, 0
        while not self.has_ended:
            gevent.sleep(0.001)
            before, most = self.sent, max(most, self.sent - before)
        self._thread.get()
        return most


def send_malformed(port, path, body):
    """Send a malformed chunked body; return the statuses of all answers."""
    with gevent.Timeout(20), socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request_line(path) + _CHUNKED + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", answer)]

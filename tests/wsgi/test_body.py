"""Reading without sockets: how much, how long, and who gets a turn meanwhile."""

from __future__ import annotations

import io
import threading
from typing import Any

import gevent
import pytest
from gevent.event import Event

from rtms_gevent.runtime.deadline import Deadline
from rtms_gevent.wsgi import body as module
from rtms_gevent.wsgi.body import BoundedFile, RequestRefused, bytes_on_the_wire, read_body


class Single(io.BytesIO):
    """Gives one byte at a time, and never waits."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1)


class Clock:
    """A clock that goes on by a second whenever somebody looks at it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.mark.parametrize("kind", [io.BytesIO, Single])
@pytest.mark.parametrize(
    ("size", "limit", "is_taken"),
    [(0, 10, True), (10, 10, True), (11, 10, False), (5000, 5000, True), (5001, 5000, False)],
)
def test_a_body_has_so_many_bytes(kind: Any, size: int, limit: int, is_taken: bool) -> None:
    body = b"x" * size
    if is_taken:
        assert read_body(kind(body), limit, 60) == body
    else:
        with pytest.raises(RequestRefused, match=f"longer than {limit} bytes") as caught:
            read_body(kind(body), limit, 60)
        assert caught.value.status == 413


def test_no_more_is_read_than_shows_that_it_is_too_long() -> None:
    endless = io.BytesIO(b"x" * 1_000_000)
    with pytest.raises(RequestRefused):
        read_body(endless, 10_000, 60)
    assert endless.tell() < 12_000


def test_what_the_stream_raises_is_the_cause() -> None:
    class Broken:
        def read(self, size: int, /) -> bytes:
            raise KeyError("no chunk")

    with pytest.raises(RequestRefused, match=r"is malformed \(KeyError\)$") as caught:
        read_body(Broken(), 10, 60)
    assert caught.value.status == 400
    assert isinstance(caught.value.__cause__, KeyError)


def test_the_deadline_holds_where_no_read_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """gevent's own time-outs come only to those who wait."""
    clock = Clock()
    monkeypatch.setattr(module, "Deadline", lambda seconds: Deadline(seconds, clock))
    body = Single(b"x" * 10_000)
    with pytest.raises(RequestRefused, match="too long to come in") as caught:
        read_body(body, 20_000, 100)
    assert caught.value.status == 408
    assert body.tell() == 100


def test_the_deadline_holds_where_a_read_waits_for_ever() -> None:
    class Silent:
        def read(self, size: int, /) -> bytes:
            Event().wait()
            return b""

    reading = gevent.spawn(read_body, Silent(), 10, 0.01)
    with gevent.Timeout(20), pytest.raises(RequestRefused, match="too long to come in"):
        reading.get()


def count_turns_of_others(function: Any, *arguments: Any) -> int:
    """Return how many turns another greenlet had while ``function`` ran in one."""
    turns = 0
    reading = gevent.spawn(function, *arguments)
    while not reading.dead:
        gevent.sleep(0)
        turns += 1
    reading.get()
    return turns


@pytest.mark.parametrize("kind", [io.BytesIO, Single])
def test_others_have_a_turn_after_each_step(kind: Any) -> None:
    assert count_turns_of_others(read_body, kind(b"x" * 100_000), 200_000, 60) > 90


def test_a_small_body_waits_for_nobody() -> None:
    """However many floods wait for their turns."""
    reading = gevent.spawn(read_body, io.BytesIO(b"x" * 1000), 2000, 60)
    gevent.sleep(0)
    assert reading.value == b"x" * 1000


def test_what_is_read_on_the_hub_is_read_while_others_read() -> None:
    """A turn is one of the loop, which looks for what has come, and not only of its greenlets."""
    came = gevent.get_hub().loop.async_()
    heard = Event()
    came.start(heard.set)
    try:

        class Endless:
            def read(self, size: int, /) -> bytes:
                came.send()
                return b"" if heard.is_set() else b"x" * size

        reading = gevent.spawn(read_body, Endless(), 100_000, 60)
        assert len(reading.get(timeout=20)) <= 3 * 1024
    finally:
        came.stop()
        came.close()


def test_in_a_plain_thread_there_is_no_hub_to_give_turns() -> None:
    results: list[bytes] = []

    def read() -> None:
        results.append(read_body(Single(b"x" * 500), 1000, 60))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert results == [b"x" * 500]


# -- the file that a server reads from -------------------------------------------------------------


def bounded(content: bytes, limit: int, deadline: Deadline | None = None) -> BoundedFile:
    return BoundedFile(io.BytesIO(content), limit, deadline or Deadline(None))


def test_it_reads_as_a_file_does() -> None:
    file = bounded(b"GET\r\nA: b\r\n\r\nbody, and more", 100)
    assert file.readline(65537) == b"GET\r\n"
    assert file.readline() == b"A: b\r\n"
    assert file.read(2) == b"\r\n"
    assert file.readline(2) == b"bo"
    assert file.read(0) == b""
    assert file.read() == b"dy, and more"
    assert file.read(1) == b""
    assert file.readline() == b""
    assert not file.closed


def test_it_takes_from_the_file_what_is_asked_for_and_no_more() -> None:
    """What follows may be the next request."""
    source = io.BytesIO(b"abc\ndef")
    file = BoundedFile(source, 100, Deadline(None))
    file.read(1)
    assert source.tell() == 1
    file.readline()
    assert source.tell() == 4


@pytest.mark.parametrize("method", ["read", "readline"])
@pytest.mark.parametrize("size", [-1, 1, 7, 1000])
def test_it_ends_after_so_many_bytes(method: str, size: int) -> None:
    file = bounded(b"x" * 10_000, 500)
    taken = 0
    with pytest.raises(RequestRefused, match="too many bytes") as caught:
        while piece := getattr(file, method)(size):
            taken += len(piece)
    assert taken == 500
    assert caught.value.status == 413
    file.allow(3)
    assert getattr(file, method)(3) == b"xxx"
    file.allow(0)
    with pytest.raises(RequestRefused):
        getattr(file, method)(1)


def test_it_looks_at_the_time() -> None:
    file = bounded(b"x" * 1_000_000, 1_000_000, Deadline(10, Clock()))
    with pytest.raises(RequestRefused, match="too long to come in"):
        while file.read(1):
            pass


def test_it_gives_turns_however_small_the_pieces() -> None:
    def read_all() -> None:
        file = bounded(b"x\n" * 100_000, 300_000)
        while file.readline():
            pass

    assert count_turns_of_others(read_all) > 20


def test_a_refusal_is_an_oserror() -> None:
    """Servers print a traceback of others."""
    refusal = RequestRefused(413, "too much")
    assert isinstance(refusal, OSError)
    assert (refusal.status, str(refusal)) == (413, "too much")


def test_what_a_body_takes_on_the_wire() -> None:
    assert bytes_on_the_wire(0) >= 64 * 1024
    assert bytes_on_the_wire(1_000_000) > 1_500_000

"""What follows an answer runs once, whoever says that it was sent, or nobody."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.pywsgi import WSGIServer
from support.recorder import wait_until

from rtms_gevent.runtime.threads import HubThread
from rtms_gevent.webhook import AfterAnswer, after_answer


@pytest.fixture
def nobody_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(after_answer, "RESPONSE_GRACE", 0.0)


@pytest.fixture
def it_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(after_answer, "RESPONSE_GRACE", None)


def turns(count: int = 5) -> None:
    for _ in range(count):
        gevent.sleep(0)
        gevent.sleep(0.001)


@pytest.mark.parametrize("waits", [False, True], ids=["before it waits", "while it waits"])
@pytest.mark.usefixtures("it_waits_for_ever")
def test_it_runs_once_when_the_answer_was_sent(waits: bool) -> None:
    calls: list[tuple[object, ...]] = []
    greenlets: list[gevent.Greenlet[..., object]] = []

    def spawn(function: Callable[[], None]) -> None:
        greenlets.append(gevent.spawn(function))

    after = AfterAnswer(lambda *given: calls.append(given), 1, 2, spawn=spawn)
    if waits:
        turns()
    assert calls == []
    after.sent()
    after.sent()
    (greenlet,) = greenlets
    greenlet.join(10)
    assert calls == [(1, 2)]
    after.sent()
    turns()
    assert calls == [(1, 2)]


@pytest.mark.usefixtures("nobody_waits_long")
def test_it_runs_also_where_nobody_says_so() -> None:
    calls: list[int] = []
    after = AfterAnswer(calls.append, 1, spawn=gevent.spawn)
    wait_until(lambda: calls)
    after.sent()
    turns()
    assert calls == [1]


@pytest.mark.parametrize("waits", [False, True], ids=["before it waits", "while it waits"])
@pytest.mark.usefixtures("it_waits_for_ever")
def test_another_thread_may_say_so(waits: bool) -> None:
    """gunicorn's sync and gthread workers have the hub in a thread of its own."""
    calls: queue.Queue[int] = queue.Queue()
    thread = HubThread()
    try:
        after = AfterAnswer(lambda: calls.put(threading.get_ident()), spawn=thread.spawn)
        if waits:
            thread.call(turns)
        after.sent()
        assert calls.get(timeout=10) != threading.get_ident()
    finally:
        thread.stop()
    after.sent()  # its hub has ended
    assert calls.empty()


@pytest.mark.usefixtures("it_waits_for_ever")
def test_many_at_once() -> None:
    calls: queue.Queue[int] = queue.Queue()
    waiting = [AfterAnswer(calls.put, number) for number in range(200)]

    def say_so(part: list[AfterAnswer]) -> None:
        for after in part:
            after.sent()

    threads = [threading.Thread(target=say_so, args=(waiting[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    assert sorted(calls.get(timeout=10) for _ in waiting) == list(range(200))
    for thread in threads:
        thread.join()
    assert calls.empty()


def test_what_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise KeyError("disk full")

    AfterAnswer(fail).sent()
    wait_until(lambda: "disk full" in caplog.text)


class Body:
    """The body of an answer, which closes as WSGI demands; ``pieces`` may fail."""

    def __init__(self, pieces: Iterable[bytes], after: AfterAnswer) -> None:
        self._pieces = pieces
        self.close = after.sent

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


def breaks_off() -> Iterator[bytes]:
    yield b"be"
    raise OSError("the generator fails")


@pytest.mark.parametrize("reads", [True, False], ids=["a client that reads", "one that has gone"])
@pytest.mark.parametrize("pieces", [lambda: [b"all"], breaks_off], ids=["sent", "failing"])
@pytest.mark.usefixtures("it_waits_for_ever")
def test_a_server_says_so_whatever_becomes_of_the_answer(
    reads: bool, pieces: Callable[[], Iterable[bytes]]
) -> None:
    calls: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> Body:
        start_response("200 OK", [])
        return Body(pieces(), AfterAnswer(calls.append, "done", spawn=gevent.spawn))

    server = WSGIServer(("127.0.0.1", 0), app, log=None, error_log=None)
    server.start()
    try:
        with socket.create_connection(server.address) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
            if reads:
                assert connection.recv(65536)
            else:  # close with a reset
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wait_until(lambda: calls)
    finally:
        server.stop()
    turns()
    assert calls == ["done"]

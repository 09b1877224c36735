"""The WebSocket of one browser, over a real pair of sockets."""

from __future__ import annotations

import io
import itertools
import struct
import types
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from flask import Flask
from gevent import socket

from rtms_gevent.live import LivePage, browser, page
from rtms_gevent.live.browser import BrowserSocket
from rtms_gevent.wsgi.websocket import WebSocketClosed

from .conftest import PERMITTED
from .page_app import TOKEN

PATH = "/rtms/live/socket"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Origin": "http://localhost",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
#: A masked text of one letter.
TINY = b"\x81\x81\0\0\0\0x"


class Line:
    """Both ends of one connection, upgraded already."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.file = self.ours.makefile("rb")
        self.browser = BrowserSocket(self.ours, self.file)

    def close(self) -> None:
        self.file.close()
        self.ours.close()
        self.theirs.close()

    def close_frame(self) -> tuple[int, str]:
        head = self.theirs.recv(2)
        assert head[0] == 0x88
        payload = self.theirs.recv(head[1])
        return struct.unpack("!H", payload[:2])[0], payload[2:].decode()


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    with gevent.Timeout(10):
        yield line
    line.close()


def test_text_is_text_and_bytes_are_binary(line: Line) -> None:
    line.browser.send("é")
    line.browser.send(b"\x00\x01")
    assert line.theirs.recv(100) == b"\x81\x02\xc3\xa9" + b"\x82\x02\x00\x01"


def test_a_browser_that_takes_nothing_is_given_up(line: Line) -> None:
    line.browser.send_timeout = 0.05
    with pytest.raises(WebSocketClosed, match="too slow"):
        line.browser.send(bytes(50_000_000))
    with pytest.raises(WebSocketClosed):
        line.browser.send("no frame may follow half a frame")
    line.browser.close(1001)  # nothing to tell any more, and no error


def test_the_timeout_of_somebody_else_passes(line: Line) -> None:
    with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.05) as outer:
        line.browser.send(bytes(50_000_000))
    assert caught.value is outer


@pytest.mark.parametrize("sent", [b"", b"\x81", b"\x81\x85\x01\x02", b"\x81\x85\x01\x02\x03\x04a"])
def test_a_connection_that_ends_midway_is_noticed(line: Line, sent: bytes) -> None:
    line.theirs.sendall(sent)
    line.theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(WebSocketClosed):
        line.browser.receive()


def test_a_broken_connection_is_noticed_when_sending(line: Line) -> None:
    line.theirs.close()
    with pytest.raises(WebSocketClosed):
        line.browser.send("anybody?")


def test_frames_of_several_senders_do_not_mix(line: Line) -> None:
    senders = [gevent.spawn(line.browser.send, letter * 300_000) for letter in "ab"]
    received = b""
    while len(received) < 2 * (300_000 + 10):
        received += line.theirs.recv(1 << 20)
    gevent.joinall(senders, raise_error=True)
    assert received.count(b"a" * 300_000) == received.count(b"b" * 300_000) == 1


def test_who_sends_too_much_is_refused(line: Line) -> None:
    line.theirs.sendall(TINY * (browser.MAX_FRAMES + 1))
    received = []
    with pytest.raises(WebSocketClosed):
        while True:
            received.append(line.browser.receive())
    assert received == ["x"] * browser.MAX_FRAMES
    assert line.close_frame() == (1008, "too many messages")


def test_pings_and_pongs_count_too(line: Line) -> None:
    line.theirs.sendall(b"\x8a\x80\0\0\0\0" * browser.MAX_FRAMES + b"\x89\x80\0\0\0\0")
    with pytest.raises(WebSocketClosed, match="too many"):
        line.browser.receive()


def test_the_limit_is_one_of_a_second(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(browser, "time", types.SimpleNamespace(monotonic=lambda: next(seconds)))
    line.theirs.sendall(TINY * (browser.MAX_FRAMES + 1))
    for _ in range(browser.MAX_FRAMES + 1):
        assert line.browser.receive() == "x"


def test_what_never_waits_holds_up_nobody(line: Line) -> None:
    """To read what is there already gives no turn to others; so little may be read of it."""

    class Endless(io.RawIOBase):
        """Has always something to read."""

        def read(self, size: int = -1) -> bytes:
            return {2: b"\x81\x81", 4: bytes(4), 1: b"x"}[size]

    flooded = BrowserSocket(line.ours, Endless())
    with pytest.raises(WebSocketClosed, match="too many"):
        while True:
            flooded.receive()


def test_bytes_after_the_end_give_turns_to_others(line: Line) -> None:
    def flood() -> None:
        with pytest.raises(OSError):
            while True:
                line.theirs.sendall(bytes(65536))

    turns = 0
    flooding = gevent.spawn(flood)
    line.browser.close(1008)
    ending = gevent.spawn(line.browser.end)
    while not ending.ready():
        turns += 1
        gevent.sleep(0.001)
    assert turns > 10
    line.ours.close()
    flooding.get()


def test_a_browser_that_closes_first_is_not_waited_for(line: Line) -> None:
    line.theirs.sendall(b"\x88\x80\x01\x02\x03\x04")
    with pytest.raises(WebSocketClosed):
        line.browser.receive()
    line.browser.end()
    assert line.close_frame() == (1000, "")
    assert line.theirs.recv(1) == b""


def ask(line: Line, headers: dict[str, str] | None = None, **options: Any) -> Any:
    """Ask for the WebSocket as gunicorn does."""
    app = Flask(__name__)
    app.config["RTMS_LIVE_TOKEN"] = TOKEN
    LivePage(app)
    with app.test_client().get(
        PATH,
        headers={**UPGRADE, **PERMITTED, **(headers or {})},
        environ_overrides={"SERVER_PROTOCOL": "HTTP/1.1", "gunicorn.socket": line.ours},
        buffered=True,
        **options,
    ) as answer:
        return answer


def opening(line: Line) -> bytes:
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        received += line.theirs.recv(1)
    return received


def test_a_request_is_upgraded_on_the_servers_socket(line: Line) -> None:
    line.theirs.sendall(b"\x88\x80\x01\x02\x03\x04")
    assert ask(line).status_code == 200
    assert opening(line).splitlines() == [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        b"",
    ]
    with pytest.raises(BrokenPipeError):  # nothing that the server sends may follow
        line.ours.sendall(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Sec-WebSocket-Key": "no base64"}, 400),
        ({"Sec-WebSocket-Key": "\xe9"}, 400),
        ({"Sec-WebSocket-Version": "8"}, 400),
        ({"Authorization": "Bearer another-token"}, 403),
        ({"Origin": "https://evil.example"}, 403),
    ],
)
def test_what_is_refused_is_not_upgraded(line: Line, changes: dict[str, str], status: int) -> None:
    answer = ask(line, changes)
    assert answer.status_code == status
    assert status != 400 or answer.headers["Sec-WebSocket-Version"] == "13"
    line.ours.close()
    line.file.close()
    assert line.theirs.recv(1) == b""


def test_a_socket_that_would_block_the_hub_is_not_taken(line: Line) -> None:
    import socket as blocking

    ours, theirs = blocking.socketpair()
    with ours, theirs:
        line.ours.close()
        line.ours = ours
        assert ask(line).status_code == 501


def test_too_many_viewers_are_told_to_come_later(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MAX_VIEWERS", 0)
    line.theirs.shutdown(socket.SHUT_WR)
    ask(line)
    opening(line)
    assert line.close_frame() == (1013, "too many viewers")


def test_a_viewer_that_does_not_wait_for_the_answer_is_forgotten(line: Line) -> None:
    line.theirs.close()
    assert ask(line).status_code == 200

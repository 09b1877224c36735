"""The WebSocket of one browser, over a real pair of sockets."""

from __future__ import annotations

import logging
import struct
import types
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from flask import Flask
from gevent import socket
from geventwebsocket.websocket import WebSocket

from rtms_gevent.live import LivePage, browser, page
from rtms_gevent.live.browser import BrowserGone, BrowserSocket

PATH = "/rtms/live/socket"
HEADERS = {"Connection": "Upgrade", "Upgrade": "websocket", "Origin": "http://localhost"}


class Line:
    """Both ends of one connection, upgraded already."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.file = self.ours.makefile("rb")
        stream = types.SimpleNamespace(read=self.file.read, write=self.ours.sendall)
        handler = types.SimpleNamespace(
            logger=logging.getLogger("test"), server=types.SimpleNamespace(application=None)
        )
        self.websocket = WebSocket({}, stream, handler)
        self.browser = BrowserSocket(self.websocket)

    def close(self) -> None:
        self.websocket.closed = True
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


def test_masked_text_is_read(line: Line) -> None:
    line.theirs.sendall(
        b"\x81\x83\x01\x02\x03\x04" + bytes([ord("a") ^ 1, ord("b") ^ 2, ord("c") ^ 3])
    )
    assert line.browser.receive() == "abc"


def test_a_browser_that_takes_nothing_is_given_up(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "SEND_TIMEOUT", 0.05)
    with pytest.raises(BrowserGone, match="too slow"):
        line.browser.send(bytes(50_000_000))
    with pytest.raises(BrowserGone):
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
    with pytest.raises(BrowserGone):
        line.browser.receive()


def test_a_broken_connection_is_noticed_when_sending(line: Line) -> None:
    line.theirs.close()
    with pytest.raises(BrowserGone):
        line.browser.send("anybody?")


def test_frames_of_several_senders_do_not_mix(line: Line) -> None:
    senders = [gevent.spawn(line.browser.send, letter * 300_000) for letter in "ab"]
    received = b""
    while len(received) < 2 * (300_000 + 10):
        received += line.theirs.recv(1 << 20)
    gevent.joinall(senders, raise_error=True)
    assert received.count(b"a" * 300_000) == received.count(b"b" * 300_000) == 1


def upgrade(line: Line, **options: Any) -> Any:
    app = Flask(__name__)
    LivePage(app)
    with app.test_client().get(
        PATH, headers=HEADERS, environ_overrides={"wsgi.websocket": line.websocket}, **options
    ) as answer:
        return answer


def test_too_many_viewers_are_told_to_come_later(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MAX_VIEWERS", 0)
    upgrade(line)
    assert line.close_frame() == (1013, "too many viewers")


def test_whoever_may_not_look_is_told_why(line: Line) -> None:
    upgrade(line, environ_base={"REMOTE_ADDR": "203.0.113.7"})
    code, reason = line.close_frame()
    assert code == 1008
    assert reason.startswith("The live page is closed")


def test_a_viewer_that_hangs_up_ends_the_request(line: Line) -> None:
    line.theirs.sendall(b"\x88\x80\x01\x02\x03\x04")
    assert upgrade(line).status_code == 200

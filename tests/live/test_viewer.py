"""What travels over a viewer's WebSocket: a real server, and a raw client for a browser."""

from __future__ import annotations

import contextlib
import json
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import websocket

from .conftest import PERMITTED, PageServer, Signals, serve_page

#: A masked text of one letter.
TINY = b"\x81\x81\0\0\0\0x"
JPG = b"\xff\xd8\xff\xe0picture"
LOUD = b"\xff\x7f" * 320


class Browser:
    """Reads messages until one tells what a test waits for."""

    def __init__(self, server: PageServer, **options: Any) -> None:
        self.socket = websocket.create_connection(
            f"ws://{server.address}/rtms/live/socket",
            timeout=10,
            **{"header": PERMITTED, **options},
        )

    def watch(self, stream: str) -> None:
        self.socket.send(stream)

    def until(self, found: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        while True:
            message = self.socket.recv()
            if isinstance(message, str) and found(message := json.loads(message)):
                return message

    def detail(self, part: str, stream: str) -> Any:
        def found(message: dict[str, Any]) -> object:
            detail = message.get("detail", {})
            return detail.get("id") == stream and part in detail

        return self.until(found)["detail"][part]

    def picture(self) -> tuple[dict[str, Any], bytes]:
        while True:
            message = self.socket.recv()
            if isinstance(message, bytes):
                (length,) = struct.unpack_from("!H", message)
                return json.loads(message[2 : 2 + length]), message[2 + length :]

    def close_code(self) -> int:
        """Return the code of the close frame, which must come before the connection ends."""
        while True:
            opcode, data = self.socket.recv_data(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                (code,) = struct.unpack_from("!H", data)
                return int(code)


@pytest.fixture(
    scope="module", params=["gevent", "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"]
)
def server(request: pytest.FixtureRequest) -> Iterator[PageServer]:
    """A server of each kind whose sockets the page can use."""
    with serve_page(request.param) as server:
        yield server
    assert "Traceback" not in server.log


@contextlib.contextmanager
def browse(server: PageServer, **options: Any) -> Iterator[Browser]:
    browser = Browser(server, **options)
    try:
        yield browser
    finally:
        browser.socket.close(timeout=0)
        browser.socket.shutdown()  # also where the other side closed first


def test_the_first_message_greets_and_the_list_follows(server: PageServer, script: Signals) -> None:
    server.emit(*script.begin())
    with browse(server) as browser:
        assert browser.until(lambda message: "hello" in message)["now"] > 0
        message = browser.until(lambda message: "ids" in message)
    assert script.stream in message["ids"]
    (about,) = [about for about in message["streams"] if about["id"] == script.stream]
    assert (about["uuid"], about["state"]) == ("4Jk2mQ==", "live")


def test_changes_come_as_they_happen(server: PageServer, script: Signals) -> None:
    server.emit(*script.begin())
    with browse(server) as browser:
        browser.watch(script.stream)
        browser.until(lambda message: message.get("detail", {}).get("full"))
        server.emit(script.media("transcript", "one", userId=1, startTs=1, attribute=1))
        (line,) = browser.detail("transcript", script.stream)
        server.emit(script.media("transcript", "two", userId=1, startTs=1, attribute=2))
        (revised,) = browser.detail("transcript", script.stream)
        server.emit(script.media("audio", LOUD, userId=1, userName="Ada"))
        levels = browser.detail("levels", script.stream)
    assert (line["text"], revised["text"]) == ("one", "two")
    assert line["id"] == revised["id"]
    assert levels == {"1": 100}


def test_who_comes_late_gets_all_that_is_kept(server: PageServer, script: Signals) -> None:
    server.emit(
        *script.begin(),
        script.arrive(1, "Ada"),
        script.speak(1, "Ada"),
        script.media("transcript", "said before", userId=1, userName="Ada", startTs=1),
        script.media("chat", "typed before", userId=1, userName="Ada"),
        script.media("video", JPG, userId=1, userName="Ada"),
    )
    with browse(server) as browser:
        browser.watch(script.stream)
        detail = browser.until(lambda message: message.get("detail", {}).get("full"))["detail"]
        header, data = browser.picture()
    assert [line["text"] for line in detail["transcript"]] == ["said before"]
    assert [line["text"] for line in detail["chat"]] == ["typed before"]
    assert detail["participants"][0]["speaking"] is True
    assert detail["counters"]["video"] == [1, len(JPG), 0]
    assert (header["stream"], header["name"], data) == (script.stream, "Ada", JPG)


def test_only_the_watched_stream_is_told_in_detail(server: PageServer, script: Signals) -> None:
    other = Signals(script.stream + "-other")
    server.emit(*script.begin(), *other.begin())
    with browse(server) as browser:
        browser.watch(script.stream)
        browser.until(lambda message: message.get("detail", {}).get("full"))
        server.emit(other.media("chat", "elsewhere"), script.media("chat", "here"))
        (line,) = browser.detail("chat", script.stream)
        browser.watch(other.stream)
        message = browser.until(lambda message: message.get("detail", {}).get("id") == other.stream)
    assert line["text"] == "here"
    assert message["detail"]["full"] is True
    assert message["detail"]["chat"][0]["text"] == "elsewhere"


@pytest.mark.parametrize(
    "options",
    [
        {"origin": "https://evil.example"},
        {"suppress_origin": True},
        {"host": "evil.example"},
        {"header": {}},
        {"header": {"Authorization": "Bearer another-token"}},
        {"cookie": "rtms_live=another-token", "header": {}},
    ],
)
def test_whoever_may_not_look_is_refused(
    server: PageServer, request: pytest.FixtureRequest, options: dict[str, Any]
) -> None:
    if request.node.callspec.params["server"] == "gevent":
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            Browser(server, **options)
        assert caught.value.status_code == 403
    else:  # it has upgraded before we are asked
        with browse(server, **options) as browser:
            assert browser.close_code() == 1008


@pytest.mark.parametrize(
    ("payload", "opcode", "code"),
    [
        ("x" * 126, websocket.ABNF.OPCODE_TEXT, 1009),
        (b"\x00", websocket.ABNF.OPCODE_BINARY, 1003),
        (b"\xff", websocket.ABNF.OPCODE_TEXT, 1007),
        (struct.pack("!H", 1000), websocket.ABNF.OPCODE_CLOSE, 1000),
    ],
)
def test_what_no_page_sends_ends_the_connection(
    server: PageServer, payload: str | bytes, opcode: int, code: int
) -> None:
    with browse(server) as browser:
        browser.socket.send(payload, opcode)
        assert browser.close_code() == code


def test_a_frame_without_a_mask_is_refused(server: PageServer) -> None:
    with browse(server) as browser:
        browser.socket.sock.sendall(b"\x81\x01x")
        assert browser.close_code() == 1002


def test_a_viewer_that_sends_too_much_is_closed(server: PageServer) -> None:
    with browse(server) as browser:
        browser.socket.sock.sendall(TINY * 1000)
        assert browser.close_code() == 1008


def test_a_viewer_that_never_stops_sending_harms_nobody(
    server: PageServer, script: Signals
) -> None:
    def flood() -> None:
        with contextlib.suppress(OSError):  # the server has had enough
            while True:
                rude.socket.sock.sendall(TINY * 10_000)

    server.emit(*script.begin())
    with browse(server) as browser, browse(server) as rude:
        browser.watch(script.stream)
        browser.until(lambda message: message.get("detail", {}).get("full"))
        flooding = threading.Thread(target=flood)
        flooding.start()
        for number in range(10):
            server.emit(script.media("chat", str(number)))
            (line,) = browser.detail("chat", script.stream)
            assert line["text"] == str(number)
        assert rude.close_code() == 1008
        flooding.join()


def test_pings_are_answered(server: PageServer) -> None:
    with browse(server) as browser:
        browser.socket.ping("are you there")
        while True:
            opcode, data = browser.socket.recv_data(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_PONG:
                break
    assert data == b"are you there"


def test_viewers_that_go_are_forgotten(server: PageServer, script: Signals) -> None:
    server.emit(*script.begin())
    rude = Browser(server)
    with browse(server) as browser:
        for viewer in (browser, rude):
            viewer.watch(script.stream)
            viewer.until(lambda message: message.get("detail", {}).get("full"))
        before = server.stats()["viewers"]
        rude.socket.shutdown()  # without goodbye
        while server.stats()["viewers"] >= before:
            server.emit(script.media("chat", "still there?"))
            browser.detail("chat", script.stream)


def test_a_viewer_holds_nothing_of_the_request(server: PageServer) -> None:
    with browse(server) as browser:
        browser.until(lambda message: "hello" in message)
        assert server.contexts() == 1


def test_a_slow_viewer_loses_pictures_and_harms_nobody(server: PageServer, script: Signals) -> None:
    server.emit(*script.begin())
    big = JPG + bytes(1_000_000)
    with browse(server) as slow, browse(server) as quick:
        for viewer in (slow, quick):
            viewer.watch(script.stream)
            viewer.until(lambda message: message.get("detail", {}).get("full"))
        for number in range(1, 21):  # far more than its socket takes; it does not read
            server.emit(script.media("video", big, userId=1), script.media("chat", str(number)))
            header, _ = quick.picture()
            assert header["number"] == number
        server.emit(script.media("chat", "end"))
        numbers: list[int] = []
        texts: list[str] = []
        while "end" not in texts:
            message = slow.socket.recv()
            if isinstance(message, bytes):
                (length,) = struct.unpack_from("!H", message)
                numbers.append(json.loads(message[2 : 2 + length])["number"])
            else:
                lines = json.loads(message).get("detail", {}).get("chat", [])
                texts += [line["text"] for line in lines]
    assert len(numbers) < 20
    assert texts == [*map(str, range(1, 21)), "end"]

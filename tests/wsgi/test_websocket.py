"""WebSockets: the request that opens one, and what a client's frames make of it."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest

from rtms_gevent.wsgi.websocket import (
    BINARY,
    CONTINUATION,
    TEXT,
    BadUpgrade,
    WebSocket,
    WebSocketClosed,
    encode_frame,
    opening_answer,
)

#: The example of RFC 6455 section 1.3.
GOOD = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"HTTP_UPGRADE": "WebSocket", "HTTP_CONNECTION": "keep-alive, Upgrade"},
        {"HTTP_UPGRADE": "h2c, websocket"},
        {"HTTP_SEC_WEBSOCKET_KEY": " dGhlIHNhbXBsZSBub25jZQ== "},
    ],
)
def test_the_answer_is_that_of_the_rfc(changes: dict[str, Any]) -> None:
    assert opening_answer(GOOD | changes) == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"REQUEST_METHOD": "POST"}, "GET"),
        ({"SERVER_PROTOCOL": "HTTP/1.0"}, "HTTP/1.1"),
        ({"SERVER_PROTOCOL": "HTTP/2.0"}, "HTTP/1.1"),
        ({"HTTP_UPGRADE": ""}, "Upgrade"),
        ({"HTTP_UPGRADE": "websockets"}, "Upgrade"),
        ({"HTTP_CONNECTION": "close"}, "Connection"),
        ({"HTTP_CONNECTION": "no-upgrade"}, "Connection"),
        ({"HTTP_SEC_WEBSOCKET_VERSION": "8"}, "Version"),
        ({"HTTP_SEC_WEBSOCKET_VERSION": ""}, "Version"),
        ({"HTTP_SEC_WEBSOCKET_KEY": ""}, "Key"),
        ({"HTTP_SEC_WEBSOCKET_KEY": "no base64"}, "Key"),
        ({"HTTP_SEC_WEBSOCKET_KEY": "abc"}, "Key"),
        ({"HTTP_SEC_WEBSOCKET_KEY": "c2hvcnQ="}, "Key"),
        ({"HTTP_SEC_WEBSOCKET_KEY": "\xe9" * 24}, "Key"),
        ({"HTTP_SEC_WEBSOCKET_KEY": "\u20ac" * 24}, "Key"),
        ({"HTTP_SEC_WEBSOCKET_KEY": "dGhl!IHNhbXBsZSBub25jZQ=="}, "Key"),
    ],
)
def test_all_else_is_refused_with_a_reason(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadUpgrade, match=words):
        opening_answer(GOOD | changes)


@pytest.mark.parametrize("missing", GOOD)
def test_nothing_may_be_missing(missing: str) -> None:
    with pytest.raises(BadUpgrade):
        opening_answer({name: value for name, value in GOOD.items() if name != missing})


# -- frames ----------------------------------------------------------------------------------------


class Connection:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent = b""

    def sendall(self, data: bytes) -> None:
        self.sent += data


class Broken(Connection):
    """Takes half of the first frame, then fails."""

    def sendall(self, data: bytes) -> None:
        super().sendall(data[: len(data) // 2])
        raise OSError("broken")


def frame(first: int, payload: bytes = b"", mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    """Return a client's frame."""
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    length = len(payload)
    if length > 125:
        return struct.pack("!BBH", first, 0x80 | 126, length) + mask + masked
    return bytes([first, 0x80 | length]) + mask + masked


def opened(received: bytes) -> tuple[WebSocket, Connection]:
    connection = Connection()
    return WebSocket(connection, io.BytesIO(received)), connection


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return encode_frame(struct.pack("!H", code) + reason, 8)


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f" + struct.pack("!Q", 65536)),
    ],
)
def test_frames_are_written_in_the_shortest_form(length: int, header: bytes) -> None:
    assert encode_frame(bytes(length), BINARY) == header + bytes(length)


def test_a_frame_that_is_not_the_last_says_so() -> None:
    assert encode_frame(b"a", TEXT, is_final=False) == b"\x01\x01a"
    assert encode_frame(b"b", CONTINUATION) == b"\x80\x01b"


@pytest.mark.parametrize(
    ("received", "messages", "sent"),
    [
        (frame(0x81, b"abc") + frame(0x82, b"\xff"), ["abc", b"\xff"], b""),
        (frame(0x81), [""], b""),
        (frame(0x01, b"\xc3") + frame(0x00) + frame(0x80, b"\xa9"), ["é"], b""),
        (frame(0x02, b"a") + frame(0x89, b"hi") + frame(0x80, b"b"), [b"ab"], b"\x8a\x02hi"),
        (frame(0x8A, b"unasked") + frame(0x81, b"x"), ["x"], b""),
        (frame(0x82, bytes(300)), [bytes(300)], b""),
    ],
)
def test_messages_are_read(received: bytes, messages: list[str | bytes], sent: bytes) -> None:
    websocket, connection = opened(received)
    assert [websocket.receive() for _ in messages] == messages
    with pytest.raises(WebSocketClosed, match="ended"):
        websocket.receive()
    assert connection.sent == sent
    assert websocket.peer_close_code is None


@pytest.mark.parametrize(
    ("received", "code"),
    [
        (frame(0xC1, b"a"), 1002),  # reserved bits
        (frame(0xA1, b"a"), 1002),
        (frame(0x91, b"a"), 1002),
        (frame(0x83), 1002),  # reserved opcodes
        (frame(0x8B), 1002),
        (b"\x81\x01a", 1002),  # no mask
        (frame(0x09, b"a"), 1002),  # a control frame in parts
        (frame(0x89, bytes(126)), 1002),  # or too long
        (frame(0x88, b"\x03"), 1002),  # half a close code
        (frame(0x80, b"a"), 1002),  # goes on with nothing
        (frame(0x01, b"a") + frame(0x81, b"b"), 1002),  # a message within another
        (frame(0x81, b"\xff"), 1007),
        (frame(0x01, b"\xc3") + frame(0x80, b"a"), 1007),
        (frame(0x88, b"\x03\xe8\xff"), 1007),  # a reason that is no UTF-8
        (frame(0x82, bytes(1001)), 1009),
        (frame(0x02, bytes(600)) + frame(0x80, bytes(401)), 1009),
        (b"\x82\xff" + struct.pack("!Q", 1 << 40) + bytes(4), 1009),  # its header says so
    ],
)
def test_a_client_that_breaks_the_rules_is_told_and_left(received: bytes, code: int) -> None:
    websocket, connection = opened(received)
    websocket.max_message = 1000
    with pytest.raises(WebSocketClosed) as caught:
        websocket.receive()
    assert connection.sent == close_frame(code, str(caught.value).encode())
    with pytest.raises(WebSocketClosed):
        websocket.send("more")


# Section 7.4.1, and IANA's registry.
@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1012, 1014, 3000, 4999])
def test_a_close_frame_is_answered_with_its_code(code: int) -> None:
    websocket, connection = opened(frame(0x88, struct.pack("!H", code) + b"bye"))
    with pytest.raises(WebSocketClosed):
        websocket.receive()
    assert connection.sent == close_frame(code, b"bye")
    assert websocket.peer_close_code == code


def test_a_close_frame_without_a_code_is_answered_with_1000() -> None:
    websocket, connection = opened(frame(0x88))
    with pytest.raises(WebSocketClosed):
        websocket.receive()
    assert connection.sent == close_frame(1000)
    assert websocket.peer_close_code == 1005


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1100, 2000, 2999, 5000, 65535])
def test_no_client_may_close_with_these(code: int) -> None:
    websocket, connection = opened(frame(0x88, struct.pack("!H", code)))
    with pytest.raises(WebSocketClosed):
        websocket.receive()
    assert connection.sent.startswith(close_frame(1002)[:1])
    assert connection.sent[2:4] == struct.pack("!H", 1002)


def test_after_our_close_frame_the_answer_is_still_read() -> None:
    websocket, connection = opened(frame(0x82, b"late") + frame(0x89) + frame(0x88, b"\x03\xe9"))
    websocket.close(1001, "x" * 200)
    websocket.close(1011)
    assert websocket.receive() == b"late"
    with pytest.raises(WebSocketClosed):
        websocket.receive()
    assert websocket.peer_close_code == 1001
    assert connection.sent == close_frame(1001, b"x" * 123)


def test_nothing_follows_half_a_frame() -> None:
    broken = Broken()
    websocket = WebSocket(broken, io.BytesIO())
    with pytest.raises(WebSocketClosed):
        websocket.send("abcdef")
    half = broken.sent
    assert websocket.closed
    with pytest.raises(WebSocketClosed):
        websocket.send("more")
    websocket.close(1001)
    assert broken.sent == half


def test_a_closed_file_ends_receiving() -> None:
    file = io.BytesIO(frame(0x81, b"abc"))
    websocket = WebSocket(Connection(), file)
    file.close()
    with pytest.raises(WebSocketClosed, match="broken"):
        websocket.receive()

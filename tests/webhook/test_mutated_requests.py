"""Ten thousand requests, each spoilt in some way, over real sockets: no 500, and no stream."""

from __future__ import annotations

import json
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from flask import Flask
from gevent import socket
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer
from support.webhooks import SECRET, encode, headers_for, started, stopped

from rtms_gevent import signals
from rtms_gevent.config import WebhookSettings
from rtms_gevent.flask import RTMS
from rtms_gevent.webhook import WebhookServer, sign

COUNT = 5_000  #: for each of two servers
SETTINGS = WebhookSettings(secret=SECRET)

Header = tuple[bytes, bytes]


class Request:
    """A good webhook, until it is spoilt."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.method, self.path, self.version = b"POST", b"/hook", b"HTTP/1.1"
        self.stream_id = dice.choice(["609340fb", "x" * 300, "ü", "'; --"])
        self.sign_body(encode(dice.choice([started, stopped])(rtms_stream_id=self.stream_id)))

    def sign_body(self, body: bytes, *, late: float = 0.0, secret: str = SECRET) -> None:
        self.body = body
        fields = headers_for(body, now=time.time() - late, secret=secret)
        self.headers = [(name.encode(), value.encode()) for name, value in fields.items()]

    def find(self, name: bytes) -> int:
        return next(at for at, (key, _) in enumerate(self.headers) if key.lower() == name)

    def replace(self, name: bytes, change: Callable[[bytes], bytes]) -> None:
        at = self.find(name)
        key, value = self.headers[at]
        self.headers[at] = (key, change(value))

    def to_bytes(self) -> bytes:
        fields = [(b"Host", b"localhost"), *self.headers]
        if not any(key.lower() == b"transfer-encoding" for key, _ in fields):
            fields.append((b"Content-Length", b"%d" % len(self.body)))
        head = b"".join(b"%s: %s\r\n" % field for field in fields)
        return b"%s %s %s\r\n%s\r\n%s" % (self.method, self.path, self.version, head, self.body)


SIGNATURE, TIMESTAMP = b"x-zm-signature", b"x-zm-request-timestamp"


def noise(dice: random.Random, most: int = 30) -> bytes:
    """Bytes that may stand in a header's value."""
    letters = [*range(0x20, 0x7F), *range(0x80, 0x100)]
    return bytes(dice.choices(letters, k=dice.randint(1, most)))


# -- what spoils a request: after any one of these it must not be taken ----------------------------


def other_secret(request: Request) -> None:
    request.sign_body(request.body, secret=request.dice.choice(["x", SECRET + "x", SECRET[:-1]]))


def stale(request: Request) -> None:
    late = request.dice.choice([301, 3600, 10**8, -310, -(10**6)])
    request.sign_body(request.body, late=late)


def changed_body(request: Request) -> None:
    at = request.dice.randrange(len(request.body))
    changed = bytes([request.body[at] ^ request.dice.randint(1, 255)])
    request.body = request.body[:at] + changed + request.body[at + 1 :]


def other_length(request: Request) -> None:
    cut = request.body[: request.dice.randrange(len(request.body))]
    request.body = request.dice.choice([cut, request.body + b" ", request.body * 2])


def other_document(request: Request) -> None:
    request.body = encode(started(server_urls="wss://evil.example"))


def changed_timestamp(request: Request) -> None:
    dice = request.dice
    changes: list[Callable[[bytes], bytes]] = [
        lambda value: b"%d" % (int(value) + dice.choice([-1, 1])),
        lambda value: value + b".0",
        lambda value: b"+" + value,
        lambda value: b"0" + value,
        lambda value: b"9" * 5000,
        lambda value: b"",
        lambda value: noise(dice),
    ]
    request.replace(TIMESTAMP, dice.choice(changes))


def changed_signature(request: Request) -> None:
    dice = request.dice
    changes: list[Callable[[bytes], bytes]] = [
        lambda value: b"v1" + value[2:],
        lambda value: value[3:],
        lambda value: value[: dice.randint(0, len(value) - 1)],
        lambda value: value + noise(dice).strip() + b"0",
        lambda value: b"v0=" + b"0" * 64,
        lambda value: noise(dice),
    ]
    request.replace(SIGNATURE, dice.choice(changes))


def missing_header(request: Request) -> None:
    del request.headers[request.find(request.dice.choice([SIGNATURE, TIMESTAMP]))]


def header_twice(request: Request) -> None:
    at = request.find(request.dice.choice([SIGNATURE, TIMESTAMP]))
    name, value = request.headers[at]
    other = request.dice.choice([value, b"v0=" + b"0" * 64, b"0", noise(request.dice)])
    request.headers.insert(at + request.dice.randint(0, 1), (name, other))


def underscore_for_dash(request: Request) -> None:
    at = request.find(SIGNATURE)
    request.headers[at] = (b"X_Zm_Signature", request.headers[at][1])
    request.headers.insert(0, (b"X-Zm-Signature", b"v0=" + b"0" * 64))


def other_method(request: Request) -> None:
    # Neither OPTIONS nor "post": Flask answers the one by itself, and reads the other as POST.
    methods = [b"GET", b"HEAD", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"POS", b"X"]
    request.method = request.dice.choice(methods)


def other_path(request: Request) -> None:
    paths = [b"/", b"/hook/", b"/Hook", b"/hook/../x", b"/hook%00", b"/%ff", b"*", b"/x", b"x"]
    request.path = request.dice.choice(paths)


def nonsense_that_is_signed(request: Request) -> None:
    dice = request.dice
    bodies = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        noise(dice, 200),
        b"[" * 5000,
        b'{"event": NaN}',
        b'{"event": ["meeting.rtms_started"]}',
        b'{"payload": {}}',
        request.body[:-1],
        encode({"event": "meeting.rtms_started", "payload": dice.choice([None, [], {}, "x", 1])}),
        encode(started(rtms_stream_id=dice.choice([None, "", 7, [], {}]))),
        b" " * (SETTINGS.max_body + 1) if dice.random() < 0.05 else b"\0",
    ]
    request.sign_body(dice.choice(bodies))


def validation_that_asks_for_a_signature(request: Request) -> None:
    token = f"v0:{int(time.time())}:{json.dumps(started())}"
    document = {"event": "endpoint.url_validation", "payload": {"plainToken": token}}
    request.sign_body(encode(document))
    if request.dice.random() < 0.5:
        request.headers.clear()


SPOILERS = [
    other_secret,
    stale,
    changed_body,
    other_length,
    other_document,
    changed_timestamp,
    changed_signature,
    missing_header,
    header_twice,
    underscore_for_dash,
    other_method,
    other_path,
    nonsense_that_is_signed,
    validation_that_asks_for_a_signature,
]


# -- and what may be odd about any request ---------------------------------------------------------


def decorate(request: Request) -> None:
    dice = request.dice
    if dice.random() < 0.2:
        request.headers.append((b"X-%d" % dice.randint(0, 9), noise(dice, 500)))
    if dice.random() < 0.1:
        request.headers.append((b"Cookie", noise(dice)))
    if dice.random() < 0.1:
        request.headers.append((b"Content-Type", noise(dice)))
    if dice.random() < 0.1:
        request.headers.append((b"Content-Encoding", b"gzip"))
    if dice.random() < 0.1:
        request.path += b"?" + noise(dice).replace(b" ", b"+")
    if dice.random() < 0.1:
        request.version = b"HTTP/1.0"
    elif dice.random() < 0.2:
        size = dice.randint(1, 400)
        pieces = [request.body[at : at + size] for at in range(0, len(request.body), size)]
        request.headers.append((b"Transfer-Encoding", b"chunked"))
        request.body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    dice.shuffle(request.headers)


def spoil_bytes(dice: random.Random, data: bytes) -> bytes:
    """Change the request line and what surrounds the headers, so that it may be no HTTP at all."""
    head, end, body = data.partition(b"\r\n\r\n")
    spoilt = bytearray(head)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(spoilt))
        spoilt[at : at + dice.randint(0, 2)] = bytes(dice.choices(range(256), k=dice.randint(0, 2)))
    return bytes(spoilt) + end + body


def make_request(dice: random.Random) -> tuple[str, bytes]:
    """Return what is wrong with a request, and its bytes."""
    request = Request(dice)
    if dice.random() < 0.1:
        other_secret(request)  # since changes of bytes may repair any other flaw
        decorate(request)
        return "bytes", spoil_bytes(dice, request.to_bytes())
    spoiler = dice.choice(SPOILERS)
    spoiler(request)
    decorate(request)
    return spoiler.__name__, request.to_bytes()


# -- the servers -----------------------------------------------------------------------------------


class Served:
    """A server under attack, and how many streams it would have started."""

    def __init__(self, port: int, count_streams: Callable[[], int]) -> None:
        self.port = port
        self.count_streams = count_streams


@pytest.fixture
def own_server() -> Iterator[Served]:
    handled: list[object] = []
    server = WebhookServer(0, "/hook", host="127.0.0.1", settings=SETTINGS)
    server.start(handled.append)
    yield Served(server.port, lambda: len(handled))
    server.stop()


@pytest.fixture
def flask_app() -> Iterator[Served]:
    app = Flask("shop")
    app.config.update(RTMS_WEBHOOK_SECRET=SECRET, RTMS_WEBHOOK_PATH="/hook")
    rtms = RTMS(app)
    server = WSGIServer(("127.0.0.1", 0), app, log=None, error_log=None)
    server.start()
    yield Served(server.server_port, lambda: len(rtms.clients))
    server.stop(timeout=0)


def send(port: int, data: bytes) -> int:
    """Send a request, and return the status; 0 where the server closed without a word."""
    with gevent.Timeout(20), socket.create_connection(("127.0.0.1", port)) as connection:
        answer = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while len(answer) < 12 and (piece := connection.recv(4096)):
                answer += piece
        except OSError:
            pass  # the server has seen enough
        return int(answer[9:12]) if answer.startswith(b"HTTP/1.") else 0


@pytest.mark.parametrize("kind", ["own_server", "flask_app"])
def test_no_500_and_no_stream(
    kind: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)  # each refusal is a warning
    served: Served = request.getfixturevalue(kind)
    received = []

    def note(sender: object, event: Any, **extra: object) -> None:
        received.append(event)

    dice = random.Random(20_250_710)
    answers: Counter[tuple[str, int]] = Counter()

    def attack(_: int) -> None:
        flaw, data = make_request(dice)
        answers[flaw, send(served.port, data)] += 1

    with signals.webhook_received.connected_to(note):
        Pool(20).map(attack, range(COUNT))

        flaws = {spoiler.__name__ for spoiler in SPOILERS} | {"bytes"}
        assert {flaw for flaw, _ in answers} == flaws
        bad = {
            outcome: count
            for outcome, count in answers.items()
            if not (400 <= outcome[1] < 500 or (outcome[0] == "bytes" and outcome[1] == 0))
        }
        assert bad == {}
        assert received == []
        assert served.count_streams() == 0
        assert caplog.records == []

        # Nothing of this wore the server out, and it does take what is good.
        good = Request(dice)
        good.sign_body(encode(stopped()))
        assert send(served.port, good.to_bytes()) == 200
        with gevent.Timeout(10):
            while not received:
                gevent.sleep(0.001)


def test_the_requests_are_good_before_they_are_spoilt() -> None:
    request = Request(random.Random(1))
    name, value = request.headers[request.find(SIGNATURE)]
    timestamp = request.headers[request.find(TIMESTAMP)][1].decode()
    assert name == b"X-Zm-Signature"
    assert value.decode() == sign(SECRET, timestamp, request.body)

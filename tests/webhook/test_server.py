"""The own server over real sockets; everything here runs on the hub of the test's thread."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event
from gevent.queue import Queue
from gevent.socket import wait_read
from support.script import Script
from support.webhooks import SECRET, encode, headers_for, started, stopped

import rtms_gevent
from rtms_gevent import signals
from rtms_gevent.config import WebhookSettings
from rtms_gevent.errors import ConfigurationError
from rtms_gevent.webhook import (
    WebhookPayload,
    WebhookRequest,
    WebhookResponse,
    WebhookServer,
    application,
    decorator,
    on_webhook_event,
    sign,
    stop_all,
)
from rtms_gevent.wsgi.server import HttpServer

SETTINGS = WebhookSettings(secret=SECRET)
JSON = {"Content-Type": "application/json"}
OPEN = WebhookSettings(verify=False)


@pytest.fixture
def serve() -> Iterator[Callable[..., WebhookServer]]:
    """Start servers on free ports of the loopback; stop them afterwards."""
    servers: list[WebhookServer] = []

    def start(*handlers: Any, settings: WebhookSettings = SETTINGS, path: str = "/") -> Any:
        server = WebhookServer(0, path, host="127.0.0.1", settings=settings)
        servers.append(server)
        for handler in handlers:
            server.start(handler)
        return server

    yield start
    for server in servers:
        server.stop()
    stop_all()


class Reply:
    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *fields = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1]) if first else 0
        self.headers = {
            name.lower(): value for name, value in (field.split(": ", 1) for field in fields)
        }


def send(server: WebhookServer, *pieces: bytes, until_closed: bool = True) -> Reply:
    """Send bytes, and read until the server closes."""
    with gevent.Timeout(20), socket.create_connection(("127.0.0.1", server.port)) as connection:
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:
                break  # the server has seen enough
        raw = b""
        try:
            while piece := connection.recv(65536):
                raw += piece
        except ConnectionResetError:
            pass
        return Reply(raw)


def raw_request(
    body: bytes, headers: dict[str, str], method: str = "POST", path: str = "/"
) -> bytes:
    fields = {"Host": "localhost", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def post(server: WebhookServer, document: object, **options: Any) -> Reply:
    body = document if isinstance(document, bytes) else encode(document)
    return send(server, raw_request(body, headers_for(body, now=time.time()), **options))


def test_handler_gets_the_whole_event_after_the_answer(serve: Any) -> None:
    got: Queue[WebhookPayload] = Queue()
    go_on = Event()

    def handle(payload: WebhookPayload) -> None:
        go_on.wait()
        got.put(payload)

    server = serve(handle)
    text = json.dumps(stopped(), indent=1, ensure_ascii=False).replace("xxxx", "Zoë")
    reply = post(server, text.encode())
    assert (reply.status, reply.body) == (200, b'{"status": "ok"}')
    assert reply.headers["connection"] == "close"
    go_on.set()
    payload = got.get(timeout=10)
    assert payload == json.loads(text)
    assert str(payload) == text
    assert f"{payload}" == text


def test_statuses(serve: Any) -> None:
    server = serve(lambda payload: None, path="/zoom")
    signed = headers_for(encode(stopped()), now=time.time())
    assert post(server, stopped(), path="/zoom").status == 200
    assert post(server, stopped(), path="/zoom").status == 200  # again
    assert post(server, stopped(), path="/zoom?type=video").status == 200
    assert post(server, {"event": "user.created"}, path="/zoom").status == 204
    assert post(server, b"{", path="/zoom").status == 400
    assert post(server, stopped(), path="/").status == 404
    assert post(server, stopped(), path="/zoom/").status == 404
    assert post(server, b" " * (SETTINGS.max_body + 1), path="/zoom").status == 413
    assert send(server, raw_request(b"{}", {}, path="/zoom")).status == 401
    assert send(server, raw_request(b"{}", signed, path="/zoom")).status == 401
    wrong = send(server, raw_request(b"", {}, method="GET", path="/zoom"))
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert send(server, raw_request(b"", {}, method="GET", path="/healthz")).status == 200
    assert send(server, raw_request(b"", {}, method="HEAD", path="/healthz")).status == 200
    assert send(server, raw_request(b"", {}, method="POST", path="/healthz")).status == 404


def chunked(body: bytes, size: int = 7) -> bytes:
    pieces = [body[index : index + size] for index in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])


def test_body_in_chunks(serve: Any) -> None:
    server = serve(lambda payload: None)

    def post_chunks(body: bytes, encoded: bytes) -> int:
        fields = {**headers_for(body, now=time.time()), "Transfer-Encoding": "chunked"}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return send(server, f"POST / HTTP/1.1\r\n{head}\r\n".encode() + encoded).status

    body = encode(stopped())
    assert post_chunks(body, chunked(body)) == 200
    long = b" " * (SETTINGS.max_body + 1)
    assert post_chunks(long, chunked(long, 4096)) == 413
    assert post_chunks(body, b"zz\r\n") == 400


def test_url_validation_is_answered_by_the_server(serve: Any) -> None:
    server = serve(lambda payload, request, response: response.send("never"))
    body = encode({"event": "endpoint.url_validation", "payload": {"plainToken": "abcDEF-_123"}})
    reply = send(server, raw_request(body, {}))
    assert reply.status == 200
    assert json.loads(reply.body)["encryptedToken"]
    assert reply.headers["content-type"] == "application/json"


def test_three_arguments_decide_the_answer(serve: Any) -> None:
    seen: Queue[Any] = Queue()

    def handle(payload: WebhookPayload, request: WebhookRequest, response: WebhookResponse) -> None:
        seen.put((payload, request))
        response.set_status(202)
        response.set_header("x-answer", "yes")
        response.send({"taken": True})
        response.send("a second answer does nothing")
        response.set_status(500)
        seen.put("went on")

    server = serve(handle, path="/zoom")
    reply = post(server, stopped(), path="/zoom?a=b")
    assert (reply.status, json.loads(reply.body)) == (202, {"taken": True})
    assert reply.headers["x-answer"] == "yes"
    assert reply.headers["content-type"] == "application/json"
    payload, request = seen.get(timeout=10)
    assert payload["event"] == "meeting.rtms_stopped"
    assert (request.method, request.path) == ("POST", "/zoom")
    assert request.body == encode(stopped())
    assert request.headers.get("x-zm-signature") == request.headers["X-ZM-Signature"]
    assert request.headers.get("nothing", "else") == "else"
    assert "Content-Type" in request.headers
    assert seen.get(timeout=10) == "went on"


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ({"a": "ö"}, b'{"a": "\\u00f6"}'),
        ("ö", "ö".encode()),
        (b"\xff", b"\xff"),
        (None, b""),
        (object(), b'{"status": "ok"}'),
        ({"a": object()}, b'{"status": "ok"}'),
    ],
)
def test_what_can_be_sent(data: Any, body: bytes, serve: Any) -> None:
    reply = post(serve(lambda payload, request, response: response.send(data)), stopped())
    assert (reply.status, reply.body) == (200, body)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda response: response.set_status(99),
        lambda response: response.set_status("200"),
        lambda response: response.set_header("a", "b\r\nc: d"),
        lambda response: response.set_header("a b", "c"),
        lambda response: response.set_header("", "c"),
        lambda response: response.set_header("a", "☃"),
        lambda response: 1 / 0,
    ],
)
def test_a_handler_that_raises_is_logged_and_zoom_gets_200(
    wrong: Callable[[WebhookResponse], None], serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def handle(payload: object, request: object, response: WebhookResponse) -> None:
        response.set_status(500)
        response.set_header("X-Half", "done")
        wrong(response)

    reply = post(serve(handle), stopped())
    assert (reply.status, reply.body) == (200, b'{"status": "ok"}')
    assert "x-half" not in reply.headers
    assert "failed" in caplog.text


def test_a_handler_that_does_not_send_answers_with_its_status(serve: Any) -> None:
    reply = post(serve(lambda payload, request, response: response.set_status(201)), stopped())
    assert (reply.status, reply.body) == (201, b'{"status": "ok"}')


def test_status_without_body(serve: Any) -> None:
    def handle(payload: object, request: object, response: WebhookResponse) -> None:
        response.set_status(204)
        response.send("must not be sent")

    reply = post(serve(handle), stopped())
    assert (reply.status, reply.body) == (204, b"")


def test_a_slow_handler_does_not_delay_the_answer(
    serve: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(application, "HANDLER_TIMEOUT", 0.01)
    go_on, done = Event(), Event()

    def handle(payload: object, request: object, response: WebhookResponse) -> None:
        response.set_status(500)
        go_on.wait()
        response.send("too late")
        done.set()

    server = serve(handle)
    reply = post(server, stopped())
    assert (reply.status, reply.body) == (200, b'{"status": "ok"}')
    assert "no webhook handler has answered" in caplog.text
    go_on.set()
    assert done.wait(10)


def test_an_event_that_a_handler_refuses_may_come_again(serve: Any) -> None:
    simple: Queue[Any] = Queue()
    answers = [503, 200]

    def decide(payload: object, request: object, response: WebhookResponse) -> None:
        response.set_status(answers.pop(0))
        response.send()

    received: Queue[Any] = Queue()

    def note(sender: object, event: Any, **extra: object) -> None:
        received.put(event.event)

    server = serve(simple.put, decide)
    with signals.webhook_received.connected_to(note):
        assert post(server, stopped()).status == 503
        assert post(server, stopped()).status == 200
        assert post(server, stopped()).status == 200
        assert simple.get(timeout=10)["event"] == "meeting.rtms_stopped"
        assert received.get(timeout=10) == "meeting.rtms_stopped"
    assert simple.empty()
    assert received.empty()
    assert answers == []


def test_several_handlers_share_a_server(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    got: Queue[str] = Queue()

    def fail(payload: WebhookPayload) -> None:
        raise RuntimeError("disk full")

    server = serve(fail, lambda payload: got.put("one"), lambda payload: got.put("two"))
    server.start(lambda payload: got.put("other path"), "/other")
    assert post(server, stopped()).status == 200
    assert sorted([got.get(timeout=10), got.get(timeout=10)]) == ["one", "two"]
    assert post(server, stopped(), path="/other").status == 200
    assert got.get(timeout=10) == "other path"
    assert "disk full" in caplog.text


def test_the_guides_own_check_is_right(serve: Any) -> None:
    """Handlers written for the official SDK check signatures as Zoom's guide does."""

    def handle(payload: Any, request: Any, response: Any) -> None:
        message = f"{payload}"
        timestamp = request.headers.get("x-zm-request-timestamp")
        good = request.headers.get("x-zm-signature") == sign(SECRET, timestamp, message.encode())
        if payload["event"] == "endpoint.url_validation":
            response.send({"plainToken": payload["payload"]["plainToken"]})
        else:
            response.set_status(200 if good else 401)
            response.send({"good": good})

    server = serve(handle, settings=OPEN)
    body = json.dumps(stopped(), indent=3).encode()
    assert post(server, body).status == 200
    forged = headers_for(body, now=time.time(), secret="another")
    other = encode(stopped("another"))
    assert send(server, raw_request(other, forged)).status == 401
    validation = {"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}}
    assert json.loads(post(server, validation).body) == {"plainToken": "abc"}


# -- bad clients -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"POST / HT",
        b"POST / HTTP/1.1\r\nX-A: b\r\nX-",
        b"POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n{",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{",
        b"POST /nowhere HTTP/1.1\r\nContent-Length: 99999\r\n\r\n{",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n{",
    ],
)
def test_a_slow_client_is_cut_off_and_holds_nobody(
    beginning: bytes, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HttpServer, "request_timeout", 0.5)
    server = serve(lambda payload: None)
    cut_off = Event()

    def drip() -> None:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(beginning)
            try:
                while True:  # one byte now and then, each well within any limit for one read
                    connection.sendall(b"a")
                    gevent.sleep(0.01)
            except OSError:
                cut_off.set()

    dripping = gevent.spawn(drip)
    assert post(server, stopped()).status == 200
    assert cut_off.wait(10)
    dripping.get(timeout=10)


def test_a_refusal_is_read_by_a_client_that_still_sends(serve: Any) -> None:
    """Most send all of it before they look for an answer; a reset would be all that they get."""
    server = serve(lambda payload: None)
    head = b"POST /nowhere HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"
    with gevent.Timeout(20), socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head)
        wait_read(connection.fileno())  # it was refused
        for _ in range(10):
            connection.sendall(b"x" * 10_000)
            gevent.sleep(0.005)  # so that a reset could come back
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS spoken to a plain port
        b"POST / HTTP/1\r\n\r\n",
        b"POST / HTTP/x.y\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + b"X-A: b\r\n" * 200 + b"\r\n",
        b"POST / HTTP/1.1\r\nX-A: " + b"b" * 20_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + (b"X-A: " + b"b" * 1000 + b"\r\n") * 20 + b"\r\n",
    ],
)
def test_what_is_no_http_gets_400_and_no_traceback(
    request_bytes: bytes, serve: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve(lambda payload: None)
    assert send(server, request_bytes).status == 400
    assert post(server, stopped()).status == 200
    assert capfd.readouterr().err == ""


def test_long_request_line(serve: Any) -> None:
    server = serve(lambda payload: None)
    assert send(server, b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n").status == 414


@pytest.mark.parametrize("linger", [False, True])
def test_a_client_that_goes_away_hurts_nobody(
    linger: bool, serve: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    got: Queue[Any] = Queue()
    server = serve(got.put)
    body = encode(stopped())
    request = raw_request(body, headers_for(body, now=time.time()))
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(request[:-5])
        if linger:  # close with a reset instead of an orderly end
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert post(server, started()).status == 200
    assert got.get(timeout=10)["event"] == "meeting.rtms_started"
    # work is done also where the answer could not be delivered
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(request)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert got.get(timeout=10)["event"] == "meeting.rtms_stopped"
    assert capfd.readouterr().err == ""


# -- listening -------------------------------------------------------------------------------------


def test_url_names_the_real_port(serve: Any) -> None:
    server = serve(lambda payload: None, path="/zoom")
    assert server.url == f"http://127.0.0.1:{server.port}/zoom"
    assert server.port > 0


def test_without_signatures_it_is_local_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    server = WebhookServer(0, settings=OPEN)
    assert server.host == "127.0.0.1"
    server.start(lambda payload: None)
    try:
        assert "signatures are NOT checked" in caplog.text
        assert send(server, raw_request(encode(stopped()), JSON)).status == 200
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("host", "settings", "bound"),
    [
        (None, SETTINGS, "0.0.0.0"),
        (None, OPEN, "127.0.0.1"),
        (None, WebhookSettings(secret=SECRET, verify=False), "127.0.0.1"),
        ("0.0.0.0", SETTINGS, "0.0.0.0"),
        ("0.0.0.0", OPEN, "0.0.0.0"),
        ("", OPEN, ""),
        ("::1", OPEN, "::1"),
    ],
)
def test_where_it_binds(host: str | None, settings: WebhookSettings, bound: str) -> None:
    assert WebhookServer(0, host=host, settings=settings).host == bound


@pytest.mark.parametrize("secret", [None, "", " "])
def test_without_a_secret_it_says_what_to_do(
    secret: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A program for the official SDK, which needs none, must not open a port for forgers."""
    monkeypatch.delenv("ZM_RTMS_WEBHOOK_SECRET", raising=False)
    if secret is not None:
        monkeypatch.setenv("ZM_RTMS_WEBHOOK_SECRET", secret)
    what_to_do = "set .* ZM_RTMS_WEBHOOK_SECRET .* ZM_RTMS_WEBHOOK_VERIFY=false .*verify=False"
    on_webhook_event(lambda payload: None, 0)

    @rtms_gevent.onWebhookEvent(port=0)
    def handle(payload: WebhookPayload) -> None: ...

    assert not decorator._servers
    assert re.search(what_to_do, caplog.text)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=what_to_do):
            rtms_gevent.run(stop_on_empty=True)
    assert not decorator._servers
    monkeypatch.setenv("ZM_RTMS_WEBHOOK_SECRET", "there it is")
    rtms_gevent.run(stop_on_empty=True)
    with pytest.raises(ConfigurationError, match="must be callable"):
        on_webhook_event(1, 0)  # type: ignore[call-overload]
    if secret is None:
        monkeypatch.delenv("ZM_RTMS_WEBHOOK_SECRET")
    else:
        monkeypatch.setenv("ZM_RTMS_WEBHOOK_SECRET", secret)
    with pytest.raises(ConfigurationError, match=what_to_do):
        WebhookServer(0)
    with pytest.raises(ConfigurationError, match=what_to_do):
        WebhookServer(0, settings=WebhookSettings(secret=secret))


def test_it_may_be_said_in_the_environment_that_nothing_is_checked(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ZM_RTMS_WEBHOOK_SECRET", raising=False)
    monkeypatch.setenv("ZM_RTMS_WEBHOOK_VERIFY", "false")
    got: Queue[Any] = Queue()
    on_webhook_event(got.put, port)
    server = WebhookServer(port)
    assert server.host == "127.0.0.1"
    assert send(server, raw_request(encode(stopped()), JSON)).status == 200
    assert got.get(timeout=10)["event"] == "meeting.rtms_stopped"


LOCAL = ["localhost", "localhost:8080", "127.0.0.1:8080", "127.0.0.2", "[::1]:8080", "LOCALHOST"]
FOREIGN = ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil", "[::1"]


@pytest.mark.parametrize("host", LOCAL + FOREIGN)
def test_a_site_that_points_here_cannot_forge(
    host: str, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A name may be bound to 127.0.0.1 after its page was loaded, so that the page is of "here"."""
    body = encode(stopped())
    request = raw_request(body, {**JSON, "Host": host})
    reply = send(serve(lambda payload: None, settings=OPEN), request)
    assert reply.status == (200 if host in LOCAL else 403)
    assert ("is for this machine only" in caplog.text) is (host in FOREIGN)
    signed = raw_request(body, {**headers_for(body, now=time.time()), "Host": host})
    assert send(serve(lambda payload: None), signed).status == 200


def test_a_web_page_cannot_forge(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    handled: list[object] = []
    server = serve(handled.append, settings=OPEN)
    body = encode(stopped())
    page = {"Origin": "http://evil.example"}
    assert send(server, raw_request(body, {"Content-Type": "text/plain", **page})).status == 403
    assert send(server, raw_request(body, {"Content-Type": "text/plain"})).status == 415
    assert send(server, raw_request(body, {**JSON, **page})).status == 403
    # What a browser asks before it posts JSON gets no leave.
    asked = {**page, "Access-Control-Request-Method": "POST"}
    leave = send(server, raw_request(b"", asked, method="OPTIONS"))
    assert leave.status == 405
    assert not any(name.startswith("access-control") for name in leave.headers)
    assert "a browser sent it" in caplog.text
    assert handled == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"port": -1},
        {"port": 65536},
        {"port": "80"},
        {"port": True},
        {"path": "x"},
        {"path": ""},
        {"path": "/healthz"},
        {"path": 7},
    ],
)
def test_wrong_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        WebhookServer(**arguments, settings=SETTINGS)


def test_a_port_in_use_is_told_at_once(serve: Any) -> None:
    server = serve(lambda payload: None)
    with pytest.raises(ConfigurationError, match=rf"port {server.port}.*in use"):
        on_webhook_event(lambda payload: None, server.port, host="127.0.0.1", settings=SETTINGS)


def test_stop_closes_the_port_and_ends_handlers(serve: Any) -> None:
    begun, killed = Event(), Event()

    def endless(payload: WebhookPayload) -> None:
        begun.set()
        try:
            Event().wait()
        finally:
            killed.set()

    server = serve(endless)
    port = server.port
    post(server, stopped())
    assert begun.wait(10)
    server.stop(timeout=0.01)
    assert killed.is_set()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port))
    server.stop()
    server.start(lambda payload: None)
    assert post(server, stopped()).status == 200


def test_a_slow_receiver_of_the_signal_delays_no_handler(serve: Any) -> None:
    handled, go = Event(), Event()

    def wait(sender: object, **_: object) -> None:
        go.wait(10)

    server = serve(lambda payload: handled.set())
    with signals.webhook_received.connected_to(wait):
        post(server, stopped())
        assert handled.wait(5)
        go.set()


def test_a_handler_may_stop_its_server(serve: Any) -> None:
    done = Event()

    def handle(payload: WebhookPayload) -> None:
        server.stop()
        done.set()

    server = serve(handle)
    assert post(server, stopped()).status == 200
    assert done.wait(10)


# -- on_webhook_event ------------------------------------------------------------------------------


@pytest.fixture
def port(serve: Any) -> int:
    """A port that was free a moment ago."""
    server = serve(lambda payload: None)
    number = int(server.port)
    server.stop()
    return number


def reach(port: int, document: object, path: str = "/", **options: Any) -> int:
    server = WebhookServer(port, host="127.0.0.1", settings=SETTINGS)
    return post(server, document, path=path, **options).status


def test_decorator_with_the_environment(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZM_RTMS_PORT", str(port))
    monkeypatch.setenv("ZM_RTMS_PATH", "/zoom")
    monkeypatch.setenv("ZM_RTMS_WEBHOOK_SECRET", SECRET)
    got: Queue[Any] = Queue()

    @on_webhook_event
    def handle(payload: WebhookPayload) -> None:
        got.put(payload)

    @on_webhook_event(path="/other")
    def other(payload: WebhookPayload) -> None:
        got.put("other")

    assert callable(handle)
    assert callable(other)
    assert reach(port, stopped(), "/zoom") == 200
    assert got.get(timeout=10)["event"] == "meeting.rtms_stopped"
    assert reach(port, stopped(), "/other") == 200
    assert got.get(timeout=10) == "other"
    assert reach(port, stopped(), "/") == 404
    assert reach(port, stopped(), "/rtms/webhook") == 404


def test_the_default_path_is_that_of_flask_and_that_of_the_official_sdk(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ZM_RTMS_PATH", raising=False)
    got: Queue[Any] = Queue()
    on_webhook_event(got.put, port, host="127.0.0.1", settings=SETTINGS)
    assert reach(port, stopped("a"), "/rtms/webhook") == 200
    assert reach(port, stopped("b"), "/") == 200
    assert reach(port, stopped("b"), "/rtms/webhook") == 200  # the same delivery, again
    assert reach(port, stopped("c"), "/rtms") == 404
    streams = [got.get(timeout=10)["payload"]["rtms_stream_id"] for _ in range(2)]
    assert streams == ["a", "b"]
    assert got.empty()
    # A handler for / has it for itself.
    on_webhook_event(lambda payload: got.put("/"), port, "/")
    assert reach(port, stopped("d"), "/") == 200
    assert got.get(timeout=10) == "/"
    assert got.empty()


@pytest.mark.parametrize("path", ["/webhook", "/rtms/webhook/", "/zoom?a=b", "/x\x1b[31m"])
def test_a_wrong_path_is_logged(path: str, serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(lambda payload: None, path="/rtms/webhook")
    server.start(lambda payload: None, "/other")
    assert post(server, stopped(), path=path).status == 404
    (line,) = caplog.messages
    assert line.startswith("webhook refused with 404: ")
    assert repr(path.partition("?")[0]) in line
    assert line.endswith("is not served; /other, /rtms/webhook is")
    assert "\x1b" not in line


def test_what_is_refused_does_not_flood_the_log(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(lambda payload: None)
    for number in range(200):
        assert send(server, raw_request(b"", {}, path=f"/{number}")).status == 404
    assert 1 < len(caplog.records) < 50
    caplog.clear()
    assert send(serve(lambda payload: None), raw_request(b"", {}, "GET", "/x")).status == 404
    assert caplog.messages == []  # somebody else's visit


def test_as_a_call_and_with_arguments(port: int) -> None:
    got: Queue[Any] = Queue()
    assert on_webhook_event(got.put, port, "/a", host="127.0.0.1", settings=SETTINGS) == got.put

    @on_webhook_event(port=port, path="/b")
    def decide(payload: Any, request: Any, response: Any) -> None:
        response.set_status(202)
        response.send()

    assert reach(port, stopped(), "/a") == 200
    assert got.get(timeout=10)["event"] == "meeting.rtms_stopped"
    assert reach(port, stopped(), "/b") == 202
    with pytest.raises(ConfigurationError, match="served already"):
        on_webhook_event(got.put, port, settings=OPEN)
    with pytest.raises(ConfigurationError, match="served already"):
        on_webhook_event(got.put, port, host="127.0.0.2")
    stop_all()
    with pytest.raises(OSError, match="refused"):
        reach(port, stopped(), "/a")


def test_a_clients_own_is_that_of_the_process(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZM_RTMS_PORT", str(port))
    monkeypatch.setenv("ZM_RTMS_WEBHOOK_SECRET", SECRET)
    got: Queue[Any] = Queue()
    client = rtms_gevent.Client()

    @client.on_webhook_event
    def plain(payload: WebhookPayload) -> None:
        got.put("plain")

    @client.on_webhook_event()
    def empty(payload: WebhookPayload) -> None:
        got.put("empty")

    @rtms_gevent.Client().on_webhook_event(port=port, path="/other")
    def other(payload: WebhookPayload, request: Any, response: Any) -> None:
        response.set_status(202)
        response.send()

    client.leave()  # does not stop it: the next webhook may start the next stream
    assert reach(port, stopped()) == 200
    assert {got.get(timeout=10), got.get(timeout=10)} == {"plain", "empty"}
    assert reach(port, stopped(), "/other") == 202
    with pytest.raises(ConfigurationError, match="payload, request, response"):
        client.on_webhook_event(lambda: None)


def test_a_wrong_handler_opens_no_port(port: int) -> None:
    with pytest.raises(ConfigurationError, match="payload, request, response"):
        on_webhook_event(lambda: None, port, settings=SETTINGS)  # type: ignore[call-overload]
    with pytest.raises(OSError, match="refused"):
        reach(port, stopped())


def test_beside_asyncio(port: int) -> None:
    """The hub of ``run_async()`` serves, though the port was opened in another thread before."""
    heard = threading.Event()
    body = encode(stopped())

    def handle(payload: WebhookPayload) -> None:
        assert payload["event"] == "meeting.rtms_stopped"
        heard.set()

    def deliver() -> int:
        url = f"http://127.0.0.1:{port}/"
        request = urllib.request.Request(url, body, headers_for(body, now=time.time()))
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert heard.wait(10)
            return int(answer.status)

    async def main() -> int:
        running = asyncio.ensure_future(rtms_gevent.run_async())
        try:
            return await asyncio.to_thread(deliver)
        finally:
            rtms_gevent.stop()
            await running

    for _ in range(2):  # its end closes the port
        heard.clear()
        on_webhook_event(handle, port, host="127.0.0.1", settings=SETTINGS)
        assert asyncio.run(asyncio.wait_for(main(), 20)) == 200
        with pytest.raises(OSError, match="refused"):
            reach(port, stopped())


def test_a_hub_that_does_not_run_holds_up_no_end(port: int) -> None:
    """The port is served by the main thread's hub already, when asyncio takes the thread."""
    on_webhook_event(lambda payload: None, port, host="127.0.0.1", settings=SETTINGS)
    assert reach(port, stopped()) == 200

    async def main() -> None:
        asyncio.get_running_loop().call_soon(rtms_gevent.stop)
        await rtms_gevent.run_async()

    asyncio.run(main())

    with pytest.raises(OSError, match=r"refused|reset"):  # once the hub has had its turn
        while True:
            reach(port, stopped())


def test_stopped_before_its_hub_ran(port: int) -> None:
    server = WebhookServer(port, host="127.0.0.1", settings=SETTINGS)
    server.start(lambda payload: None)
    server.stop()
    with pytest.raises(OSError, match="refused"):
        reach(port, stopped())
    server.start(lambda payload: None)
    assert post(server, stopped()).status == 200
    server.stop()


def test_a_forked_child_accepts_nothing() -> None:
    """What comes is for the process that serves; the child has a copy of its socket and its hub."""
    code = """
        import os
        import gevent
        from gevent import os as gos
        from rtms_gevent.config import WebhookSettings
        from rtms_gevent.webhook import WebhookServer

        server = WebhookServer(0, host="127.0.0.1", settings=WebhookSettings(verify=False))

        def decide(payload, request, response):
            response.send(str(os.getpid()))

        server.start(decide)
        gevent.sleep(0.05)  # a few turns of the loop: it accepts now
        ours, its = os.pipe()
        if not os.fork():
            os.close(its)
            gos.make_nonblocking(ours)
            gos.nb_read(ours, 1)  # until the parent ends
            os._exit(0)
        print(os.getpid(), server.port, flush=True)
        gevent.get_hub().join()
    """
    script = Script(code)
    parent, number = script.line().split()
    try:
        for stream in range(50):
            body = encode(started(rtms_stream_id=str(stream)))
            fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
            head = f"POST / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n".encode()
            with gevent.Timeout(20), socket.create_connection(("127.0.0.1", int(number))) as sock:
                sock.sendall(head + body)
                answer = sock.recv(65536)
                while piece := sock.recv(65536):
                    answer += piece
            assert answer.endswith(parent.encode()), answer
    finally:
        script.process.kill()

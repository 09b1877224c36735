"""The Flask extension with Flask's test client: webhooks in, functions called."""

from __future__ import annotations

import io
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import gevent.event
import pytest
from flask import Blueprint, Flask, current_app, request
from flask_wtf.csrf import CSRFProtect
from support.webhooks import SECRET, encode, headers_for, started, stopped
from werkzeug.test import create_environ, run_wsgi_app

from rtms_gevent import signals
from rtms_gevent.config import WebhookSettings
from rtms_gevent.errors import ConfigurationError, ServerUrlError
from rtms_gevent.flask import RTMS, create_blueprint
from rtms_gevent.loop import run_soon
from rtms_gevent.webhook import WebhookEvent, WebhookKind, after_answer, stream_manager

from .standins import StandInClient

PATH = "/rtms/webhook"
STREAM = "609340fb"


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> queue.Queue[tuple[Any, ...]]:
    """What happened, in order; clients are stand-ins that write into it."""
    happened: queue.Queue[tuple[Any, ...]] = queue.Queue()
    kind = type("Client", (StandInClient,), {"journal": happened})
    monkeypatch.setattr(stream_manager, "Client", kind)
    return happened


@pytest.fixture
def rtms() -> RTMS:
    return RTMS()


@pytest.fixture
def app(rtms: RTMS) -> Flask:
    return make_app(rtms)


def make_app(rtms: RTMS, **config: Any) -> Flask:
    app = Flask("shop")
    app.config.update(RTMS_WEBHOOK_SECRET=SECRET, **config)
    rtms.init_app(app)
    return app


def post(app: Flask, document: object, path: str = PATH, **options: Any) -> int:
    """Deliver a webhook signed now, and close the response as a server does."""
    body = encode(document)
    headers = headers_for(body, now=time.time(), **options)
    response = app.test_client().post(path, data=body, headers=headers, buffered=True)
    return response.status_code


def heard(journal: queue.Queue[tuple[Any, ...]]) -> tuple[Any, ...]:
    return journal.get(timeout=10)


def settled() -> None:
    """Wait until the streams' hub has done everything that it could do by now."""
    for _ in range(3):
        done = threading.Event()
        run_soon(done.set)
        assert done.wait(10)


def forgotten(rtms: RTMS) -> bool:
    """Tell whether no client is left, after a while at most."""
    give_up = time.monotonic() + 10
    while rtms.clients and time.monotonic() < give_up:
        settled()
    return rtms.clients == {}


def on_start(rtms: RTMS, journal: queue.Queue[tuple[Any, ...]], answer: object = None) -> None:
    @rtms.on_stream_started
    def prepare(client: Any, event: WebhookEvent) -> object:
        journal.put(("started", client, current_app.name))
        return answer


def test_start_is_joined_and_forgotten_when_it_ends(
    rtms: RTMS, app: Flask, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    on_start(rtms, journal)
    assert post(app, started()) == 200
    word, client, name = heard(journal)
    assert (word, name) == ("started", "shop")
    assert heard(journal) == ("join", client, "wss://rtms.zoom.us/a")
    assert client.context == app.app_context
    assert rtms.clients == {STREAM: client}
    client.end()
    assert heard(journal) == ("ended", client)
    assert forgotten(rtms)


def test_credentials_and_hosts_are_passed_on(
    rtms: RTMS, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    hosts = "127.0.0.1,localhost"
    app = make_app(rtms, RTMS_CLIENT_ID="id", RTMS_CLIENT_SECRET="s", RTMS_ALLOWED_HOSTS=hosts)
    on_start(rtms, journal)
    post(app, started())
    client = heard(journal)[1]
    heard(journal)
    assert client.options == {"client": "id", "secret": "s", "allowed_hosts": hosts}


def test_the_answer_leaves_before_any_work_starts(
    rtms: RTMS, app: Flask, journal: queue.Queue[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(after_answer, "RESPONSE_GRACE", 60.0)
    on_start(rtms, journal)

    def note(sender: object, event: WebhookEvent, **extra: object) -> None:
        journal.put(("received", event.event))

    body = encode(started())
    headers = headers_for(body, now=time.time())
    environ = app.test_request_context(PATH, method="POST", data=body, headers=headers).request
    with signals.webhook_received.connected_to(note):
        answer = app(environ.environ, lambda status, headers, *rest: journal.put((status,)))
        for piece in answer:
            journal.put((piece,))
        assert heard(journal) == ("200 OK",)
        assert heard(journal) == (b'{"status": "ok"}',)
        settled()
        assert journal.empty()
        answer.close()  # what a WSGI server does when everything was sent
        assert heard(journal) == ("received", "meeting.rtms_started")
    assert heard(journal)[0] == "started"


def test_work_starts_once_also_where_nobody_closes_the_response(
    rtms: RTMS, app: Flask, journal: queue.Queue[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(after_answer, "RESPONSE_GRACE", 0.0)
    on_start(rtms, journal, answer=False)
    body = encode(started())
    headers = headers_for(body, now=time.time())
    response = app.test_client().post(PATH, data=body, headers=headers)
    assert heard(journal)[0] == "started"
    response.close()
    assert forgotten(rtms)
    settled()
    assert journal.empty()


@pytest.mark.parametrize(
    ("method", "path", "body", "signed", "status"),
    [
        ("POST", PATH, encode(stopped()), True, 200),
        ("POST", PATH, encode({"event": "user.created"}), True, 204),
        ("POST", PATH, encode(stopped()), False, 401),
        ("POST", PATH, b"{", True, 400),
        ("POST", PATH, b"", True, 400),
        ("POST", PATH, b" " * 1001, True, 413),
        ("POST", "/", encode(stopped()), True, 404),
        ("GET", PATH, b"", True, 405),
    ],
)
def test_statuses(
    rtms: RTMS, method: str, path: str, body: bytes, signed: bool, status: int
) -> None:
    app = make_app(rtms, RTMS_WEBHOOK_MAX_BODY=1000)
    headers = headers_for(body, now=time.time()) if signed else {}
    response = app.test_client().open(path, method=method, data=body, headers=headers)
    assert response.status_code == status
    response.close()


class Dripping(io.RawIOBase):
    """Gives a few bytes at a time, as a socket may."""

    def __init__(self, body: bytes) -> None:
        self.rest = io.BytesIO(body)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.rest.read(min(7, len(buffer)))
        buffer[: len(piece)] = piece
        return len(piece)


def post_in_chunks(app: Flask, body: bytes) -> int:
    """Deliver a signed webhook whose length is not known before its end."""
    headers = {**headers_for(body, now=time.time()), "Transfer-Encoding": "chunked"}
    environ = create_environ(PATH, method="POST", headers=headers)
    environ.pop("CONTENT_LENGTH", None)
    environ.update({"wsgi.input": Dripping(body), "wsgi.input_terminated": True})
    _, status, _ = run_wsgi_app(app, environ, buffered=True)
    return int(status.split()[0])


@pytest.mark.parametrize(("size", "status"), [(0, 200), (1000, 413)])
def test_body_in_chunks(rtms: RTMS, size: int, status: int) -> None:
    app = make_app(rtms, RTMS_WEBHOOK_MAX_BODY=1000)
    assert post_in_chunks(app, encode(stopped()) + b" " * size) == status


def test_body_that_the_app_has_read_before(app: Flask) -> None:
    app.before_request(lambda: request.get_data() and None)
    assert post(app, stopped()) == 200
    assert post_in_chunks(app, encode(stopped())) == 200


def test_whoever_asks_after_us_gets_the_body(app: Flask) -> None:
    seen: list[object] = []
    app.after_request(lambda response: seen.append(request.get_json()) or response)
    assert post(app, stopped()) == 200
    assert post_in_chunks(app, encode(stopped())) == 200
    assert seen == [stopped(), stopped()]


def test_a_limit_of_the_app_is_kept(rtms: RTMS, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(rtms, MAX_CONTENT_LENGTH=100)
    assert post(app, stopped()) == 413
    assert post_in_chunks(app, encode(stopped())) == 413
    assert "webhook refused with 413" in caplog.text


# -- what keeps webhooks from us -------------------------------------------------------------------


def protected_app(order: str, rtms: RTMS) -> Flask:
    """Return an app in which the extension and Flask-WTF were set up in some order."""
    app = Flask("shop")
    app.config.update(RTMS_WEBHOOK_SECRET=SECRET, SECRET_KEY="key of the shop")
    protection = CSRFProtect()
    for name in order.split():
        (rtms if name == "rtms" else protection).init_app(app)
    app.add_url_rule("/buy", "buy", lambda: "bought", methods=["POST"])
    return app


@pytest.mark.parametrize("order", ["csrf rtms", "rtms csrf"])
def test_flask_wtf_lets_webhooks_through(order: str, rtms: RTMS) -> None:
    app = protected_app(order, rtms)
    assert post(app, stopped()) == 200
    assert post(app, stopped(), secret="another") == 401
    assert post(app, stopped(), path="/buy") == 400  # all else stays protected
    assert app.test_client().post("/buy").status_code == 400


def test_each_extension_of_an_app_is_let_through(rtms: RTMS) -> None:
    app = protected_app("rtms", rtms)
    app.config["RTMS_VIDEO_WEBHOOK_SECRET"] = "video"
    RTMS(app, name="rtms_video")
    CSRFProtect(app)
    assert post(app, stopped()) == 200
    assert post(app, stopped(), "/rtms_video/webhook", secret="video") == 200


def test_a_blueprint_within_another_is_let_through() -> None:
    app = Flask("shop")
    app.config["SECRET_KEY"] = "key of the shop"
    outer = Blueprint("outer", "shop")
    outer.register_blueprint(create_blueprint(print, WebhookSettings(secret=SECRET)))
    app.register_blueprint(outer, url_prefix="/api")
    CSRFProtect(app)
    assert post(app, stopped(), "/api/rtms/webhook") == 200


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if "webhook" in message]


@pytest.mark.parametrize("path", ["/", "/webhook", "/rtms/webhook/", "/x\x1b"])
def test_a_wrong_path_is_logged(path: str, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    assert post(app, stopped(), path=path) == 404
    (line,) = messages(caplog)
    assert line.startswith(f"webhook refused with 404: POST {path!r} is not served")
    assert "POST /rtms/webhook is" in line


def test_a_wrong_method_is_logged(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    response = app.test_client().get(PATH, headers=headers_for(b""))
    assert response.status_code == 405
    assert "refused with 405: GET '/rtms/webhook' is not served" in caplog.text


@pytest.mark.parametrize("status", [400, 302, 401])
def test_what_is_refused_before_it_reaches_us_is_logged(
    status: int, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """As a CSRF protection does that is not Flask-WTF's, or a login."""

    @app.before_request
    def refuse() -> Any:
        return "who are you?", status

    assert post(app, stopped()) == status
    (line,) = messages(caplog)
    assert f"a webhook at '/rtms/webhook' was answered with {status} before it reached" in line
    assert "exempt" in line


def test_what_is_no_webhook_is_not_logged(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    app.add_url_rule("/zoom", "zoom", lambda: ("no", 422), methods=["POST"])
    assert app.test_client().post("/nowhere").status_code == 404
    assert post(app, stopped(), path="/zoom") == 422  # the app has webhooks of its own
    assert post(app, stopped()) == 200
    assert messages(caplog) == []


def test_a_wrong_signature_is_logged_a_few_times(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(200):
        assert post(app, stopped(), secret="another") == 401
    assert 1 < len(caplog.records) < 50
    assert "refused with 401: the signature is not right" in caplog.text


def test_a_repeated_start_is_ignored(
    rtms: RTMS, app: Flask, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    on_start(rtms, journal)
    assert post(app, started()) == 200
    assert [heard(journal)[0], heard(journal)[0]] == ["started", "join"]
    assert post(app, started()) == 200  # the same delivery again
    # Another event, to the same addresses: the client knows that it changes nothing.
    assert post(app, started(event_ts=1)) == 200
    assert heard(journal)[0] == "notify"
    assert post(app, started(rtms_stream_id="another")) == 200
    client = heard(journal)[1]
    assert heard(journal) == ("join", client, "wss://rtms.zoom.us/a")
    assert client.stream_id() == "another"
    assert set(rtms.clients) == {STREAM, "another"}


def test_a_start_with_new_addresses_is_told_to_the_client(
    rtms: RTMS, app: Flask, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    on_start(rtms, journal)
    post(app, started())
    client = heard(journal)[1]
    assert heard(journal)[0] == "join"
    post(app, started(server_urls="wss://rtms.zoom.us/b"))
    assert heard(journal) == ("notify", client, WebhookKind.STARTED)
    settled()
    assert rtms.clients == {STREAM: client}


def test_a_start_with_new_addresses_while_the_app_prepares(
    rtms: RTMS, app: Flask, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    go = gevent.event.Event()

    @rtms.on_stream_started
    def prepares(client: Any, event: WebhookEvent) -> None:
        journal.put(("started", client))
        go.wait()

    post(app, started())
    client = heard(journal)[1]
    post(app, started(server_urls="wss://rtms.zoom.us/b"))
    settled()
    run_soon(go.set)
    assert heard(journal) == ("join", client, "wss://rtms.zoom.us/b")


def test_stop_and_interruption_are_told_to_client_and_app(
    rtms: RTMS, app: Flask, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    on_start(rtms, journal)

    @rtms.on_stream_interrupted
    def interrupted(client: Any, event: WebhookEvent) -> None:
        journal.put(("interrupted", client, current_app.name))

    @rtms.on_stream_stopped
    def over(client: Any, event: WebhookEvent) -> None:
        journal.put(("stopped", client, event.stop_reason))

    post(app, started())
    client = heard(journal)[1]
    heard(journal)
    post(app, stopped(event="meeting.rtms_interrupted"))
    assert heard(journal) == ("notify", client, WebhookKind.INTERRUPTED)
    assert heard(journal) == ("interrupted", client, "shop")
    post(app, stopped())
    assert heard(journal) == ("notify", client, WebhookKind.STOPPED)
    assert heard(journal) == ("stopped", client, 6)
    post(app, stopped("of another process"))
    assert heard(journal) == ("stopped", None, 6)


def test_a_stop_that_comes_after_the_sockets_have_told_has_the_client(
    rtms: RTMS,
    app: Flask,
    journal: queue.Queue[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_manager, "_ENDED_KEPT", 1)
    on_start(rtms, journal)

    @rtms.on_stream_stopped
    def over(client: Any, event: WebhookEvent) -> None:
        journal.put(("stopped", client))

    clients = []
    for stream_id in ("a", "b"):
        post(app, started(rtms_stream_id=stream_id))
        clients.append(heard(journal)[1])
        heard(journal)
        clients[-1].end()
        assert heard(journal) == ("ended", clients[-1])
    assert forgotten(rtms)
    post(app, stopped("b"))
    assert heard(journal) == ("stopped", clients[1])
    post(app, stopped("a"))  # only the latest are kept
    assert heard(journal) == ("stopped", None)


def test_a_stream_that_stops_while_the_app_prepares_is_not_joined(
    rtms: RTMS, app: Flask, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    go = gevent.event.Event()

    @rtms.on_stream_started
    def slow(client: Any, event: WebhookEvent) -> None:
        journal.put(("preparing", client))
        go.wait()  # stands for a slow query

    @rtms.on_stream_stopped
    def over(client: Any, event: WebhookEvent) -> None:
        journal.put(("stopped", client))

    post(app, started())
    client = heard(journal)[1]
    post(app, stopped())
    assert heard(journal) == ("stopped", client)
    run_soon(go.set)
    assert forgotten(rtms)
    settled()
    assert journal.empty()


def test_returning_false_leaves_the_stream_alone(
    rtms: RTMS, app: Flask, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    on_start(rtms, journal, answer=False)
    on_start(rtms, journal)
    post(app, started())
    assert [heard(journal)[0], heard(journal)[0]] == ["started", "started"]
    assert forgotten(rtms)
    settled()
    assert journal.empty()


def test_an_app_may_join_by_itself(
    rtms: RTMS, app: Flask, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    @rtms.on_stream_started
    def start(client: Any, event: WebhookEvent) -> bool:
        client.join(event, secret="own")
        return False

    post(app, started())
    client = heard(journal)[1]
    assert client.options == {"secret": "own"}
    client.end()
    assert heard(journal) == ("ended", client)
    assert forgotten(rtms)


def test_without_a_start_function_nothing_is_joined(
    app: Flask, rtms: RTMS, journal: queue.Queue[tuple[Any, ...]], caplog: Any
) -> None:
    @rtms.on_event
    def any_event(event: WebhookEvent) -> None:
        journal.put((event.event, current_app.name))

    post(app, started())
    assert heard(journal) == ("meeting.rtms_started", "shop")
    assert forgotten(rtms)
    settled()
    assert journal.empty()
    assert "no on_stream_started is registered" in caplog.text


@pytest.mark.parametrize("where", ["on_stream_started", "join", "on_stream_stopped", "on_event"])
def test_errors_are_logged_and_sent_and_hurt_nobody(
    where: str,
    rtms: RTMS,
    app: Flask,
    journal: queue.Queue[tuple[Any, ...]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    problem = ServerUrlError("host 'evil' is not allowed")

    def fail(*arguments: object) -> None:
        raise problem

    if where == "join":
        stream_manager.Client.join_error = problem  # type: ignore[attr-defined]
        rtms.on_stream_started(lambda client, event: None)
    else:
        getattr(rtms, where)(fail)
    rtms.on_stream_started(lambda client, event: journal.put(("second",)))
    rtms.on_stream_stopped(lambda client, event: journal.put(("second",)))
    rtms.on_event(lambda event: journal.put(("second",)))

    def note(sender: object, error: Exception, where: str, **extra: object) -> None:
        journal.put(("error", error, where))

    with signals.error.connected_to(note):
        post(app, stopped() if where == "on_stream_stopped" else started())
        events = []
        while len(events) < 3:
            event = heard(journal)
            if event[0] != "join":
                events.append(event)
    assert ("error", problem, where) in events
    assert events.count(("second",)) == 2
    assert f"{where} failed" in caplog.text
    if where in ("on_stream_started", "join"):
        assert forgotten(rtms)
        assert journal.empty()  # not joined


def test_on_event_takes_names(
    rtms: RTMS, app: Flask, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    @rtms.on_event("rtms.concurrency_limited")
    def limited(event: WebhookEvent) -> None:
        journal.put(("limited", event.concurrency_number))

    @rtms.on_event("user.created")
    def created(event: WebhookEvent) -> None:
        journal.put(("created", dict(event.payload)))

    payload = {"concurrency_number": 2001, "id_field": {"meeting_uuid": "m"}}
    assert post(app, {"event": "rtms.concurrency_limited", "payload": payload}) == 200
    assert heard(journal) == ("limited", 2001)
    assert post(app, {"event": "user.created", "payload": {"id": 1}}) == 204
    assert heard(journal) == ("created", {"id": 1})
    settled()
    assert journal.empty()
    with pytest.raises(ConfigurationError, match="a name or a function"):
        rtms.on_event(7)  # type: ignore[call-overload]


def test_decorators_return_the_function(rtms: RTMS) -> None:
    def function(*arguments: object) -> None: ...

    assert rtms.on_stream_started(function) is function
    assert rtms.on_stream_stopped(function) is function
    assert rtms.on_stream_interrupted(function) is function
    assert rtms.on_event(function) is function
    assert rtms.on_event("x")(function) is function


def test_two_apps_with_an_extension_each(journal: queue.Queue[tuple[Any, ...]]) -> None:
    first, second = RTMS(), RTMS()
    one = make_app(first)
    two = Flask("other")
    two.config.update(RTMS_WEBHOOK_SECRET="another", RTMS_WEBHOOK_PATH="/zoom")
    second.init_app(two)
    on_start(first, journal)
    on_start(second, journal)
    assert one.extensions["rtms"] is first
    assert two.extensions["rtms"] is second
    assert post(two, started(), path="/zoom") == 401
    assert post(two, started(), path="/zoom", secret="another") == 200
    assert heard(journal)[::2] == ("started", "other")
    heard(journal)
    assert first.clients == {}
    assert post(one, started()) == 200
    assert heard(journal)[::2] == ("started", "shop")
    heard(journal)
    assert first.clients[STREAM] is not second.clients[STREAM]


def test_one_extension_for_two_apps(rtms: RTMS, journal: queue.Queue[tuple[Any, ...]]) -> None:
    on_start(rtms, journal)
    one, two = make_app(rtms), Flask("other")
    two.config.update(RTMS_WEBHOOK_SECRET="another")
    rtms.init_app(two)
    post(one, started())
    assert heard(journal)[2] == "shop"
    heard(journal)
    post(two, started(rtms_stream_id="b"), secret="another")
    assert heard(journal)[2] == "other"
    heard(journal)
    assert set(rtms.clients) == {STREAM, "b"}


def test_two_zoom_apps_in_one_flask_app(
    rtms: RTMS, app: Flask, journal: queue.Queue[tuple[Any, ...]]
) -> None:
    with pytest.raises(ConfigurationError, match="another name"):
        RTMS(app)
    app.config.update(RTMS_VIDEO_WEBHOOK_SECRET="video")
    video = RTMS(app, name="rtms_video")
    on_start(video, journal)
    assert post(app, started(), path="/rtms_video/webhook", secret="video") == 200
    assert heard(journal)[2] == "shop"
    heard(journal)
    assert set(video.clients) == {STREAM}
    assert rtms.clients == {}


def test_a_secret_is_needed(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.delenv("ZM_RTMS_WEBHOOK_SECRET", raising=False)
    with pytest.raises(ConfigurationError, match="RTMS_WEBHOOK_SECRET"):
        RTMS(Flask("shop"))
    with pytest.raises(ConfigurationError, match="RTMS_WEBHOOK_SECRET"):
        create_blueprint(print)
    open_app = Flask("shop")
    open_app.config["RTMS_WEBHOOK_VERIFY"] = False
    RTMS(open_app)
    assert "signatures are NOT checked" in caplog.text
    response = open_app.test_client().post(PATH, json=stopped(), buffered=True)
    assert response.status_code == 200


@pytest.mark.parametrize("secret", ["", " ", "\n"])
def test_a_blank_secret_is_none(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZM_RTMS_WEBHOOK_SECRET", secret)
    with pytest.raises(ConfigurationError, match="no webhook secret"):
        RTMS(Flask("shop"))
    with pytest.raises(ConfigurationError, match="no webhook secret"):
        create_blueprint(print)
    monkeypatch.setenv("ZM_RTMS_WEBHOOK_SECRET", SECRET)
    app = Flask("shop")
    app.config["RTMS_WEBHOOK_SECRET"] = secret  # wins, though it is nothing
    with pytest.raises(ConfigurationError, match="no webhook secret"):
        RTMS(app)


def test_a_web_page_cannot_forge_where_nothing_is_checked(
    rtms: RTMS, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(rtms, RTMS_WEBHOOK_VERIFY=False)
    client = app.test_client()
    assert client.post(PATH, data=encode(stopped())).status_code == 415
    page = {"Origin": "http://evil.example"}
    assert client.post(PATH, json=stopped(), headers=page).status_code == 403
    assert client.post(PATH, json=stopped()).status_code == 200


def test_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZM_RTMS_WEBHOOK_SECRET", "from the environment")
    monkeypatch.setenv("ZM_RTMS_PATH", "/zoom")
    app = Flask("shop")
    RTMS(app)
    assert post(app, stopped(), path="/zoom", secret="from the environment") == 200
    explicit = make_app(RTMS(), RTMS_WEBHOOK_PATH="/here")
    assert post(explicit, stopped(), path="/here") == 200
    assert post(explicit, stopped(), path="/zoom") == 404


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("RTMS_WEBHOOK_SECRET", b"bytes"),
        ("RTMS_WEBHOOK_VERIFY", "false"),
        ("RTMS_WEBHOOK_TOLERANCE", "300"),
        ("RTMS_WEBHOOK_TOLERANCE", True),
        ("RTMS_WEBHOOK_TOLERANCE", 0),
        ("RTMS_WEBHOOK_TOLERANCE", float("nan")),
        ("RTMS_WEBHOOK_MAX_BODY", 1.5),
        ("RTMS_WEBHOOK_MAX_BODY", -1),
        ("RTMS_WEBHOOK_PATH", "webhook"),
        ("RTMS_CLIENT_ID", 7),
        ("RTMS_CLIENT_SECRET", b"bytes"),
        ("RTMS_ALLOWED_HOSTS", 7),
    ],
)
def test_wrong_config_is_refused_by_name(key: str, value: object) -> None:
    app = Flask("shop")
    app.config.update({"RTMS_WEBHOOK_SECRET": SECRET, key: value})
    with pytest.raises(ConfigurationError, match=key):
        RTMS(app)


def test_blueprint_alone() -> None:
    events: queue.Queue[tuple[str, str]] = queue.Queue()
    settings = WebhookSettings(secret=SECRET, path="/hook")
    blueprint = create_blueprint(
        lambda event: events.put((event.event, current_app.name)), settings, name="zoom"
    )
    for name in ("one", "two"):
        app = Flask(name)
        app.register_blueprint(blueprint, url_prefix="/api")
        event = f"user.{name}"
        assert post(app, {"event": event}, path="/api/hook") == 204
        assert events.get(timeout=10) == (event, name)


def test_without_flask_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["flask"] = None
from rtms_gevent.errors import MissingExtra
try:
    import rtms_gevent.flask
except MissingExtra as error:
    assert isinstance(error, ImportError)
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (
        done.stdout == "rtms_gevent.flask needs more packages: pip install 'rtms-gevent[flask]'\n"
    )


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ZM_RTMS_WEBHOOK_SECRET", "ZM_RTMS_PATH", "ZM_RTMS_ALLOWED_HOSTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def nothing_is_left_for_later_tests() -> Iterator[None]:
    """What was answered is worked on afterwards, and sends signals, which all tests share."""
    yield
    settled()


@pytest.mark.parametrize(
    ("register", "wanted", "wrong"),
    [
        *(
            (name, "client, event", wrong)
            for name in ("on_stream_started", "on_stream_stopped", "on_stream_interrupted")
            for wrong in (lambda client: None, lambda client, event, more: None, "started", None)
        ),
        ("on_stream_ended", "client, reason", lambda client: None),
        ("on_stream_ended", "client, reason", None),
        ("on_event", "event", lambda: None),
        ("on_event", "event", lambda client, event: None),
        ("on_event", "event", None),
    ],
)
def test_functions_that_could_never_be_called_are_refused(
    register: str, wanted: str, wrong: Any, rtms: RTMS
) -> None:
    with pytest.raises(ConfigurationError, match=rf"{register} .*(\({wanted}\)|a function)"):
        getattr(rtms, register)(wrong)
    if register == "on_event":
        with pytest.raises(ConfigurationError, match=rf"on_event .*\({wanted}\)"):
            rtms.on_event("rtms.start_failed")(wrong)
    assert rtms.started == rtms.stopped == rtms.interrupted == rtms.ended == rtms.events == []

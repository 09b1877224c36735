"""The routes over Flask's test client: who gets in, and what the answers carry."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from flask import Flask, abort, request
from werkzeug.middleware.proxy_fix import ProxyFix

from rtms_gevent import signals
from rtms_gevent.live import LivePage

from .stage import Actor

ROUTES = ("/rtms/live/", "/rtms/live/stats", "/rtms/live/static/live.js")
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Origin": "http://localhost"}


def make(live: LivePage | None = None, **config: Any) -> Flask:
    app = Flask(__name__)
    app.config.update(config)
    (live or LivePage()).init_app(app)
    return app


def get(app: Flask, path: str, headers: dict[str, str] | None = None, **options: Any) -> Any:
    with app.test_client().get(path, headers=headers, buffered=True, **options) as answer:
        return answer


@pytest.mark.parametrize("path", ROUTES)
def test_this_machine_gets_in(path: str) -> None:
    answer = get(make(), path)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", [*ROUTES, "/rtms/live/socket"])
@pytest.mark.parametrize(
    "options",
    [
        {"environ_base": {"REMOTE_ADDR": "203.0.113.7"}},
        {"headers": {"X-Forwarded-For": "203.0.113.7"}},
        {"headers": {"Host": "evil.example"}},
        {"headers": {"Origin": "https://evil.example"}},
    ],
)
def test_others_do_not_and_are_told_how_to_change_that(path: str, options: dict[str, Any]) -> None:
    if path.endswith("socket"):
        options = {**options, "headers": {**UPGRADE, **options.get("headers", {})}}
    answer = get(make(), path, **options)
    assert answer.status_code == 403
    assert "authorize" in answer.text or "RTMS_LIVE_ORIGINS" in answer.text


def test_a_websocket_must_name_its_origin() -> None:
    headers = {name: value for name, value in UPGRADE.items() if name != "Origin"}
    assert get(make(), "/rtms/live/socket", headers).status_code == 403


@pytest.mark.parametrize(
    ("verdict", "status"), [(True, 200), ("yes", 200), (False, 403), (None, 403)]
)
@pytest.mark.parametrize("address", ["127.0.0.1", "203.0.113.7"])
def test_the_hook_of_the_app_decides_alone(verdict: object, status: int, address: str) -> None:
    app = make(LivePage(authorize=lambda: verdict))
    answer = get(app, "/rtms/live/stats", environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == status


def test_the_hook_sees_the_request_and_may_abort() -> None:
    def authorize() -> bool:
        if request.headers.get("Authorization") != "Bearer good":
            abort(401)
        return True

    app = make(LivePage(authorize=authorize))
    assert get(app, "/rtms/live/").status_code == 401
    assert get(app, "/rtms/live/", {"Authorization": "Bearer good"}).status_code == 200


def test_public_means_everybody_but_no_other_site() -> None:
    app = make(RTMS_LIVE_PUBLIC=True)
    options = {"environ_base": {"REMOTE_ADDR": "203.0.113.7"}}
    assert get(app, "/rtms/live/stats", **options).status_code == 200
    foreign = {"Origin": "https://evil.example"}
    assert get(app, "/rtms/live/stats", foreign, **options).status_code == 403


@pytest.mark.parametrize(
    "origins", [["https://shop.example"], "https://a.example, https://shop.example/"]
)
def test_the_own_address_may_be_named(origins: object) -> None:
    app = make(RTMS_LIVE_ORIGINS=origins)
    assert get(app, "/rtms/live/stats", {"Origin": "https://shop.example"}).status_code == 200
    assert get(app, "/rtms/live/stats", {"Origin": "https://other.example"}).status_code == 403


def test_a_mended_proxy_is_no_way_in_either() -> None:
    app = make()
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    answer = get(app, "/rtms/live/stats", {"X-Forwarded-For": "127.0.0.1"})
    assert answer.status_code == 403


def test_a_server_without_websocket_says_what_is_missing() -> None:
    answer = get(make(), "/rtms/live/socket", UPGRADE)
    assert answer.status_code == 501
    assert "geventwebsocket.gunicorn.workers.GeventWebSocketWorker" in answer.text


def test_answers_carry_strict_headers() -> None:
    for path in ROUTES:
        headers = get(make(), path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "connect-src 'self' ws://localhost wss://localhost;" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert get(make(), "/rtms/live/").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("host", ["x; script-src *", "'unsafe-inline'", "a b", "*"])
def test_a_host_header_cannot_loosen_the_policy(host: str) -> None:
    answer = get(make(RTMS_LIVE_PUBLIC=True), "/rtms/live/", {"Host": host})
    assert "connect-src 'self';" in answer.headers["Content-Security-Policy"]


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    text = get(make(), "/rtms/live/").text
    assert "<style" not in text
    assert " style=" not in text
    assert text.count("<script") == text.count('<script type="module" src="/rtms/live/static/')
    assert "://" not in text


def test_other_pages_of_the_app_are_left_alone() -> None:
    app = make()
    app.add_url_rule("/", "home", lambda: "home")
    answer = get(app, "/", {"X-Forwarded-For": "203.0.113.7"})
    assert (answer.status_code, answer.text) == (200, "home")
    assert "Content-Security-Policy" not in answer.headers


def test_the_page_may_be_mounted_elsewhere() -> None:
    app = make(RTMS_LIVE_PATH="/watch", APPLICATION_ROOT="/shop")
    answer = get(app, "/watch/", base_url="http://localhost/shop")
    assert 'src="/shop/watch/static/live.js"' in answer.text


def test_stats_are_numbers_and_what_the_app_adds() -> None:
    live = LivePage(stats=lambda stream_id: {"more": len(stream_id)})
    app = make(live)
    client = Actor("one")
    signals.emit(signals.joining, client, stream_id="one", uuid="u", product=None)
    signals.emit(
        signals.participant_event,
        client,
        event="join",
        timestamp=1,
        participants=[{"user_id": 1, "user_name": "Ada"}],
    )
    answer = get(app, "/rtms/live/stats")
    (stream,) = answer.json["streams"]
    assert (stream["stream_id"], stream["participants"], stream["more"]) == ("one", 1, 3)
    assert "Ada" not in answer.text
    live.feed.disconnect()


def test_two_apps_may_have_a_page_each() -> None:
    pages = [LivePage(shows=lambda client, name=name: client.stream_id() == name) for name in "ab"]
    apps = [make(page) for page in pages]
    for name in "ab":
        signals.emit(signals.joining, Actor(name), stream_id=name, uuid="u", product=None)
    seen = [
        [stream["stream_id"] for stream in get(app, "/rtms/live/stats").json["streams"]]
        for app in apps
    ]
    assert seen == [["a"], ["b"]]
    for page in pages:
        page.feed.disconnect()


def test_without_flask_the_missing_extra_is_named() -> None:
    program = "import sys; sys.modules['flask'] = None\nimport rtms_gevent.live"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "MissingExtra: rtms_gevent.live needs more packages" in done.stderr

"""The routes over Flask's test client: who gets in, and what the answers carry."""

from __future__ import annotations

import itertools
import logging
import re
import subprocess
import sys
from typing import Any

import pytest
from flask import Blueprint, Flask, abort, request

from rtms_gevent import ConfigurationError, signals
from rtms_gevent.live import LivePage
from rtms_gevent.live.access import derive_token

from .conftest import PERMITTED
from .page_app import TOKEN, FakeClient

STATIC = "/rtms/live/static/live.js"
CLOSED = ("/rtms/live/", "/rtms/live/stats", "/rtms/live/socket")
NAVIGATION = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
#: A request that came through nginx as it is installed: no X-Forwarded-For, the Host rewritten.
FROM_NGINX = {"Host": "127.0.0.1:8000"}
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Origin": "http://localhost"}


def make(live: LivePage | None = None, **config: Any) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(RTMS_LIVE_TOKEN=TOKEN)
    app.config.update(config)
    (live or LivePage()).init_app(app)
    return app


def get(app: Flask, path: str, headers: dict[str, str] | None = None, **options: Any) -> Any:
    client = app.test_client(use_cookies=False)  # those that a test gives are sent
    with client.get(path, headers=headers, buffered=True, **options) as answer:
        return answer


def look(app: Flask, path: str, headers: dict[str, str] | None = None, **options: Any) -> Any:
    """Get something as a viewer that has the token."""
    return get(app, path, {**PERMITTED, **(headers or {})}, **options)


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        NAVIGATION,
        FROM_NGINX,
        {"Authorization": "Bearer another-token"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer \xe9"},
        {"Cookie": "rtms_live_80=another-token; rtms_live=" + TOKEN},
        {"Cookie": "rtms_live_80=\xe9\xff"},
    ],
)
def test_nobody_gets_in_without_the_token(path: str, headers: dict[str, str]) -> None:
    if path.endswith("socket"):
        headers = {**UPGRADE, **headers}
    answer = get(make(), path, headers)
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
    assert TOKEN not in answer.text + str(answer.headers)


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("headers", [PERMITTED, {"Cookie": f"rtms_live_80={TOKEN}"}])
@pytest.mark.parametrize("address", ["127.0.0.1", "203.0.113.7"])
def test_the_token_opens_everything_from_anywhere(
    path: str, headers: dict[str, str], address: str
) -> None:
    socket = path.endswith("socket")
    headers = {**(UPGRADE if socket else {}), **headers}
    answer = get(make(), path, headers, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == (501 if socket else 200)  # this server has no WebSocket


def test_what_is_refused_says_how_to_change_that() -> None:
    assert "authorize" in get(make(), "/rtms/live/").text
    assert "RTMS_LIVE_ORIGINS" in look(make(), "/rtms/live/", {"Origin": "https://x.example"}).text


def test_browsers_are_asked_for_the_token_and_get_a_cookie_for_it() -> None:
    client = make().test_client()
    asked = client.get("/rtms/live/", headers=NAVIGATION)
    assert (asked.status_code, asked.mimetype) == (403, "text/html")
    assert '<script type="module" src="/rtms/live/static/token.js">' in asked.text
    assert get(make(), "/rtms/live/static/token.js").status_code == 200
    shown = client.get("/rtms/live/", headers=PERMITTED)
    (cookie,) = shown.headers.getlist("Set-Cookie")
    assert set(cookie.split("; ")) == {
        f"rtms_live_80={TOKEN}",
        "HttpOnly",
        "SameSite=Strict",
        "Path=/",
    }
    opened = client.get("/rtms/live/", headers=NAVIGATION)
    assert opened.status_code == 200
    assert "Set-Cookie" not in opened.headers
    assert client.get("/rtms/live/stats").status_code == 200


def test_over_https_the_cookie_stays_there() -> None:
    answer = look(make(), "/rtms/live/", base_url="https://shop.example")
    assert "Secure" in answer.headers["Set-Cookie"].split("; ")
    assert answer.headers["Set-Cookie"].startswith("rtms_live_443=")


def test_an_address_with_the_token_in_its_query_opens_nothing() -> None:
    """It would stand in the log of every server between."""
    assert get(make(), f"/rtms/live/?token={TOKEN}").status_code == 403


@pytest.mark.parametrize("port", ["8000", "", "1; Domain=evil.example", "\xb2"])
def test_the_cookie_has_no_name_that_a_request_could_choose(port: str) -> None:
    answer = look(make(), "/rtms/live/", environ_overrides={"SERVER_PORT": port})
    name = f"rtms_live_{port if port == '8000' else ''}"
    assert answer.headers["Set-Cookie"] == f"{name}={TOKEN}; HttpOnly; Path=/; SameSite=Strict"


def test_static_files_are_no_secret() -> None:
    assert get(make(), STATIC).status_code == 200


# -- where the token comes from --------------------------------------------------------------------


def links(caplog: pytest.LogCaptureFixture) -> list[str]:
    return re.findall(r"/rtms/live/#token=(\S+)", caplog.text)


def test_a_random_token_is_logged_once_when_somebody_asks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make(RTMS_LIVE_TOKEN=None)
    assert caplog.text == ""
    for _ in range(3):
        assert get(app, "/rtms/live/", {"Host": "evil.example"}).status_code == 403
    (token,) = links(caplog)
    assert len(token) == 32
    (record,) = caplog.records
    assert record.levelno == logging.WARNING  # as is shown where nobody has set up logging
    assert "evil" not in caplog.text
    assert get(app, "/rtms/live/", {"Authorization": f"Bearer {token}"}).status_code == 200
    assert links(caplog) == [token]


def test_every_app_has_another_random_token(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        get(make(RTMS_LIVE_TOKEN=None), "/rtms/live/")
    first, second = links(caplog)
    assert first != second


@pytest.mark.parametrize("workers", [False, True])
def test_the_secret_key_makes_the_token_of_all_workers(
    caplog: pytest.LogCaptureFixture, workers: bool
) -> None:
    app = make(RTMS_LIVE_TOKEN=None, SECRET_KEY="key")
    several = {"wsgi.multiprocess": workers}
    get(app, "/rtms/live/", environ_overrides=several)
    assert links(caplog) == [derive_token("key")]
    good = {"Authorization": f"Bearer {derive_token('key')}"}
    assert get(app, "/rtms/live/", good, environ_overrides=several).status_code == 200


def test_a_token_that_the_app_has_chosen_is_not_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZM_RTMS_LIVE_TOKEN", "token-of-the-environment")
    several = {"wsgi.multiprocess": True}
    for app, token in (
        (make(SECRET_KEY="key"), TOKEN),
        (make(RTMS_LIVE_TOKEN=None), "token-of-the-environment"),
    ):
        assert get(app, "/rtms/live/", environ_overrides=several).status_code == 403
        good = {"Authorization": f"Bearer {token}"}
        assert get(app, "/rtms/live/", good, environ_overrides=several).status_code == 200
    assert caplog.text == ""


def test_workers_without_a_common_token_stay_closed_and_say_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    live = LivePage()
    app = make(live, RTMS_LIVE_TOKEN=None)
    good = {"Authorization": f"Bearer {live._random_token}"}
    for headers in ({}, NAVIGATION, good):
        answer = get(app, "/rtms/live/", headers, environ_overrides={"wsgi.multiprocess": True})
        assert answer.status_code == 403
        assert "several worker processes" in answer.text
        assert "SECRET_KEY" in answer.text
    (record,) = caplog.records
    assert record.getMessage().startswith("the live page stays closed")


def test_a_token_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="RTMS_LIVE_TOKEN"):
        make(RTMS_LIVE_TOKEN="short")


# -- other rules -----------------------------------------------------------------------------------


def test_a_websocket_must_name_its_origin() -> None:
    headers = {name: value for name, value in UPGRADE.items() if name != "Origin"}
    assert look(make(), "/rtms/live/socket", headers).status_code == 403


@pytest.mark.parametrize(
    ("verdict", "status"), [(True, 200), ("yes", 200), (False, 403), (None, 403)]
)
@pytest.mark.parametrize("address", ["127.0.0.1", "203.0.113.7"])
def test_the_hook_of_the_app_decides_alone(verdict: object, status: int, address: str) -> None:
    app = make(LivePage(authorize=lambda: verdict))
    answer = look(app, "/rtms/live/stats", environ_base={"REMOTE_ADDR": address})
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
    assert look(app, "/rtms/live/stats", {"Origin": "https://shop.example"}).status_code == 200
    assert look(app, "/rtms/live/stats", {"Origin": "https://other.example"}).status_code == 403


def test_a_server_without_websocket_says_what_is_missing() -> None:
    answer = look(make(), "/rtms/live/socket", UPGRADE)
    assert answer.status_code == 501
    assert "gunicorn -k gevent" in answer.text


def test_answers_carry_strict_headers() -> None:
    for path, headers in itertools.product((*CLOSED[:2], STATIC), ({}, NAVIGATION, PERMITTED)):
        headers = get(make(), path, headers).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "connect-src 'self' ws://localhost wss://localhost;" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert (headers["Cache-Control"] == "no-store") is (path != STATIC)


@pytest.mark.parametrize("host", ["x; script-src *", "'unsafe-inline'", "a b", "*"])
def test_a_host_header_cannot_loosen_the_policy(host: str) -> None:
    answer = get(make(RTMS_LIVE_PUBLIC=True), "/rtms/live/", {"Host": host})
    assert "connect-src 'self';" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("headers", [PERMITTED, NAVIGATION])
def test_the_page_has_nothing_inline_and_nothing_from_elsewhere(headers: dict[str, str]) -> None:
    text = get(make(), "/rtms/live/", headers).text
    assert "<style" not in text
    assert " style=" not in text
    assert text.count("<script") == text.count('<script type="module" src="/rtms/live/static/')
    assert "://" not in text


def test_other_pages_of_the_app_are_left_alone() -> None:
    app = make()
    app.add_url_rule("/", "home", lambda: "home")
    answer = get(app, "/")
    assert (answer.status_code, answer.text) == (200, "home")
    assert "Content-Security-Policy" not in answer.headers


def test_the_page_may_be_mounted_elsewhere() -> None:
    app = make(RTMS_LIVE_PATH="/watch", APPLICATION_ROOT="/shop")
    answer = look(app, "/watch/", base_url="http://localhost/shop")
    assert 'src="/shop/watch/static/live.js"' in answer.text


def test_stats_are_numbers_and_what_the_app_adds() -> None:
    live = LivePage(stats=lambda stream_id: {"more": len(stream_id)})
    app = make(live)
    client = FakeClient("one")
    signals.emit(signals.joining, client, stream_id="one", uuid="u", product=None)
    signals.emit(
        signals.participant_event,
        client,
        event="join",
        timestamp=1,
        participants=[{"user_id": 1, "user_name": "Ada"}],
    )
    answer = look(app, "/rtms/live/stats")
    (stream,) = answer.json["streams"]
    assert (stream["stream_id"], stream["participants"], stream["more"]) == ("one", 1, 3)
    assert "Ada" not in answer.text
    live.recorder.disconnect()


def test_pages_of_the_app_may_be_as_private() -> None:
    app, live = Flask(__name__), LivePage()
    app.config["RTMS_LIVE_TOKEN"] = TOKEN
    live.init_app(app)
    minutes = Blueprint("minutes", __name__)
    minutes.before_request(live.guard)
    minutes.add_url_rule("/minutes", "minutes", lambda: "what was said")
    app.register_blueprint(minutes)
    client = app.test_client()
    assert client.get("/minutes").status_code == 403
    assert client.get("/minutes", headers={"Origin": "https://evil.example"}).status_code == 403
    asked = client.get("/minutes", headers=NAVIGATION)
    assert "/rtms/live/static/token.js" in asked.text
    assert "default-src 'none'" in asked.headers["Content-Security-Policy"]
    assert client.get("/minutes", headers=PERMITTED).text == "what was said"
    assert client.get("/minutes").text == "what was said"  # the browser has the cookie now


def test_two_apps_may_have_a_page_each() -> None:
    pages = [LivePage(shows=lambda client, name=name: client.stream_id() == name) for name in "ab"]
    apps = [make(page) for page in pages]
    for name in "ab":
        signals.emit(signals.joining, FakeClient(name), stream_id=name, uuid="u", product=None)
    seen = [
        [stream["stream_id"] for stream in look(app, "/rtms/live/stats").json["streams"]]
        for app in apps
    ]
    assert seen == [["a"], ["b"]]
    for page in pages:
        page.recorder.disconnect()


def test_without_flask_the_missing_extra_is_named() -> None:
    program = "import sys; sys.modules['flask'] = None\nimport rtms_gevent.live"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "MissingExtra: rtms_gevent.live needs more packages" in done.stderr

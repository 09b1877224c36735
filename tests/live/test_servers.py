"""The page under gunicorn: what is upgraded, behind nginx, and with several workers."""

from __future__ import annotations

import json
import os
import signal
import socket

import pytest
import websocket

from rtms_gevent.live.access import derive_token

from .conftest import PERMITTED, PageServer, Signals, serve_page
from .test_viewer import browse

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def ask(port: int, path: str, headers: dict[str, str]) -> bytes:
    """Send one request on a connection of its own, and return the whole answer."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in {"Connection": "close", **headers}.items()]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def status(port: int, path: str, headers: dict[str, str]) -> int:
    return int(ask(port, path, headers).split()[1])


# -- upgrades --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("/rtms/live/socket", {"Sec-WebSocket-Key": "no base64"}),
        ("/rtms/live/socket", {"Sec-WebSocket-Key": "\xe9"}),
        ("/rtms/live/socket", {"Sec-WebSocket-Key": ""}),
        ("/rtms/live/socket", {"Sec-WebSocket-Version": "7"}),
        ("/rtms/live/", {}),
        ("/contexts", {}),
        ("/contexts", {"Sec-WebSocket-Key": "no base64"}),
    ],
)
def test_only_a_good_request_for_the_socket_is_upgraded(
    server: PageServer, path: str, changes: dict[str, str]
) -> None:
    """And nothing is logged: the fixture looks."""
    headers = {**HANDSHAKE, **PERMITTED, "Origin": f"http://{server.address}", **changes}
    assert status(server.port, path, headers) == 400


# -- behind nginx ----------------------------------------------------------------------------------


def test_nginx_is_no_way_in(server: PageServer, nginx: int) -> None:
    for path in ("/rtms/live/", "/rtms/live/stats"):
        assert status(nginx, path, {}) == 403
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        websocket.create_connection(
            f"ws://127.0.0.1:{nginx}/rtms/live/socket", origin=f"http://{server.address}"
        )
    assert caught.value.status_code == 403


def test_the_token_opens_the_page_through_nginx(server: PageServer, nginx: int) -> None:
    for path in ("/rtms/live/", "/rtms/live/stats"):
        assert status(nginx, path, PERMITTED) == 200
    browser = websocket.create_connection(
        f"ws://127.0.0.1:{nginx}/rtms/live/socket",
        origin=f"http://{server.address}",
        header=PERMITTED,
        timeout=10,
    )
    assert "hello" in json.loads(browser.recv())
    browser.close()


# -- several workers -------------------------------------------------------------------------------


def test_workers_have_the_secret_keys_token_in_common() -> None:
    token = derive_token("key")
    app = "page_app:create_app(RTMS_LIVE_TOKEN=None, SECRET_KEY='key')"
    with serve_page(workers=2, app=app) as server:
        good = {"Authorization": f"Bearer {token}"}
        for _ in range(20):
            assert status(server.port, "/rtms/live/", good) == 200
        assert status(server.port, "/rtms/live/", {}) == 403
    lines = [line for line in server.log.splitlines() if token in line]
    assert lines
    assert set(lines) == {
        f"the live page opens with this link of the app: /rtms/live/#token={token}"
    }


def test_workers_that_have_nothing_in_common_stay_closed() -> None:
    with serve_page(workers=2, app="page_app:create_app(RTMS_LIVE_TOKEN=None)") as server:
        for _ in range(5):
            answer = ask(server.port, "/rtms/live/", {})
            assert answer.startswith(b"HTTP/1.1 403 ")
            assert b"several worker processes" in answer
    assert "the live page stays closed" in server.log
    assert "#token=" not in server.log


# -- the end of a worker ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "worker", ["gevent", "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"]
)
def test_a_worker_that_ends_sends_its_viewers_elsewhere(worker: str, script: Signals) -> None:
    """Else it would wait for them, and be killed with all of its streams when time is up."""
    with serve_page(worker) as server:
        pid = server.emit(*script.begin())
        with browse(server) as browser:
            browser.until(lambda message: "ids" in message)
            os.kill(pid, signal.SIGTERM)
            assert browser.close_code() == 1001
    assert "graceful timeout" not in server.log

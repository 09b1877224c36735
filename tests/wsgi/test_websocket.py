"""The request that opens a WebSocket: what is answered, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from rtms_gevent.wsgi.websocket import BadUpgrade, accept_key

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
    assert accept_key(GOOD | changes) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


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
        accept_key(GOOD | changes)


@pytest.mark.parametrize("missing", GOOD)
def test_nothing_may_be_missing(missing: str) -> None:
    with pytest.raises(BadUpgrade):
        accept_key({name: value for name, value in GOOD.items() if name != missing})

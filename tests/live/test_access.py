"""Who may look: tokens, and pages of other sites."""

from __future__ import annotations

from typing import Any

import pytest

from rtms_gevent._environment import live_token
from rtms_gevent.errors import ConfigurationError
from rtms_gevent.live.access import bearer, derive_token, foreign_origin, is_same


@pytest.mark.parametrize(
    ("given", "environ", "token"),
    [
        ("A-z0.9_~+/=-chosen", {}, "A-z0.9_~+/=-chosen"),
        ("chosen-by-the-app", {"ZM_RTMS_LIVE_TOKEN": "of-the-environment"}, "chosen-by-the-app"),
        (None, {"ZM_RTMS_LIVE_TOKEN": "of-the-environment"}, "of-the-environment"),
        (None, {"ZM_RTMS_LIVE_TOKEN": ""}, None),
        (None, {}, None),
    ],
)
def test_the_app_may_choose_the_token(
    given: object, environ: dict[str, str], token: str | None
) -> None:
    assert live_token(given, environ) == token


@pytest.mark.parametrize(
    ("given", "environ"),
    [
        ("", {}),
        ("x" * 15, {}),
        ("x" * 201, {}),
        ("with spaces between", {}),
        ("line-break-behind-it\n", {}),
        (b"no-text-but-bytes", {}),
        (10**20, {}),
        (None, {"ZM_RTMS_LIVE_TOKEN": "short"}),
    ],
)
def test_a_token_that_is_easily_guessed_or_no_text_is_refused(
    given: object, environ: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match="RTMS_LIVE_TOKEN") as caught:
        live_token(given, environ)
    assert str(given) not in str(caught.value) or not given


def test_a_derived_token_is_the_same_in_all_processes_and_tells_no_secret() -> None:
    token = derive_token("the app's key")
    assert token == derive_token(b"the app's key")
    assert token != derive_token("another key")
    assert "key" not in token
    assert len(token) == 64


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic YTpi", ""),
        ("Bearer", ""),
        ("Bearer ", ""),
        ("abc", ""),
        ("", ""),
        ("Bearer \xe9\udcff", "\xe9\udcff"),
    ],
)
def test_a_bearer_token_is_read(header: str, token: str) -> None:
    assert bearer({"HTTP_AUTHORIZATION": header}) == token
    assert is_same(token, "abc") is (token == "abc")


def test_no_header_is_no_token() -> None:
    assert bearer({}) == ""


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("localhost:8000", "http://localhost:8000", False),
        ("shop.example", "https://shop.example", False),  # a proxy ended TLS
        ("shop.example:443", "https://shop.example", False),
        ("[::1]:8000", "http://[::1]:8000", False),
        ("localhost:8000", "http://localhost:8001", True),
        ("localhost:8000", "http://127.0.0.1:8000", True),
        ("localhost:8000", "https://evil.example", True),
        ("localhost:8000", "http://localhost:8000.evil.example", True),
        ("localhost:8000", "http://localhost:8000@evil.example", True),
        ("localhost:8000", "http://evil.example/localhost:8000", True),
        ("localhost:8000", "null", True),  # a sandboxed frame, a local file
        ("localhost:8000", "", True),
        ("", "http://", True),
        ("localhost:8000", "http://localhost:port", True),
        ("localhost:8000", "https://www.shop.example", False),  # trusted below
    ],
)
def test_origins_are_compared_with_the_host(host: str, origin: str, expected: bool) -> None:
    environ = {"HTTP_HOST": host, "HTTP_ORIGIN": origin}
    trusted = ("https://www.shop.example",)
    assert foreign_origin(environ, required=True, trusted=trusted) is expected


@pytest.mark.parametrize("required", [True, False])
def test_no_origin_is_foreign_only_where_one_is_required(required: bool) -> None:
    environ: dict[str, Any] = {"HTTP_HOST": "localhost"}
    assert foreign_origin(environ, required=required) is required

"""Who may look: every way in that is not from this machine must be seen."""

from __future__ import annotations

from typing import Any

import pytest

from rtms_gevent.live.access import foreign_origin, is_local

LOCAL = {
    "REMOTE_ADDR": "127.0.0.1",
    "HTTP_HOST": "localhost:8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"HTTP_HOST": "127.0.0.1"},
        {"HTTP_HOST": "127.8.9.10:80"},
        {"REMOTE_ADDR": "::1", "HTTP_HOST": "[::1]:8000"},
        {"REMOTE_ADDR": "::ffff:127.0.0.1"},
        {"HTTP_HOST": "LOCALHOST:8000"},
    ],
)
def test_this_machine_is_local(changes: dict[str, str]) -> None:
    assert is_local(LOCAL | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"REMOTE_ADDR": "10.0.0.7"},
        {"REMOTE_ADDR": "::ffff:10.0.0.7"},
        {"REMOTE_ADDR": "fe80::1%eth0"},
        {"REMOTE_ADDR": ""},  # a Unix socket, which a proxy stands before
        {"REMOTE_ADDR": "localhost.evil.example"},
        {"HTTP_HOST": ""},
        {"HTTP_HOST": "shop.example"},
        {"HTTP_HOST": "localhost.evil.example"},  # DNS rebinding
        {"HTTP_HOST": "evil.example:8000"},
        {"HTTP_HOST": "127.0.0.1.evil.example"},
        {"HTTP_HOST": "localhost@evil.example"},
        {"HTTP_HOST": "localhost:port"},
        {"HTTP_HOST": "localhost/@evil.example"},
        {"HTTP_HOST": "[::1"},
        {"SERVER_PROTOCOL": "HTTP/1.0"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_X_FORWARDED_FOR": ""},
        {"HTTP_X_FORWARDED_HOST": "localhost"},
        {"HTTP_X_FORWARDED_PROTO": "https"},
        {"HTTP_X_REAL_IP": "127.0.0.1"},
        {"HTTP_FORWARDED": "for=127.0.0.1"},
        {"HTTP_VIA": "1.1 proxy"},
        {"HTTP_CF_CONNECTING_IP": "127.0.0.1"},
    ],
)
def test_anything_else_is_not(changes: dict[str, str]) -> None:
    assert not is_local(LOCAL | changes)


def test_an_environment_without_anything_is_not_local() -> None:
    assert not is_local({})


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

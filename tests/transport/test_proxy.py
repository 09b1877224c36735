"""What is an address of a proxy. How it is used: test_connect.py, TestProxy."""

from __future__ import annotations

import pytest

from rtms_gevent.errors import ConfigurationError
from rtms_gevent.transport.proxy import Proxy


@pytest.mark.parametrize(
    ("url", "proxy", "address"),
    [
        ("http://proxy:3128", Proxy("proxy", 3128), "proxy:3128"),
        ("http://proxy", Proxy("proxy", 80), "proxy:80"),
        ("proxy:3128", Proxy("proxy", 3128), "proxy:3128"),
        ("http://me:pass%20word@proxy:1", Proxy("proxy", 1, "me", "pass word"), "proxy:1"),
        ("http://[::1]:3128", Proxy("::1", 3128), "[::1]:3128"),
    ],
)
def test_parse(url, proxy, address):
    assert Proxy.parse(url) == proxy
    assert proxy.address == address


@pytest.mark.parametrize("url", ["", "socks5://host:1", "http://host:port", "http://"])
def test_what_is_no_proxy(url):
    with pytest.raises(ConfigurationError, match="proxy must look like"):
        Proxy.parse(url)


def test_a_password_has_no_repr():
    assert "word" not in repr(Proxy.parse("http://me:word@proxy:3128"))

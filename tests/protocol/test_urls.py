"""Which addresses of a webhook are allowed, and which tricks are refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_gevent.errors import ServerUrlError
from rtms_gevent.protocol.urls import Endpoint, parse_server_urls

ZOOM = ("zoom.us", "zoomgov.com")
LOCAL = (*ZOOM, "127.0.0.1", "localhost", "::1")


@pytest.mark.parametrize(
    ("text", "allowed", "expected"),
    [
        ("wss://zoom.us", ZOOM, [("wss", "zoom.us", 443, "/")]),
        ("wss://zoomiad2.zoom.us:443/x", ZOOM, [("wss", "zoomiad2.zoom.us", 443, "/x")]),
        ("wss://a.b.c.zoomgov.com", ZOOM, [("wss", "a.b.c.zoomgov.com", 443, "/")]),
        ("  wss://zoom.us/  ", ZOOM, [("wss", "zoom.us", 443, "/")]),
        ("wss://zoom.us/a/b?m=1&k=x%20y", ZOOM, [("wss", "zoom.us", 443, "/a/b?m=1&k=x%20y")]),
        ("wss://zoom.us?m=1", ZOOM, [("wss", "zoom.us", 443, "/?m=1")]),
        ("wss://zoom.us/x#fragment", ZOOM, [("wss", "zoom.us", 443, "/x")]),
        ("wss://zoom.us:8443", ZOOM, [("wss", "zoom.us", 8443, "/")]),
        ("wss://zoom.us:", ZOOM, [("wss", "zoom.us", 443, "/")]),
        ("wss://zoom.us:65535", ZOOM, [("wss", "zoom.us", 65535, "/")]),
        ("WSS://RTMS.ZOOM.US/Path", ZOOM, [("wss", "rtms.zoom.us", 443, "/Path")]),
        ("wss://zoom.us./x", ZOOM, [("wss", "zoom.us", 443, "/x")]),
        ("wss://a-1_b.zoom.us", ZOOM, [("wss", "a-1_b.zoom.us", 443, "/")]),
        # an allowed name may be written in several ways
        ("wss://a.example.com", ["*.Example.COM."], [("wss", "a.example.com", 443, "/")]),
        ("wss://a.example.com", [".example.com"], [("wss", "a.example.com", 443, "/")]),
        # hosts that the user allowed, by either scheme
        ("ws://127.0.0.1:8080/signal", LOCAL, [("ws", "127.0.0.1", 8080, "/signal")]),
        ("ws://localhost", LOCAL, [("ws", "localhost", 80, "/")]),
        ("wss://localhost:1", LOCAL, [("wss", "localhost", 1, "/")]),
        ("ws://[::1]:8080/x", LOCAL, [("ws", "::1", 8080, "/x")]),
        ("ws://sim.zoom.us", (*ZOOM, "sim.zoom.us"), [("ws", "sim.zoom.us", 80, "/")]),
        # an address has one form
        ("ws://[0:0::0:1]", LOCAL, [("ws", "::1", 80, "/")]),
        ("ws://[FE80::1]", ["[fe80::1]"], [("ws", "fe80::1", 80, "/")]),
        ("ws://[::1]", ["0:0:0:0:0:0:0:1"], [("ws", "::1", 80, "/")]),
        ("ws://[::1]:", LOCAL, [("ws", "::1", 80, "/")]),
        ("ws://127.0.0.1.", LOCAL, [("ws", "127.0.0.1", 80, "/")]),
        ("ws://rtms_simulator:9000", ["rtms_simulator"], [("ws", "rtms_simulator", 9000, "/")]),
        # lists
        (
            "wss://a.zoom.us/x,wss://b.zoom.us/y",
            ZOOM,
            [("wss", "a.zoom.us", 443, "/x"), ("wss", "b.zoom.us", 443, "/y")],
        ),
        ("srt://a.zoom.us:9, wss://b.zoom.us", ZOOM, [("wss", "b.zoom.us", 443, "/")]),
        ("wss://evil.com,wss://zoom.us,", ZOOM, [("wss", "zoom.us", 443, "/")]),
        (",,wss://zoom.us", ZOOM, [("wss", "zoom.us", 443, "/")]),
    ],
)
def test_addresses_that_may_be_dialled(text, allowed, expected):
    assert parse_server_urls(text, allowed) == tuple(Endpoint(*row) for row in expected)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # nothing there
        ("", "server_urls is missing"),
        ("  ", "server_urls is missing"),
        (None, "server_urls is missing"),
        (["wss://zoom.us"], "server_urls is missing"),
        (b"wss://zoom.us", "server_urls is missing"),
        (",", "it is empty"),
        # schemes
        ("zoom.us", "scheme '' is not wss"),
        ("//zoom.us", "scheme '' is not wss"),
        ("https://zoom.us", "scheme 'https' is not wss"),
        ("file:///etc/passwd", "scheme 'file' is not wss"),
        ("javascript:alert(1)", "scheme 'javascript' is not wss"),
        ("zoom.us:443", "scheme 'zoom.us' is not wss"),
        ("ws://zoom.us", "plain ws is not allowed to 'zoom.us'"),
        ("ws://a.zoomgov.com", "plain ws is not allowed to 'a.zoomgov.com'"),
        # no host
        ("wss:", "has no host"),
        ("wss:zoom.us", "has no host"),
        ("wss://", "has no host"),
        ("wss:///zoom.us", "has no host"),
        ("wss://:443", "has no host"),
        ("wss://.", "host '.' is no host name"),
        # lookalikes
        ("wss://evilzoom.us", "host 'evilzoom.us' is not allowed"),
        ("wss://zoom.us.evil.com", "host 'zoom.us.evil.com' is not allowed"),
        ("wss://zoom.us-evil.com", "host 'zoom.us-evil.com' is not allowed"),
        ("wss://zoom.uss", "is not allowed"),
        ("wss://us", "is not allowed"),
        ("wss://zoom.us.com./", "is not allowed"),
        ("wss://evil.com/zoom.us", "host 'evil.com' is not allowed"),
        ("wss://evil.com?.zoom.us", "host 'evil.com' is not allowed"),
        ("wss://evil.com#.zoom.us", "host 'evil.com' is not allowed"),
        ("wss://127.0.0.1", "host '127.0.0.1' is not allowed"),
        ("wss://localhost", "host 'localhost' is not allowed"),
        ("wss://[::1]", "host '::1' is not allowed"),
        ("wss://[::ffff:127.0.0.1]", "is not allowed"),
        # tricks
        ("wss://zoom.us@evil.com", "holds a user name"),
        ("wss://user:word@zoom.us", "holds a user name"),
        ("wss://@zoom.us", "holds a user name"),
        ("wss://evil.com\\.zoom.us", "blanks, control or non-ASCII"),
        ("wss://evil.com\\@zoom.us", "blanks, control or non-ASCII"),
        ("wss://evil.com .zoom.us", "blanks, control or non-ASCII"),
        ("wss://zoom.us/x\r\nHost: evil.com", "blanks, control or non-ASCII"),
        ("wss://zoom.us/\x00", "blanks, control or non-ASCII"),
        ("ws\ts://zoom.us", "blanks, control or non-ASCII"),
        ("wss://zооm.us", "blanks, control or non-ASCII"),  # noqa: RUF001  # Cyrillic
        ("wss://evil.com%2ezoom.us", "is no host name"),
        ("wss://evil.com%00.zoom.us", "is no host name"),
        ('wss://a"b.zoom.us', "is no host name"),
        # zones, which a resolver takes for an interface of this machine
        ("wss://[::1%.zoom.us]:1", ""),
        ("wss://[::1%25.zoom.us]", ""),
        ("wss://[fe80::1%eth0.zoom.us]", ""),
        ("wss://::1%.zoom.us", ""),
        ("wss://127.0.0.1%.zoom.us", "is no host name"),
        ("wss://evil.com%.zoom.us", "is no host name"),
        # what is no address in brackets, or stands beside them
        ("wss://[zoom.us]", ""),
        ("wss://[a.zoom.us]:443", ""),
        ("wss://[::1.zoom.us]", ""),
        ("wss://[::1]zoom.us", ""),
        ("wss://[::1].zoom.us", ""),
        ("wss://[::1]:443.zoom.us", ""),
        ("wss://zoom.us[::1]", ""),
        ("wss://a[b].zoom.us", ""),
        ("wss://]zoom.us", ""),
        ("wss://[v1.zoom.us]", ""),
        ("wss://[]", ""),
        ("wss://[:::]", ""),
        # what browsers drop, decode or split at, and others do not
        ("wss://zoom.us;evil.com", "is no host name"),
        ("wss://evil.com;.zoom.us", "is no host name"),
        ("wss://evil.com&.zoom.us", "is no host name"),
        ("wss://evil.com+.zoom.us", "is no host name"),
        ("wss://evil.com!.zoom.us", "is no host name"),
        ("wss://evil.com'.zoom.us", "is no host name"),
        ("wss://evil.com(.zoom.us", "is no host name"),
        ("wss://evil.com*.zoom.us", "is no host name"),
        ("wss://*.zoom.us", "is no host name"),
        ("wss://evil.com=.zoom.us", "is no host name"),
        ("wss://evil.com~.zoom.us", "is no host name"),
        ("wss://evil.com^.zoom.us", "is no host name"),
        ("wss://evil.com`.zoom.us", "is no host name"),
        ("wss://evil.com|.zoom.us", "is no host name"),
        ("wss://{evil.com}.zoom.us", "is no host name"),
        ("wss://<evil.com>.zoom.us", "is no host name"),
        ("wss://evil.com%23.zoom.us", "is no host name"),
        ("wss://evil.com%2f.zoom.us", "is no host name"),
        ("wss://evil.com%5c.zoom.us", "is no host name"),
        ("wss://evil.com%40zoom.us", "is no host name"),
        ("wss://evil.com%0d%0a.zoom.us", "is no host name"),
        ("wss://a%41.zoom.us", "is no host name"),
        ("wss://zoom.us%", "is no host name"),
        ("wss://zoom.us@127.0.0.1", "holds a user name"),
        ("wss://zoom.us:443@evil.com", "holds a user name"),
        ("wss://zoom.us:@evil.com:1", "holds a user name"),
        ("wss://evil.com@@zoom.us", "holds a user name"),
        ("wss://x@[::1]", ""),
        ("wss://evil.com\x7f.zoom.us", "blanks, control or non-ASCII"),
        ("wss://evil.com\x1f.zoom.us", "blanks, control or non-ASCII"),
        ("wss://evil.com\x85.zoom.us", "blanks, control or non-ASCII"),
        ("wss://evil.com\u3002zoom.us", "blanks, control or non-ASCII"),
        ("wss://evil.com\uff0ezoom.us", "blanks, control or non-ASCII"),
        ("wss://evil.com\u2100.zoom.us", "blanks, control or non-ASCII"),
        ("wss://zoom\u00ad.us", "blanks, control or non-ASCII"),
        ("wss:\\\\evil.com/.zoom.us", "blanks, control or non-ASCII"),
        ("wss:/zoom.us", "has no host"),
        ("wss:/\t/zoom.us", "blanks, control or non-ASCII"),
        ("wss:////zoom.us", "has no host"),
        # hyphens at the ends of labels
        ("wss://-evil.zoom.us", "is no host name"),
        ("wss://evil-.zoom.us", "is no host name"),
        ("wss://a.-.zoom.us", "is no host name"),
        # numbers that a resolver takes for an address
        ("wss://zoom.us.1", "is no host name"),
        ("wss://zoom.us.0x7f", "is no host name"),
        ("wss://2130706433", "is no host name"),
        ("wss://0x7f000001", "is no host name"),
        ("wss://0177.0.0.1", "is no host name"),
        ("wss://127.1", "is no host name"),
        ("wss://127.0.0.01", "is no host name"),
        ("wss://1.127.0.0.1", "is no host name"),
        ("wss://256.0.0.1", "is no host name"),
        # what a resolver could not take
        ("wss://.zoom.us", "is no host name"),
        ("wss://a..zoom.us", "is no host name"),
        ("wss://zoom.us..", "is no host name"),
        ("wss://" + "a" * 64 + ".zoom.us", "is no host name"),
        ("wss://" + "a." * 130 + "zoom.us", "is no host name"),
        # ports
        ("wss://zoom.us:0", "port 0"),
        ("wss://zoom.us:65536", "malformed"),
        ("wss://zoom.us:-1", "malformed"),
        ("wss://zoom.us:port", "malformed"),
        ("wss://zoom.us:+443", "malformed"),
        ("wss://zoom.us:4_4_3", "malformed"),
        ("wss://zoom.us:0x1bb", "malformed"),
        ("wss://zoom.us:443:443", "malformed"),
        ("wss://zoom.us:%34%34%33", "malformed"),
        # brackets
        ("wss://[::1", "malformed"),
        # several, all bad
        ("srt://zoom.us,wss://evil.com", "scheme 'srt' is not wss; host 'evil.com' is not allowed"),
    ],
)
def test_addresses_that_must_not_be_dialled(text, problem):
    with pytest.raises(ServerUrlError) as caught:
        parse_server_urls(text, ZOOM)
    assert problem in str(caught.value)


def test_the_error_says_how_to_allow_a_host():
    with pytest.raises(ServerUrlError, match=r"allowed_hosts=, RTMS_ALLOWED_HOSTS or ZM_RTMS_"):
        parse_server_urls("wss://rtms.example.com", ZOOM)


def test_the_error_tells_no_query():
    with pytest.raises(ServerUrlError) as caught:
        parse_server_urls("wss://evil.com/x?key=hunter2", ZOOM)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("allowed", [[], [""], ["*"], ["."], ["*."]])
def test_no_name_allows_every_host(allowed):
    with pytest.raises(ServerUrlError):
        parse_server_urls("wss://zoom.us", allowed)


#: Hosts that may be connected to, as this machine, through which no trick must lead elsewhere.
THIS = ("127.0.0.1", "localhost", "::1")


@pytest.mark.parametrize(
    "host",
    [
        "[::1%lo]",
        "[::1%25lo]",
        "127.1",
        "0x7f.0.0.1",
        "1.127.0.0.1",
        "x.127.0.0.1",
        "[x::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "localhost%2e",
        "localhost%00",
        "[localhost]",
        "[127.0.0.1]",
        "::1",
    ],
)
def test_an_allowed_host_has_one_form(host):
    for url in (f"ws://{host}", f"ws://{host}:80/"):
        with pytest.raises(ServerUrlError):
            parse_server_urls(url, THIS)


@pytest.mark.parametrize(
    "allowed", ["::1%lo", "[::1%lo]", "a b", "a%b", "evil\\", "@", "[zoom.us]"]
)
def test_what_is_no_host_allows_nothing(allowed):
    with pytest.raises(ServerUrlError):
        parse_server_urls("wss://[::1],wss://a,wss://b,wss://evil,wss://lo", [allowed])


HOSTS = st.text("abz019-_.:[]%@\\/#?;,= \t\u3002", max_size=20)


@given(HOSTS, HOSTS)
def test_any_host_is_a_plain_one_or_refused(before, after):
    try:
        endpoints = parse_server_urls(f"wss://{before}.zoom.us{after}", ZOOM)
    except ServerUrlError:
        return
    for endpoint in endpoints:
        assert re.fullmatch(r"([a-z0-9_-]+\.)*zoom(gov)?\.(us|com)", endpoint.host)


@given(st.text(), st.sampled_from(["", "wss://", "wss://zoom.us", "wss://a.zoom.us:1/"]))
def test_any_text_is_dialled_at_zoom_or_refused(text, before):
    try:
        endpoints = parse_server_urls(before + text, ZOOM)
    except ServerUrlError:
        return
    for endpoint in endpoints:
        assert endpoint.secure
        assert ("." + endpoint.host).endswith((".zoom.us", ".zoomgov.com"))
        assert 0 < endpoint.port < 65536
        assert endpoint.resource.startswith("/")
        assert endpoint.host.encode("idna")


@pytest.mark.parametrize(
    ("endpoint", "origin", "url"),
    [
        (
            Endpoint("wss", "zoom.us", 443, "/x?key=1"),
            "wss://zoom.us:443",
            "wss://zoom.us:443/x?key=1",
        ),
        (Endpoint("ws", "::1", 80, "/"), "ws://[::1]:80", "ws://[::1]:80/"),
    ],
)
def test_endpoint(endpoint, origin, url):
    assert (endpoint.origin, endpoint.url) == (origin, url)
    assert endpoint.origin == f"{endpoint.scheme}://{endpoint.authority}"
    assert endpoint.secure is (endpoint.scheme == "wss")
    assert parse_server_urls(url, ("zoom.us", "::1")) == (endpoint,)

"""Opening a WebSocket: what works, and what each failure says."""

from __future__ import annotations

import contextlib
import datetime
import errno
import gc
import shutil
import warnings
import weakref

import gevent
import pytest
import trustme
import websocket
from gevent import socket, ssl
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rawserver import (
    RawServer,
    black_hole,
    hang,
    http_proxy,
    server_context,
    unused_port,
    upgrade_response,
)
from websocket import _handshake
from websocket._cookiejar import SimpleCookieJar

from rtms_gevent.errors import ConfigurationError, ConnectError, TlsError
from rtms_gevent.protocol.urls import parse_server_urls
from rtms_gevent.runtime.deadline import Deadline
from rtms_gevent.transport import upgrade
from rtms_gevent.transport.connect import open_connection, tls_context
from rtms_gevent.transport.happy_eyeballs import History
from rtms_gevent.transport.proxy import Proxy


def dial(url, *, seconds=5.0, proxy=None, **options):
    endpoints = parse_server_urls(url, ["127.0.0.1", "localhost", "invalid"])
    if proxy is not None:
        options["proxy_for"] = lambda _: proxy
    opened = open_connection(endpoints, deadline=Deadline(seconds), **options)
    opened.sock.close()
    return opened


def answering(response):
    def script(peer):
        peer.read_request()
        peer.sock.sendall(response)

    return script


def welcome(peer):
    peer.upgrade()
    hang(peer)


def test_opens_and_passes_path_and_early_bytes_on():
    with RawServer(lambda peer: peer.upgrade(early=b"\x81\x02hi") and hang(peer)) as server:
        opened = dial(server.url("/sig/path?x=1"))
    assert opened.buffered == b"\x81\x02hi"
    assert server.peers[0].path == "/sig/path?x=1"
    assert b"Origin" not in server.peers[0].request


def test_nothing_of_an_upgrade_waits_for_the_garbage_collector(monkeypatch):
    kept = []

    class WebSocket(websocket.WebSocket):
        def __init__(self, **options):
            super().__init__(**options)
            kept.append(weakref.ref(self))

    monkeypatch.setattr(websocket, "WebSocket", WebSocket)
    with RawServer(welcome) as server:
        gc.disable()
        try:
            dial(server.url("/"))
            assert [reference() for reference in kept] == [None]
        finally:
            gc.enable()


def test_a_long_response_costs_websocket_client_few_calls(monkeypatch):
    """Byte by byte it would hold up the hub for milliseconds: counted, not timed."""
    pieces, recv = [], upgrade._HandshakeSocket.recv

    def keep(*arguments):
        pieces.append(recv(*arguments))
        return pieces[-1]

    monkeypatch.setattr(upgrade._HandshakeSocket, "recv", keep)

    def script(peer):
        more = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 200) for number in range(10))
        peer.sock.sendall(upgrade_response(peer.read_request())[:-2] + more + b"\r\n")
        hang(peer)

    with RawServer(script) as server:
        dial(server.url("/"))
    headers = {piece.partition(b":")[0].lower() for piece in pieces if b":" in piece}
    assert headers == {b"upgrade", b"connection", b"sec-websocket-accept"}
    assert len(pieces) < 15  # two for each line that it needs


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), "HTTP 200"),
        (answering(b"HTTP/1.1 404 Not Found\r\n\r\n"), "HTTP 404"),
        (answering(b"HTTP/1.1 404\r\nX: y\r\n\r\n"), "HTTP 404"),
        (answering(b"HTTP/1.0 404 Not Found\n\n"), "HTTP 404"),
        (answering(b"SSH-2.0-OpenSSH_9.2p1\r\n"), "no WebSocket upgrade"),
        (answering(b"HTTP/1.1 1010 Switching\r\n\r\n"), "no WebSocket upgrade"),
        (answering(b"HTTP/2 101 Switching Protocols\r\n\r\n"), "no WebSocket upgrade"),
        (answering(b"\x15\x03\x01 this is no HTTP at all\r\n\r\n"), "no WebSocket upgrade"),
        (answering(b""), "closed the connection during the upgrade"),
        (answering(b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"y" * 20_000), "too long"),
        (answering(b"nothing\r\n\r\n"), "no WebSocket upgrade"),
        (answering(b"HTTP/1.1 101 \xff\r\n\r\n"), "no WebSocket upgrade"),
        (lambda peer: peer.upgrade(accept=b"AAAA"), "no WebSocket upgrade"),
        (lambda peer: peer.upgrade(extensions=b"permessage-deflate"), "an extension"),
    ],
    ids=[
        "http",
        "not found",
        "no phrase",
        "bare LF",
        "a banner",
        "four digits",
        "HTTP/2",
        "no http",
        "eof",
        "endless headers",
        "one word",
        "not UTF-8",
        "wrong accept",
        "compression",
    ],
)
def test_a_server_that_is_no_websocket_server(script, text):
    with RawServer(script) as server, pytest.raises(ConnectError, match=text) as caught:
        dial(server.url("/secret?token=abc"))
    assert caught.value.step == "http"
    assert "token" not in str(caught.value)


@pytest.mark.parametrize("status", [100, 200, 204, 206, 301, 302, 303, 304, 307, 308, 401, 503])
def test_every_status_but_101_is_a_refusal_at_once(status, dialled):
    """Nothing more is read, and nobody is followed: no redirect, no body that never comes."""

    def script(peer):
        peer.read_request()
        headers = f"Location: {elsewhere.url()}\r\nContent-Length: 1000000\r\n"
        peer.sock.sendall(f"HTTP/1.1 {status} X\r\n{headers}\r\n".encode())
        hang(peer)

    with RawServer(hang) as elsewhere, RawServer(script) as server:
        with pytest.raises(ConnectError, match=f"HTTP {status}") as caught:
            dial(server.url())
        assert dialled.ports == [server.port]
    assert type(caught.value) is ConnectError
    assert caught.value.step == "http"
    assert ("redirect" in str(caught.value)) is (300 <= status <= 399)


class TestCookies:
    """websocket-client has one jar for the whole process: it must get nothing and give nothing."""

    COOKIE = b"a=" + b"x" * 1000 + b"; Domain=127.0.0.1; Path=/"

    @pytest.fixture(autouse=True)
    def jar(self, monkeypatch):
        jar = SimpleCookieJar()
        monkeypatch.setattr(_handshake, "CookieJar", jar)
        return jar

    @pytest.mark.parametrize("status", [101, 200, 302, 503])
    @pytest.mark.parametrize(
        "name",
        [
            b"Set-Cookie",
            b"set-cookie",
            b" Set-Cookie",
            b"Set-Cookie ",
            b"\tSet-Cookie",
            "\u00a0Set-Cookie".encode(),  # what str.strip() takes off
            "Set-Coo\u212aie".encode(),  # what str.lower() makes a k of
            b"X: y\r\rSet-Cookie",
            b"Upgrade: websocket\rSet-Cookie",
        ],
        ids=str,
    )
    def test_none_is_kept(self, status, name, jar):
        def script(peer):
            head, _, rest = upgrade_response(peer.read_request()).partition(b"\r\n")
            head = head.replace(b"101", b"%d" % status)
            peer.sock.sendall(b"\r\n".join([head, name + b": " + self.COOKIE, rest]))
            hang(peer)

        with RawServer(script) as server, contextlib.suppress(ConnectError):
            dial(server.url())
        assert jar.jar == {}

    def test_none_is_sent(self, jar):
        """Somebody else in this process may use websocket-client, too."""
        jar.set("a=b; Domain=127.0.0.1")
        jar.add("c=d; Domain=127.0.0.1")
        assert jar.get("127.0.0.1")
        with RawServer(lambda peer: peer.upgrade() and hang(peer)) as server:
            dial(server.url("/path?Cookie:x"))
        request = server.peers[0].request
        assert b"\r\nCookie" not in request
        assert request.startswith(b"GET /path?Cookie:x HTTP/1.1\r\n")
        assert b"\r\nUser-Agent: rtms-gevent/" in request


def test_connection_refused():
    with pytest.raises(ConnectError, match="connection refused.* What to do: ") as caught:
        dial(f"ws://127.0.0.1:{unused_port()}")
    assert caught.value.step == "tcp"


def test_unknown_host():
    with pytest.raises(ConnectError, match="cannot be resolved|no answer") as caught:
        dial("ws://no-such-host.invalid:80")
    assert caught.value.step == "dns"
    assert "getent hosts" in str(caught.value)


def test_a_name_server_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: gevent.sleep(60))
    with pytest.raises(ConnectError, match="no answer within .*name server") as caught:
        dial("ws://localhost:80", seconds=0.1)
    assert caught.value.step == "dns"


def test_no_route(monkeypatch):
    def no_route(*_):
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr(socket.socket, "connect", no_route)
    with pytest.raises(ConnectError, match="No route to host. Likely .*set_proxy") as caught:
        dial("ws://127.0.0.1:80")
    assert caught.value.step == "tcp"


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_stalled_server_costs_neither_the_hub_nor_more_than_the_deadline(scheme):
    """Neither TLS nor the upgrade is ever answered; others go on meanwhile."""
    turns = 0

    def others():
        nonlocal turns
        while True:
            gevent.sleep(0.01)
            turns += 1

    greenlet = gevent.spawn(others)
    try:
        with RawServer(hang) as server, pytest.raises(ConnectError, match="no answer") as caught:
            dial(server.url().replace("ws:", f"{scheme}:"), seconds=0.3)
    finally:
        greenlet.kill()
    assert caught.value.step == ("tls" if scheme == "wss" else "http")
    assert turns >= 3


class TestAddresses:
    """A host may have several, of which some do not work."""

    @pytest.fixture
    def resolve(self, monkeypatch):
        """Let a host name have the addresses of these kinds."""

        def run(server, kinds):
            stack = contextlib.ExitStack()
            places = {
                "good": lambda: (socket.AF_INET, ("127.0.0.1", server.port)),
                "black hole": lambda: (socket.AF_INET, stack.enter_context(black_hole())),
                "refused": lambda: (socket.AF_INET, ("127.0.0.1", unused_port())),
                "no such family": lambda: (-2, ("127.0.0.1", server.port)),
            }
            found = [
                (family, socket.SOCK_STREAM, 0, "", address)
                for family, address in (places[kind]() for kind in kinds)
            ]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
            return stack

        return run

    @pytest.mark.parametrize(
        "kinds",
        [
            ["good", "black hole"],
            ["refused", "good"],
            ["no such family", "good"],
            ["black hole", "good"],
            ["black hole", "refused", "black hole", "good"],
        ],
        ids=", ".join,
    )
    def test_each_gets_its_turn(self, kinds, resolve):
        with (
            RawServer(lambda peer: peer.upgrade() and hang(peer)) as server,
            resolve(server, kinds),
        ):
            opened = dial("ws://localhost:80", seconds=2)
        assert opened.sock.gettimeout() is None

    @pytest.mark.parametrize("failure", ["tcp", "http"])
    def test_the_one_that_worked_comes_first_the_next_time(
        self, failure, monkeypatch, dialled, patient
    ):
        """And not one that takes connections, and does nothing more."""
        with RawServer(welcome) as good, RawServer(answering(b"")) as broken:
            bad = broken.port if failure == "http" else unused_port()
            ports = [bad, good.port]
            found = [
                (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in ports
            ]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
            history = History()
            for _ in range(3):
                with contextlib.suppress(ConnectError):
                    dial("ws://localhost:80", history=history)
        # Where the first one fails after TCP, the others have their turn in the next attempt.
        assert dialled.ports == [bad, good.port, good.port, *[good.port] * (failure == "tcp")]

    @pytest.mark.parametrize(
        ("kinds", "text"),
        [
            (["black hole", "black hole"], "no answer within"),
            (["refused", "black hole"], "no answer within"),
            (["black hole", "refused"], "no answer within .*firewall"),
            (["refused", "refused"], "connection refused"),
        ],
        ids=str,
    )
    def test_none_works(self, kinds, text, resolve):
        with (
            RawServer(hang) as server,
            resolve(server, kinds),
            pytest.raises(ConnectError, match=text) as caught,
        ):
            dial("ws://localhost:80", seconds=1)
        assert caught.value.step == "tcp"


class TestSeveralEndpoints:
    """Who comes first, who is next, and what is reported of the others."""

    @pytest.fixture
    def reported(self):
        return []

    @pytest.fixture
    def dial_all(self, reported, ca_path):
        def run(*urls, **options):
            return dial(
                ",".join(urls), on_failed=reported.append, context=tls_context(ca_path), **options
            )

        return run

    def test_the_first_is_taken_and_nobody_else_is_asked(
        self, dial_all, reported, dialled, patient
    ):
        with RawServer(welcome) as first, RawServer(welcome) as second:
            assert dial_all(first.url(), second.url()).endpoint.port == first.port
            assert dialled.ports == [first.port]
        assert reported == []

    def test_a_black_hole_costs_nothing_but_a_head_start(self, dial_all, reported, hasty):
        with black_hole() as (_, port), RawServer(welcome) as good:
            opened = dial_all(f"ws://127.0.0.1:{port}", good.url(), seconds=3600)
        assert opened.endpoint.port == good.port
        assert reported == []

    @pytest.mark.parametrize(
        ("script", "step"),
        [
            (answering(b"HTTP/1.1 503 Busy\r\n\r\n"), "http"),
            (answering(b""), "http"),
            (lambda peer: peer.read_request() and peer.reset(), "http"),
            (hang, "http"),
        ],
        ids=["503", "closes", "resets", "stalls"],
    )
    def test_what_fails_after_tcp_gives_the_next_its_turn(
        self, script, step, dial_all, reported, patient
    ):
        """One that says nothing costs its share of the time, and not all of it."""
        with RawServer(script) as bad, RawServer(welcome) as good:
            opened = dial_all(bad.url(), good.url(), seconds=1 if script is hang else 20)
        assert opened.endpoint.port == good.port
        ((error,),) = [reported]
        assert (error.url, error.step) == (f"ws://127.0.0.1:{bad.port}", step)

    def test_a_certificate_that_is_not_accepted(self, authority, dial_all, reported, patient):
        wrong = server_context(authority.issue_cert("other.example"))
        right = server_context(authority.issue_cert("localhost"))
        with (
            RawServer(hang, context=wrong) as bad,
            RawServer(welcome, context=right) as good,
        ):
            opened = dial_all(bad.url(host="localhost"), good.url(host="localhost"))
        assert opened.endpoint.port == good.port
        assert [type(error) for error in reported] == [TlsError]

    @pytest.mark.parametrize("order", [1, -1], ids=["forth", "back"])
    def test_what_may_pass_is_raised_before_what_may_not(
        self, order, authority, dial_all, reported, patient
    ):
        """A TlsError would end the stream, though the other server may come back."""
        context = server_context(authority.issue_cert("other.example"))
        with RawServer(hang, context=context) as bad:
            urls = [bad.url(host="localhost"), f"ws://127.0.0.1:{unused_port()}"][::order]
            with pytest.raises(ConnectError, match="connection refused") as caught:
                dial_all(*urls)
        assert not isinstance(caught.value, TlsError)
        assert [type(error) for error in reported] == [TlsError]

    def test_only_certificates_that_are_not_accepted(self, authority, dial_all, patient):
        context = server_context(authority.issue_cert("other.example"))
        with RawServer(hang, context=context) as bad, pytest.raises(TlsError):
            dial_all(bad.url(host="localhost"), bad.url("/b", host="localhost"))

    def test_none_answers_in_time(self, dial_all, reported, hasty):
        with (
            black_hole() as (_, first),
            black_hole() as (_, second),
            pytest.raises(ConnectError, match="no answer within 0.5 s") as caught,
        ):
            dial_all(f"ws://127.0.0.1:{first}", f"ws://127.0.0.1:{second}", seconds=0.5)
        urls = {caught.value.url, *(error.url for error in reported)}
        assert urls == {f"ws://127.0.0.1:{first}", f"ws://127.0.0.1:{second}"}
        assert caught.value not in reported

    def test_one_that_was_not_asked_is_not_blamed(self, dial_all, reported, patient):
        with (
            black_hole() as (_, port),
            RawServer(welcome) as never,
            pytest.raises(ConnectError, match="no answer") as caught,
        ):
            dial_all(f"ws://127.0.0.1:{port}", never.url(), seconds=0.1)
        assert caught.value.url == f"ws://127.0.0.1:{port}"
        assert reported == []

    def test_each_by_the_way_that_leads_to_it(self, dial_all, reported, patient):
        """A proxy may be needed for one host and not for the other."""
        with RawServer(answering(b"HTTP/1.1 403 No\r\n\r\n")) as proxy, RawServer(welcome) as good:
            opened = dial_all(
                "ws://localhost:1",
                good.url(),
                proxy_for=lambda place: Proxy("127.0.0.1", proxy.port) if place.port == 1 else None,
            )
        assert opened.endpoint.port == good.port
        assert [error.step for error in reported] == ["proxy"]


@given(
    st.binary(max_size=60),
    st.integers(0, 200),
    st.integers(0, 8),
)
@settings(max_examples=200)
def test_whatever_the_answer_is_it_opens_or_says_why_not(noise, at, cut):
    def script(peer):
        good = upgrade_response(peer.read_request())
        peer.sock.sendall(good[:at] + noise + good[at + cut :])

    step = "open"
    with RawServer(script) as server:
        try:
            dial(server.url())
        except ConnectError as problem:
            step = problem.step
    assert step in ("http", "open")


class TestTls:
    def test_opens_with_the_right_ca(self, authority, ca_path):
        context = server_context(authority.issue_cert("localhost"))
        with RawServer(lambda peer: peer.upgrade(), context=context) as server:
            opened = dial(server.url(host="localhost"), context=tls_context(ca_path))
        # The standard library's class would block the hub.
        assert isinstance(opened.sock, ssl.SSLSocket)

    def test_a_private_ca_is_refused_by_default(self, authority):
        context = server_context(authority.issue_cert("localhost"))
        with (
            RawServer(hang, context=context) as server,
            pytest.raises(TlsError, match="ZM_RTMS_CA"),
        ):
            dial(server.url(host="localhost"))

    def test_a_certificate_for_another_host_is_refused(self, authority, ca_path):
        context = server_context(authority.issue_cert("other.example"))
        with (
            RawServer(hang, context=context) as server,
            pytest.raises(TlsError, match="[Hh]ostname"),
        ):
            dial(server.url(host="localhost"), context=tls_context(ca_path))

    def test_an_expired_certificate_is_refused(self, authority, ca_path):
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
        context = server_context(authority.issue_cert("localhost", not_after=past))
        with RawServer(hang, context=context) as server, pytest.raises(TlsError, match="expired"):
            dial(server.url(host="localhost"), context=tls_context(ca_path))

    def test_old_tls_is_refused(self, authority, ca_path):
        context = server_context(authority.issue_cert("localhost"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with RawServer(hang, context=context) as server, pytest.raises(TlsError, match=r"1\.2"):
            dial(server.url(host="localhost"), context=tls_context(ca_path))
        assert tls_context().minimum_version == ssl.TLSVersion.TLSv1_2

    def test_a_plain_server(self, ca_path):
        def script(peer):
            peer.sock.recv(1)  # a greeting of TLS has no line that ends
            peer.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        with RawServer(script) as server, pytest.raises(TlsError):
            dial(server.url().replace("ws:", "wss:"), context=tls_context(ca_path))

    def test_a_ca_file_that_is_none(self, tmp_path):
        with pytest.raises(ConfigurationError, match="ca="):
            tls_context(str(tmp_path / "missing.pem"))
        (tmp_path / "empty.pem").write_text("no certificate")
        with pytest.raises(ConfigurationError, match="ca="):
            tls_context(str(tmp_path / "empty.pem"))

    def test_a_ca_file_that_was_replaced_is_read_again(self, authority, ca_path, tmp_path):
        path = str(tmp_path / "ca.pem")
        trustme.CA().cert_pem.write_to_path(path)
        old = tls_context(path)
        assert tls_context(path) is old  # reading takes milliseconds
        shutil.copy(ca_path, tmp_path / "new.pem")
        (tmp_path / "new.pem").replace(path)
        context = server_context(authority.issue_cert("localhost"))
        with RawServer(lambda peer: peer.upgrade(), context=context) as server:
            dial(server.url(host="localhost"), context=tls_context(path))
        assert tls_context(path) is not old

    @pytest.mark.parametrize(
        "script",
        [lambda peer: peer.sock.recv(9999), lambda peer: peer.sock.recv(9) and peer.reset(), hang],
        ids=["closes", "resets", "stalls"],
    )
    def test_a_server_that_is_just_being_restarted_may_be_asked_again(self, script, ca_path):
        """A TlsError would end the stream."""
        with RawServer(script) as server, pytest.raises(ConnectError) as caught:
            url = server.url(host="localhost").replace("ws:", "wss:")
            dial(url, seconds=0.5 if script is hang else 10, context=tls_context(ca_path))
        assert type(caught.value) is ConnectError
        assert caught.value.step == "tls"


class TestProxy:
    @pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
    def test_tunnels(self, secure, authority, ca_path):
        context = server_context(authority.issue_cert("localhost")) if secure else None
        with (
            RawServer(http_proxy()) as proxy,
            RawServer(lambda peer: peer.upgrade(), context=context) as server,
        ):
            dial(
                server.url(host="localhost"),
                context=tls_context(ca_path),
                proxy=Proxy.parse(f"http://me:pass%20word@127.0.0.1:{proxy.port}"),
            )
        request = proxy.peers[0].request
        assert request.startswith(f"CONNECT localhost:{server.port} HTTP/1.1".encode())
        assert b"Proxy-Authorization: Basic bWU6cGFzcyB3b3Jk" in request

    def test_a_refusal(self):
        script = answering(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        with RawServer(script) as proxy, pytest.raises(ConnectError, match="407") as caught:
            dial("ws://127.0.0.1:1", proxy=Proxy("127.0.0.1", proxy.port))
        assert caught.value.step == "proxy"

    def test_one_whose_name_cannot_be_encoded(self):
        with pytest.raises(
            ConnectError, match=r"proxy a\.\.b:3128: .*cannot be resolved"
        ) as caught:
            dial("ws://127.0.0.1:1", proxy=Proxy.parse("http://a..b:3128"))
        assert caught.value.step == "proxy"

    def test_one_that_is_dead_is_blamed_by_name_and_without_its_password(self):
        port = unused_port()
        with pytest.raises(ConnectError, match="connection refused") as caught:
            dial("ws://localhost:1", proxy=Proxy.parse(f"http://me:word@127.0.0.1:{port}"))
        text = str(caught.value)
        assert f"(proxy): the proxy 127.0.0.1:{port}: nobody listens there" in text
        assert "set_proxy() or ZM_RTMS_PROXY" in text
        assert "word" not in text
        assert "webhook" not in text

    @pytest.mark.parametrize(
        ("script", "text"),
        [
            (hang, "no answer within"),
            (answering(b""), "it closed the connection"),
            (answering(b"HTTP/1.1 407 Auth\r\n\r\n"), "HTTP 407 .*http://user:password@host:port"),
            (answering(b"HTTP/1.1 403 Forbidden\r\n\r\n"), "HTTP 403 .*ask whoever runs it"),
            (answering(b"HTTP/1.1 302\r\nLocation: /\r\n\r\n"), "HTTP 302"),
            (answering(b"HTTP/1.1 200 OK\r\n\r\n\x15\x03"), "more than an answer"),
            (answering(b"RFB 003.008\n"), "nor HTTP"),
            (answering(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000), "too long"),
        ],
        ids=["hangs", "closes", "407", "403", "302", "early bytes", "no HTTP", "endless headers"],
    )
    def test_one_that_does_not_do_what_it_should_is_blamed(self, script, text):
        with RawServer(script) as proxy, pytest.raises(ConnectError, match=text) as caught:
            seconds = 0.5 if script is hang else 10
            dial("ws://localhost:1", seconds=seconds, proxy=Proxy("127.0.0.1", proxy.port))
        assert caught.value.step == "proxy"
        assert f"the proxy 127.0.0.1:{proxy.port}: " in str(caught.value)

    def test_what_fails_behind_it_is_not_blamed_on_it(self, ca_path):
        with (
            RawServer(http_proxy()) as proxy,
            RawServer(answering(b"HTTP/1.1 503 Busy\r\n\r\n")) as server,
            pytest.raises(ConnectError, match="the server answered HTTP 503") as caught,
        ):
            dial(server.url(host="localhost"), proxy=Proxy("127.0.0.1", proxy.port))
        assert caught.value.step == "http"
        assert "proxy" not in str(caught.value)

    def test_any_success_is_one(self):
        def script(peer):
            peer.read_request()
            peer.sock.sendall(b"HTTP/1.0 201 Created\r\nSet-Cookie: a=b\r\n\r\n")
            peer.request = b""
            peer.upgrade()

        with RawServer(script) as proxy:
            assert dial("ws://localhost:1", proxy=Proxy("127.0.0.1", proxy.port)).endpoint.port == 1

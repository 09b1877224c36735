"""Opening a WebSocket: what works, and what each failure says."""

from __future__ import annotations

import contextlib
import datetime
import warnings

import gevent
import pytest
from gevent import socket, ssl
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rawserver import RawServer, hang, server_context, unused_port, upgrade_response

from rtms_gevent.errors import ConfigurationError, ConnectError, TlsError
from rtms_gevent.protocol.urls import parse_server_urls
from rtms_gevent.transport import connect
from rtms_gevent.transport.clock import Deadline
from rtms_gevent.transport.connect import Proxy, open_connection, tls_context


def dial(url, *, seconds=5.0, **options):
    (endpoint,) = parse_server_urls(url, ["127.0.0.1", "localhost", "invalid"])
    opened = open_connection(endpoint, deadline=Deadline(seconds), **options)
    opened.sock.close()
    return opened


def answering(response):
    def script(peer):
        peer.read_request()
        peer.sock.sendall(response)

    return script


def test_opens_and_passes_path_and_early_bytes_on():
    with RawServer(lambda peer: peer.upgrade(early=b"\x81\x02hi") and hang(peer)) as server:
        opened = dial(server.url("/sig/path?x=1"))
    assert opened.early == b"\x81\x02hi"
    assert opened.headers["upgrade"] == "websocket"
    assert server.peers[0].path == "/sig/path?x=1"
    assert b"Origin" not in server.peers[0].request


def test_a_long_response_is_read_by_lines(monkeypatch):
    """Byte by byte it would hold up the hub for milliseconds: counted, not timed."""
    calls = []
    recv = connect._Bounded.recv
    monkeypatch.setattr(connect._Bounded, "recv", lambda *args: (calls.append(1), recv(*args))[1])

    def script(peer):
        more = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 200) for number in range(10))
        peer.sock.sendall(upgrade_response(peer.read_request())[:-2] + more + b"\r\n")
        hang(peer)

    with RawServer(script) as server:
        opened = dial(server.url("/"))
    assert opened.headers["x-9"] == "y" * 200
    assert len(calls) < 50  # two for each line, and a few where a read ends within one


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), "HTTP 200"),
        (answering(b"HTTP/1.1 404 Not Found\r\n\r\n"), "HTTP 404"),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n"), "no WebSocket"),
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
        "redirect",
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


def test_connection_refused():
    with pytest.raises(ConnectError, match="connection refused") as caught:
        dial(f"ws://127.0.0.1:{unused_port()}")
    assert caught.value.step == "tcp"


def test_unknown_host():
    with pytest.raises(ConnectError, match="cannot be resolved|no answer") as caught:
        dial("ws://no-such-host.invalid:80")
    assert caught.value.step == "dns"


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


@contextlib.contextmanager
def black_hole():
    """Yield an address that takes no connection, and says so to nobody."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)  # where the queue is full, the kernel ignores who comes
        while True:
            guest = stack.enter_context(socket.socket())
            guest.settimeout(0.1)
            try:
                guest.connect(listener.getsockname())
            except TimeoutError:
                break
        yield listener.getsockname()


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
        assert opened.headers["upgrade"] == "websocket"
        assert opened.sock.gettimeout() is None  # the share was that of the connecting

    @pytest.mark.parametrize(
        ("kinds", "text"),
        [
            (["black hole", "black hole"], "no answer within"),
            (["refused", "black hole"], "no answer within"),
            (["black hole", "refused"], "connection refused"),
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


class TestProxy:
    def relay(self, peer):
        """A CONNECT proxy of a few lines."""
        peer.read_request()
        host, port = peer.path.rsplit(":", 1)
        upstream = gevent.socket.create_connection((host, int(port)))
        peer.sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")

        def pump(source, target):
            while chunk := source.recv(4096):
                target.sendall(chunk)

        back = gevent.spawn(pump, upstream, peer.sock)
        try:
            pump(peer.sock, upstream)
        finally:
            back.kill()
            upstream.close()

    @pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
    def test_tunnels(self, secure, authority, ca_path):
        context = server_context(authority.issue_cert("localhost")) if secure else None
        with (
            RawServer(self.relay) as proxy,
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

    def test_a_password_has_no_repr(self):
        assert "word" not in repr(Proxy.parse("http://me:word@proxy:3128"))

    @pytest.mark.parametrize("url", ["", "socks5://host:1", "http://host:port", "http://"])
    def test_what_is_no_proxy(self, url):
        with pytest.raises(ConfigurationError, match="proxy must look like"):
            Proxy.parse(url)

    def test_one_whose_name_cannot_be_encoded(self):
        with pytest.raises(ConnectError, match="cannot be resolved") as caught:
            dial("ws://127.0.0.1:1", proxy=Proxy.parse("http://a..b:3128"))
        assert caught.value.step == "dns"

"""Several addresses, dead ones among them, and proxies: who is asked when, and who is blamed."""

from __future__ import annotations

import contextlib
import logging

import pytest
import trustme
from gevent import socket
from support.rawserver import (
    RawServer,
    black_hole,
    hang,
    http_proxy,
    relay,
    unused_port,
    upgrade_response,
)
from support.recorder import Recorder
from support.streams import QUICK

from rtms_gevent import (
    Client,
    ConfigurationError,
    ConnectError,
    HandshakeRejected,
    JoinError,
    Limits,
    Reconnect,
    StatusCode,
    Timeouts,
)
from rtms_gevent.config import Proxies
from rtms_gevent.transport import happy_eyeballs
from rtms_gevent.transport.network import NetworkTransport

HOOKS = ("reconnected", "leave")
#: Who waits for the first address in vain has no time left for the second.
STUBBORN = Timeouts(connect=3600)


@pytest.fixture
def client():
    with Client(timeouts=STUBBORN, reconnect=QUICK) as made:
        yield made


@pytest.fixture
def credentials(simulator):
    return {"client": simulator.client_id, "secret": simulator.client_secret}


@pytest.fixture
def holes(monkeypatch):
    """Make addresses that take no connection; the next one gets its turn a moment later."""
    monkeypatch.setattr(happy_eyeballs, "_HEAD_START", 0.001)
    with contextlib.ExitStack() as stack:

        def make(count):
            ports = [stack.enter_context(black_hole())[1] for _ in range(count)]
            return [f"ws://127.0.0.1:{port}" for port in ports]

        yield make


@pytest.fixture
def no_more_head_starts(monkeypatch, dialled):
    """From now on nobody gets a turn before the one before has failed."""

    def begin():
        monkeypatch.setattr(happy_eyeballs, "_HEAD_START", 3600)
        dialled.forget()

    return begin


def port_of(url):
    return int(url.split(":")[2].split("/")[0])


class TestDeadAddresses:
    @pytest.mark.parametrize("dead", [1, 4])
    def test_they_starve_nobody_and_what_worked_comes_first_the_next_time(
        self, dead, holes, meeting, client, credentials, dialled, no_more_head_starts
    ):
        recorder = Recorder(client, "audio_data", *HOOKS)
        urls = ",".join([*holes(dead), meeting.server_urls])
        client.join({**meeting.payload, "server_urls": urls}, **credentials)
        client.wait_joined(10)
        assert meeting.wait_ready(5)
        no_more_head_starts()
        meeting.reset_sockets("signaling")
        recorder.wait_for("reconnected")
        assert set(dialled.ports) == {port_of(meeting.server_urls)}
        assert recorder.of("leave") == []

    def test_of_media_servers_as_well(
        self, holes, meeting, client, join, dialled, no_more_head_starts
    ):
        recorder = Recorder(client, "audio_data", *HOOKS)
        good = meeting.media_urls["audio"]
        meeting.media_urls["audio"] = ",".join([*holes(2), good])
        join()
        no_more_head_starts()
        meeting.reset_sockets("audio")
        recorder.wait_for("reconnected")
        assert dialled.ports == [port_of(good)]

    def test_what_worked_is_the_first_choice_and_not_the_only_one(
        self, meeting, client, credentials, patient
    ):
        recorder = Recorder(client, "audio_data", *HOOKS)
        script, first = relay(port_of(meeting.server_urls)), unused_port()
        with RawServer(script) as second:
            urls = f"ws://127.0.0.1:{first}/signaling,{second.url('/signaling')}"
            client.join({**meeting.payload, "server_urls": urls}, **credentials)
            client.wait_joined(10)
            assert meeting.wait_ready(5)
        for peer in second.peers:
            peer.reset()
        with RawServer(script, port=first):
            recorder.wait_for("reconnected")
        assert recorder.of("leave") == []


class TestAnswers:
    """What a server says, and how it is understood."""

    def refusing(self, status, reason, times, then):
        """A signaling server that refuses so often, and then is another."""
        left = [times]

        def script(peer):
            if not left[0]:
                then(peer)
                return
            left[0] -= 1
            peer.upgrade()
            peer.receive_json()
            peer.send_json({"msg_type": 2, "status_code": status, "reason": reason})
            peer.receive_close()

        return script

    def test_a_duplicate_of_the_older_numbering_is_tried_again(self, meeting, client, credentials):
        """17, which is a fault of media parameters by today's numbers."""
        client.on_audio_data(print)
        script = self.refusing(
            17, "duplicate signal request", 2, relay(port_of(meeting.server_urls))
        )
        with RawServer(script) as server:
            payload = {**meeting.payload, "server_urls": server.url("/signaling")}
            client.join(payload, **credentials)
            client.wait_joined(10)

    def test_a_wrong_signature_of_the_older_numbering_is_final(self, meeting, client, credentials):
        """15, which passes by today's numbers; and the advice fits."""
        confirmed = Recorder(client, "join_confirm")
        with RawServer(self.refusing(15, "invalid signature", 9, hang)) as server:
            client.join({**meeting.payload, "server_urls": server.url()}, **credentials)
            with pytest.raises(HandshakeRejected, match="ZM_RTMS_SECRET") as caught:
                client.wait_joined(10)
            client.wait(5)
            assert len(server.peers) == 1
        assert caught.value.status is StatusCode.INVALID_SIGNATURE
        assert confirmed.of("join_confirm") == [(3,)]

    def test_a_redirect_is_a_refusal_and_its_cookies_are_gone(self, meeting, credentials):
        """They made all later joins to that domain fail: the requests became too long."""
        cookie = "a=" + "x" * 15_000 + "; Domain=127.0.0.1; Path=/"

        def redirect(peer):
            peer.read_request()
            peer.sock.sendall(
                f"HTTP/1.1 302 Found\r\nSet-Cookie: {cookie}\r\nLocation: {elsewhere.url()}\r\n"
                "\r\n".encode()
            )
            hang(peer)

        once = Reconnect(join_attempts=1)
        with RawServer(hang) as elsewhere, RawServer(redirect) as server:
            for _ in range(2):
                with Client(limits=Limits(http_headers=32 * 1024), reconnect=once) as client:
                    client.join({**meeting.payload, "server_urls": server.url()}, **credentials)
                    with pytest.raises(ConnectError, match="HTTP 302"):
                        client.wait_joined(10)
            assert not elsewhere.peers
            assert not any(b"ookie" in peer.request for peer in server.peers)

        def set_one_more(peer):
            answer = upgrade_response(peer.read_request())
            peer.sock.sendall(answer[:-2] + f"Set-Cookie: {cookie}\r\n\r\n".encode())
            hang(peer)

        with (
            RawServer(set_one_more) as server,
            Client(
                limits=Limits(http_headers=32 * 1024),
                timeouts=Timeouts(handshake=0.1, close=0.05),
                reconnect=QUICK,
            ) as client,
        ):
            client.join({**meeting.payload, "server_urls": server.url()}, **credentials)
            with pytest.raises(JoinError):
                client.wait_joined(10)
            assert len(server.peers) == 3
            assert not any(b"ookie" in peer.request for peer in server.peers)

    @pytest.mark.parametrize("attempts", [1, 3])
    def test_each_failure_is_logged_once(self, attempts, meeting, credentials, caplog):
        url = f"ws://127.0.0.1:{unused_port()}"
        with (
            caplog.at_level(logging.DEBUG),
            Client(reconnect=Reconnect(join_attempts=attempts, base_delay=0.01)) as client,
        ):
            client.join({**meeting.payload, "server_urls": url}, **credentials)
            with pytest.raises(ConnectError):
                client.wait_joined(10)
            client.wait(5)
        told = [record for record in caplog.records if url in record.getMessage()]
        assert [record.levelname for record in told] == ["WARNING"] * (attempts - 1) + ["ERROR"]

    def test_those_that_failed_beside_it_are_logged_too(self, meeting, credentials, caplog):
        urls = [f"ws://127.0.0.1:{unused_port()}" for _ in range(3)]
        with Client(reconnect=Reconnect(join_attempts=1)) as client:
            client.join({**meeting.payload, "server_urls": ",".join(urls)}, **credentials)
            with pytest.raises(ConnectError):
                client.wait_joined(10)
            client.wait(5)
        for url in urls:
            assert sum(f"{url} " in record.getMessage() for record in caplog.records) == 1


class TestProxies:
    @pytest.fixture(autouse=True)
    def no_proxies(self, monkeypatch):
        for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ZM_RTMS_PROXY"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setenv("ZM_RTMS_ALLOWED_HOSTS", "zoom.test,127.0.0.1")

    @pytest.fixture
    def proxy(self, meeting):
        with RawServer(http_proxy(port_of(meeting.server_urls))) as running:
            yield running

    @pytest.fixture
    def join_through(self, meeting, client, credentials):
        """Join a server whose name only the proxy knows; media sockets go there, too."""

        def run():
            here = f"127.0.0.1:{port_of(meeting.server_urls)}"
            for key, url in meeting.media_urls.items():
                meeting.media_urls[key] = url.replace(here, "zoom.test")
            client.on_audio_data(print)
            urls = meeting.server_urls.replace(here, "zoom.test")
            client.join({**meeting.payload, "server_urls": urls}, **credentials)
            client.wait_joined(10)
            assert meeting.wait_ready(5)

        return run

    @pytest.mark.parametrize("way", ["argument", "variable", "env", "set_proxy env", "lower case"])
    def test_every_way_to_name_one(self, way, proxy, join_through, client, monkeypatch):
        url = f"http://me:word@127.0.0.1:{proxy.port}"
        if way == "argument":
            monkeypatch.setenv("ZM_RTMS_PROXY", "http://127.0.0.1:1")
            client.set_proxy("http", url)
        elif way == "variable":
            monkeypatch.setenv("ZM_RTMS_PROXY", url)
        elif way == "env":
            monkeypatch.setenv("ZM_RTMS_PROXY", "env")
            monkeypatch.setenv("HTTP_PROXY", url)  # since the simulator speaks plain ws here
        elif way == "set_proxy env":
            client.set_proxy("env")
            monkeypatch.setenv("ALL_PROXY", url)
        else:
            client.set_proxy("env")
            monkeypatch.setenv("http_proxy", url)
        join_through()
        paths = [peer.path for peer in proxy.peers]
        assert paths == ["zoom.test:80", "zoom.test:80"]
        assert all(b"Proxy-Authorization: Basic bWU6d29yZA==" in p.request for p in proxy.peers)

    @pytest.mark.parametrize("no_proxy", ["zoom.test", ".test", "x,zoom.test:80", "*"])
    def test_hosts_that_need_none(
        self, no_proxy, proxy, meeting, join_through, client, monkeypatch
    ):
        here = (
            socket.AF_INET,
            socket.SOCK_STREAM,
            0,
            "",
            ("127.0.0.1", port_of(meeting.server_urls)),
        )
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [here])
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", no_proxy)
        client.set_proxy("env")
        join_through()
        assert not proxy.peers

    def test_none_unless_it_was_said(self, proxy, meeting, client, credentials, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        client.join(meeting.payload, **credentials)
        client.wait_joined(10)
        assert not proxy.peers

    def test_a_dead_one_is_blamed(self, meeting, credentials, monkeypatch):
        port = unused_port()
        monkeypatch.setenv("ZM_RTMS_PROXY", f"http://me:word@127.0.0.1:{port}")
        with Client(reconnect=Reconnect(join_attempts=1)) as client:
            client.join({**meeting.payload, "server_urls": "wss://zoom.us"}, **credentials)
            with pytest.raises(ConnectError, match=f"the proxy 127.0.0.1:{port}: nobody") as caught:
                client.wait_joined(10)
        assert "word" not in str(caught.value)

    @pytest.mark.parametrize("url", ["socks5://host:1", "https://host:1", "http://host:port", "//"])
    @pytest.mark.parametrize("name", ["ZM_RTMS_PROXY", "HTTPS_PROXY"])
    def test_a_wrong_one_is_told_at_once(self, name, url, client, credentials, monkeypatch):
        monkeypatch.setenv("ZM_RTMS_PROXY", "env")
        monkeypatch.setenv(name, url)
        with pytest.raises(ConfigurationError, match="a proxy must look like"):
            client.join("u", None, None, None, "s", "wss://zoom.us", **credentials)

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (("socks5", "http://host:1"), "http, https or env"),
            (("http",), "must look like"),
            (("http", ""), "must look like"),
            (("https", "env"), None),
            (("env", "http://host:1"), "comes from HTTPS_PROXY"),
        ],
    )
    def test_arguments(self, arguments, text, client):
        if text is None:
            client.set_proxy(*arguments)  # a host of that name
            return
        with pytest.raises(ConfigurationError, match=text):
            client.set_proxy(*arguments)


class TestCaFile:
    def write(self, path):
        trustme.CA().cert_pem.write_to_path(str(path))

    def transport(self, path):
        return NetworkTransport(str(path), Proxies.resolve(""), Limits())

    def test_one_that_was_replaced_counts_for_streams_that_run(self, tmp_path):
        path = tmp_path / "ca.pem"
        self.write(path)
        transport = self.transport(path)
        before = transport.context
        assert transport.context is before
        self.write(tmp_path / "new.pem")
        (tmp_path / "new.pem").replace(path)
        after = transport.context
        assert after is not before
        assert after.get_ca_certs() != before.get_ca_certs()

    def test_one_that_is_gone_ends_no_stream(self, tmp_path, caplog):
        path = tmp_path / "ca.pem"
        self.write(path)
        transport = self.transport(path)
        before = transport.context
        path.unlink()
        assert transport.context is before
        assert "cannot be used" in caplog.text
        with pytest.raises(ConfigurationError):
            self.transport(path)

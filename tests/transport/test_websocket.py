"""A WebSocket that the hub reads, against a real server that breaks rules on demand."""

from __future__ import annotations

import os
import re
import socket as stdlib_socket
import ssl as stdlib_ssl
import struct
import subprocess
import sys
import threading
import time

import gevent
import pytest
from conformance.strict_text import StrictTextReader
from gevent.event import Event
from support.rawserver import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    RawServer,
    frame,
    hang,
    server_context,
    upgrade_response,
)

from rtms_gevent.errors import ConnectionLost
from rtms_gevent.protocol.urls import parse_server_urls
from rtms_gevent.runtime.deadline import Deadline
from rtms_gevent.transport import websocket as module
from rtms_gevent.transport.connect import open_connection, tls_context
from rtms_gevent.transport.websocket import WebSocket

LIMIT = 1024 * 1024


class Client:
    """A WebSocket that keeps what it got."""

    def __init__(self, server, *, context=None, on_messages=None, **options):
        host = "localhost" if context else None
        endpoints = parse_server_urls(server.url(host=host), ["127.0.0.1", "localhost"])
        self.messages, self.opcodes = [], []
        self.ends = []
        self.changed = Event()
        self.socket = WebSocket(
            open_connection(endpoints, deadline=Deadline(5), context=context),
            name="test",
            on_messages=on_messages or self.keep,
            on_closed=self.ends.append,
            max_message_size=LIMIT,
            **options,
        )

    def keep(self, messages):
        for opcode, buffer, start, stop in messages:
            self.opcodes.append(opcode)
            self.messages.append(bytes(buffer[start:stop]))
            self.changed.set()

    def wait_for(self, count):
        with gevent.Timeout(5):
            while len(self.messages) < count:
                self.changed.clear()
                self.changed.wait()
        return self.messages

    def wait_closed(self, timeout=5):
        assert self.socket.closed.wait(timeout)
        (end,) = self.ends
        return end


def after_upgrade(script):
    def run(peer):
        peer.upgrade()
        script(peer)

    return run


@pytest.fixture(params=["ws", "wss"])
def context(request, authority, ca_path):
    """TLS contexts of server and client, or None for plain."""
    if request.param == "ws":
        return None, None
    return server_context(authority.issue_cert("localhost")), tls_context(ca_path)


def test_receives_all_kinds_of_messages(context):
    def script(peer):
        peer.send(TEXT, b"text")
        peer.send(BINARY, b"\x00binary")
        peer.send(TEXT, b"one ", fin=False)
        peer.send(PING, b"in between")
        peer.send(0, b"message")
        peer.send(BINARY, b"x" * 300_000)
        peer.send(TEXT, b"")
        assert peer.receive() == (PONG, b"in between")
        hang(peer)

    with RawServer(after_upgrade(script), context=context[0]) as server:
        client = Client(server, context=context[1])
        assert client.wait_for(5) == [
            b"text",
            b"\x00binary",
            b"one message",
            b"x" * 300_000,
            b"",
        ]
        client.socket.abort("test over")


def test_early_bytes_are_read():
    with RawServer(lambda peer: peer.upgrade(early=b"\x81\x02hi\x81\x03you") and hang(peer)) as s:
        client = Client(s)
        assert client.wait_for(2) == [b"hi", b"you"]
        client.socket.abort("test over")


def test_a_server_that_sends_without_pause_is_read_without_a_hitch(authority, ca_path, caplog):
    """OpenSSL then always holds more than was asked for, and the kernel never calls."""
    tls = stdlib_ssl.SSLContext(stdlib_ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    listener = stdlib_socket.create_server(("127.0.0.1", 0))

    def serve():
        accepted, _ = listener.accept()
        with tls.wrap_socket(accepted, server_side=True) as sock:
            request = b""
            while b"\r\n\r\n" not in request:
                request += sock.recv(4096)
            sock.sendall(upgrade_response(request.partition(b"\r\n\r\n")[0]))
            for number in range(3000):
                sock.sendall(frame(BINARY, struct.pack("!I", number) + bytes(20_000)))
            sock.sendall(frame(CLOSE, b"\x03\xe8"))
            sock.recv(4096)

    thread = threading.Thread(target=serve)
    thread.start()
    numbers = []

    def keep(messages):
        for _, buffer, start, _ in messages:
            numbers.append(struct.unpack_from("!I", buffer, start)[0])

    class Server:
        def url(self, host):
            return f"wss://{host}:{listener.getsockname()[1]}/"

    client = Client(Server(), context=tls_context(ca_path), on_messages=keep)
    assert client.wait_closed(30).clean
    thread.join()
    listener.close()
    assert numbers == list(range(3000))
    assert not caplog.records


@pytest.mark.parametrize("stop", ["abort", "pause"])
def test_who_is_stopped_by_what_another_got_in_the_same_turn_is_not_read(context, stop):
    """Its descriptor may belong to somebody else by then."""
    got, clients = [], []

    def handler(number):
        def handle(messages):
            for _, buffer, start, end in messages:
                got.append((number, bytes(buffer[start:end])))
                if got[-1][1] == b"now":
                    other = clients[1 - number].socket
                    other.abort("test over") if stop == "abort" else other.pause()

        return handle

    def turns():
        gevent.sleep(0.05)  # many: nothing is to come, and that cannot be waited for

    with RawServer(after_upgrade(hang), context=context[0]) as server:
        for number in range(2):
            clients.append(Client(server, context=context[1], on_messages=handler(number)))
        turns()
        for peer in server.peers:
            peer.send(TEXT, b"warm")
        with gevent.Timeout(5):
            while len(got) < 2:
                gevent.sleep(0.01)
        for peer in server.peers:
            peer.send(TEXT, b"now")  # both are readable when the loop looks next
        turns()
        assert [text for _, text in got] == [b"warm", b"warm", b"now"]
        for client in clients:
            client.socket.abort("test over")


def test_sends_text_and_binary_masked(context):
    got = []

    def script(peer):
        got.extend([peer.receive(), peer.receive(), peer.receive()])

    with RawServer(after_upgrade(script), context=context[0]) as server:
        client = Client(server, context=context[1])
        client.socket.send("söme text")
        client.socket.send(b"bytes")
        client.socket.send("z" * 100_000)
        client.wait_closed()
    assert got == [(TEXT, "söme text".encode()), (BINARY, b"bytes"), (TEXT, b"z" * 100_000)]


def test_the_servers_close_is_answered_with_its_code():
    answers = []
    reported = Event()

    def script(peer):
        peer.send(TEXT, b"last words")
        peer.close(4000, b"bye")
        answers.append(peer.receive())
        reported.set()

    with RawServer(after_upgrade(script)) as server:
        client = Client(server)
        end = client.wait_closed()
        assert reported.wait(5)
    assert client.messages == [b"last words"]
    assert (end.code, end.reason, end.clean) == (4000, "bye", True)
    assert answers == [(CLOSE, (4000).to_bytes(2, "big"))]


def test_our_close_waits_for_the_answer_and_loses_nothing_before_it():
    codes = []

    def script(peer):
        codes.append(peer.receive_close())
        peer.send(TEXT, b"was on its way")
        peer.close(1000)

    with RawServer(after_upgrade(script)) as server:
        client = Client(server)
        client.socket.close()
        client.socket.close()
        end = client.wait_closed()
    assert codes == [1000]
    assert (end.code, end.clean) == (1000, True)
    assert client.messages == [b"was on its way"]


def test_what_came_before_a_reset_is_read_and_the_reset_noticed(context):
    """libuv tells of the reset together with the message, and of nothing any more after that."""

    def script(peer):
        peer.receive()
        peer.send(TEXT, b"last words")
        peer.reset()

    with RawServer(after_upgrade(script), context=context[0]) as server:
        client = Client(server, context=context[1])
        client.socket.send("go on")
        end = client.wait_closed()
    assert client.messages == [b"last words"]
    assert not end.clean


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (lambda peer: None, "without a close frame"),
        (lambda peer: peer.reset(), "reset|without a close frame"),
    ],
    ids=["fin", "reset"],
)
def test_a_connection_that_breaks(script, text):
    with RawServer(after_upgrade(script)) as server:
        client = Client(server)
        end = client.wait_closed()
    assert end.code is None
    assert not end.clean
    assert re.search(text, end.problem)


@pytest.mark.parametrize(
    ("violation", "code"),
    [
        (frame(TEXT, b"masked", mask=b"abcd"), 1002),
        (frame(TEXT, b"compressed", rsv=4), 1002),
        (frame(3), 1002),
        (frame(PING, fin=False), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, b"\x03\xed"), 1002),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
        # Only the header: a message that is too long is refused before its bytes come.
        (b"\x82\x7f" + (LIMIT + 1).to_bytes(8, "big"), 1009),
    ],
    ids=["masked", "rsv", "opcode", "fragmented ping", "long ping", "half", "1005", "utf-8", "big"],
)
def test_a_violation_closes_with_the_right_code(violation, code):
    codes = []
    reported = Event()

    def script(peer):
        peer.sock.sendall(frame(TEXT, b"before") + violation)
        codes.append(peer.receive_close())
        reported.set()

    with RawServer(after_upgrade(script)) as server:
        client = Client(server)
        end = client.wait_closed()
        assert reported.wait(5)
    assert client.messages == [b"before"]
    assert codes == [code]
    assert not end.clean


@pytest.mark.parametrize("last", [frame(3), frame(CLOSE, b"\x03\xea")], ids=["bad", "close"])
def test_our_close_frame_arrives_though_the_server_is_still_sending(last, context):
    """Closed at once, the connection would be reset, and what the server has not read be lost."""
    codes = []
    reported = Event()
    over = Event()

    def script(peer):
        peer.sock.sendall(last)
        over.wait()
        for _ in range(20):
            peer.sock.sendall(frame(BINARY, b"x" * 60_000))
        codes.append(peer.receive_close())
        reported.set()

    with RawServer(after_upgrade(script), context=context[0]) as server:
        client = Client(server, context=context[1])
        with gevent.Timeout(5):
            while not client.ends:
                gevent.sleep(0.001)
        assert not client.socket.closed.is_set()
        over.set()
        assert reported.wait(5)
        client.wait_closed()
    assert codes == [1002]
    assert client.messages == []


def test_our_close_frame_waits_behind_what_was_not_sent_yet(context, monkeypatch):
    monkeypatch.setattr(module, "_LINGER_TIMEOUT", 30)
    received = bytearray()
    reported = Event()
    violate, may_read = Event(), Event()

    def script(peer):
        violate.wait()
        peer.sock.sendall(frame(3))
        may_read.wait()
        while chunk := peer.sock.recv(65536):
            received.extend(chunk)
        reported.set()

    with RawServer(after_upgrade(script), context=context[0]) as server:
        client = Client(server, context=context[1])
        while not client.socket.unsent:
            client.socket.send(bytes(50_000))
        client.socket.send(bytes(4_000_000))  # more than any kernel takes in the meantime
        violate.set()
        with gevent.Timeout(5):
            while not client.ends:
                gevent.sleep(0.001)
        may_read.set()
        assert reported.wait(5)
        client.wait_closed()
    assert len(received) > 4_000_000
    *head, mask_1, mask_2, _, _, code_1, code_2 = received[-8:]
    assert head == [0x80 | CLOSE, 0x80 | 2]
    assert (mask_1 ^ code_1, mask_2 ^ code_2) == (0x03, 0xEA)


def test_a_server_that_does_not_close_is_left(monkeypatch):
    monkeypatch.setattr(module, "_LINGER_TIMEOUT", 0.01)
    gone = Event()

    def script(peer):
        peer.close()
        peer.receive_close()
        while True:  # and does not stop
            try:
                peer.send(PING)
                gevent.sleep(0.001)
            except OSError:
                gone.set()
                return

    with RawServer(after_upgrade(script)) as server:
        client = Client(server)
        assert client.wait_closed().clean
        assert gone.wait(5)


def test_lingering_can_be_cut_short():
    def script(peer):
        peer.close(4000)
        hang(peer)

    with RawServer(after_upgrade(script)) as server:
        client = Client(server)
        with gevent.Timeout(5):
            while not client.ends:
                gevent.sleep(0.001)
        client.socket.abort("enough")
        assert client.socket.closed.is_set()
        client.socket.abort("twice")
        client.socket.close()
        assert [(end.code, end.problem) for end in client.ends] == [(4000, "the server closed it")]


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("bye", b"bye"),
        ("x" * 122 + "ü", b"x" * 122),
        ("ü" * 100, "ü".encode() * 61),
        ("\ud800", b"?"),
    ],
    ids=["short", "odd cut", "long", "surrogate"],
)
def test_close_reasons_fit_and_are_utf8(reason, sent):
    got = []

    def script(peer):
        got.append(peer.receive())
        peer.close()

    with RawServer(after_upgrade(script)) as server:
        client = Client(server)
        client.socket.close(4001, reason)
        client.wait_closed()
    assert got == [(CLOSE, b"\x0f\xa1" + sent)]


def test_text_can_be_told_from_binary():
    def script(peer):
        peer.send(TEXT, b"text")
        peer.send(BINARY, b"binary")
        peer.send(TEXT, b"mo", fin=False)
        peer.send(0, b"re")
        peer.close()

    with RawServer(after_upgrade(script)) as server:
        client = Client(server)
        client.wait_closed()
    assert client.opcodes == [TEXT, BINARY, TEXT]
    assert client.messages == [b"text", b"binary", b"more"]


def test_text_that_is_not_utf8_is_refused_before_it_ends_where_asked_for():
    codes = []
    reported = Event()

    def script(peer):
        peer.send(TEXT, b"good", fin=False)
        peer.send(0, b"\xff", fin=False)
        codes.append(peer.receive_close())
        reported.set()

    with RawServer(after_upgrade(script)) as server:
        client = Client(server, reader_type=StrictTextReader)
        client.wait_closed()
        assert reported.wait(5)
    assert codes == [1007]
    assert client.messages == []


def test_sending_on_a_closed_socket_says_so():
    with RawServer(after_upgrade(lambda peer: peer.close(1001, b"going"))) as server:
        client = Client(server)
        client.wait_closed()
        with pytest.raises(ConnectionLost, match="test socket was lost: the server closed it"):
            client.socket.send("too late")


def test_a_server_that_reads_nothing_is_given_up(context):
    with RawServer(after_upgrade(hang), context=context[0]) as server:
        client = Client(server, context=context[1])
        with pytest.raises(ConnectionLost, match="reads nothing"):
            for _ in range(1000):
                client.socket.send(b"x" * 100_000)
        assert client.wait_closed().problem == "the server reads nothing of what we send"


def test_a_server_that_asks_on_and_reads_nothing_is_given_up(context):
    def script(peer):
        while True:
            peer.sock.sendall(frame(PING, b"x" * 125) * 1000)

    with RawServer(after_upgrade(script), context=context[0]) as server:
        client = Client(server, context=context[1])
        end = client.wait_closed(30)
        assert (end.problem, end.clean) == ("the server reads nothing of what we send", False)


def test_what_does_not_fit_is_sent_later(context):
    got = []
    may_read = Event()

    def script(peer):
        may_read.wait()
        while True:
            opcode, payload = peer.receive()
            if opcode == CLOSE:
                peer.close()
                return
            got.append(payload)

    with RawServer(after_upgrade(script), context=context[0]) as server:
        client = Client(server, context=context[1])
        sent = []
        while not client.socket.unsent:  # until the kernel takes no more
            sent.append(bytes([len(sent) % 256]) * 50_000)
            client.socket.send(sent[-1])
        may_read.set()
        client.socket.close()
        assert client.wait_closed().clean
    assert got == sent


def test_a_handler_that_raises_loses_only_its_message(caplog):
    got = []

    def handler(messages):
        for _, buffer, start, stop in messages:
            payload = bytes(buffer[start:stop])
            if payload == b"bad":
                raise RuntimeError("a bug")
            got.append(payload)

    def script(peer):
        peer.sock.sendall(b"\x81\x03bad\x81\x04good")
        peer.close()

    with RawServer(after_upgrade(script)) as server:
        client = Client(server, on_messages=handler)
        client.wait_closed()
    assert got == [b"good"]
    assert "a bug" in caplog.text


def test_everything_that_arrives_is_a_sign_of_life():
    go = Event()

    def script(peer):
        go.wait()
        peer.send(PONG)
        hang(peer)

    with RawServer(after_upgrade(script)) as server:
        client = Client(server)
        before = client.socket.last_heard
        go.set()
        with gevent.Timeout(5):
            while client.socket.last_heard == before:
                gevent.sleep(0.001)
        assert before < client.socket.last_heard <= time.monotonic()
        client.socket.abort("test over")


@pytest.mark.parametrize("host", ["patched", "libuv"])
def test_works_in_other_hosts(host):
    """The same tests, patched as gunicorn's gevent worker is, and on gevent's other loop."""
    code = (
        ("from gevent import monkey; monkey.patch_all()\n" if host == "patched" else "")
        + "import sys, pytest\n"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', sys.argv[1],"
        " '-k', 'not other_hosts']))"
    )
    environment = dict(os.environ)
    if host != "patched":
        environment["GEVENT_LOOP"] = host
    done = subprocess.run(
        [sys.executable, "-c", code, __file__],
        capture_output=True,
        text=True,
        timeout=50,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr

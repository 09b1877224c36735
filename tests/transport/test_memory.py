"""The transport for tests: what a socket promises, it promises, too."""

from __future__ import annotations

import json

import gevent
import pytest
from gevent.event import Event
from support.recorder import Recorder, wait_until

from rtms_gevent import Client
from rtms_gevent.errors import ConnectError, ConnectionLost
from rtms_gevent.protocol.urls import parse_server_urls
from rtms_gevent.runtime.deadline import Deadline
from rtms_gevent.transport.memory import MemoryTransport

ENDPOINTS = parse_server_urls("ws://a.example/x,ws://b.example/y", ("example",))


class Ends:
    """Both ends of one socket."""

    def __init__(self):
        self.got, self.closed = [], []
        self.transport = MemoryTransport(self.serve)
        self.ready, self.go = Event(), Event()
        self.socket = self.transport.open(
            ENDPOINTS,
            name="audio",
            deadline=Deadline(None),
            on_messages=lambda messages: self.got.append(
                [bytes(m[1][m[2] : m[3]]) for m in messages]
            ),
            on_closed=self.closed.append,
        )
        assert self.ready.wait(1)

    def read(self, messages):
        self.got.append([bytes(buffer[start:stop]) for _, buffer, start, stop in messages])

    def serve(self, peer):
        self.peer = peer
        self.ready.set()
        self.go.wait()


@pytest.fixture
def ends():
    made = Ends()
    yield made
    made.go.set()


def test_messages_arrive_in_their_order_and_as_they_were_sent_together(ends):
    ends.peer.send("a", b"b")
    ends.peer.send("c")
    wait_until(lambda: len(ends.got) == 2)
    assert ends.got == [[b"a", b"b"], [b"c"]]
    ends.socket.send("d")
    ends.socket.send(b"e")
    assert [ends.peer.receive(), ends.peer.receive()] == ["d", b"e"]
    assert ends.peer.endpoint == ends.socket.endpoint == ENDPOINTS[0]
    assert ends.peer.name == "audio"


def test_the_server_closes(ends):
    ends.peer.send("last")
    ends.peer.close(1001, "bye")
    assert ends.socket.closed.wait(1)
    assert ends.got == [[b"last"]]
    ((closed),) = ends.closed
    assert (closed.code, closed.reason, closed.clean) == (1001, "bye", True)
    with pytest.raises(ConnectionLost):
        ends.socket.send("too late")


def test_the_client_closes_and_gets_what_was_on_its_way(ends):
    ends.socket.send("last")
    ends.socket.close()
    with pytest.raises(ConnectionLost):
        ends.socket.send("too late")
    ends.peer.send("answer")
    ends.peer.wait_closed()
    assert ends.socket.closed.wait(1)
    assert ends.got == [[b"answer"]]
    assert ends.closed[0].code == 1000


def test_the_client_closes_at_once(ends):
    ends.peer.send("never read")
    ends.socket.abort("enough")
    assert ends.socket.closed.is_set()
    ends.socket.abort("again")
    gevent.sleep(0)
    assert ends.got == []
    assert [closed.problem for closed in ends.closed] == ["enough"]


def test_who_pauses_reads_nothing_and_does_not_count_as_silent(ends):
    ends.socket.pause()
    ends.peer.send("a")
    ends.peer.reset()
    gevent.sleep(0.01)
    assert ends.socket.is_paused
    assert (ends.got, ends.closed) == ([], [])
    before = ends.socket.silent_since
    ends.socket.resume()
    assert ends.socket.silent_since > before
    assert ends.socket.closed.wait(1)
    assert ends.got == [[b"a"]]


def test_a_function_that_returns_or_fails_breaks_the_connection(caplog):
    for fails in (False, True):
        ended = Event()

        def serve(peer, fails=fails):
            if fails:
                raise ArithmeticError

        MemoryTransport(serve).open(
            ENDPOINTS,
            name="audio",
            deadline=Deadline(None),
            on_messages=list,
            on_closed=lambda closed, ended=ended: ended.set(),
        )
        assert ended.wait(1)
    assert [record.exc_info[0] for record in caplog.records] == [ArithmeticError]


def test_nobody_listens():
    transport = MemoryTransport(print)
    transport.is_down = True
    with pytest.raises(ConnectError, match="a.example"):
        transport.open(
            ENDPOINTS, name="x", deadline=Deadline(None), on_messages=list, on_closed=print
        )


def test_a_whole_stream_without_a_network():
    def zoom(peer):
        request = json.loads(peer.receive())
        if request["msg_type"] == 1:
            urls = {"audio": "ws://127.0.0.1/media"}
            answer = {"msg_type": 2, "status_code": 0, "media_server": {"server_urls": urls}}
            peer.send_json(answer)
        else:
            peer.send_json({"msg_type": 4, "status_code": 0})
            content = {"user_id": 1, "data": "QUJD", "timestamp": 1738392033699}
            peer.send_json({"msg_type": 14, "content": content})
        peer.wait_closed()

    transport = MemoryTransport(zoom)
    with Client(transport=transport) as client:
        recorder = Recorder(client, "audio_data", "end")
        client.join(
            meeting_uuid="u",
            rtms_stream_id="s",
            server_urls="ws://127.0.0.1/signaling",
            client="c",
            secret="s",
            allowed_hosts="127.0.0.1",
        )
        client.wait_joined(5)
        recorder.wait_for("audio_data")
    assert recorder.payloads("audio_data") == [b"ABC"]
    assert [peer.name for peer in transport.peers] == ["signaling", "audio"]
    assert all(peer.is_closed for peer in transport.peers)
    assert len(recorder.of("end")) == 1

"""What goes wrong on sockets that are open, and with the media on them."""

from __future__ import annotations

import json
import time

import gevent
import pytest
from gevent.event import AsyncResult
from gevent.pywsgi import WSGIServer
from support.recorder import wait_until

from rtms_gevent.errors import ConfigurationError
from rtms_gevent.simulator.meeting.faults import GARBAGE

from ..raw import CLOSE, TEXT, RawClient


@pytest.fixture
def stamped(simulate):
    return simulate(stamp=True, record=True, keep_alive=60.0)


def sequence(message):
    return message["content"]["simulator"]["sequence"]


def sequences(raw, count):
    return [sequence(raw.receive()) for _ in range(count)]


# -- a socket goes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
def test_half_closed_sockets_end_without_a_close_frame(simulate, tls):
    simulator = simulate(tls=tls)
    with RawClient(simulator) as client:
        (audio,) = simulator.meeting.connections("audio")
        assert simulator.meeting.faults.half_close("audio") == 1
        assert client.media["audio"].ws.sock.recv(10) == b""
        assert not simulator.meeting.send_audio(b"x")
        client.media["audio"].ws.shutdown()
        assert audio.ended.wait(5)
        assert client.signaling.receive_until(lambda message: message["msg_type"] == 8)


def test_a_half_closed_socket_does_not_stay_for_ever(simulator):
    with RawClient(simulator):
        (audio,) = simulator.meeting.connections("audio")
        simulator.meeting.faults.half_close("audio")
        assert audio.ended.wait(10)


# -- a socket suffers ------------------------------------------------------------------------------


def test_what_is_late_after_a_stall_comes_in_order(stamped):
    meeting = stamped.meeting
    with RawClient(stamped, media=("audio", "chat")) as client:
        meeting.faults.stall("audio", 0.2)
        for _ in range(5):
            meeting.send_audio(b"x")
        meeting.send_chat("chat flows")
        got = []
        readers = [
            gevent.spawn(lambda: got.append(sequences(client.media["audio"], 5))),
            gevent.spawn(lambda: got.append(sequences(client.media["chat"], 1))),
        ]
        gevent.joinall(readers, timeout=5, raise_error=True)
        assert got == [[1], [1, 2, 3, 4, 5]]


def test_a_stalled_reader_answers_later(simulate):
    simulator = simulate()
    with RawClient(simulator) as client:
        simulator.meeting.faults.stall("signaling", 0.2, sending=False)
        began = time.monotonic()
        client.sync()
        assert time.monotonic() - began >= 0.2


def test_a_socket_that_is_closed_in_a_stall_ends_at_once(simulate):
    simulator = simulate()
    with RawClient(simulator) as client:
        (signaling,) = simulator.meeting.connections("signaling")
        simulator.meeting.faults.stall("signaling", 600)
        client.signaling.send({"msg_type": 19, "rtms_stream_id": "x"})
        wait_until(lambda: simulator.requests)
        simulator.meeting.reset_sockets("signaling")
        assert signaling.ended.wait(5)


def test_a_client_that_closes_a_stalled_socket_may_come_back(simulate):
    """It has not left: the meeting waits for it, as it does after any loss."""
    simulator = simulate("short", keep_alive=60.0)
    meeting = simulator.meeting
    with RawClient(simulator) as client:
        meeting.faults.stall("signaling", 0.1)
        client.signaling.ws.send_close(1000)
        wait_until(lambda: meeting.signaling is None)
        assert meeting.playback is not None
    with RawClient(simulator):
        assert not meeting.is_over


def test_a_client_that_closes_before_it_is_ready_again_may_come_back(simulate):
    simulator = simulate("short")
    meeting = simulator.meeting
    with RawClient(simulator):
        player = meeting.playback
        meeting.reset_sockets("all_sockets")
        wait_until(lambda: meeting.signaling is None)
    with RawClient(simulator, media=(), ready=False) as client:
        client.signaling.ws.send_close(1000)
        wait_until(lambda: meeting.signaling is None)
    with RawClient(simulator):
        assert meeting.playback is player


def test_keep_alives_stop_and_come_back(simulate):
    simulator = simulate(keep_alive=0.05)
    with RawClient(simulator) as client:
        simulator.meeting.faults.no_keep_alives("all_sockets", 0.3)
        began = time.monotonic()
        first = json.loads(client.media["audio"].frame()[2])
        assert first["msg_type"] == 12
        assert time.monotonic() - began > 0.25


def test_messages_are_split_in_frames_and_go_on_to_be_on_the_next_socket(stamped):
    meeting = stamped.meeting
    with RawClient(stamped) as client:
        meeting.faults.split("audio", frame=10)
        for _ in range(2):
            meeting.send_audio(b"hello")
            opcode, fin, data = client.media["audio"].frame()
            assert (opcode, fin, len(data)) == (TEXT, 0, 10)
            meeting.reset_sockets("audio")
            wait_until(lambda: not meeting.connections("audio"))
            client.reopen("audio")
        meeting.send_audio(b"hello")
        assert client.media["audio"].receive()["content"]["length"] == 5
        meeting.faults.split("audio")
        meeting.send_audio(b"hello")
        opcode, fin, data = client.media["audio"].frame()
        assert (opcode, fin, json.loads(data)["content"]["length"]) == (TEXT, 1, 5)


def test_messages_are_split_in_tcp_writes(stamped):
    with RawClient(stamped) as client:
        stamped.meeting.faults.split("audio", write=7)
        sending = gevent.spawn(stamped.meeting.send_audio, b"hello")
        pieces = [client.media["audio"].ws.sock.recv(1000) for _ in range(5)]
        assert all(pieces)
        assert max(len(piece) for piece in pieces) < 50
        sending.join(5)


def test_messages_are_merged_in_one_write(stamped):
    meeting = stamped.meeting
    with RawClient(stamped) as client:
        meeting.faults.merge("audio", 0.05)
        for _ in range(5):
            assert meeting.send_audio(b"x")
        received = client.media["audio"].ws.sock.recv(10_000)
        assert received.count(b'"msg_type"') == 5
        meeting.faults.merge("audio", 0)
        meeting.send_audio(b"x")
        assert sequence(client.media["audio"].receive()) == 6


def test_messages_are_late(stamped):
    meeting = stamped.meeting
    with RawClient(stamped) as client:
        meeting.faults.delay("audio", 0.1)
        began = time.monotonic()
        meeting.send_audio(b"x")
        meeting.send_audio(b"x")
        assert sequences(client.media["audio"], 2) == [1, 2]
        assert time.monotonic() - began >= 0.1


def test_what_is_late_is_lost_with_its_socket(stamped):
    meeting = stamped.meeting
    with RawClient(stamped) as client:
        meeting.faults.delay("audio", 60)
        assert meeting.send_audio(b"x")
        meeting.reset_sockets("audio")
        wait_until(lambda: not meeting.connections("audio"))
        meeting.faults.delay("audio", 0)
        client.reopen("audio")
        meeting.send_audio(b"x")
        assert sequence(client.media["audio"].receive()) == 2


def test_garbage(stamped):
    with RawClient(stamped) as client:
        stamped.meeting.faults.garbage("audio", len(GARBAGE))
        assert [client.media["audio"].frame()[2] for _ in GARBAGE] == list(GARBAGE)
        stamped.meeting.faults.garbage("audio", text="rubbish")
        assert client.media["audio"].frame()[2] == b"rubbish"


# -- media suffers ---------------------------------------------------------------------------------


def test_messages_come_twice(stamped):
    with RawClient(stamped) as client:
        stamped.meeting.faults.duplicate("audio", 2)
        for _ in range(3):
            stamped.meeting.send_audio(b"x")
        assert sequences(client.media["audio"], 5) == [1, 1, 2, 2, 3]
        assert stamped.meeting.sent[1].messages == 3


def test_messages_overtake_those_before_them(stamped):
    with RawClient(stamped) as client:
        stamped.meeting.faults.swap("audio", 1)
        for _ in range(3):
            assert stamped.meeting.send_audio(b"x")
        assert sequences(client.media["audio"], 3) == [2, 1, 3]
        stamped.meeting.faults.swap("audio")
        stamped.meeting.send_audio(b"x")
        stopping = gevent.spawn(stamped.meeting.stop)
        assert sequence(client.media["audio"].receive()) == 4
        client.__exit__()
        stopping.join(5)


def test_media_types_overtake_each_other_on_one_socket(stamped):
    with RawClient(stamped, media=("all",)) as client:
        stamped.meeting.faults.hold("audio", 0.1)
        stamped.meeting.send_audio(b"x")
        stamped.meeting.send_chat("first")
        stamped.meeting.send_audio(b"x")
        got = [client.media["all"].receive() for _ in range(3)]
        assert [(message["msg_type"], sequence(message)) for message in got] == [
            (18, 1), (14, 1), (14, 2),
        ]  # fmt: skip


def test_what_is_held_is_sent_before_the_end(stamped):
    with RawClient(stamped) as client:
        stamped.meeting.faults.hold("audio", 600)
        stamped.meeting.send_audio(b"x")
        stopping = gevent.spawn(stamped.meeting.stop)
        assert sequence(client.media["audio"].receive()) == 1
        client.__exit__()
        stopping.join(5)
        assert stamped.meeting.sent[1].lost == []


def test_media_has_names(stamped):
    with pytest.raises(ConfigurationError, match="media must be one of audio, video"):
        stamped.meeting.faults.hold("smell", 1)


# -- who took what ---------------------------------------------------------------------------------


def lose_audio(meeting):
    meeting.reset_sockets("audio")
    wait_until(lambda: not meeting.connections("audio"))


def test_the_books_know_which_socket_took_what(stamped):
    meeting = stamped.meeting
    assert not meeting.send_audio(b"before anybody asked for it")
    with RawClient(stamped) as client:
        (first,) = meeting.connections("audio")
        assert meeting.send_audio(b"1")
        lose_audio(meeting)
        assert not meeting.send_audio(b"2")
        assert not meeting.send_audio(b"3")
        client.reopen("audio")
        (second,) = meeting.connections("audio")
        assert meeting.send_audio(b"4")
        sent = meeting.sent[1]
        assert list(sent.sockets) == [first.number, 0, 0, second.number]
        assert sent.socket_of(4) == second.number != first.number
        assert sent.lost == [2, 3]
        assert (sent.messages, sent.payloads) == (2, [b"1", b"4"])
        assert sequence(client.media["audio"].receive()) == 4


def test_audio_of_an_outage_is_replayed(stamped):
    meeting = stamped.meeting
    meeting.buffer_audio(60)
    with RawClient(stamped) as client:
        lose_audio(meeting)
        for timestamp in (1000, 1020, 1040):
            assert not meeting.send_audio(b"x", timestamp=timestamp)
        client.reopen("audio")
        meeting.send_audio(b"x", timestamp=1060)
        got = [client.media["audio"].receive()["content"] for _ in range(4)]
        assert [one["timestamp"] for one in got] == [1000, 1020, 1040, 1060]
        assert [one["simulator"]["sequence"] for one in got] == [1, 2, 3, 4]
        assert meeting.sent[1].lost == []


def test_audio_that_is_too_old_is_not_replayed(stamped):
    meeting = stamped.meeting
    meeting.buffer_audio(1)
    with RawClient(stamped) as client:
        lose_audio(meeting)
        for timestamp in (1000, 1999, 2001, 3000):
            meeting.send_audio(b"x", timestamp=timestamp)
        client.reopen("audio")
        assert sequences(client.media["audio"], 2) == [3, 4]
        wait_until(lambda: meeting.sent[1].lost == [1, 2])


@pytest.mark.parametrize(("fields", "first"), [({}, 1), ({"buffer_data": False}, 3)])
def test_audio_of_before_the_start_is_sent_to_who_wants_it(stamped, fields, first, monkeypatch):
    meeting = stamped.meeting
    meeting.buffer_audio(60)
    meeting.send_audio(b"x")
    meeting.send_audio(b"x")
    hello = RawClient.hello
    monkeypatch.setattr(RawClient, "hello", lambda self: {**hello(self), **fields})
    with RawClient(stamped) as client:
        meeting.send_audio(b"x")
        assert sequence(client.media["audio"].receive()) == first
        # What is kept in an outage comes whatever was wished for.
        lose_audio(meeting)
        meeting.send_audio(b"x")
        client.reopen("audio")
        assert sequence(client.media["audio"].receive()) == 4


def test_other_media_is_not_kept(stamped):
    meeting = stamped.meeting
    meeting.buffer_audio(60)
    with RawClient(stamped, media=("chat",)) as client:
        meeting.reset_sockets("chat")
        wait_until(lambda: not meeting.connections("chat"))
        meeting.send_chat("lost")
        client.reopen("chat")
        meeting.send_chat("found")
        assert client.media["chat"].receive()["content"]["data"] == "found"
        assert meeting.sent[16].lost == [1]


# -- Zoom says so ----------------------------------------------------------------------------------


@pytest.fixture
def webhooks():
    """A receiver, and what it got."""
    got = []
    changed = AsyncResult()

    def receive(environ, start_response):
        got.append(json.loads(environ["wsgi.input"].read()))
        changed.set()
        start_response("204 No Content", [])
        return []

    server = WSGIServer(("127.0.0.1", 0), receive, log=None)
    server.start()
    yield f"http://127.0.0.1:{server.server_port}/", got
    server.stop()


def test_an_interruption_that_was_none(simulate, webhooks):
    url, got = webhooks
    simulator = simulate(webhook_url=url)
    with RawClient(simulator) as client:
        simulator.meeting.faults.interrupt()
        (event,) = wait_until(lambda: got)
        assert event["event"] == "meeting.rtms_interrupted"
        assert set(event["payload"]) == {"meeting_uuid", "rtms_stream_id"}
        client.sync()  # nothing broke


@pytest.mark.parametrize("dies", [False, True])
def test_failover(simulate, webhooks, dies):
    url, got = webhooks
    simulator = simulate("short", webhook_url=url)
    meeting = simulator.meeting
    meeting.start()
    with RawClient(simulator) as client:
        old_media = client.answer["media_server"]["server_urls"]["audio"]
        player = meeting.playback
        meeting.faults.failover(dies)
        if dies:
            with pytest.raises((ConnectionResetError, AssertionError)):
                client.signaling.receive_until(lambda message: False)
        else:
            client.sync()
            for raw in client.opened:
                raw.ws.send_close(1000)
        wait_until(lambda: len(got) >= 2 and meeting.signaling is None)
        first, second = (event for event in got if event["event"] == "meeting.rtms_started")
        assert second["event_ts"] > first["event_ts"]
        assert second["payload"]["rtms_stream_id"] == first["payload"]["rtms_stream_id"]
        moved = second["payload"]["server_urls"]
        assert moved != first["payload"]["server_urls"]
    if dies:
        with pytest.raises(ConnectionResetError):
            RawClient(simulator)
    assert meeting.server_urls == moved != simulator.signaling_url
    with RawClient(simulator, url=moved) as client:
        assert client.answer["media_server"]["server_urls"]["audio"] != old_media
        assert meeting.playback is player  # the scenario went on


def test_a_stream_state_is_only_told(simulate):
    simulator = simulate()
    with RawClient(simulator) as client:
        simulator.meeting.set_stream_state(2, 14)
        reported = client.signaling.receive_until(
            lambda message: message["msg_type"] == 8 and message["state"] == 2
        )
        assert reported["reason"] == 14
        assert simulator.meeting.send_audio(b"x")


# -- in scenarios ----------------------------------------------------------------------------------


def test_faults_are_data(simulate):
    from rtms_gevent.simulator import parse_scenario

    scenario = parse_scenario(
        {
            "faults": [{"do": "refuse", "sockets": "signaling", "status": 45}],
            "buffer_audio": 20,
            "participants": {"ann": {}},
            "timeline": [
                {"at": 0, "do": "join", "who": "ann"},
                {"at": 0.1, "do": "stall", "sockets": "audio", "seconds": 100},
                {"at": 0.2, "do": "stream", "state": "interrupted", "reason": 14},
                {"at": 0.3, "do": "close", "sockets": "chat", "code": 4321},
                {"at": 9, "do": "transcript", "who": "ann", "text": "hi"},
            ],
        },
        name="mine",
    )
    simulator = simulate(scenario, speed=1000.0)
    with pytest.raises(AssertionError, match="'status_code': 45"):
        RawClient(simulator)
    with RawClient(simulator, media=("audio", "chat", "transcript")) as client:
        client.signaling.receive_until(
            lambda message: message["msg_type"] == 8 and message["state"] == 2
        )
        assert client.media["chat"].frame()[0] == CLOSE
        # The stall of 100 s is over after 0.1 s.
        assert client.media["audio"].receive()["msg_type"] == 14
        assert client.media["transcript"].receive()["content"]["data"] == "hi"
    assert simulator.meeting.queues[1].buffer_seconds == pytest.approx(0.02)

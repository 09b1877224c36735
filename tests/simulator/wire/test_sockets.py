"""WebSockets as such: frames, close codes, resets, TLS, keep-alives."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import struct

import gevent
import pytest
import websocket
from gevent import socket

from ..raw import BINARY, CLOSE, TEXT, RawClient, RawSocket, sign


@pytest.mark.parametrize(
    ("binary", "media", "others"),
    [
        (False, TEXT, TEXT),
        (True, BINARY, BINARY),
        ("all", BINARY, BINARY),
        ("media", BINARY, TEXT),
        ("messages", TEXT, BINARY),
    ],
)
def test_json_travels_in_text_or_in_binary_frames(simulate, binary, media, others):
    simulator = simulate(binary=binary)
    with RawClient(simulator) as client:
        client.sync()
        simulator.meeting.send_audio(b"x")
        assert client.media["audio"].frame()[:2] == (media, 1)
        simulator.meeting.set_session_state(3)
        assert client.signaling.frame()[:2] == (others, 1)  # the first packet
        assert client.signaling.frame()[:2] == (others, 1)
        simulator.meeting.faults.merge("audio", 0.001)
        client.media["audio"].send({"msg_type": 99})
        assert client.media["audio"].frame()[:2] == (others, 1)
        simulator.meeting.send_audio(b"y")
        assert client.media["audio"].frame()[:2] == (media, 1)


@pytest.mark.parametrize("fragment", [1, 7, 100])
def test_messages_may_be_fragmented(simulate, fragment):
    simulator = simulate(fragment=fragment)
    with RawClient(simulator) as client:
        simulator.meeting.send_audio(b"hello" * 20)
        opcode, fin, data = client.media["audio"].frame()
        assert (opcode, fin, len(data)) == (TEXT, 0, fragment)
        while not fin:
            opcode, fin, more = client.media["audio"].frame()
            assert opcode == 0
            data += more
        assert json.loads(data)["content"]["length"] == 100


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 125, 126, 65535, 65536, 300000])
def test_client_messages_of_all_sizes_are_unmasked(simulator, size):
    padding = os.urandom(size).hex()[:size]
    meeting = simulator.meeting
    with RawSocket(simulator.signaling_url) as raw:
        raw.send(
            {
                "msg_type": 1,
                "padding": padding,
                "meeting_uuid": meeting.uuid,
                "rtms_stream_id": meeting.stream_id,
                "signature": sign(simulator, meeting),
            }
        )
        assert raw.receive()["status_code"] == 0
    assert meeting.received[0]["padding"] == padding
    assert simulator.requests[0]["socket"] == "signaling"


def test_binary_client_messages_are_understood(simulator):
    """The official SDK sends nothing else."""
    with RawSocket(simulator.signaling_url) as raw:
        raw.ws.send_binary(b'{\n\t"msg_type" : 1\n}\n')
        assert raw.receive()["status_code"] == 4


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 4321])
def test_close_codes_are_really_sent(simulator, code):
    with RawClient(simulator) as client:
        assert simulator.meeting.close_sockets("audio", code, "because") == 1
        opcode, _, data = client.media["audio"].frame()
        assert opcode == CLOSE
        assert data == struct.pack("!H", code) + b"because"


def test_a_clients_close_is_answered_with_its_code(simulator):
    with RawSocket(simulator.signaling_url) as raw:
        raw.ws.send_close(1001, b"going away")
        assert raw.close_code() == 1001


def test_a_client_that_does_not_answer_a_close_frame_is_let_go(simulator):
    with RawClient(simulator) as client:
        audio = simulator.meeting.connections("audio")[0]
        simulator.meeting.close_sockets("audio")
        assert audio.ended.wait(5)
        assert client.media["audio"].close_code() == 1000


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x82\0\0\0\0\xff\xff", 1007),  # text that is no UTF-8
        (b"\xc1\x81\0\0\0\0a", 1002),  # a reserved bit
        (b"\x83\x81\0\0\0\0a", 1002),  # a reserved opcode
        (b"\x81\x01a", 1002),  # no mask
        (b"\x82\xff" + struct.pack("!Q", 1 << 40) + b"\0\0\0\0", 1009),
        (b"\x88\x81\0\0\0\0a", 1002),  # half a close code
    ],
)
def test_frames_that_break_the_rules(simulator, frame, code):
    with RawSocket(simulator.signaling_url) as raw:
        raw.ws.sock.sendall(frame)
        assert raw.close_code() == code


def test_a_client_that_reads_nothing_cannot_hold_us_up(simulator):
    meeting = simulator.meeting
    with RawClient(simulator):
        sending = gevent.spawn(lambda: [meeting.send_audio(bytes(1 << 20)) for _ in range(50)])
        sending.join(0.2)
        assert not sending.ready()  # the buffers are full
        with gevent.Timeout(15):
            meeting.stop()
            assert sending.get()[-1] is False
    assert meeting.finished.is_set()


def test_anything_can_be_sent(simulator):
    with RawClient(simulator) as client:
        assert simulator.meeting.send_message("audio", b"{no json") == 1
        assert simulator.meeting.send_message("audio", {"msg_type": 999}) == 1
        assert client.media["audio"].frame() == (TEXT, 1, b"{no json")
        assert client.media["audio"].receive() == {"msg_type": 999}
        assert simulator.meeting.sent[1].messages == 0


def test_resets_come_without_a_close_frame(simulator):
    with RawClient(simulator) as client:
        assert simulator.meeting.reset_sockets("audio") == 1
        with pytest.raises(ConnectionResetError):
            client.media["audio"].ws.recv()


def test_pings_are_answered(simulator):
    with RawSocket(simulator.signaling_url) as raw:
        raw.ws.ping(b"\xff\0ping")
        assert raw.frame() == (10, 1, b"\xff\0ping")


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def answer(simulator, path, headers, *, version="1.1"):
    """Send one request, and return the whole answer."""
    port = int(simulator.signaling_url.split(":")[2].split("/")[0])
    lines = [f"GET {path} HTTP/{version}", "Host: x"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        plain.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: plain.recv(4096), b""))


@pytest.mark.parametrize("path", ["/", "/media/audio", "/media/smell/1", "/signalin"])
def test_other_addresses_are_not_upgraded(simulator, path):
    assert answer(simulator, path, UPGRADE).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec-WebSocket-Key": "no base64"},
        {"Sec-WebSocket-Key": "\xe9"},
        {"Sec-WebSocket-Key": "c2hvcnQ="},
        {"Sec-WebSocket-Key": ""},
        {"Sec-WebSocket-Version": "12"},
        {"Connection": "close"},
    ],
)
@pytest.mark.parametrize("path", ["/signaling", "/media/audio/1"])
def test_a_bad_handshake_is_answered_with_400(simulator, path, changes, capfd, caplog):
    reported = answer(simulator, path, UPGRADE | changes)
    assert reported.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in reported
    assert "Traceback" not in capfd.readouterr().err + caplog.text


def test_an_old_version_of_http_opens_no_websocket(simulator):
    assert b" 400 " in answer(simulator, "/signaling", UPGRADE, version="1.0").splitlines()[0]


def test_plain_http_is_told_that_this_is_a_websocket(simulator):
    assert answer(simulator, "/signaling", {}).startswith(b"HTTP/1.1 426 ")


# -- TLS -------------------------------------------------------------------------------------------


def test_everything_works_over_tls(simulate):
    simulator = simulate(tls=True)
    assert simulator.signaling_url.startswith("wss://localhost:")
    with RawClient(simulator) as client:
        assert simulator.meeting.send_audio(b"x" * 100000)
        assert client.media["audio"].receive()["content"]["length"] == 100000
        simulator.meeting.close_sockets("audio", 4001)
        assert client.media["audio"].close_code() == 4001
    ca = simulator.ca
    simulator.stop()
    assert not os.path.exists(ca)


def test_resets_over_tls(simulate):
    simulator = simulate(tls=True)
    with RawClient(simulator) as client:
        simulator.meeting.reset_sockets("audio")
        with pytest.raises((ConnectionResetError, ssl.SSLError, websocket.WebSocketException)):
            client.media["audio"].ws.recv()


def test_clients_that_do_not_speak_tls_or_do_not_trust_do_no_harm(simulate):
    simulator = simulate(tls=True)
    port = int(simulator.signaling_url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            while plain.recv(100):  # up to the end of the connection
                pass
    other = simulate(tls=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        RawSocket(simulator.signaling_url, other.ca)
    with RawClient(simulator):
        assert simulator.meeting.send_audio(b"x")


# -- keep-alives -----------------------------------------------------------------------------------


def read_keep_alive(raw):
    while True:
        message = json.loads(raw.frame()[2])
        if message["msg_type"] == 12:
            return message


def test_keep_alives_are_asked_on_every_socket_and_count(simulate):
    simulator = simulate(keep_alive=0.05)
    with RawClient(simulator) as client:
        for raw in (client.signaling, client.media["audio"]):
            first = read_keep_alive(raw)
            raw.send({**first, "msg_type": 13})
            second = read_keep_alive(raw)
            assert set(first) == {"msg_type", "timestamp", "sequence"}
            assert second["sequence"] == first["sequence"] + 1


def answer_forever(raw):
    try:
        while True:
            raw.send({**read_keep_alive(raw), "msg_type": 13})
    except (OSError, ValueError, websocket.WebSocketException):
        return  # closed


@pytest.mark.parametrize("with_sequence", [True, False])
def test_answered_keep_alives_keep_the_socket(simulate, with_sequence):
    simulator = simulate(keep_alive=0.02)
    with RawClient(simulator) as client:
        for _ in range(8):
            for raw in (client.signaling, client.media["audio"]):
                message = {**read_keep_alive(raw), "msg_type": 13}
                if not with_sequence:
                    del message["sequence"]
                raw.send(message)
        assert simulator.meeting.send_audio(b"x")


def test_unanswered_media_keep_alives_cost_that_socket_only(simulate):
    simulator = simulate(keep_alive=0.05)
    with RawClient(simulator) as client:
        answering = gevent.spawn(answer_forever, client.signaling)
        audio = simulator.meeting.connections("audio")[0]
        for sequence in (1, 2, 3):
            assert read_keep_alive(client.media["audio"])["sequence"] == sequence
            client.media["audio"].send({"msg_type": 13, "timestamp": 1, "sequence": sequence})
        assert client.media["audio"].close_code() == 1008
        client.media["audio"].ws.send_close(1000)
        assert audio.ended.wait(5)
        assert simulator.meeting.signaling is not None
        answering.kill()


def test_unanswered_signaling_keep_alives_cost_all_sockets(simulate):
    simulator = simulate(keep_alive=0.05)
    with RawClient(simulator) as client:
        answering = gevent.spawn(answer_forever, client.media["audio"])
        media = simulator.meeting.connections("audio")[0]
        assert client.signaling.close_code() == 1008
        assert media.ended.wait(5)
        answering.get(timeout=5)

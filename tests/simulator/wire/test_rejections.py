"""Clients that are not let in: refused, left without an answer, or shown a wrong certificate."""

from __future__ import annotations

import ssl

import gevent
import pytest
import websocket

from rtms_gevent.errors import ConfigurationError
from rtms_gevent.simulator import parse_scenario
from rtms_gevent.simulator.wire.rejections import Rejection, RejectionQueue, names_role

from ..raw import RawClient, RawSocket, sign


@pytest.mark.parametrize(
    ("which", "roles"),
    [
        ("signaling", {"signaling"}),
        ("media", {"audio", "chat", "all"}),
        ("audio", {"audio", "all"}),
        ("all", {"all"}),
        ("all_sockets", {"signaling", "audio", "chat", "all"}),
    ],
)
def test_which_sockets_a_name_means(which, roles):
    everybody = ("signaling", "audio", "chat", "all")
    assert {role for role in everybody if names_role(which, role)} == roles


def test_rejections_are_used_up_in_their_order():
    queue = RejectionQueue()
    queue.add(Rejection("audio", 2, 45))
    queue.add(Rejection("media", 1, 8))
    assert queue.next_for("signaling") is None
    statuses = [queue.next_for(role) for role in ("chat", "audio", "audio", "audio")]
    assert [one and one.status for one in statuses] == [8, 45, 45, None]


@pytest.mark.parametrize("status", [1, 8, 45, 999])
def test_signaling_handshakes_are_refused(simulator, status):
    simulator.meeting.faults.refuse("signaling", status, times=2)
    for _ in range(2):
        with pytest.raises(AssertionError, match=f"'status_code': {status}"):
            RawClient(simulator)
    with RawClient(simulator):
        assert simulator.meeting.send_audio(b"x")


@pytest.mark.parametrize(
    ("sockets", "refused"),
    [
        ("audio", {"audio"}),
        ("chat", {"chat"}),
        ("media", {"audio", "chat"}),
        ("all_sockets", {"audio", "chat"}),
        ("signaling", set()),
    ],
)
def test_media_handshakes_are_refused(simulator, sockets, refused):
    with RawClient(simulator, media=(), ready=False) as client:
        simulator.meeting.faults.refuse(sockets, 45, times=9)
        answers = {name: client.open_media(name)["status_code"] for name in ("audio", "chat")}
    assert {name for name, status in answers.items() if status == 45} == refused


def test_a_unified_socket_is_of_every_media_type(simulator):
    with RawClient(simulator, media=(), ready=False) as client:
        simulator.meeting.faults.refuse("video", 45)
        assert client.open_media("all")["status_code"] == 45


def test_handshakes_are_not_answered(simulator):
    simulator.meeting.faults.no_answer("signaling")
    with RawSocket(simulator.signaling_url) as raw:
        raw.ws.settimeout(0.1)
        raw.send(hello(simulator))
        with pytest.raises(websocket.WebSocketTimeoutException):
            raw.ws.recv()
    with RawClient(simulator):
        assert simulator.meeting.send_audio(b"x")


def hello(simulator):
    meeting = simulator.meeting
    ids = {"meeting_uuid": meeting.uuid, "rtms_stream_id": meeting.stream_id}
    return {"msg_type": 1, **ids, "signature": sign(simulator, meeting)}


def test_upgrades_are_not_answered(simulator):
    simulator.meeting.faults.no_answer("all_sockets", to="upgrade")
    waiting = gevent.spawn(RawSocket, simulator.signaling_url)
    waiting.join(0.1)
    assert not waiting.ready()
    waiting.kill()  # and the simulator is rid of it
    with RawClient(simulator):
        assert simulator.meeting.send_audio(b"x")


@pytest.mark.parametrize("status", [503, 429, 599])
def test_upgrades_are_answered_with_an_error(simulator, status):
    simulator.meeting.faults.unavailable("signaling", 2, status)
    for _ in range(2):
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            RawSocket(simulator.signaling_url)
        assert refused.value.status_code == status
    with RawClient(simulator):
        assert simulator.meeting.send_audio(b"x")


def test_media_upgrades_of_one_meeting_only(simulator):
    other = simulator.add_meeting()
    other.faults.unavailable("audio")
    with RawClient(simulator):
        pass
    with (
        RawClient(simulator, other, media=(), ready=False) as client,
        pytest.raises(websocket.WebSocketBadStatusException),
    ):
        client.open_media("audio")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("self_signed", "self.signed certificate"),
        ("expired", "certificate has expired"),
        ("other_host", "Hostname mismatch"),
    ],
)
def test_wrong_certificates(simulate, kind, message):
    simulator = simulate(tls=True)
    for _ in range(2):
        simulator.meeting.faults.certificate(kind)
        with pytest.raises(ssl.SSLCertVerificationError, match=message):
            RawSocket(simulator.signaling_url, simulator.ca)
        simulator.meeting.faults.certificate("good")
        with RawClient(simulator):
            assert simulator.meeting.send_audio(b"x")


def test_certificates_need_tls_and_a_kind(simulate):
    with pytest.raises(ConfigurationError, match="need a simulator with tls"):
        simulate().meeting.faults.certificate("expired")
    with pytest.raises(ConfigurationError, match="must be one of good, self_signed"):
        simulate(tls=True).present_certificate("nice")


def test_a_scenario_whose_certificate_is_wrong_from_the_start(simulate):
    scenario = parse_scenario(
        {"faults": [{"do": "certificate", "kind": "expired"}]}, name="expired"
    )
    simulator = simulate(scenario, tls=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        RawSocket(simulator.signaling_url, simulator.ca)
    with pytest.raises(ConfigurationError, match="need a simulator with tls"):
        simulate(scenario)

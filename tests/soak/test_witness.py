"""The judge of the soak test must find what is wrong, or the soak test shows nothing."""

from __future__ import annotations

import gevent
import pytest
from support.recorder import wait_until

from rtms_gevent import Client, Reconnect
from rtms_gevent.simulator import Simulator
from rtms_gevent.stream import recovery

from .witness import Witness


@pytest.fixture
def simulator():
    with Simulator("empty", stamp=True) as running:
        yield running


@pytest.fixture
def witness(simulator, monkeypatch):
    # It reconnects not before more packets were sent.
    monkeypatch.setattr(recovery, "jitter", lambda: 1.0)
    with Client(reconnect=Reconnect(base_delay=0.25, max_delay=0.5)) as client:
        yield Witness(client)


def join(witness, simulator):
    witness.client.join(
        simulator.meeting.payload,
        client=simulator.client_id,
        secret=simulator.client_secret,
        allowed_hosts="127.0.0.1",
    )
    witness.client.wait_joined(10)
    assert simulator.meeting.wait_ready(5)


def send(simulator, count):
    for _ in range(count):
        simulator.meeting.send_audio(b"x")


def verdict(witness, simulator):
    simulator.meeting.stop()
    assert witness.client.wait(10)
    verdicts = witness.judge(simulator.meeting)
    assert [one.problems for one in verdicts[1:]] == [[]] * 4
    return verdicts[0]


def test_all_is_well(witness, simulator):
    join(witness, simulator)
    send(simulator, 5)
    judged = verdict(witness, simulator)
    assert judged.problems == []
    assert (judged.sent, judged.delivered, judged.missing) == (5, 5, 0)


def test_an_outage_explains_what_is_missing(witness, simulator):
    join(witness, simulator)
    send(simulator, 5)
    wait_until(lambda: len(witness._moments["audio"]) == 5)
    (connection,) = simulator.meeting.connections("audio")
    simulator.meeting.reset_sockets("audio")
    assert connection.ended.wait(5)
    send(simulator, 5)
    wait_until(lambda: witness.outages and witness.outages[0].end)
    wait_until(lambda: simulator.meeting.send_audio(b"x"))
    judged = verdict(witness, simulator)
    assert judged.problems == []
    assert judged.missing == judged.sent - judged.delivered >= 5


@pytest.mark.parametrize("lost", [1, 3, 5])
def test_what_is_lost_silently_is_found(witness, simulator, lost):
    deliver = witness.client._callbacks.get("audio_data")

    def lossy(data, size, timestamp, metadata):
        if metadata.extra["simulator"]["sequence"] != lost:
            deliver(data, size, timestamp, metadata)

    witness.client.on_audio_data(lossy)
    join(witness, simulator)
    send(simulator, 5)
    judged = verdict(witness, simulator)
    assert f"{lost} to {lost} are missing without an outage" in judged.problems


def test_an_outage_of_other_media_explains_nothing(witness, simulator):
    deliver = witness.client._callbacks.get("audio_data")

    def lossy(data, size, timestamp, metadata):
        if metadata.extra["simulator"]["sequence"] > 5:
            deliver(data, size, timestamp, metadata)

    witness.client.on_audio_data(lossy)
    join(witness, simulator)
    simulator.meeting.reset_sockets("chat")
    wait_until(lambda: witness.outages and witness.outages[0].end)
    send(simulator, 10)
    assert "1 to 5 are missing without an outage" in verdict(witness, simulator).problems


def test_what_no_gap_tells_of_is_found(witness, simulator):
    join(witness, simulator)
    send(simulator, 2)
    wait_until(lambda: len(witness._moments["audio"]) == 2)
    witness.client.on_media_gap(lambda gap: None)  # who should have written it down
    (connection,) = simulator.meeting.connections("audio")
    simulator.meeting.reset_sockets("audio")
    assert connection.ended.wait(5)
    send(simulator, 5)
    wait_until(lambda: witness.outages and witness.outages[0].end)
    later = witness._timestamps["audio"][-1] + 5000
    wait_until(lambda: simulator.meeting.send_audio(b"x", timestamp=later))
    wait_until(lambda: len(witness._moments["audio"]) == 3)
    (problem,) = verdict(witness, simulator).problems
    assert "no gap says so" in problem


def test_an_outage_explains_only_the_end_of_what_a_socket_took(witness, simulator):
    """Also where something was down, what came before it on the same socket must have come."""
    deliver = witness.client._callbacks.get("audio_data")

    def lossy(data, size, timestamp, metadata):
        if metadata.extra["simulator"]["sequence"] != 3:
            deliver(data, size, timestamp, metadata)

    witness.client.on_audio_data(lossy)
    join(witness, simulator)
    send(simulator, 2)
    wait_until(lambda: len(witness._moments["audio"]) == 2)
    witness._interrupted("media", None)
    send(simulator, 3)
    judged = verdict(witness, simulator)
    assert judged.problems == ["3 is missing, and 4 came on the same socket"]


@pytest.mark.parametrize("fault", ["duplicate", "swap"])
def test_what_comes_twice_or_out_of_order_is_found(witness, simulator, fault):
    join(witness, simulator)
    getattr(simulator.meeting.faults, fault)("audio")
    send(simulator, 3)
    assert verdict(witness, simulator).problems == ["delivered twice, or out of order"]


def test_packets_that_nobody_sent_are_found(witness, simulator):
    join(witness, simulator)
    packet = {"user_id": 1, "user_name": "x", "data": "eA==", "timestamp": 1}
    simulator.meeting.send_message("audio", {"msg_type": 14, "content": packet})
    gevent.sleep(0)
    assert verdict(witness, simulator).problems == ["1 packets that nobody sent"]

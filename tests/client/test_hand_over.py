"""One stream, one owner after the other: clients against the simulator."""

from __future__ import annotations

import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor

import gevent
import pytest
from gevent.event import Event
from support.recorder import Recorder, wait_until

from rtms_gevent import Client, EventLoop, signals
from rtms_gevent.protocol.webhook_events import parse_event


def takeover_of(meeting, client):
    """Return the event that the next owner gets."""
    delivered = {
        name: media.delivered_timestamp
        for name, media in client.stats().media.items()
        if media.delivered_timestamp is not None
    }
    event = parse_event(meeting.started_event)
    return dataclasses.replace(event, is_takeover=True, delivered=delivered)


def join_by(client, simulator, event):
    client.join(event, client=simulator.client_id, secret=simulator.client_secret)
    client.wait_joined(10)
    wait_until(lambda: simulator.meeting.connections("all_sockets"))
    assert simulator.meeting.wait_ready(5)


@pytest.fixture
def slow(client):
    """Make the client's function for audio wait; return what it was called with, and the event."""
    got, go = [], Event()

    @client.on_audio_data
    def slow(data, size, timestamp, metadata):
        go.wait()
        got.append(timestamp)

    yield got, go
    go.set()


def audio(meeting, timestamps):
    for timestamp in timestamps:
        wait_until(lambda timestamp=timestamp: meeting.send_audio(b"x", timestamp=timestamp))


def arrived(client, count):
    wait_until(lambda: client.stats().media["audio"].received == count)


def test_from_one_owner_to_the_next(simulator, meeting, client, join, slow):
    """What was read is delivered by the old one; what was not read is a gap that the new one
    tells."""
    got, go = slow
    left, ended = [], []
    client.on_end(ended.append)
    signals.left.connect(lambda *_, reason, **__: left.append(reason), sender=client, weak=False)
    join()
    now = int(time.time() * 1000)
    sent = [now + 20 * number for number in range(5)]
    audio(meeting, sent)
    arrived(client, 5)
    connections = meeting.connections("all_sockets")
    handing = gevent.spawn(client.hand_over)
    wait_until(lambda: not meeting.connections("all_sockets"))
    assert got == []  # the sockets are closed first
    assert [each.client_close_code for each in connections] == [1000] * len(connections)
    stats = client.stats().media["audio"]
    assert (stats.waiting, stats.delivered_timestamp) == (5, None)
    go.set()
    assert handing.get(timeout=5)
    assert client.hand_over()  # a second time it does nothing
    assert got == sent
    assert ended == left
    assert [reason.is_handover for reason in left] == [True]
    assert client.stats().media["audio"].delivered_timestamp == sent[-1]

    with Client() as other:
        recorder = Recorder(other, "audio_data", "media_gap")
        told = []
        with signals.media_gap.connected_to(lambda *_, gap, **__: told.append(gap), sender=other):
            join_by(other, simulator, takeover_of(meeting, client))
            audio(meeting, [sent[-1] + 1000, sent[-1] + 1020])
            recorder.wait_for("audio_data", 2)
            ((gap,),) = recorder.wait_for("media_gap")
        assert (gap.start, gap.end) == (sent[-1], sent[-1] + 1000)
        assert "another worker had the stream before" in str(gap)
        assert told == [gap]
        assert other.stats().media["audio"].gaps == (gap,)


def test_a_third_owner_where_the_second_got_nothing(simulator, meeting, client, join):
    recorder = Recorder(client, "audio_data")
    join()
    now = int(time.time() * 1000)
    audio(meeting, [now])
    recorder.wait_for("audio_data")
    assert client.hand_over()
    with Client() as second, Client() as third:
        told = (
            Recorder(second, "audio_data", "media_gap"),
            Recorder(third, "audio_data", "media_gap"),
        )
        join_by(second, simulator, takeover_of(meeting, client))
        assert second.hand_over()
        assert told[0].calls == []
        join_by(third, simulator, takeover_of(meeting, second))
        audio(meeting, [now + 3000])
        ((gap,),) = told[1].wait_for("media_gap")
        assert (gap.start, gap.end) == (now, now + 3000)


def test_what_is_not_delivered_in_time_is_dropped_and_counted(client, join, meeting, slow):
    got, go = slow
    join()
    now = int(time.time() * 1000)
    audio(meeting, [now])
    go.set()
    wait_until(lambda: got == [now])
    go.clear()
    audio(meeting, [now + 20, now + 40, now + 60])
    arrived(client, 4)
    assert client.hand_over(timeout=0.05)
    stats = client.stats().media["audio"]
    assert (stats.delivered, stats.dropped, stats.waiting) == (1, {"inbox": 2}, 1)
    assert stats.delivered_timestamp == now
    go.set()
    assert client.wait(5).is_handover
    assert got == [now, now + 20]  # what ran was left to finish
    stats = client.stats().media["audio"]
    assert (stats.delivered_timestamp, stats.waiting) == (now + 20, 0)


@pytest.mark.parametrize("name", ["join_confirm", "audio_data", "event_ex", "end"])
@pytest.mark.parametrize("where", ["greenlet", "executor", "loop in a thread"])
def test_from_inside_a_callback(where, name, simulator, meeting):
    answers = []
    with ThreadPoolExecutor(1) as pool:
        client = Client(pool if where == "executor" else None)
        client.on_audio_data(print)
        getattr(client, f"on_{name}")(lambda *_: answers.append(client.hand_over()))
        loop = EventLoop().start() if where == "loop in a thread" else None
        if loop is not None:
            loop.add(client)
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        # Nothing here waits for another thread, which waits for the simulator in this one.
        if name != "join_confirm":
            wait_until(lambda: client.is_joined)
            assert meeting.wait_ready(5)
        if name == "audio_data":
            meeting.send_audio(b"x")
        elif name == "event_ex":
            meeting.send_event({"event_type": 1, "timestamp": 1}, to_all=True)
        elif name == "end":
            gevent.spawn(client.leave)
        reason = wait_until(lambda: client.wait(0))
        wait_until(lambda: answers)
        if loop is not None:
            loop.stop()
            loop.join(5)
    assert answers == [name != "end"]
    assert reason.is_handover is (name != "end")
    wait_until(lambda: not meeting.connections("all_sockets"))


def test_a_loop_that_never_ran(simulator, meeting):
    ended, loop, client = [], EventLoop(), Client()
    client.on_end(ended.append)
    loop.add(client)
    client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
    assert client.hand_over()
    assert [(str(reason), reason.was_joined) for reason in ended] == [
        ("another worker goes on with the stream", False)
    ]
    assert loop.client_count == 0


def test_a_loop_that_runs_no_more(simulator, meeting):
    loop, client = EventLoop().start(), Client()
    loop.add(client)
    client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
    wait_until(lambda: client.is_joined)
    loop.stop()
    wait_until(lambda: not loop.is_running)
    assert not client.hand_over()


def test_what_cannot_be_handed_over(client, join, meeting):
    assert not client.hand_over()  # it has never joined
    client.on_audio_data(print)
    join()
    meeting.stop()
    assert not client.wait(5).is_handover
    assert not client.hand_over()


def test_another_worker_has_taken_it(client, join, meeting):
    ended = []
    client.on_end(ended.append)
    client.on_audio_data(print)
    client.taken_over()  # it has not joined: nothing happens
    join()
    client.taken_over()
    assert [str(reason) for reason in ended] == ["another worker has taken the stream over"]
    assert not meeting.connections("all_sockets")

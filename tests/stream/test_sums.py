"""What was received is delivered, failed, dropped or waiting, at every moment."""

from __future__ import annotations

import concurrent.futures
import threading

import gevent
import pytest
from gevent.event import Event
from support.recorder import wait_until

from rtms_gevent import Client, EventLoop, Inboxes, signals
from rtms_gevent.config import InboxLimits
from rtms_gevent.runtime import exit as process_exit


def audio(client):
    return client.stats().media["audio"]


def adds_up(stats):
    parts = (stats.delivered, stats.failed, sum(stats.dropped.values()), stats.waiting)
    return min(parts) >= 0 and sum(parts) == stats.received


def send(meeting, count, first=0):
    for number in range(first, first + count):
        wait_until(lambda number=number: meeting.send_audio(b"%d" % number))


def test_while_a_callback_waits_fails_and_is_too_slow(join, meeting):
    go, seen = Event(), []
    with Client(inboxes=Inboxes(audio=InboxLimits(packets=10))) as client:

        @client.on_audio_data
        def callback(data, size, timestamp, metadata):
            seen.append(audio(client))
            go.wait()
            if len(seen) == 1:
                raise ValueError

        join(client)
        send(meeting, 1)
        wait_until(lambda: seen)
        send(meeting, 29, 1)
        wait_until(lambda: audio(client).received == 30)
        assert adds_up(audio(client))
        assert (audio(client).dropped, audio(client).waiting) == ({"inbox": 19}, 11)
        go.set()
        wait_until(lambda: audio(client).waiting == 0)
    assert all(map(adds_up, seen))
    assert (audio(client).failed, audio(client).delivered) == (1, 10)


def test_leaving_while_a_batch_is_under_way(join, meeting):
    """In the moment of leaving, when the last call has ended, and where that is told."""
    go, entered, told = threading.Event(), threading.Event(), []

    def wait(*_):
        entered.set()
        go.wait()

    def left(sender, reason, **_):
        told.append(audio(sender))

    with concurrent.futures.ThreadPoolExecutor(1) as pool, Client(pool) as client:
        client.on_audio_data(wait)
        join(client)
        send(meeting, 1)
        wait_until(entered.is_set)
        send(meeting, 75, 1)
        wait_until(lambda: audio(client).received == 76)
        signals.left.connect(left, sender=client)
        client.leave()
        assert adds_up(audio(client))
        assert (audio(client).received, told) == (76, [])
        assert audio(client).waiting > 0
        go.set()
        wait_until(lambda: told)
    assert told == [audio(client)]
    assert adds_up(audio(client))
    assert audio(client).waiting == 0
    assert audio(client).dropped["inbox"] > 0


@pytest.mark.parametrize("executor", [False, True], ids=["own greenlet", "executor"])
def test_a_callback_that_is_killed(executor, simulator, meeting, monkeypatch):
    monkeypatch.setattr(process_exit, "CALLBACK_SHUTDOWN_TIMEOUT", 0.01)
    go = threading.Event()
    pool = concurrent.futures.ThreadPoolExecutor(1) if executor else None
    client, loop = Client(pool), EventLoop()
    loop.add(client)
    client.on_audio_data(lambda *_: go.wait() if executor else Event().wait())
    client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
    running = gevent.spawn(loop.run)
    assert meeting.wait_ready(5)
    send(meeting, 5)
    wait_until(lambda: audio(client).received == 5)
    loop.stop()
    running.get(timeout=10)
    go.set()
    stats = audio(client)
    assert adds_up(stats)
    assert stats.waiting == 0

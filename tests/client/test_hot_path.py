"""What a packet costs, counted and not timed: so that nobody makes it dearer unawares.

The limits are what it takes today. Whoever needs more says why beside the new number.
"""

from __future__ import annotations

import gc
import json
import os
import sys

import gevent
import pytest
from gevent.event import AsyncResult
from support.rawserver import frame

from rtms_gevent.transport import websocket

pytest.importorskip("msgspec")
pytest.importorskip("pybase64")


def message(user_id=7, user_name="Ada", timestamp=1738392033699):
    content = {
        "user_id": user_id,
        "user_name": user_name,
        "data": "QUJD" * 54,
        "timestamp": timestamp,
        "length": 162,
    }
    return json.dumps({"msg_type": 14, "content": content}, separators=(",", ":")).encode()


MESSAGES = (message(),)


@pytest.fixture
def feed(join, meeting, client, monkeypatch):
    """Return what lets a joined client's media socket read some frames at once, in the hub."""
    gc.collect()  # whoever listens to all clients' signals, and is there no more, costs calls, too
    got = []
    client.on_audio_data(lambda *arguments: got.append(arguments))
    join()
    meeting.send_audio(b"first")
    with gevent.Timeout(5):
        while not got:
            gevent.sleep(0.01)
    got.clear()
    (connection,) = client._session._connections._media.values()
    socket = connection._socket
    real, chunks, reads = os.readv, [], []

    def readv(descriptor, buffers):
        if descriptor != socket._fd or not chunks:
            return real(descriptor, buffers)
        reads.append(descriptor)
        chunk = chunks.pop()
        buffers[0][: len(chunk)] = chunk
        return len(chunk)

    monkeypatch.setattr(websocket.os, "readv", readv)

    def run(frames, times=1, watch=None, messages=MESSAGES):
        """Let frames arrive together, so many times.

        ``watch`` is sys.setprofile's function. Of several messages each comes so often.
        """
        done = AsyncResult()

        def in_hub():
            for _ in range(times):
                chunks.append(b"".join(frame(1, payload) for payload in messages) * frames)
                gc.disable()  # what it would call is none of a packet's calls
                sys.setprofile(watch)
                try:
                    socket._readable()
                finally:
                    sys.setprofile(None)
                    gc.enable()
            done.set(True)

        gevent.get_hub().loop.run_callback(in_hub)
        done.get(timeout=10)
        assert len(got) == frames * times * len(messages)
        arrived = got[:]
        got.clear()
        return arrived

    run.reads = reads
    yield run
    client.leave()


@pytest.mark.parametrize(("frames", "limit"), [(1, 36), (10, 14)])
def test_function_calls_per_message(feed, frames, limit):
    """Python's and C's. A batch shares those of statistics, inbox and waking."""
    calls = []

    def watch(_, event, __):
        if event in ("call", "c_call"):
            calls.append(event)

    feed(frames)  # what is made with the first packet
    feed(frames, 10, watch)
    assert len(calls) / (10 * frames) <= limit


def test_speakers_who_take_turns_within_a_read(feed, meeting, client):
    known = []
    client.on_active_speaker_event(lambda *arguments: known.append(arguments))
    with gevent.Timeout(5):
        while not known:
            meeting.send_event({"event_type": 2, "timestamp": 1, "user_id": 2, "user_name": "Eve"})
            gevent.sleep(0.01)
    before = client.stats().media["audio"].received
    people = [(1, "Ada"), (2, "Ben"), (2, "Ben"), (1, "Ada"), (0, "")]
    messages = [message(*who, 1738392033700 + at) for at, who in enumerate(people)]
    got = feed(2, messages=messages)
    heard = [metadata.userName for _, _, _, metadata in got]
    assert heard == ["Ada", "Ben", "Ben", "Ada", "Eve"] * 2  # Eve speaks, where nobody is named
    assert [time - 1738392033700 for _, _, time, _ in got] == [0, 1, 2, 3, 4] * 2
    assert client.stats().media["audio"].received - before == 10


def test_one_system_call_per_read_and_none_that_fails(feed):
    feed(1, 50)
    assert len(feed.reads) == 50


def test_nothing_is_kept_of_what_was_delivered(feed):
    feed(10, 100)
    gc.collect()
    before = sys.getallocatedblocks()
    feed(10, 1000)
    gc.collect()
    # Ten thousand packets, of which each would leave one block at least.
    assert sys.getallocatedblocks() - before < 1000

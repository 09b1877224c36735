"""A thousand joins and leaves leave nothing behind."""

from __future__ import annotations

import gc
import json
import pathlib
import sys

import gevent
import pytest
from gevent import subprocess
from support.recorder import wait_until

from rtms_gevent import Client

from .chaos import quiet_logs

JOINS = 1000
WARM_UP = 200
#: Bytes by which memory may grow: what allocators keep, not what is leaked with every join.
TOLERANCE = 4 * 1024 * 1024

PROCESS = pathlib.Path("/proc/self")


@pytest.fixture
def meeting():
    """What to join with; the simulator is in a process of its own, whose memory is not ours."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rtms_gevent.cli", "simulate", "--scenario", "empty"],
        stdout=subprocess.PIPE,
    )
    with process.stdout:
        with gevent.Timeout(20):
            ready = json.loads(process.stdout.readline())
        yield {
            "meeting_uuid": ready["meeting_uuid"],
            "rtms_stream_id": ready["rtms_stream_id"],
            "server_urls": ready["signaling_url"],
            "client": ready["client_id"],
            "secret": ready["client_secret"],
            "allowed_hosts": "127.0.0.1",
        }
        process.terminate()
        process.wait(20)


def joins_and_leaves(meeting, count):
    for number in range(count):
        client = Client()
        client.on_audio_data(lambda *_: None)
        client.on_participant_event(lambda *_: None)
        client.join(**meeting)
        if number % 5:  # each fifth leaves in the middle of joining
            client.wait_joined(20)
        client.leave()


def counts():
    """Count all that a client may leave behind."""
    gc.collect()
    items = gc.get_objects()
    return {
        "clients": sum(issubclass(type(item), Client) for item in items),
        "greenlets": sum(
            issubclass(type(item), gevent.Greenlet) and not item.dead for item in items
        ),
        "descriptors": len(list((PROCESS / "fd").iterdir())),
        "threads": len(list((PROCESS / "task").iterdir())),
    }


def memory():
    pages = int((PROCESS / "statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.skipif(not (PROCESS / "statm").exists(), reason="counts what Linux tells in /proc")
@pytest.mark.timeout(180)
def test_joins_and_leaves_leave_nothing_behind(meeting):
    with quiet_logs():  # pytest keeps what is logged
        joins_and_leaves(meeting, WARM_UP)
    before = counts()
    used = memory()
    with quiet_logs():
        joins_and_leaves(meeting, JOINS)
    # Fewer is possible: of an earlier test something may have been about to end.
    wait_until(lambda: all(number <= before[name] for name, number in counts().items()))
    assert memory() - used < TOLERANCE

"""Workers of gunicorn that are not gevent's: there the streams live in a thread of their own."""

from __future__ import annotations

import signal
import time

import pytest

from .servers import Gunicorn, needs_proc
from .verdict import check, show, wait_taken_over
from .zoom import Zoom

pytestmark = needs_proc

KINDS = {
    "gthread": ["gthread", "--threads", "4"],
    "sync": ["sync"],
    "gevent, preloaded": ["gevent", "--preload"],
    "GeventWebSocketWorker": ["geventwebsocket.gunicorn.workers.GeventWebSocketWorker"],
}


@pytest.mark.parametrize("name", KINDS)
def test_streams_have_one_owner_and_are_handed_over(name):
    kind, *options = KINDS[name]
    with Gunicorn(*options, kind=kind, workers=3) as server, Zoom(server.port) as zoom:
        streams = zoom.start(12)
        shares = server.diary.shares(zoom.streams)
        show(name, shares=sorted(shares.values()))
        assert len(shares) > 1
        old, now = server.workers, time.monotonic()
        server.signal(signal.SIGHUP)
        owned, longest = wait_taken_over(zoom, server, streams, now)
        show(f"{name}, HUP", all_owned_after=owned, longest_gap=longest)
        server.wait_served(without=old)
        zoom.stop()
        check(zoom, server)

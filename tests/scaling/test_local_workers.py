"""Four gunicorn workers of one machine, and everything that may happen to them."""

from __future__ import annotations

import os
import signal
import time

import gevent
from support.recorder import wait_until

from .servers import Gunicorn, descriptors, needs_proc
from .verdict import check, show, wait_taken_over
from .zoom import Zoom

pytestmark = needs_proc


def moved(stream):
    """Whether a client is where the stream is since its failover."""
    signaling = stream.meeting.signaling
    return signaling is not None and signaling.address == stream.meeting.addresses.keys[-1]


def test_each_stream_has_one_owner():
    with Gunicorn() as server, Zoom(server.port) as zoom:
        zoom.stop(zoom.start(4))  # what is opened once is open now
        gevent.sleep(1)
        before = {pid: descriptors(pid) for pid in server.workers}
        zoom.start(20)
        zoom.start(4)
        live = [stream.id for stream in zoom.streams.values() if not stream.meeting.is_over]
        shares = server.diary.shares(live)
        show("24 streams", shares=sorted(shares.values()), second=zoom.second_connections)
        assert max(shares.values()) <= 9
        live += [stream.id for stream in zoom.start(26)]
        shares = server.diary.shares(live)
        show("50 streams", shares=sorted(shares.values()), second=zoom.second_connections)
        assert max(shares.values()) <= 18
        some = [zoom.streams[each] for each in live[:10]]
        for stream in some:  # whichever worker gets it, the owner moves
            stream.meeting.faults.failover()
        for stream in some:
            wait_until(lambda stream=stream: moved(stream), 15)
        zoom.stop()
        check(zoom, server)
        for pid in server.workers:
            wait_until(lambda pid=pid: descriptors(pid) == before[pid], 10)


def test_a_worker_dies_and_then_all_are_replaced():
    with Gunicorn() as server, Zoom(server.port) as zoom:
        streams = zoom.start(24)
        gevent.sleep(1.5)
        victim, lost = server.busiest(streams)
        now = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        owned, longest = wait_taken_over(zoom, server, lost, now)
        show("kill -9", lost=len(lost), all_owned_after=owned, longest_gap=longest)
        server.wait_served(without=[victim])
        old, now = server.workers, time.monotonic()
        server.signal(signal.SIGHUP)
        owned, longest = wait_taken_over(zoom, server, streams, now)
        show("HUP", streams=len(streams), all_owned_after=owned, longest_gap=longest)
        server.wait_served(without=old)
        shares = server.diary.shares(zoom.streams)
        show("after HUP", shares=sorted(shares.values()))
        assert max(shares.values()) <= 12
        zoom.stop()
        check(zoom, server, killed=[victim])


def test_workers_that_are_replaced_after_so_many_requests():
    options = ["--max-requests", "40", "--max-requests-jitter", "20"]
    with Gunicorn(*options) as server, Zoom(server.port) as zoom:
        old, streams = server.workers, []
        for _ in range(6):
            streams += zoom.start(2)
        while len(set(old) - set(server.workers)) < 3:
            server.cluster()  # a request, which an old worker may leave unanswered
        server.wait_served()
        show(
            "max_requests",
            take_overs=sum(start["is_takeover"] for start in server.diary.of("started")),
            longest_gap=round(max(server.diary.missing(0).values(), default=0.0), 2),
        )
        for stream in streams:  # one by one: their webhooks are requests, too
            zoom.wait_joined(each for each in streams if not each.meeting.is_over)
            zoom.stop([stream])
        check(zoom, server)
        server.wait_served()  # gunicorn waits for graceful_timeout for a worker that just starts


def test_a_server_that_is_stopped_and_started_again():
    with Zoom() as zoom, Gunicorn() as server:
        zoom.sprayer.ports = [server.port]
        streams = zoom.start(24)
        closed = [each for stream in streams for each in stream.meeting.connections("all_sockets")]
        server.stop()
        assert {connection.client_close_code for connection in closed} == {1000}
        assert {end["is_handover"] for end in server.diary.of("ended")} == {True}
        now = time.monotonic()
        server.start()
        owned, longest = wait_taken_over(zoom, server, streams, now)
        show("stop and start", all_owned_after=owned, longest_gap=longest)
        zoom.stop()
        check(zoom, server)


def test_a_server_that_is_upgraded():
    """USR2 starts another master, and then the old one is told to end."""
    with Gunicorn() as server, Zoom(server.port) as zoom:
        streams = zoom.start(24)
        old, now = server.workers, time.monotonic()
        server.upgrade()
        owned, longest = wait_taken_over(zoom, server, streams, now)
        show("USR2", all_owned_after=owned, longest_gap=longest)
        assert not set(old) & set(server.workers)
        zoom.stop()
        check(zoom, server)

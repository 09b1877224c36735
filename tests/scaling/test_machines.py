"""Two gunicorns that share nothing but a Redis: they stand for two machines."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import gevent
from support.recorder import wait_until

from .servers import Gunicorn, Redis, needs_proc, needs_redis
from .verdict import GENEROUS, check, show, wait_taken_over
from .zoom import Zoom

pytestmark = [needs_proc, needs_redis]

#: Seconds that Redis stands still: longer than a lease, which is 8 s.
PAUSE = 12


@contextlib.contextmanager
def machines(**options):
    """Two of them, with two workers each; gives Redis, both servers, and Zoom."""
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(Redis())
        one = stack.enter_context(Gunicorn(workers=2, ZM_RTMS_STORE=redis.url))
        other = stack.enter_context(Gunicorn(workers=2, ZM_RTMS_STORE=redis.url, diary=one.diary))
        zoom = stack.enter_context(Zoom(one.port, other.port, **options))
        yield redis, one, other, zoom


def test_a_worker_dies_and_redis_is_restarted():
    with machines() as (redis, one, other, zoom):
        streams = zoom.start(24)
        shares = one.diary.shares(zoom.streams)
        show("24 streams", shares=sorted(shares.values()), second=zoom.second_connections)
        assert max(shares.values()) <= 9
        gevent.sleep(1.5)
        victim, lost = one.busiest(streams)
        now = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        owned, longest = wait_taken_over(zoom, one, lost, now)
        show("kill -9", lost=len(lost), all_owned_after=owned, longest_gap=longest)
        now = time.monotonic()
        redis.stop()
        gevent.sleep(1)
        redis.start()  # and knows nothing any more
        wait_until(lambda: len(one.rows()) == len(streams), GENEROUS)
        zoom.start(4)
        assert len(one.diary.starts(now)) == 4  # nobody was robbed
        zoom.stop()
        check(zoom, one, other, killed=[victim])
        assert redis.left() == []


def test_redis_stands_still():
    """For longer than a lease: what streams goes on, and starts wait."""
    with machines() as (redis, one, other, zoom):
        zoom.start(8)
        gevent.sleep(1.5)
        now = time.monotonic()
        redis.pause()
        late = zoom.announce(4)
        gevent.sleep(PAUSE)
        assert not one.diary.starts(now)
        assert not one.diary.missing(now)
        redis.go_on()
        zoom.wait_joined(late)
        gevent.sleep(3)
        assert one.diary.starts(now).keys() == {stream.id for stream in late}
        zoom.stop()
        check(zoom, one, other)
        assert redis.left() == []


def test_a_worker_stands_still():
    """For longer than its lease: others go on with its streams, and it leaves them."""
    with machines(keep_alive=2) as (redis, one, other, zoom):
        streams = zoom.start(8)
        for stream in streams[:4]:
            stream.meeting.evicts = True  # Zoom's documents say both
        gevent.sleep(1.5)
        victim, lost = one.busiest(streams)
        now = time.monotonic()
        os.kill(victim, signal.SIGSTOP)
        owned, longest = wait_taken_over(zoom, one, lost, now)
        show("SIGSTOP", lost=len(lost), all_owned_after=owned, longest_gap=longest)
        os.kill(victim, signal.SIGCONT)
        ids = {stream.id for stream in lost}
        wait_until(
            lambda: ids <= {end["stream"] for end in one.diary.of("ended") if end["pid"] == victim},
            GENEROUS,
        )
        zoom.stop()
        check(zoom, one, other, killed=[victim], second=zoom.second_connections)
        assert redis.left() == []

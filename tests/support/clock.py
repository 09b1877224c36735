"""A clock that goes as fast as a test likes."""

from __future__ import annotations

import contextlib
import heapq
import itertools

import gevent
from gevent.event import Event

from rtms_gevent.runtime.clock import Clock


class VirtualClock(Clock):
    """Stands still until the test lets it go on; who waits on it is woken in the right order."""

    def __init__(self, wall=1_738_392_000.0):
        self.now = 1000.0
        self.wall = wall  #: seconds since the epoch, now; a test may set it
        self._timers = []
        self._number = itertools.count()

    def monotonic(self):
        return self.now

    def time(self):
        return self.wall

    def sleep(self, seconds):
        self.wait(Event(), seconds)

    def wait(self, event, seconds):
        if seconds is None:
            event.wait()
        elif not event.ready():
            woken = Event()
            link = lambda _: woken.set()  # noqa: E731
            event.rawlink(link)
            with self._timer(seconds, woken.set):
                woken.wait()
            event.unlink(link)
        return event.ready()

    @contextlib.contextmanager
    def limit(self, seconds, error):
        if seconds is None:
            yield
            return
        greenlet = gevent.getcurrent()
        raised = error()

        def expire():
            gevent.get_hub().loop.run_callback(greenlet.throw, raised)

        with self._timer(seconds, expire):
            yield

    @contextlib.contextmanager
    def _timer(self, seconds, ring):
        timer = [self.now + seconds, next(self._number), ring]
        heapq.heappush(self._timers, timer)
        try:
            yield
        finally:
            timer[2] = None

    def advance(self, seconds):
        """Let time pass, and everybody do what falls due meanwhile."""
        until = self.now + seconds
        settle()
        while self._timers and self._timers[0][0] <= until:
            at, _, ring = heapq.heappop(self._timers)
            if ring is not None:
                self._move_to(max(at, self.now))
                ring()
                settle()
        self._move_to(until)
        settle()

    def _move_to(self, moment):
        self.wall += moment - self.now
        self.now = moment


def settle():
    """Let all greenlets run until they wait for something that time, or the test, must bring."""
    for _ in range(8):
        gevent.sleep(0)
        gevent.idle()

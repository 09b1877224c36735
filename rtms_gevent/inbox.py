"""What waits between the hub, which reads, and the greenlet that delivers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from .transport.greenlets import Crew
from .transport.hubs import current_hub

__all__ = ["Inbox"]

#: Seconds of delivering after which the hub gets a turn, so that it answers keep-alives.
_TURN = 0.02
_A_MOMENT = 0.001  # libuv's least


class Inbox:
    """What waits for one greenlet to be delivered, in order.

    Greenlet-safety: :meth:`put` may be called from the hub and from any of its greenlets.
    """

    def __init__(
        self,
        crew: Crew,
        name: str,
        deliver: Callable[[list[Any]], None],
        *,
        batch: Callable[[], int] = lambda: 1,
        max_bytes: int | None = None,
        on_overflow: Callable[[int], None] | None = None,
    ) -> None:
        """Make an inbox whose greenlet starts with the first thing that is put in.

        Args:
            crew: Owns the greenlet.
            name: The greenlet's role.
            deliver: Called with what waits, oldest first, in the greenlet; must not raise.
            batch: Returns how many things ``deliver`` may get at once.
            max_bytes: Above this the oldest are dropped; ``None`` drops nothing.
            on_overflow: Called once per burst of drops, with the count of all drops so far.
        """
        self.dropped = 0
        self._crew = crew
        self._name = name
        self._deliver = deliver
        self._batch = batch
        self._max_bytes = max_bytes
        self._on_overflow = on_overflow
        self._loop = current_hub().loop
        self._items: deque[tuple[Any, int]] = deque()
        self._bytes = 0
        self._overflowing = False
        self._held = False
        self._closed = False
        self._greenlet: gevent.Greenlet[..., object] | None = None
        self._parked = False
        self._idle: Event | None = None

    def put(self, item: object, size: int = 0) -> None:
        """Add something of ``size`` bytes. Never switches."""
        if self._closed:
            return
        self._items.append((item, size))
        self._bytes += size
        if self._max_bytes is not None and self._bytes > self._max_bytes:
            self._drop_oldest(self._max_bytes)
        if not self._held:
            self._wake()

    def _drop_oldest(self, max_bytes: int) -> None:
        while self._bytes > max_bytes and len(self._items) > 1:
            self._bytes -= self._items.popleft()[1]
            self.dropped += 1
        if not self._overflowing and self._on_overflow is not None:
            self._overflowing = True
            self._on_overflow(self.dropped)

    def hold(self) -> None:
        """Deliver nothing until :meth:`release`."""
        self._held = True

    def release(self) -> None:
        """Deliver what was held, and all that follows."""
        self._held = False
        if self._items:
            self._wake()

    def _wake(self) -> None:
        if self._greenlet is None or self._greenlet.dead:
            self._greenlet = self._crew.spawn(self._name, self._run)
        elif self._parked:
            # A parked greenlet costs a third of an Event and a fourteenth of a new greenlet.
            self._parked = False
            self._loop.run_callback(self._greenlet.switch)

    def _run(self) -> None:
        hub = current_hub()
        try:
            while not self._closed:
                turn = time.monotonic()
                while self._items and not self._held and not self._closed:
                    self._deliver(self._take())
                    if time.monotonic() - turn > _TURN:
                        # Much may wait, and functions that only compute never let go by themselves.
                        # Not sleep(0): gevent reads no socket before fifty of these.
                        gevent.sleep(_A_MOMENT)
                        turn = time.monotonic()
                self._overflowing = False
                if self._closed:
                    break
                if self._idle is not None and not self._items:
                    self._idle.set()
                self._parked = True
                hub.switch()
        finally:
            # Also where what a function raised ends greenlets (GreenletExit), or came from a timer
            # that it left behind: another greenlet takes over then, and nobody may wait for this.
            self._parked = False
            if self._idle is not None:
                self._idle.set()

    def _take(self) -> list[Any]:
        taken: list[Any] = []
        limit = self._batch()
        while self._items and len(taken) < limit:
            item, size = self._items.popleft()
            self._bytes -= size
            taken.append(item)
        return taken

    @property
    def is_current(self) -> bool:
        """Whether the calling greenlet is the one that delivers."""
        return self._greenlet is gevent.getcurrent()

    def wait_idle(self) -> None:
        """Wait until everything was delivered, or the inbox was closed; not if it is held."""
        while not self._closed and not self._held and (self._items or self._is_busy()):
            if self._items:
                self._wake()
            self._idle = Event()
            self._idle.wait()

    def _is_busy(self) -> bool:
        return self._greenlet is not None and not self._greenlet.dead and not self._parked

    def close(self) -> None:
        """Deliver nothing more; what is being delivered now is left to finish."""
        self._closed = True
        self.dropped += len(self._items)
        self._items.clear()
        self._bytes = 0
        if self._idle is not None:
            self._idle.set()
        if self._parked:
            self._wake()

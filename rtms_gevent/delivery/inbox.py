"""What waits between the hub, which reads, and the greenlet that delivers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gevent
import greenlet
from gevent.event import Event

from ..config import InboxLimits
from ..runtime.deadline import MIN_TIMEOUT
from ..runtime.greenlets import GreenletGroup
from ..runtime.threads import current_hub
from .bounded_queue import ANY, BoundedQueue, DropPolicy

__all__ = ["TURN", "Inbox"]

#: Seconds of delivering after which the hub gets a turn, so that it answers keep-alives.
TURN = 0.02
#: What hub.switch() ends in, without its search for an attribute that no greenlet of ours has.
_switch = greenlet.greenlet.switch


class Inbox(BoundedQueue):
    """A backlog that one greenlet delivers, in order.

    Greenlet-safety: :meth:`put` may be called from the hub and from any of its greenlets.
    """

    __slots__ = (
        "_closed",
        "_deliver",
        "_greenlet",
        "_greenlets",
        "_held",
        "_idle",
        "_is_asleep",
        "_is_dropping",
        "_loop",
        "_on_dropping",
        "_on_full",
        "_on_room",
        "_wake_at_once",
        "delivered",
        "failed",
        "is_delivering",
        "is_full",
        "name",
        "undelivered",
    )

    def __init__(
        self,
        greenlets: GreenletGroup,
        name: str,
        deliver: Callable[[Inbox], None],
        limits: InboxLimits,
        rules: DropPolicy = ANY,
        *,
        on_dropping: Callable[[int], object],
        on_full: Callable[[], None],
        on_drained: Callable[[], None],
    ) -> None:
        """Make an inbox whose greenlet starts with the first thing that is put in.

        Args:
            greenlets: Owns the greenlet.
            name: The greenlet's role: for media the callback's name.
            deliver: Called in the greenlet where something waits, with this inbox. Takes out,
                delivers, and counts in :attr:`delivered`, :attr:`failed` or :attr:`undelivered`,
                until nothing waits or it had its :data:`TURN`. Must not raise.
            limits: How much may wait.
            rules: What goes where it is too much.
            on_dropping: Called once per burst of drops, with the count of all drops so far.
            on_full: Called by :meth:`put` where the backlog has too much and drops nothing.
            on_drained: Called in the greenlet when there is room again.
        """
        super().__init__(limits, rules)
        #: What was taken out: whose function has returned, has raised, or was not called. Counted
        #: by who delivers.
        self.delivered = self.failed = self.undelivered = 0
        self.is_delivering = False  #: whether something was taken out and is being delivered now
        self.is_full = False  #: since ``on_full`` was called, until ``on_drained`` is
        self._greenlets = greenlets
        self.name = name
        self._deliver = deliver
        self._on_dropping = on_dropping
        self._on_full = on_full
        self._on_room = on_drained
        self._loop = current_hub().loop
        self._is_dropping = False
        self._held = False
        self._closed = False
        self._greenlet: gevent.Greenlet[..., object] | None = None
        self._is_asleep = True  # the greenlet is parked, or there is none
        #: What wakes the greenlet, where it is parked and nothing is held.
        self._wake_at_once: Callable[[], object] | None = None
        self._idle: Event | None = None

    def put(self, items: Sequence[object], size: int = 0, at_once: bool = False) -> None:
        """Add things that have ``size`` bytes together.

        Args:
            items: What to add.
            size: Bytes of all of them.
            at_once: Let the greenlet run now, until it is done or waits. Only for the hub, and only
                as the last thing that it does in a callback. Else this never switches.
        """
        if self._closed:
            self.dropped += len(items)
            return
        if not self.add(items, size):
            self._overflow()
        wake = self._wake_at_once
        if at_once and wake is not None:
            # Waking it through the loop would cost a turn of that, 3 us: as much as reading.
            wake()
        elif self._is_asleep and not self._held:
            self._wake()

    def _overflow(self) -> None:
        if self.is_too_full:
            if not self.is_full:
                self.is_full = True
                self._on_full()
        elif not self._is_dropping:
            self._is_dropping = True
            self._on_dropping(self.dropped)

    def hold(self) -> None:
        """Deliver nothing until :meth:`release`."""
        self._held = True
        self._wake_at_once = None

    def release(self) -> None:
        """Deliver what was held, and all that follows."""
        self._held = False
        if self._is_asleep and self.items:
            self._wake()

    def _wake(self) -> None:
        if self._greenlet is None or self._greenlet.dead:
            self._greenlet = self._greenlets.spawn(self.name, self._run)
        else:
            # A parked greenlet costs a third of an Event and a fourteenth of a new greenlet.
            self._loop.run_callback(self._greenlet.switch)
        self._is_asleep = False
        self._wake_at_once = None

    def _run(self) -> None:
        hub, items, deliver = current_hub(), self.items, self._deliver
        wake = gevent.getcurrent().switch
        try:
            while not self._closed:
                while items and not self._held:
                    self.is_delivering = True
                    deliver(self)
                    self.is_delivering = False
                    if self.is_full and self.is_below_low_water:
                        self.is_full = False
                        self._on_room()
                    if items:
                        # Much may wait, and functions that only compute never let go by themselves.
                        # Not sleep(0): gevent reads no socket before fifty of these.
                        gevent.sleep(MIN_TIMEOUT)
                self._is_dropping = False
                if self._idle is not None:
                    self._idle.set()
                if self._closed:
                    break
                self._is_asleep = True
                self._wake_at_once = None if self._held else wake
                _switch(hub)
                self._is_asleep = False
                self._wake_at_once = None
        finally:
            # Also where what a function raised ends greenlets (GreenletExit), or came from a timer
            # that it left behind: another greenlet takes over then, and nobody may wait for this.
            self.is_delivering = False
            self._is_asleep = True
            self._wake_at_once = None
            if self._idle is not None:
                self._idle.set()

    @property
    def is_current(self) -> bool:
        """Whether the calling greenlet is the one that delivers."""
        return self._greenlet is gevent.getcurrent()

    def wait_idle(self) -> None:
        """Wait until everything was delivered, or the inbox was closed; not if it is held."""
        while not self._closed and not self._held and (self.items or not self._is_asleep):
            if self._is_asleep:
                self._wake()
            self._idle = Event()
            self._idle.wait()

    def close(self) -> None:
        """Deliver nothing more; what is being delivered now is left to finish."""
        self._closed = True
        self.clear()
        if self._idle is not None:
            self._idle.set()
        if self._is_asleep and self._greenlet is not None and not self._greenlet.dead:
            self._wake()

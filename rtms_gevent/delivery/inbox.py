"""A queue with a greenlet of its own: the hub puts items in, and the greenlet delivers them."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import TypeVar

import gevent
import greenlet
from gevent.event import Event

from ..config import InboxLimits
from ..runtime.deadline import MIN_TIMEOUT
from ..runtime.greenlets import GreenletGroup
from .bounded_queue import BoundedQueue, DropPolicy
from .overflow import OverflowHandler

__all__ = ["TURN", "Inbox"]

_Item = TypeVar("_Item")

#: Seconds of delivering after which the hub gets a turn, so that it answers keep-alives.
TURN = 0.02
#: What hub.switch() ends in, without its search for an attribute that no greenlet of ours has.
_switch = greenlet.greenlet.switch


class Inbox(BoundedQueue[_Item], abc.ABC):
    """A queue that a greenlet of its own delivers, in order.

    Greenlet-safety: any greenlet of the hub that made it. The hub itself may put, hold, release and
    close.
    """

    __slots__ = (
        "_greenlet",
        "_greenlets",
        "_hub",
        "_idle",
        "_is_asleep",
        "_is_closed",
        "_is_dropping",
        "_is_held",
        "_overflow",
        "_parked",
        "is_delivering",
        "is_full",
        "name",
    )

    def __init__(
        self,
        greenlets: GreenletGroup,
        name: str,
        limits: InboxLimits,
        policy: DropPolicy[_Item],
        overflow: OverflowHandler,
    ) -> None:
        """Make an inbox whose greenlet starts with the first item that is put in.

        Args:
            greenlets: Owns the greenlet.
            name: The greenlet's role.
            limits: How much may wait.
            policy: What goes where it is too much.
            overflow: Called then.
        """
        super().__init__(limits, policy)
        self.is_delivering = False  #: whether something was taken out and is being delivered now
        self.is_full = False  #: from above the high-water mark until below the low-water mark
        self.name = name
        self._greenlets = greenlets
        self._overflow = overflow
        self._hub = gevent.get_hub()
        self._is_dropping = False
        self._is_held = False
        self._is_closed = False
        self._greenlet: gevent.Greenlet[..., object] | None = None
        self._is_asleep = True  # the greenlet is parked, or there is none
        #: The greenlet's switch(), where it is parked and nothing is held.
        self._parked: Callable[[], object] | None = None
        self._idle: Event | None = None

    @abc.abstractmethod
    def deliver(self) -> None:
        """Take out and deliver what waits, until nothing does or :data:`TURN` has passed.

        Called by the inbox's greenlet, and only where something waits. May wait. Raises only what
        ends the program.
        """

    def put(self, items: Sequence[_Item], size: int = 0) -> None:
        """Add items that have ``size`` bytes together. Never switches."""
        if self._is_closed:
            self.dropped += len(items)
            return
        if not self.add(items, size):
            self._report_overflow()
        if self._is_asleep and not self._is_held:
            self._wake()

    def put_and_switch(self, items: Sequence[_Item], size: int = 0) -> None:
        """Add items as :meth:`put` does, and switch to the greenlet if it is parked.

        It then delivers at once, until it is done or waits. Only for the hub, and only as the last
        thing that it does in a callback.
        """
        parked = self._parked
        if parked is None:
            self.put(items, size)
            return
        if not self.add(items, size):
            self._report_overflow()
        # Waking it through the loop would cost a turn of that, 3 us: as much as reading.
        parked()

    def _report_overflow(self) -> None:
        if self.is_above_high_water:
            if not self.is_full:
                self.is_full = True
                self._overflow.on_full(self.dropped)
        elif not self._is_dropping:
            self._is_dropping = True
            self._overflow.on_dropping(self.dropped)

    def hold(self) -> None:
        """Deliver nothing until :meth:`release`."""
        self._is_held = True
        self._parked = None

    def release(self) -> None:
        """Deliver what was held, and all that follows."""
        self._is_held = False
        if self._is_asleep and self.items:
            self._wake()

    def _wake(self) -> None:
        if self._greenlet is None or self._greenlet.dead:
            self._greenlet = self._greenlets.spawn(self.name, self._run)
        else:
            # A parked greenlet costs a third of an Event and a fourteenth of a new greenlet.
            self._hub.loop.run_callback(self._greenlet.switch)
        self._is_asleep = False
        self._parked = None

    def _run(self) -> None:
        hub, items, deliver = self._hub, self.items, self.deliver
        switch_here = gevent.getcurrent().switch
        try:
            while not self._is_closed:
                while items and not self._is_held:
                    self.is_delivering = True
                    deliver()
                    self.is_delivering = False
                    if self.is_full and self.is_below_low_water:
                        self.is_full = False
                        self._overflow.on_drained()
                    if items:
                        # Much may wait, and functions that only compute never let go by themselves.
                        # Not sleep(0): gevent reads no socket before fifty of these.
                        gevent.sleep(MIN_TIMEOUT)
                self._is_dropping = False
                if self._idle is not None:
                    self._idle.set()
                if self._is_closed:
                    break
                self._is_asleep = True
                self._parked = None if self._is_held else switch_here
                _switch(hub)
                self._is_asleep = False
                self._parked = None
        finally:
            # Also where what a function raised ends greenlets (GreenletExit), or came from a timer
            # that it left behind: another greenlet takes over then, and nobody may wait for this.
            self.is_delivering = False
            self._is_asleep = True
            self._parked = None
            if self._idle is not None:
                self._idle.set()

    @property
    def is_current(self) -> bool:
        """Whether the calling greenlet is the one that delivers."""
        return self._greenlet is gevent.getcurrent()

    def wait_idle(self) -> None:
        """Wait until everything was delivered, or the inbox was closed; not if it is held."""
        while not self._is_closed and not self._is_held and (self.items or not self._is_asleep):
            if self._is_asleep:
                self._wake()
            self._idle = Event()
            self._idle.wait()

    def close(self) -> None:
        """Deliver nothing more; what is being delivered now is left to finish."""
        self._is_closed = True
        self.clear()
        if self._idle is not None:
            self._idle.set()
        if self._is_asleep and self._greenlet is not None and not self._greenlet.dead:
            self._wake()

"""The queue of one stream's events, and the greenlet that delivers them to the user's functions."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from ..config import InboxLimits
from ..protocol.events import ClientEvent
from ..runtime.greenlets import GreenletGroup
from .bounded_queue import DropPolicy
from .callbacks import PARAMETERS, SIGNALS_ONLY
from .inbox import TURN, Inbox
from .invoker import CallbackInvoker
from .overflow import OverflowHandler

__all__ = ["EventInbox"]

#: An event, and about how many bytes it takes while it waits.
_SizedEvent = tuple[ClientEvent, int]

_EVENTS: DropPolicy[_SizedEvent] = DropPolicy(size=lambda item: item[1])


class EventInbox(Inbox[_SizedEvent]):
    """Delivers events, each to its callback first and to its signal then."""

    __slots__ = ("_invoker", "_on_joined")

    def __init__(
        self,
        greenlets: GreenletGroup,
        limits: InboxLimits,
        overflow: OverflowHandler,
        invoker: CallbackInvoker,
        on_joined: Callable[[], None],
    ) -> None:
        """Begin empty; see :class:`Inbox`.

        Args:
            greenlets: Owns the greenlet.
            limits: How much may wait.
            overflow: Called where more does.
            invoker: Calls the functions.
            on_joined: Called on the hub when the callback for having joined has begun.
        """
        super().__init__(greenlets, "events", limits, _EVENTS, overflow)
        self._invoker = invoker
        self._on_joined = on_joined

    def deliver(self) -> None:
        """Call the functions for the events that wait, for a turn."""
        until = time.monotonic() + TURN
        while self.items:
            event, _ = self.take()
            self._invoker.run(self._call, event)
            if time.monotonic() > until:
                return

    def _call(self, event: ClientEvent) -> None:
        name, arguments = event
        if name == "joined":
            # Media flows once this callback has begun, so that it comes first and yet may wait.
            self._invoker.call("join_confirm", [(0,)], on_begun=self._call_on_joined)
        elif name == "left":
            reason = arguments[1]
            name = "leave" if reason.was_joined else "join_confirm"
            self._invoker.call(name, [(reason.code,)])
            return  # the signal comes at the very end
        elif name not in SIGNALS_ONLY:
            # Signals may carry more.
            self._invoker.call(name, [arguments[: len(PARAMETERS[name])]])
        if not self._invoker.is_closed:
            self._invoker.send_event(event)

    def _call_on_joined(self) -> None:
        if gevent.get_hub() is self._hub:
            self._on_joined()
        else:  # we are on the callback thread
            self._hub.loop.run_callback_threadsafe(self._on_joined)

    def deliver_end(self, event: ClientEvent) -> None:
        """Call ``on_end`` and send the signal of ``event``, which is the last of all.

        To be called when no function runs any more, whether or not the inbox was closed.
        """
        self._invoker.reopen()
        self._invoker.run(self._call_end, event)

    def _call_end(self, event: ClientEvent) -> None:
        self._invoker.call("end", [event.arguments[1:]])
        self._invoker.send_event(event)

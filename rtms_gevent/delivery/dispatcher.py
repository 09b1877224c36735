"""Delivers one stream to the user's functions: the hub reads, and the functions may block.

Each media type of a client has an inbox, and its events have one: the hub puts in, one greenlet per
inbox takes out and calls. So a slow function delays only its own kind, and never the reading.
"""

from __future__ import annotations

from collections.abc import Callable

import gevent

from ..config import Inboxes, InboxLimits
from ..enums import MediaDataType
from ..protocol.events import ClientEvent
from ..runtime.greenlets import GreenletGroup
from .callback_batch import CallbackContext
from .callbacks import Callbacks
from .event_inbox import EventInbox
from .invoker import CallbackInvoker
from .media_inbox import MediaInbox
from .overflow import BackPressure, OverflowHandler
from .runner_selector import RunnerSelector

__all__ = ["Dispatcher"]

#: Seconds that leaving waits for functions that are just running: both may wait for each other.
_RUNNING_CALLBACKS_TIMEOUT = 0.5


class Dispatcher:
    """Delivers one stream's media and events to callbacks and signals.

    Greenlet-safety: any greenlet of the hub that made it.
    """

    def __init__(
        self,
        sender: object,
        callbacks: Callbacks,
        runners: RunnerSelector,
        *,
        stream: str,
        context: CallbackContext | None = None,
        inboxes: Inboxes,
        back_pressure: BackPressure,
    ) -> None:
        """Make the inboxes; media is held until the callback for having joined has begun.

        Args:
            sender: Sender of the signals: the client.
            callbacks: Looked up at each delivery, so that they can be changed at any time.
            runners: Where callbacks run. Signals are sent from the inbox's greenlet.
            stream: The stream, as logs and the names of greenlets have it.
            context: Makes what is entered around the user's functions, such as an app context.
            inboxes: How much may wait for each callback.
            back_pressure: Called where a callback is too slow; not before something was put in.
        """
        self._stream = stream
        self._limits = inboxes
        self._back_pressure = back_pressure
        self._greenlets = GreenletGroup(f"rtms {stream}")
        self._invoker = CallbackInvoker(sender, callbacks, runners, context, stream=stream)
        self._events = EventInbox(
            self._greenlets,
            inboxes.events,
            self._overflow_handler(None, inboxes.events),
            self._invoker,
            self._release_media,
        )
        self._media: dict[MediaDataType, MediaInbox] = {}
        self._holds_media = True
        self._last: gevent.Greenlet[..., object] | None = None  # delivers the end
        self._is_forgotten = False

    def inbox(self, kind: MediaDataType) -> MediaInbox:
        """Return what takes packets of one type; it is made when it is needed first."""
        found = self._media.get(kind)
        if found is None:
            limits: InboxLimits = getattr(self._limits, kind.name.lower())
            overflow = self._overflow_handler(kind, limits)
            found = MediaInbox(self._greenlets, kind, limits, overflow, self._invoker)
            if self._holds_media:
                found.hold()
            if self.is_closed:
                found.close()
            self._media[kind] = found
        return found

    def _overflow_handler(self, kind: MediaDataType | None, limits: InboxLimits) -> OverflowHandler:
        return OverflowHandler(
            kind,
            limits.when_full,
            stream=self._stream,
            back_pressure=self._back_pressure,
            report=self.put,
        )

    def _inboxes(self) -> tuple[EventInbox | MediaInbox, ...]:
        return (self._events, *self._media.values())

    # -- putting in: never switches ----------------------------------------------------------------

    def put(self, event: ClientEvent, size: int = 0) -> None:
        """Deliver an event later, which takes about ``size`` bytes while it waits."""
        self._events.put(((event, size),), size)

    def _release_media(self) -> None:
        """Let media flow."""
        self._holds_media = False
        for inbox in self._media.values():
            inbox.release()

    # -- at once -----------------------------------------------------------------------------------

    def send_signal(self, event: ClientEvent) -> None:
        """Send an event's signal here and now, also after :meth:`close`; call no function."""
        self._invoker.send_event(event)

    # -- what became of it -------------------------------------------------------------------------

    @property
    def callback_errors(self) -> dict[str, int]:
        """How often each callback raised, by its name without ``on_``."""
        return self._invoker.callback_errors

    def delivered(self, kind: MediaDataType) -> int:
        """Return how many packets' callbacks have returned, or were not there."""
        return self._media[kind].delivered if kind in self._media else 0

    def failed(self, kind: MediaDataType) -> int:
        """Return how many packets' callbacks have raised."""
        return self._media[kind].failed if kind in self._media else 0

    def delivered_timestamp(self, kind: MediaDataType) -> int | None:
        """Return the timestamp of the packet that was delivered last, or has failed, if any."""
        return self._media[kind].delivered_timestamp if kind in self._media else None

    def dropped(self, kind: MediaDataType) -> dict[str, int]:
        """Return how many packets were not delivered, by reason; see :class:`MediaStats`."""
        if kind not in self._media:
            return {}
        inbox = self._media[kind]
        reasons = {"inbox": inbox.dropped, "callback": inbox.undelivered}
        return {reason: count for reason, count in reasons.items() if count}

    @property
    def is_delivering(self) -> bool:
        """Whether the caller is inside a callback or receiver of this stream."""
        return (
            self._invoker.close_flag.is_entered_here()
            or any(inbox.is_current for inbox in self._inboxes())
            or self._last is gevent.getcurrent()
        )

    # -- the end -----------------------------------------------------------------------------------

    def drain(self) -> None:
        """Wait until all that was put in was delivered, or :meth:`close` was called."""
        # Events first: one of them lets media flow.
        for inbox in (*self._inboxes(), self._events):
            inbox.wait_idle()

    @property
    def is_closed(self) -> bool:
        """Whether no function is called any more."""
        return self._invoker.is_closed

    def close(self) -> None:
        """Call no function any more; one that runs now is left to finish."""
        self._invoker.close()
        for inbox in self._inboxes():
            inbox.close()
        self._greenlets.release()

    def finish(self, event: ClientEvent, done: Callable[[], object]) -> None:
        """Deliver the end in a greenlet of its own, after :meth:`close`. Never waits.

        It comes when all functions that still run have returned, and nothing comes after it.

        Args:
            event: What to deliver.
            done: Called in that greenlet when it was delivered.
        """
        self._last = self._greenlets.spawn_last("end", self._finish, event, done)

    def _finish(self, event: ClientEvent, done: Callable[[], object]) -> None:
        try:
            if not self._is_forgotten:
                self._events.deliver_end(event)
        finally:
            done()

    def wait_finished(self) -> None:
        """Wait until the end was delivered; only for a moment where functions still run."""
        if self._last is None or self.is_delivering:
            return
        busy = any(inbox.is_delivering for inbox in self._inboxes())
        self._last.join(_RUNNING_CALLBACKS_TIMEOUT if busy else None)

    def forget(self, is_here: bool) -> None:
        """Call no function any more, in a forked child. Never waits."""
        self._is_forgotten = True
        self.close()
        if is_here:
            self._greenlets.kill()

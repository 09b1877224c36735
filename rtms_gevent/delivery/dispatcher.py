"""From the hub, which reads, to the user's functions, which may block.

Each media type of a client has an inbox, and its events have one: the hub puts in, one greenlet per
inbox takes out and calls. So a slow function delays only its own kind, and never the reading.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import gevent

from ..config import Inboxes, InboxLimits, OverflowPolicy
from ..enums import MediaDataType
from ..errors import InboxOverflow
from ..protocol import h264
from ..protocol.events import ClientEvent
from ..protocol.packets import MediaPacket
from ..runtime.greenlets import GreenletGroup
from .bounded_queue import DropPolicy
from .callback_batch import CallbackContext
from .callbacks import MEDIA_NAMES, Callbacks
from .inbox import Inbox
from .invoker import Delivery
from .runner_selector import RunnerSelector

__all__ = ["BackPressure", "Dispatcher"]

logger = logging.getLogger(__name__)

#: Seconds that who leaves waits for functions that are just running. They may wait for each other.
_A_MOMENT = 0.5


class BackPressure(Protocol):
    """What callbacks that are too slow do to the stream. Called by the hub or its greenlets."""

    def pause(self, kind: MediaDataType) -> None:
        """Read nothing of this media type until :meth:`resume`."""

    def resume(self, kind: MediaDataType) -> None:
        """Read on."""

    def fail(self, error: InboxOverflow) -> None:
        """End the stream, after what waits was delivered."""


class Dispatcher:
    """Delivers one session's media and notices to callbacks and signals.

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
    ) -> None:
        """Make the inboxes; media is held until :meth:`release_media`.

        Args:
            sender: Sender of the signals: the client.
            callbacks: Looked up at each delivery, so that they can be changed at any time.
            runners: Where callbacks run. Signals are sent from the inbox's greenlet.
            stream: The stream, as logs and the names of greenlets have it.
            context: Makes what is entered around the user's functions, such as an app context.
            inboxes: How much may wait for each callback.
        """
        self._stream = stream
        self._delivery = Delivery(
            sender, callbacks, runners, context, self.release_media, stream=stream
        )
        #: How often each callback raised.
        self.callback_errors = self._delivery.callback_errors
        self.tell = self._delivery.tell
        self._greenlets = greenlets = GreenletGroup(f"rtms {stream}")
        #: Told where a callback is too slow; set by the session.
        self.back_pressure: BackPressure | None = None
        self._events = self._make_inbox(
            greenlets, "events", inboxes.events, None, self._delivery.client_events
        )
        self._limits = inboxes
        self._media: dict[MediaDataType, Inbox] = {}
        self._holds_media = True
        self._last: gevent.Greenlet[..., object] | None = None  # tells of the end
        self._is_forgotten = False

    def inbox(self, kind: MediaDataType) -> Inbox:
        """Return what takes packets of one type; it is made when it is needed first."""
        found = self._media.get(kind)
        if found is None:
            limits: InboxLimits = getattr(self._limits, kind.name.lower())
            found = self._make_inbox(
                self._greenlets, MEDIA_NAMES[kind], limits, kind, self._delivery.media
            )
            if self._holds_media:
                found.hold()
            if self._delivery.close_flag.is_set:
                found.close()
            self._media[kind] = found
        return found

    def _make_inbox(
        self,
        greenlets: GreenletGroup,
        name: str,
        limits: InboxLimits,
        kind: MediaDataType | None,
        deliver: Callable[[Inbox], None],
    ) -> Inbox:
        what = "events" if kind is None else kind.name.lower()

        def tell(dropped: int) -> InboxOverflow:
            error = InboxOverflow(what, dropped, self._stream)
            logger.warning("%s", error)
            if inbox is not self._events:
                self.put(ClientEvent("error", (error, name)))
            return error

        def full() -> None:
            error = tell(inbox.dropped)
            if self.back_pressure is None:
                return
            if limits.when_full is OverflowPolicy.FAIL:
                self.back_pressure.fail(error)
            elif kind is not None:
                self.back_pressure.pause(kind)

        def room() -> None:
            if self.back_pressure is not None and kind is not None:
                self.back_pressure.resume(kind)

        rules = _NOTICES if kind is None else _PICTURES if kind in _PICTURE_TYPES else _PACKETS
        inbox = Inbox(
            greenlets, name, deliver, limits, rules, on_dropping=tell, on_full=full, on_drained=room
        )
        return inbox

    # -- filing: never switches --------------------------------------------------------------------

    def put(self, event: ClientEvent, size: int = 0) -> None:
        """File a notice, which takes about ``size`` bytes while it waits."""
        self._events.put(((event, size),), size)

    def release_media(self) -> None:
        """Let media flow."""
        self._holds_media = False
        for inbox in self._media.values():
            inbox.release()

    @property
    def is_closed(self) -> bool:
        """Whether no function is called any more."""
        return self._delivery.close_flag.is_set

    def delivered(self, kind: MediaDataType) -> int:
        """Return how many packets' callbacks have returned, or were not there."""
        return self._media[kind].delivered if kind in self._media else 0

    def failed(self, kind: MediaDataType) -> int:
        """Return how many packets' callbacks have raised."""
        return self._media[kind].failed if kind in self._media else 0

    def dropped(self, kind: MediaDataType) -> dict[str, int]:
        """Return how many packets were not delivered, by reason; see :class:`MediaStats`."""
        if kind not in self._media:
            return {}
        inbox = self._media[kind]
        reasons = {"inbox": inbox.dropped, "callback": inbox.undelivered}
        return {reason: count for reason, count in reasons.items() if count}

    # -- the end -----------------------------------------------------------------------------------

    def drain(self) -> None:
        """Wait until all that is filed was delivered, or :meth:`close` was called."""
        # Events first: one of them lets media flow.
        for inbox in (self._events, *self._media.values(), self._events):
            inbox.wait_idle()

    def close(self) -> None:
        """Call no function any more; one that runs now is left to finish."""
        self._delivery.close_flag.is_set = True
        for inbox in (*self._media.values(), self._events):
            inbox.close()
        self._greenlets.dismiss()

    def finish(self, event: ClientEvent, done: Callable[[], object]) -> None:
        """Tell of the end in a greenlet of its own, after :meth:`close`. Never waits.

        It comes when all functions that still run have returned, and nothing comes after it.

        Args:
            event: What to tell.
            done: Called in that greenlet when it was told.
        """
        self._last = self._greenlets.spawn_last("end", self._finish, event, done)

    def _finish(self, event: ClientEvent, done: Callable[[], object]) -> None:
        try:
            if not self._is_forgotten:
                self._delivery.end(event)
        finally:
            done()

    def wait_finished(self) -> None:
        """Wait until the end was told; only for a moment where functions still run."""
        if self._last is None or self.is_delivering:
            return
        busy = any(inbox.is_delivering for inbox in (*self._media.values(), self._events))
        self._last.join(_A_MOMENT if busy else None)

    def forget(self, is_here: bool) -> None:
        """Call no function any more, in a forked child. Never waits."""
        self._is_forgotten = True
        self.close()
        if is_here:
            self._greenlets.kill()

    @property
    def is_delivering(self) -> bool:
        """Whether we are inside a callback or receiver of this session."""
        return (
            self._delivery.close_flag.is_entered_here()
            or any(inbox.is_current for inbox in (*self._media.values(), self._events))
            or self._last is gevent.getcurrent()
        )


_PICTURE_TYPES = frozenset({MediaDataType.VIDEO, MediaDataType.DESKSHARE})


def _size(packet: MediaPacket) -> int:
    return len(packet.data)


_NOTICES = DropPolicy(size=lambda item: item[1])
_PACKETS = DropPolicy(size=_size)
_PICTURES = DropPolicy(
    size=_size,
    is_keyframe=lambda packet: h264.can_begin_with(packet.data),
    source=lambda packet: packet.metadata.userId,
)

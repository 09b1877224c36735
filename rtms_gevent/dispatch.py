"""From the hub, which reads, to the user's functions, which may block.

Each media type of a client has an inbox, and its events have one: the hub puts in, one greenlet per
inbox takes out and calls. So a slow function delays only its own kind, and never the reading.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from blinker import NamedSignal
from gevent.event import Event

from . import signals
from .enums import MediaDataType
from .errors import ConfigurationError, InboxOverflow, JoinError
from .protocol.packets import MediaPacket
from .reports import Notice
from .transport.greenlets import Crew
from .transport.hubs import current_hub

__all__ = ["EVENTS", "MEDIA_NAMES", "Callbacks", "Dispatcher", "Inbox"]

logger = logging.getLogger(__name__)

#: Name of each media type's callback and signal.
MEDIA_NAMES = {
    MediaDataType.AUDIO: "audio_data",
    MediaDataType.VIDEO: "video_data",
    MediaDataType.DESKSHARE: "deskshare_data",
    MediaDataType.TRANSCRIPT: "transcript_data",
    MediaDataType.CHAT: "chat_data",
}

#: Names of the arguments of each notice, which are the arguments of the signal of that name.
EVENTS: dict[str, tuple[str, ...]] = {
    "joining": ("stream_id", "uuid", "product"),
    "joined": ("stream_id", "uuid"),
    "left": ("stream_id", "reason"),
    "error": ("error", "where"),
    "stream_state": ("state", "reason", "timestamp"),
    "session_state": ("state", "session_id", "reason", "timestamp"),
    "session_update": ("op", "session"),
    "user_update": ("op", "participant"),
    "participant_event": ("event", "timestamp", "participants"),
    "active_speaker_event": ("timestamp", "user_id", "user_name"),
    "sharing_event": ("event", "timestamp", "user_id", "user_name"),
    "media_connection_interrupted": ("timestamp",),
    "participant_video": ("user_ids", "is_on"),
    "video_subscribed": ("user_id", "status", "error"),
    "event_ex": ("event", "update"),
    "other_message": ("message", "socket"),
}

#: How many of a notice's arguments the callback gets, where it is not all of them.
_CALLBACK_ARGUMENTS = {"event_ex": 1}


class Callbacks:
    """The user's functions by name: one each, a newer one replaces the older."""

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., object]] = {}

    def set(self, name: str, function: Callable[..., object]) -> None:
        """Register ``function``.

        Raises:
            ConfigurationError: it cannot be called, or not without an asyncio loop.
        """
        if not callable(function):
            raise ConfigurationError(f"on_{name} needs a function, not {type(function).__name__}")
        if inspect.iscoroutinefunction(function):
            raise ConfigurationError(
                f"on_{name} got a coroutine function, which would never be awaited here: use a "
                "plain function"
            )
        self._functions[name] = function

    def get(self, name: str) -> Callable[..., object] | None:
        """Return the function registered under ``name``."""
        return self._functions.get(name)


class Inbox:
    """What waits for one greenlet to be delivered, in order.

    Greenlet-safety: :meth:`put` may be called from the hub and from any of its greenlets.
    """

    def __init__(
        self,
        crew: Crew,
        name: str,
        deliver: Callable[[Any], None],
        *,
        max_bytes: int | None = None,
        on_overflow: Callable[[int], None] | None = None,
    ) -> None:
        """Make an inbox whose greenlet starts with the first thing that is put in.

        Args:
            crew: Owns the greenlet.
            name: The greenlet's role.
            deliver: Called with each thing, in the greenlet; must not raise.
            max_bytes: Above this the oldest are dropped; ``None`` drops nothing.
            on_overflow: Called once per burst of drops, with the count of all drops so far.
        """
        self.dropped = 0
        self._crew = crew
        self._name = name
        self._deliver = deliver
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
        items, hub = self._items, current_hub()
        while not self._closed:
            while items and not self._held and not self._closed:
                item, size = items.popleft()
                self._bytes -= size
                self._deliver(item)
            self._overflowing = False
            if self._closed:
                break
            if self._idle is not None and not items:
                self._idle.set()
            self._parked = True
            hub.switch()
        if self._idle is not None:
            self._idle.set()

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


class Dispatcher:
    """Delivers one session's media and notices to callbacks and signals."""

    def __init__(
        self,
        sender: object,
        callbacks: Callbacks,
        *,
        name: str,
        context: Callable[[], contextlib.AbstractContextManager[object]] | None = None,
        max_inbox_bytes: int,
    ) -> None:
        """Make the inboxes; media is held until :meth:`release_media`.

        Args:
            sender: Sender of the signals: the client.
            callbacks: Looked up at each delivery, so that they can be changed at any time.
            name: Begins the names of the delivering greenlets.
            context: Makes what is entered around the user's functions, such as an app context.
            max_inbox_bytes: Bytes of media per inbox; transcripts, chat and events have no limit,
                since they are small and must not be lost.
        """
        #: How often each callback raised.
        self.callback_errors: dict[str, int] = {}
        self._sender = sender
        self._callbacks = callbacks
        self._context = context
        crew = Crew(name)
        self._events = Inbox(crew, "events", self._deliver_notice)
        self._media: dict[MediaDataType, Inbox] = {}
        for kind, name in MEDIA_NAMES.items():
            never_drop = kind in (MediaDataType.TRANSCRIPT, MediaDataType.CHAT)
            inbox = self._media[kind] = Inbox(
                crew,
                name,
                self._media_deliverer(name),
                max_bytes=None if never_drop else max_inbox_bytes,
                on_overflow=self._overflow_reporter(kind),
            )
            inbox.hold()

    def put_media(self, packet: MediaPacket) -> None:
        """File a packet. Never switches."""
        self._media[packet.media_type].put(packet, len(packet.data))

    def put(self, notice: Notice) -> None:
        """File a notice. Never switches."""
        self._events.put(notice)

    def release_media(self) -> None:
        """Let media flow."""
        for inbox in self._media.values():
            inbox.release()

    def drain(self) -> None:
        """Wait until all that is filed was delivered, or :meth:`close` was called."""
        # Events first: one of them lets media flow.
        for inbox in (self._events, *self._media.values(), self._events):
            inbox.wait_idle()

    def close(self) -> None:
        """Call no function any more; one that runs now is left to finish."""
        for inbox in (*self._media.values(), self._events):
            inbox.close()

    @property
    def dropped(self) -> dict[str, int]:
        """Packets that were not delivered, per media type."""
        return {kind.name.lower(): inbox.dropped for kind, inbox in self._media.items()}

    @property
    def is_delivering(self) -> bool:
        """Whether the calling greenlet is one that delivers: whether we are inside a callback."""
        return any(inbox.is_current for inbox in (*self._media.values(), self._events))

    def tell(self, notice: Notice) -> None:
        """Deliver a notice here and now."""
        name, arguments = notice
        function = self._callbacks.get(name)
        signal: NamedSignal = getattr(signals, name)
        if function is None and not signal.receivers:
            return
        with self._surroundings():
            if function is not None:
                count = _CALLBACK_ARGUMENTS.get(name, len(arguments))
                self._call(name, function, *arguments[:count])
            signals.emit(signal, self._sender, **dict(zip(EVENTS[name], arguments, strict=True)))

    # -- in the delivering greenlets ---------------------------------------------------------------

    def _deliver_notice(self, notice: Notice) -> None:
        try:
            if notice.name == "joined":
                # From here on: the greenlets of media start when this one waits for something.
                self.release_media()
                self._call_if_set("join_confirm", 0)
            elif notice.name == "left":
                reason = notice.arguments[1]
                never_joined = isinstance(reason.error, JoinError)
                self._call_if_set("join_confirm" if never_joined else "leave", reason.code)
            self.tell(notice)
        except Exception:
            logger.exception("the context around callbacks failed")

    def _call_if_set(self, name: str, *arguments: object) -> None:
        function = self._callbacks.get(name)
        if function is not None:
            with self._surroundings():
                self._call(name, function, *arguments)

    def _media_deliverer(self, name: str) -> Callable[[MediaPacket], None]:
        signal: NamedSignal = getattr(signals, name)
        callbacks, sender = self._callbacks, self._sender

        def deliver(packet: MediaPacket) -> None:
            function = callbacks.get(name)
            data, timestamp, metadata = packet.data, packet.timestamp, packet.metadata
            try:
                with self._surroundings():
                    if function is not None:
                        self._call(name, function, data, len(data), timestamp, metadata)
                    if signal.receivers:
                        signals.emit(
                            signal,
                            sender,
                            data=data,
                            size=len(data),
                            timestamp=timestamp,
                            metadata=metadata,
                        )
            except Exception:
                logger.exception("the context around callbacks failed")

        return deliver

    def _surroundings(self) -> contextlib.AbstractContextManager[object]:
        return _NOTHING if self._context is None else self._context()

    def _call(self, name: str, function: Callable[..., object], *arguments: object) -> None:
        try:
            function(*arguments)
        except (Exception, gevent.Timeout) as problem:
            # A time limit that the user set and did not catch is an error of the callback, too.
            self.callback_errors[name] = self.callback_errors.get(name, 0) + 1
            logger.exception("callback on_%s failed", name)
            signals.emit(signals.error, self._sender, error=problem, where=f"on_{name}")

    def _overflow_reporter(self, kind: MediaDataType) -> Callable[[int], None]:
        def report(dropped: int) -> None:
            error = InboxOverflow(kind.name.lower(), dropped)
            logger.warning("%s", error)
            self.put(Notice("error", (error, MEDIA_NAMES[kind])))

        return report


_NOTHING = contextlib.nullcontext()

"""From the hub, which reads, to the user's functions, which may block.

Each media type of a client has an inbox, and its events have one: the hub puts in, one greenlet per
inbox takes out and calls. So a slow function delays only its own kind, and never the reading.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence

from blinker import NamedSignal

from . import signals
from .enums import MediaDataType
from .errors import ConfigurationError, InboxOverflow
from .inbox import Inbox
from .outlets import Closing, Context, Job, OutletChoice
from .protocol.packets import MediaPacket
from .reports import Notice
from .transport.greenlets import Crew

__all__ = ["EVENTS", "MEDIA_NAMES", "Callbacks", "Dispatcher"]

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
    "interrupted": ("what", "error"),
    "reconnecting": ("attempt", "delay"),
    "reconnected": ("outage",),
    "gave_up": ("error",),
    "media_gap": ("gap",),
}

#: Notices without a callback of their name.
_SIGNALS_ONLY = frozenset({"joining", "error", "stream_state", "session_state", "other_message"})

#: How many of a notice's arguments the callback gets, where it is not all of them.
_CALLBACK_ARGUMENTS = {"event_ex": 1}


class Callbacks:
    """The user's functions by name: one each, a newer one replaces the older."""

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., object]] = {}

    def set(self, name: str, function: Callable[..., object]) -> None:
        """Register ``function``.

        Raises:
            ConfigurationError: it cannot be called.
        """
        if not callable(function):
            raise ConfigurationError(f"on_{name} needs a function, not {type(function).__name__}")
        self._functions[name] = function

    def get(self, name: str) -> Callable[..., object] | None:
        """Return the function registered under ``name``."""
        return self._functions.get(name)


class Dispatcher:
    """Delivers one session's media and notices to callbacks and signals.

    Greenlet-safety: any greenlet of the hub that made it.
    """

    def __init__(
        self,
        sender: object,
        callbacks: Callbacks,
        outlets: OutletChoice,
        *,
        name: str,
        context: Context | None = None,
        max_inbox_bytes: int,
    ) -> None:
        """Make the inboxes; media is held until :meth:`release_media`.

        Args:
            sender: Sender of the signals: the client.
            callbacks: Looked up at each delivery, so that they can be changed at any time.
            outlets: Where callbacks run. Signals are sent from the inbox's greenlet.
            name: Begins the names of the delivering greenlets.
            context: Makes what is entered around the user's functions, such as an app context.
            max_inbox_bytes: Bytes of media per inbox; transcripts, chat and events have no limit,
                since they are small and must not be lost.
        """
        #: How often each callback raised.
        self.callback_errors: dict[str, int] = {}
        #: Packets for which callback and signal have been called, per media type.
        self.delivered = dict.fromkeys(MEDIA_NAMES, 0)
        self._sender = sender
        self._callbacks = callbacks
        self._outlets = outlets
        self._context = context
        self._closing = Closing()
        self._outlet_failed = False
        self._crew = crew = Crew(name)
        self._events = Inbox(crew, "events", self._deliver_notices)
        self._media: dict[MediaDataType, Inbox] = {}
        for kind, media_name in MEDIA_NAMES.items():
            never_drop = kind in (MediaDataType.TRANSCRIPT, MediaDataType.CHAT)
            inbox = self._media[kind] = Inbox(
                crew,
                media_name,
                self._media_deliverer(kind, media_name),
                batch=outlets.batch,
                max_bytes=None if never_drop else max_inbox_bytes,
                on_overflow=self._overflow_reporter(kind),
            )
            inbox.hold()

    # -- filing: never switches --------------------------------------------------------------------

    def put_media(self, packet: MediaPacket) -> None:
        """File a packet."""
        self._media[packet.media_type].put(packet, len(packet.data))

    def put(self, notice: Notice) -> None:
        """File a notice."""
        self._events.put(notice)

    def release_media(self) -> None:
        """Let media flow."""
        for inbox in self._media.values():
            inbox.release()

    @property
    def dropped(self) -> dict[str, int]:
        """Packets that were not delivered, per media type."""
        return {kind.name.lower(): inbox.dropped for kind, inbox in self._media.items()}

    # -- the end -----------------------------------------------------------------------------------

    def drain(self) -> None:
        """Wait until all that is filed was delivered, or :meth:`close` was called."""
        # Events first: one of them lets media flow.
        for inbox in (self._events, *self._media.values(), self._events):
            inbox.wait_idle()

    def close(self) -> None:
        """Call no function any more; one that runs now is left to finish."""
        self._closing.is_set = True
        for inbox in (*self._media.values(), self._events):
            inbox.close()
        self._crew.dismiss()

    def forget(self, is_here: bool) -> None:
        """Call no function any more, in a forked child. Never waits."""
        self.close()
        if is_here:
            self._crew.kill()

    @property
    def is_delivering(self) -> bool:
        """Whether we are inside a callback or receiver of this session."""
        return self._closing.is_running_here() or any(
            inbox.is_current for inbox in (*self._media.values(), self._events)
        )

    def tell(self, notice: Notice) -> None:
        """Send a notice's signal here and now, and nothing else."""
        name, arguments = notice
        signal: NamedSignal = getattr(signals, name)
        if signal.receivers:
            with self._surroundings():
                signals.emit(
                    signal, self._sender, **dict(zip(EVENTS[name], arguments, strict=True))
                )

    # -- in the delivering greenlets ---------------------------------------------------------------

    def _deliver_notices(self, notices: list[Notice]) -> None:
        for notice in notices:
            name, arguments = notice
            if name == "joined":
                # Media flows once this callback has begun, so that it comes first and yet may wait.
                self._call("join_confirm", [(0,)], begun=self.release_media)
            elif name == "left":
                reason = arguments[1]
                self._call("leave" if reason.was_joined else "join_confirm", [(reason.code,)])
            elif name not in _SIGNALS_ONLY:
                self._call(name, [arguments[: _CALLBACK_ARGUMENTS.get(name, len(arguments))]])
            self._guarded(self.tell, notice)

    def _media_deliverer(
        self, kind: MediaDataType, name: str
    ) -> Callable[[list[MediaPacket]], None]:
        signal: NamedSignal = getattr(signals, name)

        def deliver(packets: list[MediaPacket]) -> None:
            if self._callbacks.get(name) is not None:
                calls = [(p.data, len(p.data), p.timestamp, p.metadata) for p in packets]
                self._call(name, calls)
            if signal.receivers:
                for packet in packets:
                    self._guarded(self._send_media, signal, packet)
            self.delivered[kind] += len(packets)

        return deliver

    def _send_media(self, signal: NamedSignal, packet: MediaPacket) -> None:
        with self._surroundings():
            signals.emit(
                signal,
                self._sender,
                data=packet.data,
                size=len(packet.data),
                timestamp=packet.timestamp,
                metadata=packet.metadata,
            )

    def _surroundings(self) -> contextlib.AbstractContextManager[object]:
        return _NOTHING if self._context is None else self._context()

    def _guarded(self, function: Callable[..., object], *arguments: object) -> None:
        if self._closing.is_set:
            return
        try:
            function(*arguments)
        except Exception:
            logger.exception("the context around receivers of signals failed")

    def _call(
        self,
        name: str,
        calls: Sequence[tuple[object, ...]],
        begun: Callable[[], None] | None = None,
    ) -> None:
        """Call the function of that name, if there is one, and wait for the end of it."""
        function = self._callbacks.get(name)
        problems: Sequence[BaseException] = ()
        try:
            if function is not None:
                job = Job(function, calls, self._context, self._closing)
                finish = self._outlets.choose(function).start(job)
        except ConfigurationError as problem:
            self._report_outlet(name, problem)
            function = None
        if begun is not None:
            begun()
        if function is not None:
            problems = finish()
        for failure in problems:
            self._report_failure(name, failure)

    def _report_failure(self, name: str, problem: BaseException) -> None:
        self.callback_errors[name] = self.callback_errors.get(name, 0) + 1
        logger.error("callback on_%s failed", name, exc_info=problem)
        if not self._closing.is_set:
            self._guarded(self.tell, Notice("error", (problem, f"on_{name}")))

    def _report_outlet(self, name: str, problem: ConfigurationError) -> None:
        """Say once that callbacks cannot run; what they would have got counts as failed."""
        self.callback_errors[name] = self.callback_errors.get(name, 0) + 1
        if not self._outlet_failed:
            self._outlet_failed = True
            logger.error("callback on_%s: %s", name, problem)
            self._guarded(self.tell, Notice("error", (problem, f"on_{name}")))

    def _overflow_reporter(self, kind: MediaDataType) -> Callable[[int], None]:
        def report(dropped: int) -> None:
            error = InboxOverflow(kind.name.lower(), dropped)
            logger.warning("%s", error)
            self.put(Notice("error", (error, MEDIA_NAMES[kind])))

        return report


_NOTHING = contextlib.nullcontext()

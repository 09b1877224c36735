"""Joins the streams that webhooks announce: one client per stream, and the app's functions for it.

Knows no framework: the Flask extension is made of it, and an app in another one makes its own in a
few lines, as ``examples/django_app`` does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable
from typing import TypeVar, overload

from .. import signals
from .._interrupts import is_ctrl_c
from ..client import Client
from ..delivery.callbacks import check_function
from ..errors import ConfigurationError
from ..loop import run_soon
from ..protocol.webhook_events import WebhookEvent, WebhookKind
from ..runtime.fork import forget_in_child
from ..stream.leave_reason import LeaveReason

__all__ = [
    "EndFunction",
    "EventFunction",
    "JoinOptions",
    "StartFunction",
    "StopFunction",
    "StreamHandlers",
    "StreamManager",
]

logger = logging.getLogger(__name__)

#: Clients that are kept after their stream has ended, for the webhook that reports the end.
_ENDED_KEPT = 64

StartFunction = Callable[[Client, WebhookEvent], object]
StopFunction = Callable[["Client | None", WebhookEvent], object]
EndFunction = Callable[[Client, LeaveReason], object]
EventFunction = Callable[[WebhookEvent], object]

_Start = TypeVar("_Start", bound=StartFunction)
_Stop = TypeVar("_Stop", bound=StopFunction)
_End = TypeVar("_End", bound=EndFunction)
_Event = TypeVar("_Event", bound=EventFunction)


@dataclasses.dataclass(frozen=True, slots=True)
class JoinOptions:
    """What every client joins with; ``None`` leaves a value to the environment."""

    client_id: str | None = None
    client_secret: str | None = dataclasses.field(default=None, repr=False)
    allowed_hosts: str | tuple[str, ...] | list[str] | None = None


class StreamHandlers:
    """The functions that an app registers, each by a decorator that returns it unchanged.

    Registering is meant for start-up, and raises :class:`~rtms_gevent.ConfigurationError` where a
    function cannot be called with what it would get. Functions of one kind run in the order of
    registration. Each webhook is handled in a greenlet of its own, so a function may block without
    delaying others.
    """

    def __init__(self) -> None:
        self.started: list[StartFunction] = []
        self.stopped: list[StopFunction] = []
        self.interrupted: list[StopFunction] = []
        self.ended: list[EndFunction] = []
        self.events: list[tuple[str | None, EventFunction]] = []

    def on_stream_started(self, function: _Start) -> _Start:
        """Call ``function(client, event)`` when a stream may be joined.

        ``event`` is a :class:`~rtms_gevent.WebhookEvent`.
        Where another worker had the stream before, which has ended, its ``is_takeover`` is True.
        The function registers callbacks on the new client; afterwards the client joins, unless the
        function called ``client.join`` itself or returned ``False``. Where it raises, the error is
        logged, ``signals.error`` is sent, and the stream is not joined.

        Streams are joined only if at least one such function is registered.
        """
        check_function("on_stream_started", function, ("client", "event"))
        self.started.append(function)
        return function

    def on_stream_stopped(self, function: _Stop) -> _Stop:
        """Call ``function(client, event)`` when Zoom says that a stream is over.

        ``client`` is ``None`` where this process had no client for the stream. Otherwise the client
        knows already. It ends when it has delivered what waits in its inboxes; ``client.wait()``
        waits for that.
        """
        check_function("on_stream_stopped", function, ("client", "event"))
        self.stopped.append(function)
        return function

    def on_stream_interrupted(self, function: _Stop) -> _Stop:
        """Call ``function(client, event)`` when Zoom has lost our connection to a stream.

        ``client`` is ``None`` where this process has no client for the stream. Otherwise the client
        knows already, and reconnects.
        """
        check_function("on_stream_interrupted", function, ("client", "event"))
        self.interrupted.append(function)
        return function

    def on_stream_ended(self, function: _End) -> _End:
        """Call ``function(client, reason)`` when a stream that was joined has ended.

        Once for each, whatever the cause, also where joining failed or this process ends:
        ``reason`` is a :class:`~rtms_gevent.LeaveReason`. It comes last, after all callbacks of the
        client, ``on_end`` included.
        """
        check_function("on_stream_ended", function, ("client", "reason"))
        self.ended.append(function)
        return function

    @overload
    def on_event(self, name: str, /) -> Callable[[_Event], _Event]: ...

    @overload
    def on_event(self, function: _Event, /) -> _Event: ...

    def on_event(self, target: str | _Event, /) -> _Event | Callable[[_Event], _Event]:
        """Call ``function(event)`` for every event, or for those of one name.

        Use it as ``@on_event`` or as ``@on_event("rtms.concurrency_limited")``. Events that this
        package does not know come too. Each function runs in a greenlet of its own.

        Raises:
            ConfigurationError: the argument is neither a name nor a function.
        """
        if isinstance(target, str):
            name = target

            def register(function: _Event) -> _Event:
                return self._on_event(name, function)

            return register
        if not callable(target):
            raise ConfigurationError(
                f"on_event takes a name or a function, not {type(target).__name__}"
            )
        return self._on_event(None, target)

    def _on_event(self, name: str | None, function: _Event) -> _Event:
        check_function("on_event", function, ("event",))
        self.events.append((name, function))
        return function


@dataclasses.dataclass(slots=True, eq=False)
class _LiveStream:
    """A stream that is being joined or is joined."""

    client: Client
    start: WebhookEvent  #: the latest start, whose addresses count
    is_over: bool = False  #: Zoom has stopped it


class StreamManager:
    """Keeps one client per live stream, as webhook events say.

    It belongs to the hub where this process keeps its streams; only :attr:`clients` may be read
    from other threads.
    """

    def __init__(
        self,
        handlers: StreamHandlers,
        options: JoinOptions | None = None,
        context: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        """Start with no stream.

        Args:
            handlers: The functions of the app.
            options: What to join with; by default what the environment says.
            context: Called around everything of the clients that runs, and around functions of
                ``on_event``; it returns a context manager. Flask's is ``app.app_context``.
        """
        self._handlers = handlers
        self._options = options or JoinOptions()
        self._context = context
        #: Called with a stream's id when its client is gone, from any thread.
        self.on_gone: Callable[[str], object] = lambda stream_id: None
        self._live: dict[str, _LiveStream] = {}
        self._ended: dict[str, Client] = {}  # the latest, oldest first

    @property
    def clients(self) -> dict[str, Client]:
        """The clients of the streams that are live now, by stream id; a copy."""
        return {stream_id: live.client for stream_id, live in self._live.copy().items()}

    @property
    def wants_streams(self) -> bool:
        """Whether a function is registered that streams are joined for."""
        return bool(self._handlers.started)

    def handle_event(self, event: WebhookEvent) -> None:
        """Act on an event that was accepted: make or notify a client, call functions of the app.

        To be given to :class:`.WebhookReceiver`, whose ``accept`` calls it once for each event; or
        to :class:`~rtms_gevent.cluster.Cluster`, where several workers receive webhooks. To be
        called in a greenlet of the streams' hub, where :class:`.AfterAnswer` runs what it gets; it
        may block.
        """
        for name, function in self._handlers.events:
            if name is None or name == event.event:
                run_soon(self._call_on_event, function, event)
        with self._context():
            if event.kind is WebhookKind.STARTED:
                self._start(event)
            elif event.kind is WebhookKind.STOPPED:
                self._pass_on(event, self._handlers.stopped, "on_stream_stopped")
            elif event.kind is WebhookKind.INTERRUPTED:
                self._pass_on(event, self._handlers.interrupted, "on_stream_interrupted")

    def take_over(self, event: WebhookEvent) -> None:
        """Join a stream that another worker had, and that is nobody's now.

        Like :meth:`handle_event`, but that no webhook has come: ``event`` is the start that the
        other worker got, with :attr:`.WebhookEvent.is_takeover` set.
        """
        earlier = self._live.get(event.stream_id or "")
        if earlier is not None:  # it is being left, since that worker has had the stream
            earlier.is_over = True
        with self._context():
            self._start(event)

    def _call_on_event(self, function: EventFunction, event: WebhookEvent) -> None:
        with self._context():
            self._call("on_event", None, function, event)

    def _start(self, event: WebhookEvent) -> None:
        """Join a stream, or notify its client that it starts again elsewhere."""
        stream_id = event.stream_id or ""
        if not self._handlers.started:
            logger.warning(
                "stream %.80r started and is not joined: no on_stream_started is registered",
                stream_id,
            )
            return
        earlier = self._live.get(stream_id)
        if earlier is not None and not earlier.is_over:
            # Zoom names other addresses if one of its servers has failed; the client knows what to
            # do, also with a repetition.
            logger.info("stream %.80r is live; its client is notified of the start", stream_id)
            earlier.start = event
            if earlier.client.stream_id():
                self._call("notify", earlier.client, earlier.client.notify, event)
            return
        live = _LiveStream(Client(context=self._context), event)
        signals.left.connect(self._on_left, sender=live.client)
        forget_in_child(self)
        self._live[stream_id] = live
        if not self._prepare(live, event):
            self._drop(live.client)

    def _prepare(self, live: _LiveStream, event: WebhookEvent) -> bool:
        """Let the app register its callbacks and join; return whether the client has joined."""
        client, wanted = live.client, True
        for function in self._handlers.started:
            answer = self._call("on_stream_started", client, function, client, event)
            wanted = wanted and answer is not False
        if client.stream_id():
            return True  # the app has joined by itself
        if not wanted:
            return False
        if live.is_over:
            logger.info("stream %.80r ended before it was joined", event.stream_id)
            return False
        return self._call("join", client, self._join, client, live.start) is not False

    def _join(self, client: Client, event: WebhookEvent) -> None:
        client.join(
            event,
            client=self._options.client_id,
            secret=self._options.client_secret,
            allowed_hosts=self._options.allowed_hosts,
        )

    def _on_left(self, client: Client, reason: LeaveReason, **_: object) -> None:
        """Call the app's functions; runs where and when ``signals.left`` is sent.

        The sockets mostly end before the stop webhook comes, and the app is to get the client with
        that webhook: so the latest clients are kept.
        """
        try:
            for function in self._handlers.ended:
                self._call("on_stream_ended", client, function, client, reason)
        finally:
            for stream_id in self._drop(client):
                self._ended.pop(stream_id, None)
                self._ended[stream_id] = client
            while len(self._ended) > _ENDED_KEPT:
                del self._ended[next(iter(self._ended))]

    def _drop(self, client: Client) -> list[str]:
        """Count a client as live no more, and return the stream that it was for, if it was."""
        # A client that the app has put on another loop tells of its end in that one's thread. And
        # copy() is one step, unlike list(), which may collect garbage meanwhile.
        live = self._live.copy()
        streams = [stream_id for stream_id, each in live.items() if each.client is client]
        for stream_id in streams:
            del self._live[stream_id]
            self.on_gone(stream_id)
        return streams

    def after_fork_in_child(self, is_here: bool) -> None:
        """Drop all clients in a forked child: the streams are the parent's."""
        self._live.clear()
        self._ended.clear()

    def _pass_on(self, event: WebhookEvent, functions: list[StopFunction], where: str) -> None:
        """Notify the client of a stream of what Zoom says about it, and then the app."""
        stream_id = event.stream_id or ""
        live = self._live.get(stream_id)
        client = self._ended.get(stream_id) if live is None else live.client
        if live is not None:
            live.is_over = live.is_over or event.kind is WebhookKind.STOPPED
            if live.client.stream_id():
                self._call("notify", client, live.client.notify, event)
        for function in functions:
            self._call(where, client, function, client, event)

    def _call(
        self,
        where: str,
        client: Client | None,
        function: Callable[..., object],
        *arguments: object,
    ) -> object:
        """Call a function; where it raises, log it, send ``signals.error`` and return False."""
        try:
            return function(*arguments)
        except BaseException as error:
            if is_ctrl_c(error):
                raise
            logger.exception("%s failed", where)
            signals.emit(signals.error, client or self, error=error, where=where)
            return False

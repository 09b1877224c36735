"""One stream's life: joining, watching, and the end."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
from collections.abc import Callable

from gevent.event import Event

from ..delivery.callbacks import MEDIA_NAMES
from ..delivery.dispatcher import Dispatcher
from ..delivery.overflow import BackPressure
from ..enums import MediaDataType
from ..errors import ConnectionLost, InboxOverflow, JoinError
from ..protocol.events import ClientEvent, EventTranslator
from ..protocol.reconnect import is_transient
from ..protocol.subscription import Subscription
from ..runtime import watchdog
from ..runtime.clock import SYSTEM_CLOCK, Clock
from ..runtime.deadline import MIN_TIMEOUT, Deadline
from ..runtime.fair_scheduling import yield_to_io
from ..runtime.file_descriptors import preallocate_fd_table
from ..runtime.fork import forget_in_child
from ..runtime.greenlets import GreenletGroup
from .changes import LiveChanges
from .connections import StreamConnections
from .decoding import warn_of_slow_decoding
from .join_request import JoinRequest
from .leave_reason import LeaveReason
from .lifecycle import Lifecycle
from .media import MediaReceiver
from .recovery import Reconnector
from .router import MessageRouter
from .stats import ClientStats, MediaStats
from .tracker import MediaTracker

__all__ = ["StreamSession"]

logger = logging.getLogger(__name__)

#: The longest delay (s) before a stream that another worker had is tried again.
_TAKE_OVER_DELAY = 2.0


class StreamSession:
    """One stream, from joining to its end.

    A supervising greenlet joins, watches for silence and connects anew what breaks; the hub reads;
    the dispatcher's greenlets deliver. Greenlet-safety: any greenlet of the hub that started it.
    """

    def __init__(
        self,
        request: JoinRequest,
        subscription: Subscription,
        make_dispatcher: Callable[[BackPressure], Dispatcher],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Prepare a session; :meth:`start` begins it.

        Args:
            request: What to join.
            subscription: What is wanted of it; may change at any time, see :attr:`changes`.
            make_dispatcher: Returns what delivers, told what to do where callbacks are too slow.
            clock: Tells the time.
        """
        self._lifecycle = lifecycle = Lifecycle()
        self.joined = lifecycle.joined  #: set, or has the error, once known
        self.over = Event()  #: set when nothing but the end is reported any more
        self.end_reported = Event()  #: set when the end was reported, the last thing of all
        self.has_ended = False  #: whether all was delivered, and only the end is left to report
        self._unwatch: Callable[[], None]  # from start() on
        self._subscription = subscription
        #: Delivers media and events.
        self.dispatcher = dispatcher = make_dispatcher(self)
        self._clock = clock
        self._greenlets = greenlets = GreenletGroup(f"rtms {request.stream}")
        identity = request.identity
        self._translator = EventTranslator(identity.stream_id, identity.uuid)
        self._router = MessageRouter(identity, dispatcher, self._translator, lifecycle)
        self._media = MediaReceiver(request.stream, dispatcher, self._translator, greenlets, clock)
        self._connections = StreamConnections(
            request, subscription, greenlets, lifecycle, self._router, self._media, clock
        )
        #: Reconnects, and acts on what webhooks say of losses.
        self.recovery = Reconnector(
            self._connections, self._router, dispatcher, lifecycle, greenlets, clock
        )
        # Late: recovery needs the connections, and these need the router.
        self._router.report_losses_to(self.recovery)
        #: Makes the joined stream what its subscription has become.
        self.changes = LiveChanges(
            subscription,
            self._connections,
            self.recovery,
            self._router,
            lifecycle,
            greenlets,
            clock,
        )

    # -- what is known -----------------------------------------------------------------------------

    @property
    def request(self) -> JoinRequest:
        """What was asked for; its endpoints change where Zoom moves the stream."""
        return self._connections.request

    @property
    def end(self) -> LeaveReason | None:
        """Why the stream ends, once that is known."""
        return self._lifecycle.end

    @property
    def is_joined(self) -> bool:
        """Whether Zoom listens to us."""
        return self.changes.is_joined

    @property
    def negotiated(self) -> dict[str, object]:
        """What the server really sends, per media type."""
        return self._connections.negotiated

    @property
    def trackers(self) -> dict[MediaDataType, MediaTracker]:
        """What came and what is missing, per media type of which anything is known."""
        return self._media.trackers

    @property
    def skipped(self) -> dict[str, int]:
        """Messages that could not be used, per connection."""
        return self._router.skipped_counts

    @property
    def forgotten(self) -> int:
        """How many participants, channels and sessions are not known any more: too many came."""
        return self._translator.forgotten

    def stats(self) -> ClientStats:
        """Return what came, what was delivered and what is missing, as it is now."""
        identity, dispatcher = self.request.identity, self.dispatcher
        media = dict.fromkeys((kind.name.lower() for kind in MEDIA_NAMES), MediaStats())
        for kind, tracker in list(self.trackers.items()):
            media[kind.name.lower()] = tracker.stats(
                dispatcher.delivered(kind),
                dispatcher.dropped(kind),
                dispatcher.failed(kind),
                dispatcher.delivered_timestamp(kind),
            )
        return ClientStats(
            stream_id=identity.stream_id,
            uuid=identity.uuid,
            is_joined=self.is_joined,
            media=media,
            skipped=dict(self.skipped),
            callback_errors=dict(dispatcher.callback_errors),
            outages=self.recovery.outages,
            outage_ms=self.recovery.outage_ms,
            forgotten=self.forgotten,
        )

    # -- the supervising greenlet ------------------------------------------------------------------

    def start(self) -> None:
        """Begin to join. Returns at once."""
        forget_in_child(self)
        identity = self.request.identity
        self.dispatcher.put(
            ClientEvent("joining", (identity.stream_id, identity.uuid, identity.product))
        )
        preallocate_fd_table()
        warn_of_slow_decoding()
        self._unwatch = watchdog.watch()
        self._greenlets.spawn("session", self._run)

    def _run(self) -> None:
        earlier = self.request.earlier
        if earlier is not None:
            self._media.take_over(earlier, self._subscription.media)
        try:
            self._join()
            while not self._lifecycle.ending.is_set():
                self._watch()
                if self.recovery.reconnect():
                    self.changes.catch_up()
        except JoinError as problem:
            self._fail(problem)
        except Exception as problem:  # noqa: BLE001 - logged there
            self._fail(self._connections.unexpected(problem))
        if self.end is None or not self.end.by_us:  # else leave() does the rest
            self._end(LeaveReason.left(), delivers=True)

    def _fail(self, problem: JoinError) -> None:
        was_joined = self._lifecycle.was_joined
        self._lifecycle.finish(LeaveReason.failed(problem, was_joined=was_joined))

    def _join(self) -> None:
        """Open everything for the first time; what may pass is tried a few times."""
        deadline = self._clock.deadline(self.request.timeout)
        attempts: float = self.request.options.reconnect.join_attempts
        longest = math.inf
        if self.request.earlier is not None:
            # Zoom refuses us until it has noticed that the earlier worker's connection is dead.
            attempts, longest = math.inf, _TAKE_OVER_DELAY
        ending = self._lifecycle.ending
        for attempt in itertools.count(1):
            self.recovery.begin()  # losses of an earlier attempt do not count
            try:
                self._connections.connect(deadline)
                break
            except JoinError as problem:
                delay = min(longest, self.recovery.join_delay(attempt))
                left = deadline.left()
                is_last = attempt == attempts or not is_transient(problem)
                if ending.is_set() or is_last or (left is not None and left < delay):
                    raise
                logger.warning("stream %s, attempt %d: %s", self.request.stream, attempt, problem)
                self._router.error(problem, "join")
                self._connections.close()
                if self._clock.wait(ending, delay):
                    return
        if ending.is_set():
            return
        logger.info("stream %s is joined", self.request.stream)
        if not self._subscription.media:
            logger.warning(
                "stream %s: no media callback is registered, so only events will arrive",
                self.request.stream,
            )
        identity = self.request.identity
        self.dispatcher.put(ClientEvent("joined", (identity.stream_id, identity.uuid)))
        self.recovery.joined()
        self.joined.set(True)
        self.changes.catch_up()

    def _watch(self) -> None:
        """Wait until something is broken, or the end."""
        wakeup = self._lifecycle.wakeup
        while not self._lifecycle.ending.is_set() and not self.recovery.is_broken:
            now = self._clock.monotonic()
            silent = self._connections.timed_out(now)
            if silent is not None:
                # Where this process was stopped (SIGSTOP, a laptop's sleep) what came meanwhile
                # lies there, unread: let the hub read it before we call the connection dead.
                self._clock.sleep(MIN_TIMEOUT)
                yield_to_io()
                silent = self._connections.timed_out(self._clock.monotonic())
            if silent is not None and not self.recovery.is_broken:
                problem = ConnectionLost(silent.name, "nothing was heard for too long")
                self.recovery.lost(silent, problem)
                return
            wakeup.clear()
            self._clock.wait(wakeup, self._connections.next_timeout(now))

    # -- callbacks that are too slow: never waits --------------------------------------------------

    def pause(self, kind: MediaDataType) -> None:
        """Read nothing of a media type until :meth:`resume`: its inbox is full."""
        self._connections.pause(kind)

    def resume(self, kind: MediaDataType) -> None:
        """Read on."""
        self._connections.resume(kind)

    def fail(self, error: InboxOverflow) -> None:
        """End the stream, because callbacks are too slow for it."""
        self._lifecycle.finish(LeaveReason.failed(error))

    # -- the end -----------------------------------------------------------------------------------

    def stopped_by_zoom(self, stop_reason: int | None) -> None:
        """Note that a webhook said that the stream has stopped. Never waits."""
        self._lifecycle.finish(LeaveReason.stopped(stop_reason))

    def leave(self, *, close_stream: bool = False, reason: LeaveReason | None = None) -> None:
        """End our part; when this returns nothing is delivered any more but the end.

        Waits for that, too, but only for a moment where functions still run, which come first.

        Args:
            close_stream: Ask Zoom to end the stream, and wait for its answer, before closing.
            reason: Why, if not since we were asked to.
        """
        if self.over.is_set():
            return
        self._lifecycle.is_leaving = True
        self._end(reason or LeaveReason.left(), delivers=False, close_stream=close_stream)
        self.dispatcher.wait_finished()

    def hand_over(self, timeout: float, waits: bool) -> None:
        """End our part so that another worker may go on: first close the sockets, then deliver.

        Args:
            timeout: Seconds that the user's functions get. What was not delivered by then is
                dropped.
            waits: Whether to wait for the end, also where the stream ends for another reason.
        """
        deadline = self._clock.deadline(timeout)
        if self._lifecycle.ending.is_set() or self._lifecycle.is_leaving:
            if waits:
                self._clock.wait(self.end_reported, deadline.left())
        else:
            self._lifecycle.finish(LeaveReason.handed_over())  # now the end is left to us
            if waits:
                self._hand_over(deadline)
            else:
                self._greenlets.spawn("hand over", self._hand_over, deadline)

    def _hand_over(self, deadline: Deadline) -> None:
        try:
            self._greenlets.stop()
            self._connections.close()  # what comes until the server has closed is delivered, too
            self._media.end(is_handover=True)
            with contextlib.suppress(_TooLate), self._clock.limit(deadline.left(), _TooLate):
                self.dispatcher.drain()
        finally:
            self._conclude()
        self._clock.wait(self.end_reported, deadline.left())

    def _ask_to_close_stream(self) -> None:
        with contextlib.suppress(ConnectionLost):  # the stream is over then, too
            answer = self._connections.ask_to_close_stream()
            if answer is None:
                logger.warning(
                    "stream %s: Zoom did not answer the close request", self.request.stream
                )
            elif answer.status:
                logger.warning(
                    "stream %s: Zoom refused to close it, status %d",
                    self.request.stream,
                    answer.status,
                )

    def _end(self, reason: LeaveReason, *, delivers: bool, close_stream: bool = False) -> None:
        """End the stream, whoever ends it; where this is cut short, it is over all the same.

        Args:
            reason: Why, unless something else has ended it already.
            delivers: Whether what has come, or comes until the server has closed, is delivered.
            close_stream: Whether to ask Zoom to end the stream.
        """
        try:
            if close_stream and self.is_joined:
                self._ask_to_close_stream()
            if not delivers:
                self.dispatcher.close()
            # A connection that is just being opened, anew or in addition, would outlive the stream.
            self._greenlets.stop()
            self._lifecycle.finish(reason)
            if delivers:
                self._report_end()
            late = self._connections.close()
            if delivers:
                self._connections.note_unfinished(late)
                self._media.end()
                self.dispatcher.drain()
                self.has_ended = True
                self.dispatcher.put(self._left)
                self.dispatcher.drain()
        finally:  # also where a time limit of the caller, or a kill, cuts the waiting short
            self._conclude()

    def _conclude(self) -> None:
        """Let go of all that the stream had, and report its end. Never waits."""
        self.dispatcher.close()
        self._lifecycle.finish(LeaveReason.left())
        self._connections.abort()
        if self.over.is_set():
            return
        assert self.end is not None
        self._media.end(is_handover=self.end.is_handover)
        self._unwatch()
        if self.end.by_us or self.end.is_handover:
            logger.info("stream %s is over: %s", self.request.stream, self.end)
        self.over.set()
        self.dispatcher.finish(self._left, self.end_reported.set)

    @property
    def _left(self) -> ClientEvent:
        return ClientEvent("left", (self.request.identity.stream_id, self.end))

    def _report_end(self) -> None:
        """Say why somebody else ended it, before what may take long."""
        assert self.end is not None
        if self.end.error is None:
            logger.info("stream %s is over: %s", self.request.stream, self.end)
        else:
            logger.error("stream %s is over: %s", self.request.stream, self.end)
            where = "reconnect" if self._lifecycle.was_joined else "join"
            self._router.error(self.end.error, where)

    def after_fork_in_child(self, is_here: bool) -> None:
        """End the stream in a forked child, whose parent has it: touch nothing, call nobody."""
        if self.end_reported.is_set():
            return
        self.dispatcher.forget(is_here)
        self._lifecycle.finish(LeaveReason.left())
        if is_here:
            self._greenlets.kill()
        self.over.set()
        self.end_reported.set()


class _TooLate(Exception):
    """The user's functions take too long."""

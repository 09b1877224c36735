"""What becomes of a stream whose connections break."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Collection

from ..delivery.dispatcher import Dispatcher
from ..enums import MediaDataType
from ..errors import ConnectionLost, GaveUp, JoinError, RtmsError
from ..protocol.events import ClientEvent
from ..protocol.reconnect import (
    Backoff,
    ReconnectAttempt,
    ReconnectPolicy,
    WindowExpired,
    is_transient,
)
from ..protocol.urls import Endpoint
from ..runtime.clock import Clock
from ..runtime.greenlets import GreenletGroup
from .connection import Connection
from .connections import StreamConnections
from .leave_reason import LeaveReason
from .lifecycle import Lifecycle
from .router import MessageRouter

__all__ = ["Reconnector", "jitter"]

logger = logging.getLogger(__name__)

#: Seconds to wait for the answers to close frames on connections that are to be opened anew: time
#: is short, and a server that cannot answer has sent all it could.
_CLOSE_TIMEOUT = 0.5

#: Seconds after a reconnection in which Zoom may still report the loss that led to it.
_DUPLICATE_REPORT_WINDOW = 3.0

#: Seconds without a sign of life, not even a keep-alive, after which a connection is taken for the
#: one that Zoom says is interrupted, though others broke, too.
_SUSPICIOUS = 15.0

#: Seconds in which a connection breaks that Zoom says is interrupted, if we can see that at all.
_BREAKS_WITHIN = 0.5


class Reconnector:
    """Notes what breaks, and connects anew.

    :meth:`reconnect` waits, and is for the supervising greenlet. All else may be called by the hub.
    """

    def __init__(
        self,
        connections: StreamConnections,
        router: MessageRouter,
        dispatcher: Dispatcher,
        lifecycle: Lifecycle,
        greenlets: GreenletGroup,
        clock: Clock,
    ) -> None:
        """Watch ``connections``.

        Args:
            connections: What breaks.
            router: Reports errors.
            dispatcher: Delivers events.
            lifecycle: Says whether the stream is joined, or ends.
            greenlets: Owns the greenlets that find out what Zoom means.
            clock: Tells the time.
        """
        self.outages = 0  #: how often everything was connected again
        self.outage_ms = 0  #: how long that took together
        self._connections = connections
        self._router = router
        self._dispatcher = dispatcher
        self._lifecycle = lifecycle
        self._greenlets = greenlets
        self._clock = clock
        self._settings = settings = connections.request.options.reconnect
        self._backoff = Backoff(settings.base_delay, settings.max_delay)
        # When anything was connected anew last, and everything; both monotonic.
        self._restored_at = self._connected_since = float("-inf")
        self._cause = ""  # of the outage, in words
        self._is_reported_by_zoom = False  # that something broke, whatever we notice
        self._is_looking = False  # for what broke, since Zoom says that something did
        self.begin()

    def begin(self) -> None:
        """Forget all losses: joining begins."""
        self._policy = ReconnectPolicy(
            signaling_window=self._settings.signaling_window,
            media_window=self._settings.media_window,
            backoff=self._backoff,
            jitter=jitter,
        )

    def joined(self) -> None:
        """Note that everything was connected for the first time."""
        self._connected_since = self._clock.monotonic()

    def join_delay(self, attempt: int) -> float:
        """Return the seconds to wait after so many attempts to join."""
        return self._backoff.delay(attempt + 1, jitter())

    @property
    def is_broken(self) -> bool:
        """Whether anything is to be connected anew."""
        return self._policy.is_broken

    @property
    def is_signaling_broken(self) -> bool:
        """Whether everything is to be connected anew."""
        return self._policy.is_signaling_broken

    # -- connecting anew: waits --------------------------------------------------------------------

    def reconnect(self) -> bool:
        """Connect anew what is broken, until nothing is, the window has passed, or the end.

        Returns:
            Whether everything was connected anew in the end, signaling included.

        Raises:
            JoinError: what another try would not change.
        """
        while not self._lifecycle.ending.is_set():
            step = self._policy.next(self._clock.monotonic())
            if step is None:
                return False
            if isinstance(step, WindowExpired):
                self._give_up(step)
                return False
            self._dispatcher.put(ClientEvent("reconnecting", (step.number, int(step.delay * 1000))))
            logger.info(
                "stream %s: attempt %d to reconnect %s in %d ms",
                self._stream,
                step.number,
                "everything" if step.media is None else _names(step.media),
                step.delay * 1000,
            )
            self._lifecycle.wakeup.clear()
            # More may break, or new addresses come, while we wait: then look again.
            if self._clock.wait(self._lifecycle.wakeup, step.delay):
                continue
            if self._attempt(step) and step.media is None:
                return True
        return False

    def _attempt(self, step: ReconnectAttempt) -> bool:
        """Make one attempt; return whether it ended the outage."""
        self._policy.began(step)
        # What broke by itself is down already. Where we notice nothing, since it is Zoom that says
        # so, media may have been missing for as long as Zoom waits for us.
        window = self._settings.media_window if self._is_reported_by_zoom else 0.0
        self._connections.media_down(step.media, self._cause, window)
        self._is_reported_by_zoom = False
        try:
            self._connect(step)
        except ConnectionLost as problem:  # of the signaling connection, while media was opened
            logger.warning("stream %s: %s", self._stream, problem)
            now = self._clock.monotonic()
            self._policy.failed(step, now)
            self._policy.lost_signaling(now)
            return False
        except JoinError as problem:
            if not is_transient(problem):
                raise
            logger.warning("stream %s, attempt %d: %s", self._stream, step.number, problem)
            self._router.error(problem, "reconnect")
            ready = () if step.media is None else self._connections.ready(step.media)
            self._policy.failed(step, self._clock.monotonic(), ready)
            return False
        if self._lifecycle.ending.is_set():
            return False
        return self._restored(step)

    def _connect(self, step: ReconnectAttempt) -> None:
        with self._connections.lock:
            timeout = min(step.left, step.number * self._settings.attempt_timeout)
            deadline = self._clock.deadline(timeout)
            if step.media is None:
                self._connections.close(_CLOSE_TIMEOUT)
                self._connections.connect(deadline)
            else:
                kinds = self._connections.plan.kinds_on(step.media)
                self._connections.close_media(step.media, _CLOSE_TIMEOUT)
                self._connections.open_media(kinds, deadline, partly=True)
                self._connections.subscribe_video_again(step.media)

    def _restored(self, step: ReconnectAttempt) -> bool:
        """Note that an attempt succeeded; return whether nothing is broken now."""
        self._restored_at = self._clock.monotonic()
        if step.media is None:
            self._connected_since = self._restored_at
        outage = self._policy.succeeded(step, self._restored_at)
        if outage is None:
            return False
        logger.info("stream %s is connected again after %.1f s", self._stream, outage)
        self.outages += 1
        self.outage_ms += int(outage * 1000)
        self._dispatcher.put(ClientEvent("reconnected", (int(outage * 1000),)))
        return True

    def _give_up(self, step: WindowExpired) -> None:
        error = GaveUp(step.outage, step.attempts)
        self._dispatcher.put(ClientEvent("gave_up", (error,)))
        self._lifecycle.finish(LeaveReason.failed(error))

    # -- what breaks: never waits ------------------------------------------------------------------

    def lost(self, connection: Connection, problem: ConnectionLost) -> None:
        """Note that a connection broke, or fell silent."""
        key, was_joined = connection.media_type, self._lifecycle.was_joined
        self._cause = str(problem)
        if key is not None:
            self._connections.media_down((key,), self._cause)
        elif was_joined:
            self._connections.media_down(None, self._cause)
        if not self._settings.enabled:
            self._lifecycle.finish(LeaveReason.failed(problem))
            return
        if key is None:
            is_new = self._note(self._policy.lost_signaling)
        else:
            is_new = self._note(lambda now: self._policy.lost_media((key,), now))
        if is_new and was_joined:
            self._interrupted(connection.name, problem)

    def lost_by_change(self, key: MediaDataType) -> None:
        """Note that a media connection could not be opened in its new form."""
        self._note(lambda now: self._policy.lost_media((key,), now))

    def media_interrupted(self) -> None:
        """Note that Zoom says that media is interrupted: not which, perhaps late, and twice."""
        if self._settings.enabled and not self._is_looking:
            self._is_looking = True
            self._greenlets.spawn("find broken media", self._find_broken_media)

    def _find_broken_media(self) -> None:
        """Leave it to the connections that break, if any do; else take all of media for broken.

        Where something broke it is likely what Zoom means, but another connection may be dead
        without our noticing. So those that stay silent from now on are taken for broken, too.
        """
        began = self._clock.monotonic()
        is_known = self.is_broken or began - self._restored_at <= _DUPLICATE_REPORT_WINDOW
        self._clock.sleep(_BREAKS_WITHIN)
        self._is_looking = False
        if not is_known and not self.is_broken and self._restored_at < began:
            self._lost_media(self._connections.media_keys)
        else:
            self._clock.sleep(_SUSPICIOUS)
            self._lost_media(self._connections.silent_since(began))

    def _lost_media(self, keys: Collection[MediaDataType]) -> None:
        """Take media connections for broken, since Zoom says that some are."""
        if (
            keys
            and not self.is_signaling_broken
            and self._note(lambda now: self._policy.lost_media(keys, now))
        ):
            self._interrupted("media", None)

    def interrupted_by_zoom(self, event_ts: int | None) -> None:
        """Act on a webhook that says that Zoom has lost us.

        Args:
            event_ts: When Zoom noticed, ms since the epoch; None where it does not say. What was
                connected anew since then is not lost.
        """
        if self.is_signaling_broken or not self._lifecycle.was_joined:
            # It reports what we know, the connection that we closed to open another, or the one of
            # a worker from which we take the stream over.
            return
        if event_ts is not None:
            age = self._clock.time() - event_ts / 1000
            # Zoom's clock is not ours. A reconnection that answers its own echo would never end.
            connected_for = self._clock.monotonic() - self._connected_since
            if connected_for < age + _DUPLICATE_REPORT_WINDOW:
                return
        if self._settings.enabled and self._note(self._policy.lost_signaling):
            self._interrupted("signaling", None)

    def moved_by_zoom(self, endpoints: tuple[Endpoint, ...]) -> None:
        """Act on a start webhook for this stream.

        Args:
            endpoints: Those in use, where the webhook is a repetition; others mean that a server
                has failed.
        """
        was_joined = self._lifecycle.was_joined
        if endpoints == self._connections.request.endpoints or self._lifecycle.ending.is_set():
            return
        if was_joined and not self._settings.enabled:
            return  # the old server will tell us of the end
        self._connections.move(endpoints)
        if was_joined:
            self._policy.relocated(self._clock.monotonic())
            self._lifecycle.wakeup.set()
            self._interrupted("signaling", None, "Zoom has moved the stream to another server")

    def _note(self, loss: Callable[[float], bool]) -> bool:
        """Note a loss, and wake the supervising greenlet if it was not known; return that."""
        is_new = not self._lifecycle.ending.is_set() and loss(self._clock.monotonic())
        if is_new:
            self._lifecycle.wakeup.set()
        return is_new

    def _interrupted(
        self, what: str, problem: RtmsError | None, words: str = "Zoom says that it was interrupted"
    ) -> None:
        self._cause = words if problem is None else str(problem)
        self._is_reported_by_zoom = problem is None
        logger.warning("stream %s: %s is interrupted: %s", self._stream, what, self._cause)
        self._dispatcher.put(ClientEvent("interrupted", (what, problem)))

    @property
    def _stream(self) -> str:
        return self._connections.request.stream


def jitter() -> float:
    """Return a random number from 0 to 1."""
    return random.random()  # noqa: S311 - spreads retries, and is no secret


def _names(kinds: frozenset[MediaDataType]) -> str:
    return ", ".join(sorted(kind.name.lower() for kind in kinds))

"""What the user wants of a stream that is joined already."""

from __future__ import annotations

import contextlib
import logging

from ..enums import MediaDataType
from ..errors import ConnectionLost, JoinError, RtmsError
from ..protocol.messages import EventSubscription
from ..protocol.reconnect import is_transient
from ..protocol.subscription import Subscription
from ..runtime.clock import Clock
from ..runtime.greenlets import GreenletGroup
from .connections import StreamConnections
from .lifecycle import Lifecycle
from .recovery import Reconnector
from .router import MessageRouter

__all__ = ["LiveChanges"]

logger = logging.getLogger(__name__)


class LiveChanges:
    """Makes a joined stream what its subscription has become.

    No method waits. What the server cannot be told now it is told when it is connected again.
    """

    def __init__(
        self,
        subscription: Subscription,
        connections: StreamConnections,
        recovery: Reconnector,
        router: MessageRouter,
        lifecycle: Lifecycle,
        greenlets: GreenletGroup,
        clock: Clock,
    ) -> None:
        """Change nothing yet.

        Args:
            subscription: What is wanted.
            connections: What is changed.
            recovery: Says whether the server listens, and is told what a change has broken.
            router: Reports what went wrong.
            lifecycle: Says whether the stream is joined, or ends.
            greenlets: Owns the greenlets that make changes.
            clock: Tells the time.
        """
        self._subscription = subscription
        self._connections = connections
        self._recovery = recovery
        self._router = router
        self._lifecycle = lifecycle
        self._greenlets = greenlets
        self._clock = clock

    @property
    def is_joined(self) -> bool:
        """Whether Zoom listens to us: joined, not over, and the signaling socket not broken."""
        return (
            self._lifecycle.was_joined
            and not self._lifecycle.ending.is_set()
            and not self._recovery.is_signaling_broken
        )

    def subscribe(self, events: tuple[int, ...], subscribe: bool) -> None:
        """Tell the server which events are wanted, or wanted no more."""
        if events and self.is_joined:
            with contextlib.suppress(ConnectionLost):
                self._connections.send(EventSubscription(events=events, subscribe=subscribe))

    def subscribe_video(self, user_id: int, subscribe: bool) -> None:
        """Ask for a participant's video; the answer comes as ``video_subscribed``."""
        with contextlib.suppress(ConnectionLost):
            self._connections.subscribe_video(user_id, subscribe)

    def catch_up(self) -> None:
        """Begin to ask for what was wished for since the connections were opened."""
        if self.is_joined and not all(map(self._is_open, self._subscription.media)):
            self._greenlets.spawn("add media", self._add_media)
        for key in self._connections.outdated():
            self.renegotiate(key)

    def renegotiate(self, kind: MediaDataType) -> None:
        """Begin to open the connection of ``kind`` anew, so that new parameters take effect."""
        if self.is_joined and self._is_open(kind):
            self._greenlets.spawn("renegotiate", self._renegotiate, kind)

    def _is_open(self, kind: MediaDataType) -> bool:
        """Whether a connection for this media type was asked for already."""
        return self._connections.key_of(kind) in self._connections.media_keys

    def _add_media(self) -> None:
        with self._connections.lock:
            for kind in self._subscription.media:
                self._open(kind, "add media")

    def _renegotiate(self, kind: MediaDataType) -> None:
        with self._connections.lock:
            key = self._connections.key_of(kind)
            if key not in self._connections.outdated():
                return  # somebody else was quicker
            self._connections.media_down((key,), "its parameters were changed")
            # All that the server has sent in the old form is read before its close frame.
            self._connections.close_media((key,))
            problem = self._open(kind, "renegotiate")
            if isinstance(problem, JoinError) and is_transient(problem):
                # What worked in the old form is a loss now.
                self._recovery.lost_by_change(key)
            with contextlib.suppress(ConnectionLost):
                self._connections.subscribe_video_again((key,))

    def _open(self, kind: MediaDataType, where: str) -> RtmsError | None:
        """Open a media connection; what goes wrong is reported, and the others go on."""
        timeouts = self._connections.request.options.timeouts
        try:
            self._connections.open_media((kind,), self._clock.deadline(timeouts.join))
        except RtmsError as problem:
            logger.error("stream %s: %s", self._connections.request.stream, problem)
            self._connections.close_media((self._connections.key_of(kind),))  # may be asked again
            self._router.error(problem, where)
            return problem
        return None

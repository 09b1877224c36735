"""From the messages of a stream's connections to the events that users get."""

from __future__ import annotations

import logging
from typing import Protocol

from ..delivery.dispatcher import Dispatcher
from ..enums import EventType, StreamState
from ..errors import ConnectionLost, RemoteProtocolError
from ..protocol.bounded import footprint
from ..protocol.events import ClientEvent, EventTranslator
from ..protocol.identity import StreamIdentity
from ..protocol.messages import (
    EventUpdate,
    Message,
    SessionStateUpdate,
    StreamStateUpdate,
    VideoSubscriptionResponse,
)
from .connection import Connection
from .leave_reason import LeaveReason
from .lifecycle import Lifecycle

__all__ = ["LossHandler", "MessageRouter"]

logger = logging.getLogger(__name__)

#: How many skipped messages are reported one by one. After these only every thousandth is, so that
#: a mad server can fill neither the disk nor the memory.
_REPORTED_SKIPPED = 20


class LossHandler(Protocol):
    """Who makes good what broke. Called by the hub; must not wait."""

    def lost(self, connection: Connection, problem: ConnectionLost) -> None:
        """Note that a connection broke, or fell silent."""

    def media_interrupted(self) -> None:
        """Note that Zoom says that media was interrupted."""


class MessageRouter:
    """Hands on what comes on the connections of one stream, but for media. Never waits.

    It is the :class:`.ConnectionEvents` of all of them.
    """

    def __init__(
        self,
        identity: StreamIdentity,
        dispatcher: Dispatcher,
        translator: EventTranslator,
        lifecycle: Lifecycle,
    ) -> None:
        """Hand on nothing yet.

        Args:
            identity: The stream.
            dispatcher: Delivers events.
            translator: Makes events of messages.
            lifecycle: Is told where Zoom ends the stream.
        """
        #: Messages that could not be used, per connection.
        self.skipped_counts: dict[str, int] = {}
        self._stream_id = identity.stream_id
        self._dispatcher = dispatcher
        self._translator = translator
        self._lifecycle = lifecycle
        self._losses: LossHandler | None = None

    def report_losses_to(self, handler: LossHandler) -> None:
        """Tell ``handler`` of losses from now on."""
        self._losses = handler

    def message(self, connection: Connection, message: Message) -> None:
        """Hand a message on as events."""
        if isinstance(message, StreamStateUpdate):
            self._stream_state(connection, message)
            return
        if connection.media_type is not None:
            events = iter((ClientEvent("other_message", (message, connection.name)),))
        elif isinstance(message, EventUpdate):
            events = self._translator.from_event_update(message)
            if message.event_type is EventType.MEDIA_CONNECTION_INTERRUPTED:
                self._media_interrupted()
        elif isinstance(message, SessionStateUpdate):
            events = self._translator.from_session_state(message)
        elif isinstance(message, VideoSubscriptionResponse):
            arguments = (message.user_id, message.status, message.reason)
            events = iter((ClientEvent("video_subscribed", arguments),))
        else:
            events = iter((ClientEvent("other_message", (message, connection.name)),))
        size = footprint(message.raw)
        for event in events:
            self._dispatcher.put(event, size)
            size = 0  # they share it

    def _stream_state(self, connection: Connection, message: StreamStateUpdate) -> None:
        if message.stream_id and message.stream_id != self._stream_id:
            self.skipped(connection, RemoteProtocolError("a state of another stream"))
            return
        self._dispatcher.put(
            ClientEvent("stream_state", (message.state, message.reason, message.timestamp))
        )
        if message.state == StreamState.TERMINATED:
            self._lifecycle.finish(LeaveReason.stopped(message.reason))
        elif message.state == StreamState.INTERRUPTED:
            self._media_interrupted()

    def _media_interrupted(self) -> None:
        if self._losses is not None:
            self._losses.media_interrupted()

    def lost(self, connection: Connection, problem: ConnectionLost) -> None:
        """Report a connection that broke."""
        if self._losses is not None:
            self._losses.lost(connection, problem)

    def skipped(self, connection: Connection, problem: Exception) -> None:
        """Count and report a message that could not be used."""
        name = connection.name
        count = self.skipped_counts[name] = self.skipped_counts.get(name, 0) + 1
        if count > _REPORTED_SKIPPED and count % 1000:
            return
        is_ours = not isinstance(problem, RemoteProtocolError)
        logger.log(
            logging.ERROR if is_ours else logging.WARNING,
            "stream %s, %s socket: skipped %s (%d so far)",
            self._stream_id[:12],
            name,
            "a message that we failed to handle" if is_ours else problem,
            count,
            exc_info=problem if is_ours and count <= _REPORTED_SKIPPED else None,
        )
        self.error(problem, name)

    def error(self, problem: Exception, where: str) -> None:
        """Report an error that the stream survives, or that ends it."""
        self._dispatcher.put(ClientEvent("error", (problem, where)))

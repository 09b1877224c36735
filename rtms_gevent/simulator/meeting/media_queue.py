"""Messages of one media type, on their way from the meeting to the client's socket."""

from __future__ import annotations

import collections
import itertools
import time
from typing import Any, NamedTuple

import gevent
from gevent.event import Event
from gevent.pool import Group

from ...enums import MediaDataType
from ..wire.media import MediaConnection
from ..wire.negotiation import MEDIA_MESSAGES
from .announcer import StateAnnouncer
from .sent_log import SentLog
from .sockets import OpenSockets

__all__ = ["MediaQueue"]


class _Message(NamedTuple):
    sequence: int
    content: dict[str, Any]
    payload: bytes  #: before base64


class MediaQueue:
    """Numbers messages, keeps them while there is no socket, and makes the faults among them.

    Greenlet-safety: any greenlet of one hub.
    """

    def __init__(
        self,
        kind: MediaDataType,
        sockets: OpenSockets,
        announcer: StateAnnouncer,
        greenlets: Group,
        *,
        stamp: bool,
        record: bool,
    ) -> None:
        """Make a queue of what no client has asked for yet.

        Args:
            kind: The media type.
            sockets: Where messages go.
            announcer: Announces the first packet.
            greenlets: Owns the greenlet that sends what was kept.
            stamp: Add sequence numbers and send times.
            record: Keep every payload.
        """
        self.sent = SentLog()
        #: What was negotiated last; None while no client has asked for this media type.
        self.params: dict[str, Any] | None = None
        #: Seconds of messages that are kept while there is no socket, and sent when there is.
        self.buffer_seconds = 0.0
        self._kind = kind
        self._sockets = sockets
        self._announcer = announcer
        self._greenlets = greenlets
        self._stamp, self._record = stamp, record
        self._sequences = itertools.count(1)
        self._waiting: collections.deque[_Message] = collections.deque()
        self._flusher: gevent.Greenlet[..., None] | None = None
        self._held_until = 0.0  # monotonic
        self._finishing = Event()
        self._duplicates = 0
        self._swaps = 0
        self._overtaken: _Message | None = None

    # -- faults ------------------------------------------------------------------------------------

    def duplicate(self, times: int) -> None:
        """Send the next ``times`` messages twice."""
        self._duplicates += times

    def swap(self, times: int) -> None:
        """Let a message overtake the one before it, ``times`` times."""
        self._swaps += times

    def hold(self, seconds: float) -> None:
        """Keep what is to be sent for so long, while other media types flow."""
        self._held_until = max(self._held_until, time.monotonic() + seconds)
        self._start_flushing()

    # -- sending -----------------------------------------------------------------------------------

    def send(self, content: dict[str, Any], payload: bytes) -> bool:
        """Send one message, or keep it; return whether it was sent."""
        connection = self._sockets.carrying(self._kind)
        if connection is None and self.params is None and not self.buffer_seconds:
            return False  # nobody has asked for it, ever
        message = _Message(next(self._sequences), content, payload)
        if self._stamp or self._record:
            self.sent.sockets.append(0)
        if self._waiting or self._flusher is not None:
            self._keep(message)  # behind the others
            return False
        if connection is None:
            if self.buffer_seconds:
                self._keep(message)
            return False
        if self._swaps and self._overtaken is None:
            self._swaps -= 1
            self._overtaken = message
            return True
        is_sent = self._write(message, connection)
        if not is_sent and self.buffer_seconds:
            self._keep(message)
        if self._overtaken is not None:
            overtaken, self._overtaken = self._overtaken, None
            self._write(overtaken, connection)
        return is_sent

    def _keep(self, message: _Message) -> None:
        self._waiting.append(message)
        if self._flusher is not None:
            return
        newest = message.content["timestamp"]
        while newest - self._waiting[0].content["timestamp"] > self.buffer_seconds * 1000:
            self._waiting.popleft()

    def _write(self, message: _Message, connection: MediaConnection) -> bool:
        content = message.content
        self._announcer.before_packet(content["timestamp"])
        if self._stamp:
            content["simulator"] = {"sequence": message.sequence, "sent_ns": time.time_ns()}
        document = {"msg_type": MEDIA_MESSAGES[self._kind], "content": content}
        if not connection.send(document):
            return False
        connection.has_carried = True
        if self._duplicates:
            self._duplicates -= 1
            connection.send(document)
        sent = self.sent
        sent.messages += 1
        sent.bytes += len(message.payload)
        if self._stamp or self._record:
            sent.sockets[message.sequence - 1] = connection.number
        if self._record:
            sent.payloads.append(message.payload)
        return True

    def opened(self, params: dict[str, Any], *, wants_start: bool) -> None:
        """A client is ready for this media type: what was kept goes first.

        Args:
            params: What was negotiated.
            wants_start: Whether the client wants what was kept before anyone was ready.
        """
        if self.params is None and not wants_start:
            self._waiting.clear()
        self.params = params
        if self._waiting:
            self._start_flushing()

    def reset(self) -> None:
        """The client has left: who comes next has asked for nothing yet."""
        self.params = None
        self._waiting.clear()

    def finish(self) -> None:
        """Hold nothing back any more; waits until it is sent."""
        self._finishing.set()
        if self._flusher is not None:
            self._flusher.join()
        overtaken, self._overtaken = self._overtaken, None
        connection = self._sockets.carrying(self._kind)
        if overtaken is not None and connection is not None:
            self._write(overtaken, connection)

    def _start_flushing(self) -> None:
        if self._flusher is None:
            self._flusher = self._greenlets.spawn(self._flush)

    def _flush(self) -> None:
        """Send what waits, in order, when the time has come."""
        try:
            while (left := self._held_until - time.monotonic()) > 0:
                if self._finishing.wait(left):
                    break
            while self._waiting:
                connection = self._sockets.carrying(self._kind)
                message = self._waiting[0]
                if connection is None or not self._write(message, connection):
                    break
                if self._waiting and self._waiting[0] is message:  # else it was reset meanwhile
                    self._waiting.popleft()
        finally:
            self._flusher = None
            if not self.buffer_seconds:
                self._waiting.clear()  # no socket took them

"""Emulates a bad network on one socket: messages are split, merged, delayed or held back."""

from __future__ import annotations

import collections
import dataclasses
import time

import gevent

from .websocket import Encoded, ServerWebSocket

__all__ = ["EmulatedNetwork", "NetworkConditions"]


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkConditions:
    """What a network does to messages, besides losing them."""

    frame: int | None = None  #: bytes of the largest WebSocket frame; None does not split
    write: int | None = None  #: bytes of the largest TCP write; None does not split
    delay: float = 0.0  #: seconds by which each message is late
    merge: float = 0.0  #: seconds for which a message waits for others, to be written with them


class EmulatedNetwork:
    """Writes messages in the order in which they are given.

    Where nothing holds them up the sender writes, and waits while the client reads nothing. Where
    something does, they are kept, and a greenlet writes them later; nobody waits then.

    Greenlet-safety: any greenlet of one hub.
    """

    def __init__(self, socket: ServerWebSocket, *, frame: int | None) -> None:
        self._socket = socket
        self._largest_frame = frame
        self._conditions = NetworkConditions(frame=frame)
        self._stalled_until = 0.0  # monotonic
        self._waiting: collections.deque[tuple[float, Encoded]] = collections.deque()
        self._writer: gevent.Greenlet[..., None] | None = None

    def change(self, conditions: NetworkConditions) -> None:
        """Treat messages so from now on; frames stay as small as the simulator's option says."""
        frame = self._largest_frame if conditions.frame is None else conditions.frame
        self._conditions = dataclasses.replace(conditions, frame=frame)

    def stall(self, seconds: float) -> None:
        """Write nothing for so long."""
        self._stalled_until = max(self._stalled_until, time.monotonic() + seconds)

    @property
    def _is_direct(self) -> bool:
        conditions = self._conditions
        return self._writer is None and not (
            conditions.delay or conditions.merge or self._stalled_until > time.monotonic()
        )

    def send(self, message: Encoded) -> bool:
        """Send one message; return False where the socket is gone.

        True means that it was written, or will be unless the socket breaks.
        """
        if self._is_direct:
            return self._write([message])
        if self._socket.closed:
            return False
        self._waiting.append((time.monotonic() + self._conditions.delay, message))
        if self._writer is None:
            self._writer = gevent.spawn(self._run)
        return True

    def stop(self) -> None:
        """Forget what waits; the socket is gone."""
        if self._writer is not None:
            self._writer.kill(block=False)

    def _run(self) -> None:
        try:
            while self._waiting:
                now = time.monotonic()
                begin = max(self._stalled_until, self._waiting[0][0] + self._conditions.merge)
                if begin > now:
                    gevent.sleep(begin - now)
                elif not self._write(self._take(now)):
                    break
        finally:
            self._waiting.clear()
            self._writer = None

    def _take(self, now: float) -> list[Encoded]:
        """Return what is due: one message, or all of them where they are merged."""
        taken = [self._waiting.popleft()[1]]
        while self._conditions.merge and self._waiting and self._waiting[0][0] <= now:
            taken.append(self._waiting.popleft()[1])
        return taken

    def _write(self, messages: list[Encoded]) -> bool:
        conditions = self._conditions
        try:
            self._socket.send_messages(messages, frame=conditions.frame, write=conditions.write)
        except OSError:
            return False
        return True

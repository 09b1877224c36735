"""What a session needs of whatever moves its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from gevent.event import Event

from ..protocol.urls import Endpoint
from ..runtime.deadline import Deadline
from .frames import ReceivedMessage
from .websocket import CloseInfo

__all__ = ["Socket", "Transport"]


class Socket(Protocol):
    """One open WebSocket. Nothing here waits."""

    #: Where it leads.
    endpoint: Endpoint
    #: Set when the connection is gone, after ``on_closed`` was called.
    closed: Event
    #: When anything arrived last, in monotonic seconds.
    last_heard: float

    @property
    def is_paused(self) -> bool:
        """Whether nothing is read now."""

    @property
    def silent_since(self) -> float:
        """Since when the peer says nothing, though we listen; in monotonic seconds."""

    def send(self, message: str | bytes) -> None:
        """Send a text message (``str``) or a binary one (``bytes``).

        Raises:
            ConnectionLost: the socket is closed or being closed.
        """

    def pause(self) -> None:
        """Read nothing more until :meth:`resume`."""

    def resume(self) -> None:
        """Read on."""

    def close(self, code: int = 1000) -> None:
        """Send a close frame; ``closed`` is set when the peer has answered."""

    def abort(self, problem: str) -> None:
        """Close at once, without asking the peer."""


class Transport(Protocol):
    """Opens the sockets of one session."""

    def check(self, endpoints: Sequence[Endpoint]) -> None:
        """Refuse what :meth:`open` cannot work with, before there is a session. Never waits.

        Raises:
            ConfigurationError: the settings for one of ``endpoints`` are wrong.
        """

    def open(
        self,
        endpoints: Sequence[Endpoint],
        *,
        name: str,
        deadline: Deadline,
        on_messages: Callable[[Iterator[ReceivedMessage]], None],
        on_closed: Callable[[CloseInfo], None],
    ) -> Socket:
        """Open a WebSocket to one of ``endpoints``; waits cooperatively until it is open.

        Args:
            endpoints: At least one, the best first.
            name: For logs and errors, such as "signaling".
            deadline: When it must be open.
            on_messages: Called by the hub with the messages of each read; must not raise.
            on_closed: Called by the hub, once, when nothing is received any more.

        Raises:
            ConnectError: none could be opened in time.
        """

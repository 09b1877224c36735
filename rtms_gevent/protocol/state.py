"""State machines as tables: which message may come next, from either side."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from ..enums import MessageType
from ..errors import LocalProtocolError, RemoteProtocolError
from .messages import KeepAliveRequest, Message
from .packets import MediaPacket

__all__ = ["Conversation", "Edge", "State", "Table", "received", "sent"]


class State(enum.Enum):
    """Where a conversation stands."""

    IDLE = "idle"
    GREETING = "waiting for the handshake's answer"
    READY = "ready"
    CLOSING = "closing"
    CLOSED = "closed"


class Edge(NamedTuple):
    """One message, seen from our side."""

    is_sent: bool
    message: MessageType


Table = Mapping[State, Mapping[Edge, State]]


def sent(*messages: MessageType, to: State) -> dict[Edge, State]:
    """Return table entries: we may send ``messages``, and stand in ``to`` then."""
    return {Edge(True, message): to for message in messages}


def received(*messages: MessageType, to: State) -> dict[Edge, State]:
    """Return table entries: the server may send ``messages``, and we stand in ``to`` then."""
    return {Edge(False, message): to for message in messages}


class Conversation:
    """Where one conversation stands. An illegal step raises and changes nothing."""

    __slots__ = ("_name", "_table", "state", "takes_media")

    def __init__(self, table: Table, name: str) -> None:
        """Begin idle; ``name`` is for error texts."""
        self._table = table
        self._name = name
        self.state = State.IDLE
        self.takes_media = False  #: whether media may arrive now

    def sending(self, message: Message) -> None:
        """Note that we send ``message``.

        Raises:
            LocalProtocolError: it may not be sent now.
        """
        self._step(Edge(True, message.number), LocalProtocolError)

    def received(self, message: Message | MediaPacket) -> Message | None:
        """Note that ``message`` arrived; return what must be answered at once, if anything.

        Messages that this package does not know may arrive at any time.

        Raises:
            RemoteProtocolError: it may not arrive now; it should be skipped.
        """
        if isinstance(message, KeepAliveRequest):
            # Allowed in every state: a server that asks must be told that we live.
            return message.answer()
        number = message.msg_type
        if number in _KNOWN:
            self._step(Edge(False, MessageType(number)), RemoteProtocolError)
        return None

    def _step(
        self, edge: Edge, blame: type[LocalProtocolError] | type[RemoteProtocolError]
    ) -> None:
        try:
            state = self._table[self.state][edge]
        except KeyError:
            side = "send" if edge.is_sent else "receive"
            raise blame(
                f"cannot {side} {edge.message.name} on the {self._name} socket: it is "
                f"{self.state.value}"
            ) from None
        if state is not self.state:
            self.state = state
            self.takes_media = _MEDIA in self._table[state]


_MEDIA = Edge(False, MessageType.MEDIA_DATA_AUDIO)
_KNOWN = frozenset(int(number) for number in MessageType) - {0, 23, 24, 25, 26, 27}

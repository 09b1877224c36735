"""State machines as tables: which message may come next, from either side."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from ..enums import MessageType
from ..errors import LocalProtocolError, RemoteProtocolError
from .messages import KeepAliveRequest, Message
from .packets import MediaPacket

__all__ = ["ConnectionState", "State", "Table", "Transition", "received", "sent"]


class State(enum.Enum):
    """Where a conversation stands."""

    IDLE = "idle"
    HANDSHAKING = "waiting for the handshake's answer"
    READY = "ready"
    CLOSING = "closing"
    CLOSED = "closed"


class Transition(NamedTuple):
    """One message, seen from our side."""

    is_sent: bool
    message: MessageType


Table = Mapping[State, Mapping[Transition, State]]


def sent(*messages: MessageType, to: State) -> dict[Transition, State]:
    """Return table entries: we may send ``messages``, and stand in ``to`` then."""
    return {Transition(True, message): to for message in messages}


def received(*messages: MessageType, to: State) -> dict[Transition, State]:
    """Return table entries: the server may send ``messages``, and we stand in ``to`` then."""
    return {Transition(False, message): to for message in messages}


class ConnectionState:
    """Where one conversation stands. An illegal step raises and changes nothing."""

    __slots__ = ("_name", "_table", "accepts_media", "state")

    def __init__(self, table: Table, name: str) -> None:
        """Begin idle; ``name`` is for error texts."""
        self._table = table
        self._name = name
        self.state = State.IDLE
        self.accepts_media = False  #: whether media may arrive now

    def sending(self, message: Message) -> None:
        """Note that we send ``message``.

        Raises:
            LocalProtocolError: it may not be sent now.
        """
        self._step(Transition(True, message.number), LocalProtocolError)

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
            self._step(Transition(False, MessageType(number)), RemoteProtocolError)
        return None

    def _step(
        self, edge: Transition, blame: type[LocalProtocolError] | type[RemoteProtocolError]
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
            self.accepts_media = _MEDIA in self._table[state]


_MEDIA = Transition(False, MessageType.MEDIA_DATA_AUDIO)
_KNOWN = frozenset(int(number) for number in MessageType) - {0, 23, 24, 25, 26, 27}

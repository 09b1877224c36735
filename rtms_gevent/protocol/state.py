"""State machines as tables: which message may come next, from either side."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from ..enums import MessageType
from ..errors import LocalProtocolError, RemoteProtocolError
from .messages import KeepAliveRequest, Message, OutgoingMessage
from .packets import MediaPacket

__all__ = ["ConnectionState", "State", "Transition", "Transitions", "received", "sent"]

#: Numbers whose messages may arrive at any time, as those may that are newer than this package:
#: Zoom has named them, and published nothing more.
_UNPUBLISHED = frozenset(
    {
        MessageType.UNDEFINED,
        MessageType.META_DATA_AUDIO,
        MessageType.META_DATA_VIDEO,
        MessageType.META_DATA_SHARE,
        MessageType.META_DATA_TRANSCRIPT,
        MessageType.META_DATA_CHAT,
    }
)
_PUBLISHED = frozenset(MessageType) - _UNPUBLISHED


class State(enum.Enum):
    """The state of a signaling or media socket."""

    IDLE = "idle"
    HANDSHAKING = "waiting for the handshake's answer"
    READY = "ready"
    CLOSING = "closing"
    CLOSED = "closed"


class Transition(NamedTuple):
    """One message, seen from our side."""

    is_sent: bool
    message: MessageType


Transitions = Mapping[State, Mapping[Transition, State]]


def sent(*messages: MessageType, to: State) -> dict[Transition, State]:
    """Return table entries: we may send ``messages``, which lead to state ``to``."""
    return {Transition(True, message): to for message in messages}


def received(*messages: MessageType, to: State) -> dict[Transition, State]:
    """Return table entries: the server may send ``messages``, which lead to ``to``."""
    return {Transition(False, message): to for message in messages}


_AUDIO_ARRIVES = Transition(False, MessageType.MEDIA_DATA_AUDIO)


class ConnectionState:
    """The state machine of one socket. An illegal step raises and changes nothing."""

    __slots__ = ("_name", "_transitions", "accepts_media", "state")

    def __init__(self, transitions: Transitions, name: str) -> None:
        """Begin idle; ``name`` is for error texts."""
        self._transitions = transitions
        self._name = name
        self.state = State.IDLE
        self.accepts_media = False  #: whether media may arrive now

    def sending(self, message: OutgoingMessage) -> None:
        """Note that we send ``message``.

        Raises:
            LocalProtocolError: it may not be sent now.
        """
        self._step(Transition(True, message.number), LocalProtocolError)

    def received(self, message: Message | MediaPacket) -> OutgoingMessage | None:
        """Note that ``message`` arrived; return what must be answered immediately, if anything.

        Messages that this package does not know may arrive at any time.

        Raises:
            RemoteProtocolError: it may not arrive now; it should be skipped.
        """
        if isinstance(message, KeepAliveRequest):
            # Allowed in every state: a server that asks must get an answer.
            return message.answer()
        number = message.msg_type
        if number in _PUBLISHED:
            self._step(Transition(False, MessageType(number)), RemoteProtocolError)
        return None

    def _step(
        self, transition: Transition, blame: type[LocalProtocolError] | type[RemoteProtocolError]
    ) -> None:
        try:
            state = self._transitions[self.state][transition]
        except KeyError:
            side = "send" if transition.is_sent else "receive"
            raise blame(
                f"cannot {side} {transition.message.name} on the {self._name} socket: it is "
                f"{self.state.value}"
            ) from None
        if state is not self.state:
            self.state = state
            self.accepts_media = _AUDIO_ARRIVES in self._transitions[state]

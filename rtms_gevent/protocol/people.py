"""The participants of a stream: people, and the channels of calls and engagements."""

from __future__ import annotations

import dataclasses

from .fields import Document, code, integer, string, text

__all__ = ["ChannelParticipant", "Participant"]


@dataclasses.dataclass(frozen=True, slots=True)
class Participant:
    """Somebody in the stream."""

    id: int  #: user_id; 0 where the server sent none that is a number
    name: str = ""  #: empty where the server did not say

    @classmethod
    def from_wire(cls, person: Document) -> Participant:
        """Read ``user_id`` and ``user_name``."""
        return cls(integer(person, "user_id") or 0, text(person, "user_name"))


@dataclasses.dataclass(frozen=True, slots=True)
class ChannelParticipant:
    """Who is on a Contact Center or phone channel."""

    channel_id: str = ""
    user_id: str = ""
    display_name: str = ""
    participant_mode: str | int | None = None
    phone_number: str = dataclasses.field(default="", repr=False)
    queue_id: str = ""
    queue_name: str = ""
    raw: Document = dataclasses.field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_wire(cls, info: Document) -> ChannelParticipant:
        """Read ``participant_info``."""
        return cls(
            channel_id=string(info.get("channel_id")),
            user_id=string(info.get("user_id")),
            display_name=text(info, "display_name", "user_name"),
            participant_mode=code(info, "participant_mode"),
            phone_number=string(info.get("phone_number")),
            queue_id=string(info.get("queue_id")),
            queue_name=text(info, "queue_name"),
            raw=info,
        )

"""What a store of ownership keeps: values, and how they are written as JSON. Pure.

Stored is what a take-over needs, and what ``rtms-gevent status`` shows; never a secret, a signature
or what was said.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

__all__ = [
    "NO_PROGRESS",
    "Claim",
    "Letter",
    "Progress",
    "StreamRow",
    "Wakeup",
    "Worker",
    "storable",
]

#: Fields of a webhook that are never stored, wherever they stand.
_SECRET = ("secret", "signature", "token", "password")


def storable(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a webhook's document without anything that must not be stored."""
    return {
        name: _storable(value)
        for name, value in document.items()
        if not any(word in name.lower() for word in _SECRET)
    }


def _storable(value: object) -> object:
    if isinstance(value, Mapping):
        return storable(value)
    return [_storable(each) for each in value] if isinstance(value, list) else value


@dataclasses.dataclass(frozen=True, slots=True)
class Worker:
    """A process that owns streams, as it was when it was heard of last."""

    id: str  #: its own, never used again
    host: str
    pid: int
    started: float  #: seconds since the epoch
    streams: int = 0  #: how many it owns
    max_streams: int | None = None  #: how many it may own; ``None`` is any number
    is_draining: bool = False  #: it ends, and claims nothing more
    #: Unix socket where other workers of the same machine see what its live page sees; "" for none.
    live_socket: str = ""
    #: Seconds since it was heard of last.
    age: float = 0.0

    @property
    def is_full(self) -> bool:
        """Whether it may claim nothing more."""
        return self.max_streams is not None and self.streams >= self.max_streams

    def to_json(self) -> str:
        """Return all but the age, as text."""
        fields = dataclasses.asdict(self)
        del fields["age"]
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes, age: float = 0.0) -> Worker:
        """Read what :meth:`to_json` has written; fields that are not known are left out."""
        fields = json.loads(text)
        known = {field.name for field in dataclasses.fields(cls)} - {"age"}
        return cls(**{name: fields[name] for name in known & fields.keys()}, age=age)


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far a stream has got with its owner."""

    #: Timestamp of the latest packet that was delivered, by media type ("audio"): ms since the
    #: epoch, on the media's own clock.
    delivered: Mapping[str, int] = dataclasses.field(default_factory=dict)
    is_joined: bool = False
    received: int = 0  #: packets, of all media types
    gaps: int = 0  #: how many
    missing_ms: int = 0  #: how long they are together
    outages: int = 0

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Progress:
        """Read what :meth:`to_json` has written; fields that are not known are left out."""
        fields = json.loads(text)
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: fields[name] for name in known & fields.keys()})


#: Of a stream that nobody has had yet.
NO_PROGRESS = Progress()


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """A stream that a worker has got."""

    stream_id: str
    #: Grows with each claim of this stream, whoever claims: what an older owner writes is refused.
    fence: int
    #: The webhook that says how to join: the latest start, without anything secret.
    document: Mapping[str, Any] = dataclasses.field(repr=False)
    #: Whether another worker has had it, which has ended or is not heard of any more.
    is_takeover: bool = False
    #: How far that one got.
    progress: Progress = NO_PROGRESS


@dataclasses.dataclass(frozen=True, slots=True)
class Letter:
    """A webhook that came to one worker and is for the owner of its stream."""

    stream_id: str
    document: Mapping[str, Any] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Wakeup:
    """What a worker that waited has to do."""

    letters: tuple[Letter, ...] = ()  #: for streams that it owns, in their order
    has_offers: bool = False  #: there may be streams to claim


@dataclasses.dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream of which a store knows, as ``rtms.streams()`` and ``status`` show it."""

    stream_id: str
    document: Mapping[str, Any] = dataclasses.field(repr=False)
    owner: str | None  #: id of the worker; ``None`` where it waits for one
    fence: int
    has_ended: bool  #: it is kept for the webhook that reports the end
    progress: Progress
    #: Seconds since it was offered or claimed.
    age: float
    #: Seconds since its owner was heard of.
    silent: float = 0.0

"""What came, what was delivered, and what is missing: values for users. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ..enums import MediaDataType

__all__ = ["ClientStats", "Gap", "MediaStats"]


@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """A time of which media is missing. Times are ms since the epoch, on the media's own clock."""

    media_type: MediaDataType
    start: int
    end: int
    cause: str  #: what broke, in words
    #: Whether media flowed until it broke, so that some is missing for sure. Else nobody may have
    #: spoken: text, a muted speaker, a camera that was off.
    is_certain: bool = True

    def __str__(self) -> str:
        verb = "are missing" if self.is_certain else "may be missing"
        media = self.media_type.name.lower()
        return f"{self.end - self.start} ms of {media} {verb}: {self.cause}"


@dataclasses.dataclass(frozen=True, slots=True)
class MediaStats:
    """One media type of one stream, at one moment."""

    received: int = 0  #: packets
    received_bytes: int = 0  #: of payload
    delivered: int = 0  #: packets whose callback has returned, or that had none
    failed: int = 0  #: packets whose callback has raised
    #: Packets that came and were not delivered, by reason: "inbox" (the callback was too slow, or
    #: we left before), "callback" (its executor did not take or run it, or we left meanwhile),
    #: "duplicate" and "late" (replayed after an outage).
    dropped: Mapping[str, int] = dataclasses.field(default_factory=dict)
    last_timestamp: int | None = None  #: ms since the epoch, of the latest packet
    gaps: tuple[Gap, ...] = ()  #: the newest hundred
    #: Timestamp (ms since the epoch) of the packet whose callback has returned last, or that had
    #: none: all that came before it was delivered, has failed or was dropped. Until the first one,
    #: that of the worker which had the stream before (:attr:`WebhookEvent.delivered`), if any.
    delivered_timestamp: int | None = None

    @property
    def waiting(self) -> int:
        """Packets that wait for the callback, or that it has now.

        So at every moment ``received == delivered + failed + sum(dropped.values()) + waiting``.
        """
        return self.received - self.delivered - self.failed - sum(self.dropped.values())

    @property
    def missing_ms(self) -> int:
        """How many ms all gaps in :attr:`gaps` have together, those included that may be none."""
        return sum(gap.end - gap.start for gap in self.gaps)


@dataclasses.dataclass(frozen=True, slots=True)
class ClientStats:
    """One client, at one moment."""

    stream_id: str
    uuid: str
    is_joined: bool
    media: Mapping[str, MediaStats]  #: by media type: "audio", "video", ...
    skipped: Mapping[str, int]  #: messages that could not be used, per socket
    callback_errors: Mapping[str, int]  #: how often each callback raised
    outages: int  #: how often something broke and was connected again
    outage_ms: int  #: how long that took together
    #: Participants, channels and sessions that are not known any more, since far too many came.
    forgotten: int = 0

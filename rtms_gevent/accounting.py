"""What came, what was delivered, and what is missing: per stream and media type. Pure.

Media that Zoom sent while our socket was down is lost, unless Zoom buffered it and replays it. So
after each outage the timeline of timestamps is compared with the time that the socket was down;
what neither came before nor after is a :class:`Gap`. What is replayed although it was delivered
already is left out, so that nothing is delivered twice or out of order.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .enums import MediaDataType
from .protocol.packets import TEXTUAL, MediaPacket

__all__ = ["Arrival", "ClientStats", "Gap", "MediaAccount", "MediaStats"]

#: A gap is worth telling if it is longer than so many frames.
_FRAMES = 3
#: Gaps that are kept, the newest.
_KEPT = 100
#: Packets of text that are compared with what comes after an outage.
_RECENT = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """A time of which media is missing. Times are ms since the epoch, on the media's own clock."""

    media_type: MediaDataType
    start: int
    end: int
    cause: str  #: what broke, in words


@dataclasses.dataclass(frozen=True, slots=True)
class MediaStats:
    """One media type of one stream, at one moment."""

    received: int = 0  #: packets
    received_bytes: int = 0  #: of payload
    delivered: int = 0  #: packets for which callback and signal have been called
    #: Packets that came and were not delivered, by reason: "inbox" (the callback was too slow, or
    #: we left before), "callback" (its executor did not take or run it, or we left meanwhile),
    #: "duplicate" and "late" (replayed after an outage).
    dropped: Mapping[str, int] = dataclasses.field(default_factory=dict)
    last_timestamp: int | None = None  #: ms since the epoch, of the latest packet
    gaps: tuple[Gap, ...] = ()  #: the newest hundred

    @property
    def missing_ms(self) -> int:
        """How many ms all gaps in :attr:`gaps` have together."""
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
    outages: int  #: how often something broke and was mended
    outage_ms: int  #: how long that took together


class Arrival(NamedTuple):
    """What is to become of packets that came."""

    wanted: list[MediaPacket]  #: to be delivered
    size: int  #: bytes of their payloads
    gaps: Sequence[Gap]  #: that they end


class MediaAccount:
    """Keeps the account of one media type. Times are ms since the epoch, ours where not said."""

    __slots__ = (
        "_ahead",
        "_bytes",
        "_down",
        "_dropped",
        "_gaps",
        "_horizon",
        "_is_settling",
        "_last",
        "_newest",
        "_received",
        "_recent",
        "_was_down",
        "frame_ms",
        "is_well",
        "media_type",
    )

    def __init__(self, media_type: MediaDataType) -> None:
        self.media_type = media_type
        self.frame_ms = 0.0  #: the time from one packet to the next, where it is known
        self._received = self._bytes = 0
        self._dropped: dict[str, int] = {}
        self._last: int | None = None
        self._newest: dict[object, int] = {}  # timestamp of the latest packet, by speaker
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=_RECENT)
        self._ahead = 0.0  # how much the media's clock is ahead of ours
        self._down: tuple[int, str] | None = None  # since when, and why
        self._was_down: tuple[int, int, str] | None = None  # no packet has come since
        self._is_settling = False  # what comes may have been delivered before
        #: Whether packets need only be counted.
        self.is_well = media_type not in TEXTUAL
        self._horizon: dict[object, int] = {}
        self._gaps: deque[Gap] = deque(maxlen=_KEPT)

    def count(self, packets: list[MediaPacket], is_mixed: bool, now: float) -> int:
        """Note packets that came together while all is well; unless mixed, of one speaker.

        Returns:
            Bytes of their payloads.
        """
        size = timestamp = 0
        for packet in packets:
            size += len(packet[1])
        # Of one speaker, the last packet says it all: 5 % of what a message costs in a flood.
        for _, _, timestamp, metadata in packets if is_mixed else packets[-1:]:
            self._newest[metadata.channelId or metadata.userId] = timestamp
        self._last = timestamp
        self._received += len(packets)
        self._bytes += size
        self._ahead = timestamp - now
        return size

    def settle(self, packets: list[MediaPacket], now: float) -> Arrival:
        """Note packets where something may be missing, or may have been delivered before."""
        wanted, gaps = [], []
        for packet in packets:
            _, data, timestamp, metadata = packet
            self._received += 1
            self._bytes += len(data)
            speaker: object = metadata.channelId or metadata.userId
            reason = self._old_news(packet, speaker) if self._is_settling else None
            if reason is not None:
                self._dropped[reason] = self._dropped.get(reason, 0) + 1
                continue
            wanted.append(packet)
            self._newest[speaker] = self._last = timestamp
            if self.media_type in TEXTUAL:
                self._recent.append((timestamp, data))
            if self._was_down is None:
                self._ahead = timestamp - now
                continue
            gap = self._end_of_gap(timestamp)
            if gap is not None:
                gaps.append(gap)
        return Arrival(wanted, sum(len(packet.data) for packet in wanted), gaps)

    def _old_news(self, packet: MediaPacket, speaker: object) -> str | None:
        """Return why a packet that came after an outage must not be delivered."""
        if self.media_type in TEXTUAL:
            return "duplicate" if (packet.timestamp, packet.data) in self._recent else None
        if packet.timestamp <= self._horizon.get(speaker, packet.timestamp - 1):
            return "duplicate"
        return "late" if packet.timestamp < self._newest.get(speaker, 0) else None

    def went_down(self, now: int, cause: str) -> None:
        """Note that the socket does not work any more."""
        if self._down is None:
            self._down = now, cause

    def came_up(self, now: int) -> None:
        """Note that it works again."""
        if self._down is not None:
            since, cause = self._down
            if self._was_down is not None:  # two outages without a packet between them are one
                since = min(since, self._was_down[0])
            self._down, self._was_down = None, (since, now, cause)
            self._is_settling, self._horizon = True, dict(self._newest)
            self.is_well = False

    def ended(self, now: int) -> Gap | None:
        """Note the end of the stream; return a gap that nothing has ended."""
        if self._down is not None:
            self.came_up(now)
        return None if self._was_down is None else self._end_of_gap(None)

    def _end_of_gap(self, timestamp: int | None) -> Gap | None:
        """Decide what is missing, now that ``timestamp`` came, or nothing will come any more."""
        assert self._was_down is not None
        (since, until, cause), self._was_down = self._was_down, None
        start, end = since + int(self._ahead), until + int(self._ahead)
        tolerance = max(_FRAMES * self.frame_ms, 1)
        if self.media_type not in TEXTUAL:
            if self._last_before is not None and start - self._last_before <= tolerance:
                start = self._last_before
            if timestamp is not None:
                # Replayed from where it broke off, or later than the socket came up.
                end = timestamp
        if end - start <= tolerance:
            return None
        gap = Gap(self.media_type, start, end, cause)
        self._gaps.append(gap)
        return gap

    @property
    def _last_before(self) -> int | None:
        """Timestamp of the latest packet from before the outage."""
        return max(self._horizon.values(), default=None)

    def stats(self, delivered: int, dropped: Mapping[str, int]) -> MediaStats:
        """Return the account as it is now, with what the dispatcher knows."""
        return MediaStats(
            self._received,
            self._bytes,
            delivered,
            {**self._dropped, **dropped},
            self._last,
            tuple(self._gaps),
        )

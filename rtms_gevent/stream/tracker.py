"""What came, and what is missing, of one media type. Pure.

Media that Zoom sent while our socket was down is lost, unless Zoom buffered it and replays it. So
after each outage the timeline of timestamps is compared with the time from the last thing that was
heard until the socket was open again; what neither came before nor after is a :class:`Gap`. What is
replayed although it was delivered already is left out (:mod:`.replay`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..enums import MediaDataType
from ..protocol.batches import PacketBatch
from ..protocol.metadata import Metadata
from ..protocol.packets import TEXTUAL, MediaPacket
from .replay import Replay, speaker_of
from .stats import Gap, MediaStats

__all__ = ["MediaTracker", "Reconciled"]

#: A gap is worth reporting if it is longer than so many frames.
_FRAMES = 3
#: Gaps that are kept, the newest.
_KEPT = 100
#: Packets of text that are compared with what comes after an outage, and for how many ms then.
_RECENT, _COMPARED = 64, 5000
#: Speakers whose timelines are kept. A meeting has fewer; a hostile server must not fill memory.
_SPEAKERS = 10_000
#: A timestamp that has gone on so many times as far as time itself, and so many ms more, shows that
#: the server's clock was set.
_TIMES_TOO_FAR, _TOO_FAR = 10, 120_000
#: ms more than time itself that timestamps may go on during an outage without any doubt.
_DOUBTFUL = 5000
#: ms for which Zoom holds a stream whose media sockets are gone (``Reconnect.media_window``): a
#: stream that can be taken over had a worker until then.
_WINDOW = 65_000
#: ms that the last packets of two media types are apart at most, if both flowed until the same end.
_TOGETHER = 1000


class Reconciled(NamedTuple):
    """What is to become of packets that came."""

    wanted: list[MediaPacket]  #: to be delivered
    size: int  #: bytes of their payloads
    gaps: Sequence[Gap] = ()  #: that they end
    remark: str = ""  #: what was found out about the server, for the log

    @classmethod
    def of(
        cls, wanted: list[MediaPacket], gaps: Sequence[Gap] = (), remark: str = ""
    ) -> Reconciled:
        """Count the bytes."""
        return cls(wanted, sum(len(packet.data) for packet in wanted), gaps, remark)


class _Outage(NamedTuple):
    """Why media may be missing, and from when on, on our clock."""

    heard: float  #: when anything came last
    since: float  #: from when on it may be missing
    cause: str


class MediaTracker:
    """Follows the timestamps of one media type.

    Times are ms: timestamps on the media's clock, all others on ours, which must not be set
    (monotonic).
    """

    __slots__ = (
        "_ahead",
        "_before",
        "_bytes",
        "_compared_until",
        "_down",
        "_dropped",
        "_earlier",
        "_gaps",
        "_latest",
        "_newest",
        "_open_since",
        "_received",
        "_recent",
        "_replay",
        "_speaking",
        "_was_down",
        "frame_ms",
        "is_steady",
        "media_type",
    )

    def __init__(self, media_type: MediaDataType, ahead: float = 0.0) -> None:
        """Know of no packet yet.

        Args:
            media_type: What it counts.
            ahead: How many ms the media's clock is ahead of ours, until a packet tells.
        """
        self.media_type = media_type
        self.frame_ms = 0.0  #: the time from one packet to the next, where it is known
        self._received = self._bytes = 0
        self._dropped: dict[str, int] = {}
        self._latest: MediaPacket | None = None
        self._speaking: Metadata | None = None  # what the latest packet of all had
        self._newest: dict[object, int] = {}  # timestamp of the latest packet, by speaker
        self._recent: deque[tuple[object, int, bytes]] = deque(maxlen=_RECENT)
        self._ahead = ahead
        self._down: _Outage | None = None  # the socket does not work
        self._was_down: tuple[_Outage, float] | None = None  # until when; no packet has come since
        self._before: int | None = None  # timestamp of the latest packet before the outage
        self._earlier: int | None = None  # the same of another worker, that had the stream before
        self._replay: Replay | None = None  # while packets of the past may come
        self._compared_until: float | None = None  # the same for text
        #: Whether packets need only be counted.
        self.is_steady = media_type not in TEXTUAL
        self._open_since = float("-inf")  # when its socket was opened last
        self._gaps: deque[Gap] = deque(maxlen=_KEPT)

    def count(self, packets: PacketBatch, now: float) -> int:
        """Note packets that came together while all is well; unless mixed, of one speaker.

        Returns:
            Bytes of their payloads.
        """
        size = 0
        for packet in packets:
            size += len(packet[1])
        # Of one speaker, the last packet says it all: 5 % of what a message costs in a flood.
        if packets.is_mixed:
            for _, _, timestamp, metadata in packets:
                self._newest[metadata.channelId or metadata.userId] = timestamp
        _, _, timestamp, metadata = self._latest = packet
        self._newest[metadata.channelId or metadata.userId] = timestamp
        if metadata is not self._speaking:
            self._speaking = metadata
            self._forget_speakers()
        self._received += len(packets)
        self._bytes += size
        self._ahead = timestamp - now
        return size

    def reconcile(self, packets: list[MediaPacket], now: float) -> Reconciled:
        """Note packets where something may be missing, or may have been delivered before."""
        wanted: list[MediaPacket] = []
        gaps: list[Gap] = []
        for packet in packets:
            self._received += 1
            self._bytes += len(packet.data)
            self._sort(packet, now, wanted, gaps)
        return Reconciled.of(wanted, gaps, self._end_of_replay(gaps))

    def _sort(
        self, packet: MediaPacket, now: float, wanted: list[MediaPacket], gaps: list[Gap]
    ) -> None:
        """Append what is wanted now that ``packet`` came, and the gap that this ends."""
        if self.media_type in TEXTUAL:
            new = [] if self._is_repetition(packet, now) else [packet]
        else:
            new = [packet] if self._replay is None else self._replay.arrived(packet, now)
        wanted += new
        for each in new:
            self._note(each, now, gaps)

    def _note(self, packet: MediaPacket, now: float, gaps: list[Gap]) -> None:
        """Note a packet that is wanted."""
        if self._was_down is not None:
            gap = self._end_of_gap(packet.timestamp, now)
            if gap is not None:
                gaps.append(gap)
        self._ahead = packet.timestamp - now
        self._latest = packet
        self._newest[speaker_of(packet)] = packet.timestamp
        self._forget_speakers()

    def _forget_speakers(self) -> None:
        """Keep to the limit: those who spoke first go first."""
        while len(self._newest) > _SPEAKERS:
            del self._newest[next(iter(self._newest))]

    def _is_repetition(self, packet: MediaPacket, now: float) -> bool:
        """Whether a piece of text was delivered before the outage that has just ended."""
        key = speaker_of(packet), packet.timestamp, packet.data
        if self._was_down is not None and self._compared_until is None:
            self._compared_until = now + _COMPARED
        if self._compared_until is not None:
            if now > self._compared_until:
                self._compared_until = None
            elif key in self._recent:
                self._drop("duplicate", 1)
                return True
        self._recent.append(key)
        return False

    def _drop(self, reason: str, count: int) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + count

    def _end_of_replay(self, gaps: list[Gap]) -> str:
        """Look whether all that comes from now on is new; say what was found out until then."""
        replay = self._replay
        if replay is None:
            return ""
        for reason, count in replay.dropped.items():
            self._drop(reason, count)
        remark, dropped = "", sum(replay.dropped.values())
        if dropped:
            remark = f"{dropped} packets came again, or too late, after the outage: left out"
            replay.dropped = {}
        doubtful, replay.doubtful = replay.doubtful, None
        if doubtful is not None and doubtful[1] - doubtful[0] > self._tolerance:
            cause = "packets were taken for a repetition, since they came at once"
            gap = Gap(self.media_type, *doubtful, cause, is_certain=False)
            self._gaps.append(gap)
            gaps.append(gap)
        if replay.is_over:
            self._replay, self.is_steady = None, self._was_down is None
            if replay.is_clock_behind:
                remark = "timestamps have stepped back: the server's clock is another one"
                latest, self._earlier = self._latest, None
                self._newest = {} if latest is None else {speaker_of(latest): latest.timestamp}
        return remark

    @property
    def due(self) -> float | None:
        """When :meth:`release` is to be called, if no packet comes before; None: not at all."""
        return None if self._replay is None else self._replay.due

    def release(self, now: float) -> Reconciled:
        """Return what waited for packets after it, which have not come in time."""
        if self._replay is None or self._replay.due is None or now < self._replay.due:
            return Reconciled([], 0)
        return self._released(self._replay.release(now), now)

    def _released(self, packets: list[MediaPacket], now: float) -> Reconciled:
        gaps: list[Gap] = []
        for packet in packets:
            self._note(packet, now, gaps)
        return Reconciled.of(packets, gaps, self._end_of_replay(gaps))

    def taken_over(self, delivered: int | None, alive: int | None, now: float) -> None:
        """Note that another worker had the stream until now: an outage, as it looks from here.

        To be called before anything else.

        Args:
            delivered: Timestamp of the latest packet that it has delivered, if any.
            alive: The same of all media types: then it lived, if our clock is right.
            now: The time.
        """
        heard = now - _WINDOW
        if alive is not None:
            if delivered is not None and alive - delivered <= _TOGETHER:
                alive = delivered  # it flowed to the end
            heard = min(now, max(heard, alive - self._ahead))
        self._earlier = delivered
        # What it had read and not delivered is missing, too, however long nothing was delivered.
        since = None if delivered is None else delivered - self._ahead
        self.went_down(heard, "another worker had the stream before", since)

    def went_down(self, heard: float, cause: str, since: float | None = None) -> None:
        """Note that the socket does not work any more; of several causes the first counts.

        Args:
            heard: When anything came last.
            cause: Why it does not, in words.
            since: From when on media may be missing, where that is earlier: a keep-alive that came
                shows that all before it came, unless the server says that media was interrupted.
        """
        if self._down is None:
            since = heard if since is None else min(since, heard)
            self._down = _Outage(heard, min(heard, max(since, self._open_since)), cause)

    def came_up(self, now: float) -> Reconciled:
        """Note that it works again; return what waited meanwhile."""
        self._open_since = now
        if self._down is None:
            if self._was_down is not None:  # opened again, before anything could come
                self._was_down = self._was_down[0], now
            return Reconciled([], 0)
        held = Reconciled([], 0)
        if self._replay is not None:
            held = self._released(self._replay.end(), now)
        outage, self._down = self._down, None
        if self._was_down is None:
            self._before = self._earlier if self._latest is None else self._latest.timestamp
        else:  # two outages without a packet between them are one
            first, _ = self._was_down
            outage = _Outage(first.heard, min(first.since, outage.since), outage.cause)
        self._was_down = outage, now
        if self.media_type not in TEXTUAL:
            self._replay = Replay(dict(self._newest), self._latest, self._earlier)
            self.is_steady = False
        return held

    def ended(self, now: float, *, is_handover: bool = False) -> Reconciled:
        """Note the end of the stream; return what waited, and a gap that nothing has ended.

        Where it is a hand-over the next worker tells that gap.
        """
        reconciled = Reconciled([], 0) if self._down is None else self.came_up(now)
        if self._replay is not None:
            last = self._released(self._replay.end(), now)
            reconciled = Reconciled.of(
                reconciled.wanted + last.wanted,
                [*reconciled.gaps, *last.gaps],
                reconciled.remark or last.remark,
            )
        if is_handover or self._was_down is None:
            return reconciled
        gap = self._end_of_gap(None, now)
        return reconciled if gap is None else reconciled._replace(gaps=[*reconciled.gaps, gap])

    def _end_of_gap(self, timestamp: int | None, now: float) -> Gap | None:
        """Decide what is missing, now that ``timestamp`` came, or nothing will come any more."""
        assert self._was_down is not None
        (outage, until), self._was_down = self._was_down, None
        start, end = int(outage.since + self._ahead), int(until + self._ahead)
        tolerance, flowed = self._tolerance, False
        before, elapsed = self._before, now - outage.heard
        if before is not None:
            start = max(start, before)  # all that was sent before the last packet has come
        if self.media_type not in TEXTUAL:
            if before is not None and outage.heard + self._ahead - before <= tolerance:
                start, flowed = before, True
            if timestamp is not None and self._may_follow(timestamp, start, elapsed):
                # Replayed from where it broke off, or later than the socket came up.
                end = timestamp
                flowed = flowed and end - start <= elapsed + _DOUBTFUL
        if end - start <= tolerance:
            return None
        gap = Gap(self.media_type, start, end, outage.cause, flowed)
        self._gaps.append(gap)
        return gap

    @property
    def _tolerance(self) -> float:
        """How many ms between two packets are no gap."""
        return max(_FRAMES * self.frame_ms, 1)

    def _may_follow(self, timestamp: int, start: int, elapsed: float) -> bool:
        """Whether the clock that made both timestamps was not set between them."""
        return 0 < timestamp - start <= _TIMES_TOO_FAR * elapsed + _TOO_FAR

    def stats(
        self,
        delivered: int,
        dropped: Mapping[str, int],
        failed: int = 0,
        delivered_timestamp: int | None = None,
    ) -> MediaStats:
        """Return the numbers as they are now, with those that the dispatcher knows."""
        return MediaStats(
            self._received,
            self._bytes,
            delivered,
            failed,
            {**self._dropped, **dropped},
            None if self._latest is None else self._latest.timestamp,
            tuple(self._gaps),
            self._earlier if delivered_timestamp is None else delivered_timestamp,
        )

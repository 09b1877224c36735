"""After an outage: which packets were delivered before, and which only bear old timestamps. Pure.

A server may send again what it kept while our socket was down, and begin before the place where it
broke off. Then the same packets come twice. It may also be another server, whose clock is behind:
then good packets have timestamps of the past. A timestamp alone does not tell the one from the
other, so packets with old timestamps are held back until it is clear what they are:

- The last packet that was delivered comes again, and all of them come fast: this is a replay, and
  what was held came twice.
- They come much faster than they were recorded, and then reach what is new: a replay, too.
- They keep the pace of a live stream, or stop coming: good packets, which are delivered.

So where it is not certain, a packet is delivered. Nothing that is new waits behind what is held.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..protocol.packets import MediaPacket

__all__ = ["Replay", "speaker_of"]

#: A server that replays begins with it: what comes so many ms after the first packet is live.
_WATCHED = 5000
#: ms after which it is looked at how fast the packets come that are held.
_HELD = 500
#: A replay comes so many times as fast as it was recorded, and some ms of it come at once.
_FASTER, _AT_ONCE = 3, 100
#: Packets, bytes and ms to hold at most: a minute of audio, as much as Zoom keeps, and what it
#: takes to come.
_MOST_HELD, _MOST_BYTES, _LONGEST = 50_000, 16 * 1024 * 1024, 20_000
#: ms for which a replay may pause.
_PAUSE = 3000
#: A timestamp may step back by so many ms and be no sign of a replay.
_JITTER = 200


def speaker_of(packet: MediaPacket) -> object:
    """Return whose packet it is: each speaker has a timeline."""
    return packet.metadata.channelId or packet.metadata.userId


class Replay:
    """Sorts the packets of one media type that come after an outage.

    Times are ms: ``now`` on our clock, timestamps on that of the media.
    """

    def __init__(
        self,
        newest: Mapping[object, int],
        last: MediaPacket | None,
        earlier: int | None = None,
    ) -> None:
        """Begin when the socket is open again.

        Args:
            newest: Timestamp of the latest packet that was delivered, by speaker.
            last: The packet that was delivered last.
            earlier: Timestamp of the packet that another worker delivered last, if it had the
                stream before. More is not known of those who have not spoken since.
        """
        #: Packets that were not delivered, by reason: "duplicate", or "late" (of the outage, and
        #: overtaken by what came after it).
        self.dropped: dict[str, int] = {}
        #: When :meth:`release` is to be called, if nothing more comes; None where nothing is held.
        self.due: float | None = None
        self.is_over = False  #: whether all that comes from now on is new
        self.is_clock_behind = False  #: whether the server's clock has stepped back
        #: First and last timestamp of packets that were dropped as duplicates for their pace only.
        self.doubtful: tuple[int, int] | None = None
        self._before = newest
        self._earlier = earlier
        self._after: dict[object, int] = {}  # timestamp of the latest packet since, by speaker
        self._last = last
        self._held: list[MediaPacket] = []
        self._held_bytes = 0
        self._held_since = self._came = 0.0
        self._ends: float | None = None
        self._is_proven = False  # that the server replays

    def arrived(self, packet: MediaPacket, now: float) -> list[MediaPacket]:
        """Return what is to be delivered now that ``packet`` came: others perhaps, before it."""
        if self._ends is None:
            self._ends = now + _WATCHED
        if not self._held and now > self._ends:
            self.is_over = True
            return [packet]
        if not self._looks_old(packet):
            wanted = self._reached_new(packet.timestamp, now)
            speaker = speaker_of(packet)
            self._after[speaker] = max(packet.timestamp, self._after.get(speaker, 0))
            return [*wanted, packet]
        if not self._held:
            self._held_since, self.due = now, now + _HELD
        self._came = now
        self._held.append(packet)
        self._held_bytes += len(packet.data)
        if self._is_last(packet) or (self._is_proven and self._is_from_before(packet)):
            self._drop()
            return []
        assert self.due is not None
        if len(self._held) > _MOST_HELD or self._held_bytes > _MOST_BYTES:
            return self._give_up()
        return self.release(now) if now >= self.due else []

    def release(self, now: float) -> list[MediaPacket]:
        """Return what is to be delivered of what was held, now that it is :attr:`due`."""
        goes_on = now - self._came < _PAUSE and now - self._held_since < _LONGEST
        if goes_on and self._is_fast(self._held[-1].timestamp, now):
            self.due = now + _HELD
            return []
        return self._give_up()

    def end(self) -> list[MediaPacket]:
        """Return what is held: nothing more will come."""
        self.is_over, self.due = True, None
        held, self._held, self._held_bytes = self._held, [], 0
        return held

    def _give_up(self) -> list[MediaPacket]:
        """Take what is held, and all that follows, for new."""
        self.is_clock_behind = True
        return self.end()

    def _looks_old(self, packet: MediaPacket) -> bool:
        speaker, timestamp = speaker_of(packet), packet.timestamp
        return self._is_from_before(packet) or timestamp < self._after.get(speaker, 0) - _JITTER

    def _is_from_before(self, packet: MediaPacket) -> bool:
        before = self._before.get(speaker_of(packet), self._earlier)
        return before is not None and packet.timestamp <= before

    def _is_last(self, packet: MediaPacket) -> bool:
        """Whether it is the one that was delivered last, and came as fast as a replay would."""
        last, now = self._last, self._came
        # Silence looks the same at every time, but keeps the pace of a live stream.
        if now - self._held_since > _AT_ONCE and not self._is_fast(packet.timestamp, now):
            return False
        if last is None:
            return packet.timestamp == self._earlier
        return (
            packet.timestamp == last.timestamp
            and packet.data == last.data
            and speaker_of(packet) == speaker_of(last)
        )

    def _is_fast(self, timestamp: int, now: float) -> bool:
        """Whether what is held came much faster than it was recorded."""
        recorded = timestamp - self._held[0].timestamp
        return recorded > _FASTER * (now - self._held_since) + _AT_ONCE

    def _reached_new(self, timestamp: int, now: float) -> list[MediaPacket]:
        """Decide about what is held, now that something new came; return what is good of it."""
        if not self._held:
            return []
        if not self._is_fast(timestamp, now):
            held, self._held, self._held_bytes, self.due = self._held, [], 0, None
            return held
        old = [packet.timestamp for packet in self._held if self._is_from_before(packet)]
        if old:
            self.doubtful = min(old), max(old)
        self._drop()
        return []

    def _drop(self) -> None:
        """Leave out what is held: it comes from a replay."""
        self._is_proven = True
        for packet in self._held:
            reason = "duplicate" if self._is_from_before(packet) else "late"
            self.dropped[reason] = self.dropped.get(reason, 0) + 1
        self._held, self._held_bytes, self.due = [], 0, None

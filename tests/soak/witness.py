"""Writes down what a client tells, and judges whether every message is accounted for."""

from __future__ import annotations

import array
import dataclasses
import itertools
from collections import defaultdict

from rtms_gevent import MediaDataType

#: Callbacks of media, by the name of the media type.
MEDIA = {
    kind.name.lower(): kind
    for kind in (
        MediaDataType.AUDIO,
        MediaDataType.VIDEO,
        MediaDataType.DESKSHARE,
        MediaDataType.TRANSCRIPT,
        MediaDataType.CHAT,
    )
}
#: ms of media that may be missing without being reported: three frames, of the slowest.
SLACK = 400
#: What breaks all media when it breaks.
EVERYTHING = ("signaling", "media", "unified")


@dataclasses.dataclass
class Outage:
    """Something was down, from one moment of the testimony to another."""

    what: str
    begin: int
    end: int | None = None  #: None: until the end of the stream

    def explains(self, media: str, after: int, before: int) -> bool:
        """Tell whether media may be missing between two deliveries, at these moments."""
        affected = self.what == media or self.what in EVERYTHING
        return affected and self.begin <= before and (self.end is None or self.end >= after)


@dataclasses.dataclass
class Verdict:
    """What became of the messages of one media type."""

    media: str
    sent: int  #: numbered by the simulator
    delivered: int = 0
    missing: int = 0  #: lost while a socket was down, and said to be
    problems: list[str] = dataclasses.field(default_factory=list)


class Witness:
    """Registers callbacks on a client that has not joined yet. Moments are counted, not timed."""

    def __init__(self, client):
        self.client = client
        self.outages = []
        self.ends = []
        self._moment = 0
        self._sequences = {media: array.array("L") for media in MEDIA}
        self._moments = {media: array.array("L") for media in MEDIA}
        self._timestamps = {media: array.array("Q") for media in MEDIA}
        self._gaps = defaultdict(list)
        self._unstamped = 0
        for media in MEDIA:
            getattr(client, f"on_{media}_data")(self._media_callback(media))
        client.on_interrupted(self._interrupted)
        client.on_reconnected(self._reconnected)
        client.on_media_gap(lambda gap: self._gaps[gap.media_type.name.lower()].append(gap))
        client.on_leave(self.ends.append)

    def _next(self):
        self._moment += 1
        return self._moment

    def _media_callback(self, media):
        sequences, moments = self._sequences[media], self._moments[media]
        timestamps = self._timestamps[media]

        def callback(data, size, timestamp, metadata):
            stamp = metadata.extra.get("simulator")
            if stamp is None:
                self._unstamped += 1
                return
            sequences.append(stamp["sequence"])
            moments.append(self._next())
            timestamps.append(timestamp)

        return callback

    def _interrupted(self, what, error):
        self.outages.append(Outage(what, self._next()))

    def _reconnected(self, outage):
        now = self._next()
        for each in self.outages:
            if each.end is None:
                each.end = now

    def judge(self, meeting):
        """Compare with the simulator's books; return a verdict for each media type."""
        verdicts = [self._judge(media, meeting.sent[kind]) for media, kind in MEDIA.items()]
        if len(self.ends) != 1:
            verdicts[0].problems.append(
                f"the end of the stream was reported {len(self.ends)} times"
            )
        if self._unstamped:
            verdicts[0].problems.append(f"{self._unstamped} packets that nobody sent")
        return verdicts

    def _judge(self, media, sent):
        numbers = self._sequences[media]
        verdict = Verdict(media, len(sent.sockets), len(numbers))
        if any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
            verdict.problems.append("delivered twice, or out of order")
            return verdict
        self._judge_gaps(media, sent, verdict)
        self._judge_sockets(media, sent, verdict)
        return verdict

    def _judge_gaps(self, media, sent, verdict):
        """What is missing between two deliveries needs an outage between them."""
        numbers = [0, *self._sequences[media], len(sent.sockets) + 1]
        moments = [0, *self._moments[media], self._moment + 1]
        for place in range(len(numbers) - 1):
            first, last = numbers[place] + 1, numbers[place + 1] - 1
            if first > last:
                continue
            after, before = moments[place], moments[place + 1]
            verdict.missing += last - first + 1
            if not any(outage.explains(media, after, before) for outage in self.outages):
                verdict.problems.append(f"{first} to {last} are missing without an outage")
            if place and not self._is_told(media, place):
                verdict.problems.append(f"{first} to {last} are missing, and no gap says so")

    def _is_told(self, media, place):
        """Tell whether a gap covers what is missing behind the delivery that is the n-th."""
        timestamps = self._timestamps[media]
        before = timestamps[place - 1]
        if place == len(timestamps):  # until the end of the stream
            return any(gap.end > before for gap in self._gaps[media])
        after, slack = timestamps[place], SLACK
        if media in ("transcript", "chat"):  # between two of these mostly nothing was sent
            slack = after - before
        return after - before <= SLACK or any(
            gap.start <= before + slack and gap.end >= after - slack for gap in self._gaps[media]
        )

    def _judge_sockets(self, media, sent, verdict):
        """Of what one socket took, only the end may be missing, since TCP keeps the order."""
        delivered = set(self._sequences[media])
        lost_on = defaultdict(int)
        for number, socket in enumerate(sent.sockets, 1):
            if not socket:
                if number in delivered:
                    verdict.problems.append(f"{number} was delivered, and no socket took it")
            elif number not in delivered:
                lost_on[socket] = number
            elif lost_on[socket]:
                verdict.problems.append(
                    f"{lost_on[socket]} is missing, and {number} came on the same socket"
                )
                lost_on[socket] = 0

"""Many streams against a simulator in which anything goes wrong: is every message accounted for?"""

from __future__ import annotations

import contextlib
import dataclasses
import logging

import gevent

from rtms_gevent import (
    AudioChannel,
    AudioParams,
    AudioSampleRate,
    Client,
    Codec,
    Reconnect,
    Timeouts,
)
from rtms_gevent.config import WebhookSettings
from rtms_gevent.simulator import Simulator, make_chaos
from rtms_gevent.webhook import WebhookServer

from .witness import Verdict, Witness

SECRET = "soak"

#: Real seconds, after all meetings are over, in which clients must notice it.
END_WITHIN = 30.0


@dataclasses.dataclass(frozen=True)
class Pace:
    """How fast all goes, and how patient both sides are, in real seconds."""

    speed: float
    keep_alive: float
    timeouts: Timeouts
    reconnect: Reconnect
    send_rate: int  #: ms of audio in a packet


#: As in production.
REAL = Pace(1.0, 10.0, Timeouts(), Reconnect(), 100)
#: For a run of a few seconds: silence and refusals are noticed before it is over.
QUICK = Pace(
    2.0,
    0.2,
    Timeouts(connect=0.5, handshake=0.5, close=0.5, signaling_silence=1.0, media_silence=1.0),
    Reconnect(base_delay=0.05, max_delay=0.3),
    20,
)


@dataclasses.dataclass
class Stream:
    """One client and what is known of it."""

    client: Client
    witness: Witness
    end: object = None
    verdicts: list[Verdict] = dataclasses.field(default_factory=list)

    @property
    def problems(self):
        found = [f"{one.media}: {text}" for one in self.verdicts for text in one.problems]
        stats = self.client.stats()
        found += [
            f"{media}: {count} dropped: {reason}"
            for media, account in stats.media.items()
            for reason, count in account.dropped.items()
        ]
        if self.end is None:
            found.append("the stream never ended")
        return found


class Run:
    """One run: a simulator, a webhook server, and a client for each stream, on one hub."""

    def __init__(self, *, seed, streams, duration, pace=QUICK):
        self.seed, self.pace = seed, pace
        self.streams: dict[str, Stream] = {}
        self._count = streams
        self._duration = duration
        self._simulator = None

    def play(self):
        """Play until all meetings are over, and judge."""
        server = WebhookServer(0, settings=WebhookSettings(secret=SECRET), host="127.0.0.1")
        with contextlib.ExitStack() as stack:
            server.start(self._on_webhook)
            stack.callback(server.stop)
            simulator = self._simulator = stack.enter_context(
                Simulator(
                    self._scenario(0),
                    webhook_url=server.url,
                    webhook_secret=SECRET,
                    speed=self.pace.speed,
                    keep_alive=self.pace.keep_alive,
                    stamp=True,
                )
            )
            stack.callback(self._leave)
            others = range(1, self._count)
            meetings = [
                simulator.meeting,
                *(simulator.add_meeting(self._scenario(number)) for number in others),
            ]
            gevent.joinall([gevent.spawn(meeting.start) for meeting in meetings])
            with gevent.Timeout(self._duration / self.pace.speed + 2 * END_WITHIN):
                for meeting in meetings:
                    meeting.finished.wait()
                for stream in self.streams.values():
                    stream.end = stream.client.wait(END_WITHIN)
            for meeting in meetings:
                stream = self.streams[meeting.stream_id]
                stream.verdicts = stream.witness.judge(meeting)

    def _scenario(self, number):
        return make_chaos(f"{self.seed}/{number}", self._duration)

    def _on_webhook(self, payload):
        stream_id = payload["payload"]["rtms_stream_id"]
        stream = self.streams.get(stream_id)
        if stream is not None:
            stream.client.notify(payload)
        elif payload["event"] == "meeting.rtms_started":
            self._join(stream_id, payload)

    def _join(self, stream_id, payload):
        client = Client(timeouts=self.pace.timeouts, reconnect=self.pace.reconnect)
        client.set_audio_params(
            AudioParams(
                codec=Codec.L16,
                sample_rate=AudioSampleRate.SR_16K,
                channel=AudioChannel.MONO,
                duration=self.pace.send_rate,
            )
        )
        self.streams[stream_id] = Stream(client, Witness(client))
        client.join(
            payload,
            client=self._simulator.client_id,
            secret=self._simulator.client_secret,
            allowed_hosts="127.0.0.1",
            unified=len(self.streams) % 3 == 0,
        )

    def _leave(self):
        for stream in self.streams.values():
            stream.client.leave()

    @property
    def problems(self):
        """What is not accounted for, with the seed that shows it."""
        if len(self.streams) != self._count:
            return [f"seed {self.seed}: {len(self.streams)} of {self._count} streams came"]
        return [
            f"seed {self.seed}, stream {number} ({stream.end}): {text}"
            for number, stream in enumerate(self.streams.values())
            for text in stream.problems
        ]

    @property
    def summary(self):
        """One line with what happened."""
        verdicts = [one for stream in self.streams.values() for one in stream.verdicts]
        outages = sum(len(stream.witness.outages) for stream in self.streams.values())
        return (
            f"seed {self.seed}: {sum(one.sent for one in verdicts)} messages due, "
            f"{sum(one.delivered for one in verdicts)} delivered, "
            f"{sum(one.missing for one in verdicts)} missing in {outages} outages, "
            f"{len(self.problems)} problems"
        )


@contextlib.contextmanager
def quiet_logs():
    """Leave out what the SDK and the simulator say about every misfortune."""
    logger = logging.getLogger("rtms_gevent")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)

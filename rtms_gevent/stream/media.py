"""The way of a stream's packets: counted, put in order after an outage, and delivered."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from ..delivery.dispatcher import Dispatcher
from ..delivery.media_inbox import MediaInbox
from ..enums import MediaDataType
from ..protocol.batches import PacketBatch
from ..protocol.events import ClientEvent, EventTranslator
from ..protocol.fields import integer
from ..protocol.packets import MediaPacket
from ..protocol.pieces import Pieces
from ..runtime.clock import Clock
from ..runtime.greenlets import GreenletGroup
from .join_request import EarlierWorker
from .tracker import MediaTracker, Reconciled

__all__ = ["MediaReceiver"]

logger = logging.getLogger(__name__)


class MediaReceiver:
    """Takes the packets of one stream, and reports what of it is missing.

    :meth:`receive` is called by the hub; the rest by the hub and its greenlets. Nothing here waits.
    """

    __slots__ = (
        "_clock",
        "_dispatcher",
        "_greenlets",
        "_monotonic",
        "_pieces",
        "_pipelines",
        "_releasing",
        "_stream",
        "_translator",
        "trackers",
    )

    def __init__(
        self,
        stream: str,
        dispatcher: Dispatcher,
        translator: EventTranslator,
        greenlets: GreenletGroup,
        clock: Clock,
    ) -> None:
        """Expect the first packet.

        Args:
            stream: The stream, as logs have it.
            dispatcher: Delivers packets and gaps.
            translator: Knows who speaks, where packets do not say it.
            greenlets: Owns the greenlets that release held packets.
            clock: Tells the time.
        """
        self.trackers = _Trackers(clock)
        self._stream = stream
        self._dispatcher = dispatcher
        self._translator = translator
        self._greenlets = greenlets
        self._clock = clock
        self._monotonic = clock.monotonic
        self._pieces = Pieces()
        #: Where packets go, by media type: made with the first of them.
        self._pipelines: dict[MediaDataType, tuple[MediaTracker, MediaInbox]] = {}
        self._releasing: set[MediaDataType] = set()  # whose trackers hold packets back

    def take_over(self, earlier: EarlierWorker, kinds: Iterable[MediaDataType]) -> None:
        """Note that another worker had the stream before: what it has not delivered is missing.

        Args:
            earlier: How far it got.
            kinds: The media types that are wanted.
        """
        for kind in kinds:
            delivered = earlier.delivered.get(kind.name.lower())
            self.trackers[kind].taken_over(delivered, earlier.alive, self._now_ms())

    def receive(self, batch: PacketBatch) -> None:
        """Take a batch of packets; see :class:`.PacketReceiver`."""
        kind, _, _, metadata = batch[0]
        pipeline = self._pipelines.get(kind)
        if pipeline is None:
            pipeline = self._pipelines[kind] = self.trackers[kind], self._dispatcher.inbox(kind)
        tracker, inbox = pipeline
        now = self._monotonic() * 1000
        packets: list[MediaPacket]
        if tracker.is_steady:
            packets, size, is_mixed = batch, tracker.count(batch, now), batch.is_mixed
        else:
            reconciled = tracker.reconcile(batch, now)
            self._report(kind, reconciled)
            if tracker.due is not None and kind not in self._releasing:
                self._releasing.add(kind)
                self._greenlets.spawn("release", self._release, kind)
            packets, size, is_mixed = reconciled.wanted, reconciled.size, True
            if not packets:
                return
        if is_mixed or metadata.channelId or not metadata.userName:
            packets = [self._translator.with_speaker(packet) for packet in packets]
        if kind is MediaDataType.TRANSCRIPT:
            packets = [self._pieces.with_id(packet) for packet in packets]
        if batch.is_last:
            inbox.put_and_switch(packets, size)
        else:
            inbox.put(packets, size)

    def _release(self, kind: MediaDataType) -> None:
        """Hand on what a tracker holds, when it is due."""
        tracker = self.trackers[kind]
        try:
            while tracker.due is not None:
                self._clock.sleep((tracker.due - self._now_ms()) / 1000)
                self._deliver(kind, tracker.release(self._now_ms()))
        finally:
            self._releasing.discard(kind)

    # -- outages -----------------------------------------------------------------------------------

    def went_down(
        self, kind: MediaDataType, heard_at: float, cause: str, window: float = 0.0
    ) -> None:
        """Note that nothing of a media type can come any more.

        Args:
            kind: The media type.
            heard_at: When anything came on its connection last, in monotonic seconds.
            cause: What broke, in words; of several the first counts.
            window: Seconds before that of which media may be missing as well.
        """
        since = (heard_at - window) * 1000
        self.trackers[kind].went_down(heard_at * 1000, cause, since)

    def came_up(self, kind: MediaDataType, params: object) -> None:
        """Note that a media type's connection is open, and nothing has come on it yet.

        Args:
            kind: The media type.
            params: Its negotiated parameters, as the server sent them.
        """
        if self._dispatcher.is_closed:  # we have left
            return
        tracker = self.trackers[kind]
        if isinstance(params, Mapping):
            tracker.frame_ms = _frame_ms(params)
        self._deliver(kind, tracker.came_up(self._now_ms()))

    def end(self, *, is_handover: bool = False) -> None:
        """Note that nothing more comes: deliver what is held, and report the last gaps.

        May be called again, and does nothing then.

        Args:
            is_handover: Whether another worker goes on, and reports these gaps.
        """
        for kind, tracker in self.trackers.items():
            self._deliver(kind, tracker.ended(self._now_ms(), is_handover=is_handover))

    def _deliver(self, kind: MediaDataType, reconciled: Reconciled) -> None:
        """Report what a tracker has found out, and deliver what it wants to be delivered."""
        self._report(kind, reconciled)
        if reconciled.wanted:
            packets = [self._translator.with_speaker(packet) for packet in reconciled.wanted]
            self._dispatcher.inbox(kind).put(packets, reconciled.size)

    def _report(self, kind: MediaDataType, reconciled: Reconciled) -> None:
        if reconciled.remark:
            logger.warning("stream %s, %s: %s", self._stream, kind.name.lower(), reconciled.remark)
        for gap in reconciled.gaps:
            logger.warning("stream %s: %s", self._stream, gap)
            event = ClientEvent("media_gap", (gap,))
            if self._dispatcher.is_closed:  # we left: only signals are sent
                self._dispatcher.send_signal(event)
            else:
                self._dispatcher.put(event)

    def _now_ms(self) -> float:
        return self._monotonic() * 1000


class _Trackers(dict[MediaDataType, MediaTracker]):
    """Makes a tracker when it is asked for first: most streams have one media type of five."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def __missing__(self, kind: MediaDataType) -> MediaTracker:
        # Zoom's clock is that of the world, until a packet tells how far it is from that.
        ahead = (self._clock.time() - self._clock.monotonic()) * 1000
        tracker = self[kind] = MediaTracker(kind, ahead)
        return tracker


def _frame_ms(params: Mapping[str, Any]) -> float:
    """Return the time from one packet to the next that negotiated parameters mean, if any."""
    send_rate, fps = integer(params, "send_rate") or 0, integer(params, "fps") or 0
    # Zoom sends no less than one packet a second. A longer frame would hide each gap.
    if 0 < send_rate <= 1000:
        return float(send_rate)
    return 1000 / fps if fps > 0 else 0.0

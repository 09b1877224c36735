"""The queue of one media type, and the greenlet that delivers it to the user's function."""

from __future__ import annotations

import inspect
import time

from blinker import NamedSignal

from .. import signals
from .._interrupts import is_ctrl_c
from ..config import InboxLimits
from ..enums import MediaDataType
from ..errors import UsageError
from ..protocol import h264
from ..protocol.packets import MediaPacket
from ..runtime.greenlets import GreenletGroup
from .bounded_queue import DropPolicy
from .callback_batch import ASYNC_OUTSIDE, BatchResult
from .callbacks import MEDIA_NAMES
from .inbox import TURN, Inbox
from .invoker import CallbackInvoker
from .overflow import OverflowHandler

__all__ = ["MediaInbox"]


def _size(packet: MediaPacket) -> int:
    return len(packet.data)


_PACKETS = DropPolicy(size=_size)
_PICTURES = DropPolicy(
    size=_size,
    is_keyframe=lambda packet: h264.can_begin_with(packet.data),
    source=lambda packet: packet.metadata.userId,
)
_POLICIES = {MediaDataType.VIDEO: _PICTURES, MediaDataType.DESKSHARE: _PICTURES}


class MediaInbox(Inbox[MediaPacket]):
    """Delivers packets of one media type to its callback and its signal.

    Each packet is counted when its function has returned or raised: what was taken out and is not
    counted yet is being delivered now.
    """

    __slots__ = (
        "_invoker",
        "_signal",
        "delivered",
        "delivered_timestamp",
        "failed",
        "undelivered",
    )

    def __init__(
        self,
        greenlets: GreenletGroup,
        kind: MediaDataType,
        limits: InboxLimits,
        overflow: OverflowHandler,
        invoker: CallbackInvoker,
    ) -> None:
        """Begin empty; see :class:`Inbox`."""
        name = MEDIA_NAMES[kind]
        super().__init__(greenlets, name, limits, _POLICIES.get(kind, _PACKETS), overflow)
        self.delivered = 0  #: packets whose function has returned, or for which there was none
        self.failed = 0  #: packets whose function has raised
        self.undelivered = 0  #: packets that were taken out, and whose function was not called
        #: Timestamp of the latest packet that was delivered, or has failed.
        self.delivered_timestamp: int | None = None
        self._invoker = invoker
        self._signal: NamedSignal = getattr(signals, name)

    def deliver(self) -> None:
        """Call the function for the packets that wait, for a turn."""
        if self._invoker.context is None and self._invoker.runners.is_direct():
            self._deliver_directly()
        else:
            self._deliver_in_batches()

    def _deliver_directly(self) -> None:
        """Call the function here and now, for each packet."""
        name, items, invoker, signal = self.name, self.items, self._invoker, self._signal
        functions, until = invoker.callbacks.functions, 0.0
        while True:
            # Nothing between the one callback and the packet: what take() and CallbackBatch would
            # do besides is written out, since that costs 1.5 us a packet, as much as all the rest.
            packet = items.popleft()
            _, data, timestamp, metadata = packet
            size = len(data)
            self.size -= size
            if name in functions:
                try:
                    result = functions[name](data, size, timestamp, metadata)
                    if result is not None and inspect.iscoroutine(result):
                        result.close()
                        raise UsageError(ASYNC_OUTSIDE)
                except BaseException as problem:
                    self.failed += 1
                    if is_ctrl_c(problem):
                        raise
                    invoker.report_failure(name, problem)
                else:
                    self.delivered += 1
            else:
                self.delivered += 1
            self.delivered_timestamp = timestamp
            if signal.receivers:
                self._send_signal(packet)
            if not items:  # also where the inbox was closed meanwhile
                return
            now = time.monotonic()
            until = until or now + TURN
            if now > until:
                return

    def _deliver_in_batches(self) -> None:
        """Let another thread or process call, for as many packets at once as it likes."""
        until = time.monotonic() + TURN
        while self.items and time.monotonic() <= until:
            count = min(self._invoker.runners.batch_size(), len(self.items))
            packets = [self.take() for _ in range(count)]
            result = BatchResult()
            try:
                result = self._invoker.run(self._call, packets)
            finally:  # also where this greenlet is killed while it waits
                failed = min(result.made, len(result.problems))
                self.delivered += result.made - failed
                self.failed += failed
                self.undelivered += count - result.made
                if result.made:
                    self.delivered_timestamp = packets[result.made - 1].timestamp

    def _call(self, packets: list[MediaPacket]) -> BatchResult:
        result = self._invoker.call(
            self.name, [(p.data, len(p.data), p.timestamp, p.metadata) for p in packets]
        )
        if self._signal.receivers:
            for packet in packets:
                self._send_signal(packet)
        return result

    def _send_signal(self, packet: MediaPacket) -> None:
        if not self._invoker.is_closed:
            _, data, timestamp, metadata = packet
            self._invoker.send(
                self._signal, data=data, size=len(data), timestamp=timestamp, metadata=metadata
            )

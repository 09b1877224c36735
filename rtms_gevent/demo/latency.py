"""Measures from the simulator's stamps what was lost on the way, and how long the way took.

Serves the demo. The simulator numbers the packets of each media type of a stream from 1 and says
when it sent them: ``metadata.extra["simulator"] == {"sequence": 1, "sent_ns": ...}``. Sender and
callback must share a clock, that is, a machine.
"""

from __future__ import annotations

import collections
import dataclasses
import time
from typing import Any

from ..enums import MediaDataType
from ..live.streams import MEDIA_NAMES

__all__ = ["Probe"]

#: Streams that are remembered, the newest ones.
MAX_STREAMS = 20
#: Latencies that are remembered per stream, the newest ones.
MAX_SAMPLES = 100_000


@dataclasses.dataclass(slots=True)
class _Delivered:
    """What callbacks got of one media type."""

    messages: int = 0
    bytes: int = 0
    highest: int = 0  #: sequence number

    @property
    def missing(self) -> int:
        """How many packets were jumped over; those after the last one are not known here."""
        return max(0, self.highest - self.messages)


class _Stream:
    def __init__(self) -> None:
        self.media = {name: _Delivered() for name in MEDIA_NAMES.values()}
        self.latencies: collections.deque[float] = collections.deque(maxlen=MAX_SAMPLES)  # ms

    def take(self, media: str, size: int, stamp: Any, now_ns: int) -> None:
        delivered = self.media[media]
        delivered.messages += 1
        delivered.bytes += size
        if isinstance(stamp, dict):
            delivered.highest = max(delivered.highest, stamp["sequence"])
            self.latencies.append((now_ns - stamp["sent_ns"]) / 1e6)


class Probe:
    """Registers media callbacks on clients and measures what they get.

    Greenlet-safety: any greenlet of the streams' hub; reports may be read from other threads.
    """

    def __init__(self) -> None:
        self._streams: collections.OrderedDict[str, _Stream] = collections.OrderedDict()

    def attach(self, client: Any, stream_id: str) -> None:
        """Register all five media callbacks of ``client``, which also asks for these media."""
        stream = self._streams[stream_id] = _Stream()
        while len(self._streams) > MAX_STREAMS:
            self._streams.popitem(last=False)

        def measure(media: str) -> Any:
            def callback(data: bytes, size: int, timestamp: int, metadata: Any) -> None:
                now_ns = time.time_ns()
                stream.take(media, size, metadata.extra.get("simulator"), now_ns)

            return callback

        client.on_audio_data(measure(MEDIA_NAMES[MediaDataType.AUDIO]))
        client.on_video_data(measure(MEDIA_NAMES[MediaDataType.VIDEO]))
        client.on_deskshare_data(measure(MEDIA_NAMES[MediaDataType.DESKSHARE]))
        client.on_transcript_data(measure(MEDIA_NAMES[MediaDataType.TRANSCRIPT]))
        client.on_chat_data(measure(MEDIA_NAMES[MediaDataType.CHAT]))

    def report(self, stream_id: str) -> dict[str, Any]:
        """Return the measurements of one stream as ``/stats`` shows them, empty if not known."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return {}
        latencies = sorted(stream.latencies)
        return {
            "delivered": {
                media: {
                    "messages": delivered.messages,
                    "bytes": delivered.bytes,
                    "missing": delivered.missing,
                }
                for media, delivered in stream.media.items()
            },
            "latency_ms": {
                "samples": len(latencies),
                "p50": _quantile(latencies, 0.50),
                "p99": _quantile(latencies, 0.99),
            },
        }


def _quantile(ordered: list[float], share: float) -> float | None:
    """Return the value below which ``share`` of the values are (nearest rank)."""
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)

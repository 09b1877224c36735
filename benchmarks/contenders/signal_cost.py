"""What it costs not to send a signal of this package that nobody listens to, for each packet."""

from __future__ import annotations

import json
import time

from rtms_gevent import signals
from rtms_gevent.protocol.metadata import Metadata

_TIMES = 1_000_000


def main() -> None:
    """Print the nanoseconds."""
    sender, data, metadata = object(), bytes(160), Metadata()
    best = min(_emit(sender, data, metadata) for _ in range(3))
    print(json.dumps({"signal_ns": best / _TIMES}))


def _emit(sender: object, data: bytes, metadata: Metadata) -> int:
    signal = signals.audio_data
    begin = time.perf_counter_ns()
    for _ in range(_TIMES):
        if signal.receivers:  # as where packets are delivered
            signals.emit(signal, sender, data=data, size=160, timestamp=1, metadata=metadata)
    return time.perf_counter_ns() - begin


main()

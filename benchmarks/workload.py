"""What the load generator and a contender are told to do. Standard library only."""

from __future__ import annotations

import dataclasses
import json

__all__ = ["BEGIN", "END", "MARKS", "STAMP_DIGITS", "STAMP_ZERO", "WARM_UP", "Workload"]

#: A packet's timestamp tells when it was sent: so many microseconds after the machine's boot
#: (CLOCK_MONOTONIC, the same for all processes), plus this, so that it always has 16 digits.
STAMP_ZERO = 10**15
STAMP_DIGITS = 16

#: Timestamps below this are no times: such packets are not counted.
MARKS = STAMP_ZERO + 1000
#: What follows on this socket counts.
BEGIN = STAMP_ZERO + 1
#: What came before on this socket counts, and nothing follows.
END = STAMP_ZERO + 2
#: This packet does not count.
WARM_UP = STAMP_ZERO + 3


@dataclasses.dataclass(frozen=True)
class Workload:
    """StreamManager, and what is sent on them.

    ``kind`` is "flood" (as fast as the contender reads), "paced" (``rate`` messages a second on
    each stream) or "silent" (streams can be joined, and nothing is sent).
    """

    kind: str
    streams: int = 1
    payload: int = 160  #: bytes in a packet, before base64
    media: str = "audio"  #: or "video"
    tls: bool = False
    rate: int = 50  #: messages a second and stream, if paced
    seconds: float = 5.0  #: that count
    warm_up: float = 1.0  #: seconds before them
    times_packets: bool = True  #: whether contenders note each packet's latency, if paced

    def to_json(self) -> str:
        """Return what :meth:`from_json` reads."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Workload:
        """Return the workload that was written by :meth:`to_json`."""
        return cls(**json.loads(text))

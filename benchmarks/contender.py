"""The contenders, and which Python each of them runs in."""

from __future__ import annotations

import dataclasses
import pathlib
import sys

from .environments import python_with

__all__ = [
    "BARE",
    "CONTENDERS",
    "OFFICIAL",
    "OTHERS",
    "OURS",
    "OURS_TUNED",
    "SKELETONS",
    "Contender",
]


@dataclasses.dataclass(frozen=True)
class Contender:
    """One thing to measure."""

    name: str
    script: str  #: module in benchmarks.contenders
    package: str  #: to import
    requirement: str = ""  #: to install; empty where this Python has it
    options: dict[str, float] = dataclasses.field(default_factory=dict, hash=False)

    def python(self) -> pathlib.Path:
        """Return the Python to run it with.

        Raises:
            EnvironmentProblem: it cannot be installed.
        """
        return python_with(self.requirement) if self.requirement else pathlib.Path(sys.executable)


OURS = Contender("ours", "ours", "rtms_gevent")
#: With the garbage collector as processes have it that are ours.
OURS_TUNED = dataclasses.replace(OURS, options={"tuned": 1})
#: The official SDK in its loop, as it is and polling without pause: the better one counts.
OFFICIAL = (
    Contender("official", "official", "rtms", "rtms==1.1.0", {"poll_interval": 0.01}),
    Contender("official, poll 0", "official", "rtms", "rtms==1.1.0", {"poll_interval": 0.0}),
)
OTHERS = (
    Contender("websocket-client", "websocket_client", "websocket", "websocket-client"),
    Contender("websockets", "asyncio_websockets", "websockets", "websockets"),
    Contender("picows", "asyncio_picows", "picows", "picows"),
)
#: Receives and forgets: what the load generator can send.
BARE = Contender("bare loop", "bare", "")

#: This package's reading and decoding alone, and with a greenlet for each stream.
SKELETONS = (
    Contender("skeleton", "skeleton", ""),
    Contender("skeleton, greenlets", "skeleton", "", options={"greenlets": 1}),
)

CONTENDERS = {contender.name: contender for contender in (OURS, *OFFICIAL, *OTHERS, BARE)}

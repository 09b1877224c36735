"""A scenario with random faults at random times, which one seed repeats exactly.

Left out is what would end the stream by right (a wrong status, a wrong certificate), and what no
client can distinguish from media that was meant (``duplicate``, ``swap``): all else may be demanded
of a client, which must lose nothing but what was due while a socket was down.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

from ...enums import EventType, StatusCode, StopReason
from ..wire.negotiation import MEDIA_KEYS

__all__ = ["chaos_data"]

Entry = dict[str, Any]

#: Scenario seconds between two faults, on average.
MEAN_GAP = 3.0
#: Scenario seconds without new faults at the end, in which all comes back.
CALM = 4.0

_MEDIA = tuple(MEDIA_KEYS.values())
_SOCKETS = ("signaling", "media", "all_sockets", *_MEDIA)
_CODES = (1000, 1001, 1011, 1012, 4000)
#: Refusals after which a client may try again.
_PASSING = {
    "signaling": (StatusCode.DUPLICATE_SIGNAL_REQUEST, StatusCode.INTERNAL_EXCEPTION),
    "media": (StatusCode.DUPLICATE_MEDIA_DATA_CONNECTION, StatusCode.INTERNAL_EXCEPTION),
}
_VOICES = tuple(f"standup-{number}" for number in ("1-ada", "2-ben", "3-zoe", "5-ada", "7-ben"))


def chaos_data(seed: int | str, duration: float) -> dict[str, Any]:
    """Return a scenario as data, as a file would have it.

    Args:
        seed: the same seed and duration give the same scenario.
        duration: scenario seconds, of which the last few have no new faults.
    """
    rng = random.Random(str(seed))  # noqa: S311 - to be the same again, and no secret
    return {
        "description": f"Anything goes wrong at any time; seed {seed}.",
        "duration": duration,
        "buffer_audio": rng.choice((0, 60)),
        "participants": {
            "ada": {"name": "Ada Moreau"},
            "ben": {"name": "Ben O'Neill"},
            "zoe": {"name": "Zoë Akintola"},
        },
        "timeline": [*_meeting(duration), *_faults(rng, duration)],
    }


def _meeting(duration: float) -> Iterator[Entry]:
    """Three people who never stop."""
    yield {"at": 0, "do": "join", "who": ["ada", "ben", "zoe"]}
    yield {"at": 0, "do": "camera_on", "who": "ada", "video": "standup-ada"}
    yield {"at": 0, "do": "camera_on", "who": "ben", "video": "standup-ben"}
    yield {"at": 0, "do": "share", "who": "zoe", "image": "standup-slide-1"}
    for number in range(int(duration * 2)):
        at, voice = number / 2, _VOICES[number // 8 % len(_VOICES)]
        who = voice[-3:]
        if number % 8 == 0:
            yield {"at": at, "do": "speak", "who": who, "audio": voice}
        yield {"at": at, "do": "transcript", "who": who, "text": f"sentence {number}"}
        if number % 3 == 0:
            yield {"at": at, "do": "chat", "who": "ben", "text": f"line {number}"}


def _faults(rng: random.Random, duration: float) -> Iterator[Entry]:
    at = 0.5
    while (at := at + rng.expovariate(1 / MEAN_GAP)) < duration - CALM:
        for entry in rng.choice(_KINDS)(rng):
            later = entry.pop("later", 0.0)
            yield {"at": round(min(at + later, duration - CALM), 3), **entry}


# -- kinds of fault: each returns entries, perhaps some seconds ``later`` --------------------------


def _loss(rng: random.Random) -> list[Entry]:
    """A socket goes, and sometimes it is not easy to get another one."""
    sockets = rng.choice(_SOCKETS)
    entries = []
    if rng.random() < 0.5:
        entries.append(_rejection(rng, sockets))
    how = rng.choice(("close", "reset", "half_close"))
    code = {"code": rng.choice(_CODES)} if how == "close" else {}
    return [*entries, {"do": how, "sockets": sockets, **code}]


def _rejection(rng: random.Random, sockets: str) -> Entry:
    if sockets == "all_sockets":
        sockets = "signaling"  # which is opened first
    how = rng.choice(("refuse", "no_answer", "unavailable"))
    entry = {"do": how, "sockets": sockets, "times": rng.randint(1, 2)}
    if how == "refuse":
        kind = "signaling" if sockets == "signaling" else "media"
        entry["status"] = int(rng.choice(_PASSING[kind]))
    elif how == "no_answer":
        entry["to"] = rng.choice(("handshake", "upgrade"))
    return entry


def _stall(rng: random.Random) -> list[Entry]:
    sockets, seconds = rng.choice(_SOCKETS), round(rng.uniform(0.1, 3.0), 3)
    if rng.random() < 0.3:
        return [{"do": "no_keep_alives", "sockets": sockets, "seconds": seconds}]
    reading, sending = rng.choice(((True, True), (True, False), (False, True)))
    return [
        {
            "do": "stall",
            "sockets": sockets,
            "seconds": seconds,
            "reading": reading,
            "sending": sending,
        }
    ]


def _bad_network(rng: random.Random) -> list[Entry]:
    """The network is odd for a while."""
    sockets = rng.choice(_SOCKETS)
    how = rng.choice(("split", "merge", "delay"))
    odd: Entry
    normal: Entry
    if how == "split":
        odd = {"frame": rng.choice((None, 7, 100)), "write": rng.choice((None, 50, 1000))}
        normal = {}
    else:
        odd, normal = {"seconds": round(rng.uniform(0.02, 0.5), 3)}, {"seconds": 0}
    entry = {"do": how, "sockets": sockets}
    return [{**entry, **odd}, {**entry, **normal, "later": round(rng.uniform(0.5, 3), 3)}]


def _hold(rng: random.Random) -> list[Entry]:
    seconds = round(rng.uniform(0.05, 1.0), 3)
    return [{"do": "hold", "media": rng.choice(_MEDIA), "seconds": seconds}]


def _garbage(rng: random.Random) -> list[Entry]:
    return [{"do": "garbage", "sockets": rng.choice(_SOCKETS), "times": rng.randint(1, 5)}]


def _announcement(rng: random.Random) -> list[Entry]:
    """Zoom says that something is wrong: once, or twice in two ways."""
    ways: list[list[Entry]] = [
        [{"do": "event", "event": {"event_type": int(EventType.MEDIA_CONNECTION_INTERRUPTED)}}],
        [
            {
                "do": "stream",
                "state": "interrupted",
                "reason": int(StopReason.DATA_CONNECTION_INTERRUPTED),
            }
        ],
        [{"do": "interrupt"}],
    ]
    return list(itertools.chain(*rng.sample(ways, rng.choice((1, 1, 2)))))


def _failover(rng: random.Random) -> list[Entry]:
    return [{"do": "failover", "dies": rng.random() < 0.5}]


#: The more often it stands here, the more often it happens.
_KINDS = (
    _loss,
    _loss,
    _loss,
    _stall,
    _stall,
    _bad_network,
    _bad_network,
    _hold,
    _garbage,
    _announcement,
    _failover,
)

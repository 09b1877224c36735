"""A scenario in which anything may go wrong at any time, and goes wrong the same way again.

Left out is what would end the stream by right (a wrong status, a wrong certificate), and what no
client can tell from media that was meant (``duplicate``, ``swap``): all else may be demanded of a
client, which must lose nothing but what was due while a socket was down.
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
    chance = random.Random(str(seed))  # noqa: S311 - to be the same again, and no secret
    return {
        "description": f"Anything goes wrong at any time; seed {seed}.",
        "duration": duration,
        "buffer_audio": chance.choice((0, 60)),
        "participants": {
            "ada": {"name": "Ada Moreau"},
            "ben": {"name": "Ben O'Neill"},
            "zoe": {"name": "Zoë Akintola"},
        },
        "timeline": [*_meeting(duration), *_misfortunes(chance, duration)],
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


def _misfortunes(chance: random.Random, duration: float) -> Iterator[Entry]:
    at = 0.5
    while (at := at + chance.expovariate(1 / MEAN_GAP)) < duration - CALM:
        for entry in chance.choice(_KINDS)(chance):
            later = entry.pop("later", 0.0)
            yield {"at": round(min(at + later, duration - CALM), 3), **entry}


# -- kinds of misfortune: each returns entries, perhaps some seconds ``later`` ---------------------


def _loss(chance: random.Random) -> list[Entry]:
    """A socket goes, and sometimes it is not easy to get another one."""
    sockets = chance.choice(_SOCKETS)
    entries = []
    if chance.random() < 0.5:
        entries.append(_hindrance(chance, sockets))
    how = chance.choice(("close", "reset", "half_close"))
    code = {"code": chance.choice(_CODES)} if how == "close" else {}
    return [*entries, {"do": how, "sockets": sockets, **code}]


def _hindrance(chance: random.Random, sockets: str) -> Entry:
    if sockets == "all_sockets":
        sockets = "signaling"  # which is opened first
    how = chance.choice(("refuse", "no_answer", "unavailable"))
    entry = {"do": how, "sockets": sockets, "times": chance.randint(1, 2)}
    if how == "refuse":
        kind = "signaling" if sockets == "signaling" else "media"
        entry["status"] = int(chance.choice(_PASSING[kind]))
    elif how == "no_answer":
        entry["to"] = chance.choice(("handshake", "upgrade"))
    return entry


def _silence(chance: random.Random) -> list[Entry]:
    sockets, seconds = chance.choice(_SOCKETS), round(chance.uniform(0.1, 3.0), 3)
    if chance.random() < 0.3:
        return [{"do": "no_keep_alives", "sockets": sockets, "seconds": seconds}]
    reading, sending = chance.choice(((True, True), (True, False), (False, True)))
    return [
        {
            "do": "stall",
            "sockets": sockets,
            "seconds": seconds,
            "reading": reading,
            "sending": sending,
        }
    ]


def _weather(chance: random.Random) -> list[Entry]:
    """The network is odd for a while."""
    sockets = chance.choice(_SOCKETS)
    how = chance.choice(("split", "merge", "delay"))
    odd: Entry
    normal: Entry
    if how == "split":
        odd = {"frame": chance.choice((None, 7, 100)), "write": chance.choice((None, 50, 1000))}
        normal = {}
    else:
        odd, normal = {"seconds": round(chance.uniform(0.02, 0.5), 3)}, {"seconds": 0}
    entry = {"do": how, "sockets": sockets}
    return [{**entry, **odd}, {**entry, **normal, "later": round(chance.uniform(0.5, 3), 3)}]


def _overtaking(chance: random.Random) -> list[Entry]:
    seconds = round(chance.uniform(0.05, 1.0), 3)
    return [{"do": "hold", "media": chance.choice(_MEDIA), "seconds": seconds}]


def _garbage(chance: random.Random) -> list[Entry]:
    return [{"do": "garbage", "sockets": chance.choice(_SOCKETS), "times": chance.randint(1, 5)}]


def _announcement(chance: random.Random) -> list[Entry]:
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
    return list(itertools.chain(*chance.sample(ways, chance.choice((1, 1, 2)))))


def _failover(chance: random.Random) -> list[Entry]:
    return [{"do": "failover", "dies": chance.random() < 0.5}]


#: The more often it stands here, the more often it happens.
_KINDS = (
    _loss,
    _loss,
    _loss,
    _silence,
    _silence,
    _weather,
    _weather,
    _overtaking,
    _garbage,
    _announcement,
    _failover,
)

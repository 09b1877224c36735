"""What the command prints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rtms_gevent.cluster.overview import StreamInfo
from rtms_gevent.cluster.records import Worker
from rtms_gevent.enums import Product
from rtms_gevent.status.look import Look
from rtms_gevent.status.table import as_document, as_text, duration, table

NOW = 1_800_000_000.0


def worker(**fields: Any) -> Worker:
    values = {"id": "here-1-abc", "host": "here", "pid": 1, "started": NOW - 7300, "age": 0.42}
    return Worker(**{**values, **fields})


def stream(**fields: Any) -> StreamInfo:
    values: dict[str, Any] = {
        "stream_id": "0123456789abcdef",
        "uuid": "4444AAAiAAAAAiAiAiiAii==",
        "product": Product.MEETING,
        "state": "joined",
        "owner": "here-1-abc",
        "host": "here",
        "pid": 1,
        "fence": 2,
        "age": 95.0,
        "received": 12345,
        "gaps": 1,
        "missing_ms": 1500,
        "outages": 0,
    }
    return StreamInfo(**{**values, **fields})


def look(*streams: StreamInfo, workers: tuple[Worker, ...] = (), **rates: float) -> Look:
    return Look("a store", workers, streams, rates)


def test_the_whole_page() -> None:
    workers = (
        worker(streams=2, max_streams=20),
        worker(id="here-22-def", pid=22, is_draining=True, age=7.0),
        worker(id="here-3-ghi", pid=3, streams=4, max_streams=4),
        worker(id="here-4-jkl", pid=4, max_streams=0),
    )
    streams = (
        stream(stream_id="b", state="waiting", owner=None, pid=None, product=None, received=0),
        stream(),
        stream(stream_id="c", state="ended", age=3.0),
    )
    found = look(*streams, workers=workers, **{"0123456789abcdef": 149.6})
    assert (
        as_text([found], NOW)
        == """\
a store

WORKER       HOST  PID  STREAMS        AGE   HEARD OF  STATE
here-1-abc   here    1     2/20  2 h 1 min  0.4 s ago
here-22-def  here   22        0  2 h 1 min  7.0 s ago  draining
here-3-ghi   here    3      4/4  2 h 1 min  0.4 s ago  full
here-4-jkl   here    4      0/0  2 h 1 min  0.4 s ago  webhooks only

STREAM        PRODUCT  STATE    OWNER         AGE  FENCE  PACKETS   RATE  GAPS  MISSING
0123456789a…  meeting  joined   here-1-abc  1 min      2    12345  150/s     1  1500 ms
b                      waiting              1 min      2        0            1  1500 ms
c             meeting  ended    here-1-abc    3 s      2    12345            1  1500 ms
"""
    )


def test_nothing_is_said_in_words() -> None:
    assert as_text([], NOW) == "No workers share streams here.\n"
    assert as_text([look()], NOW) == "a store\n\nNo worker lives.\n\nNo streams.\n"


def test_all_states_have_a_place() -> None:
    states = ("ended", "waiting", "lost", "joining", "joined")
    text = as_text([look(*(stream(stream_id=one, state=one) for one in states))], NOW)
    shown = [line.split()[0] for line in text.splitlines() if line.startswith(states)]
    assert shown == ["joined", "joining", "lost", "waiting", "ended"]


def test_a_terminal_gets_no_orders_from_ids() -> None:
    assert table(["A"], [["\x1b[2J\n\u202e"]]) == "A\n?[2J??\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h 0 min"),
        (86_399, "23 h 59 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_document_has_all_of_it() -> None:
    found = look(stream(), stream(stream_id="b", product=None), workers=(worker(),), b=2.5)
    document = json.loads(json.dumps(as_document([found])))
    (store,) = document["stores"]
    assert store["store"] == "a store"
    assert store["workers"] == [
        {
            "id": "here-1-abc",
            "host": "here",
            "pid": 1,
            "started": NOW - 7300,
            "streams": 0,
            "max_streams": None,
            "is_draining": False,
            "age": 0.42,
        }
    ]
    first, second = store["streams"]
    assert first == {
        "stream_id": "0123456789abcdef",
        "uuid": "4444AAAiAAAAAiAiAiiAii==",
        "product": "meeting",
        "state": "joined",
        "owner": "here-1-abc",
        "host": "here",
        "pid": 1,
        "fence": 2,
        "age": 95.0,
        "received": 12345,
        "gaps": 1,
        "missing_ms": 1500,
        "outages": 0,
        "rate": None,
    }
    assert (second["product"], second["rate"]) == (None, 2.5)

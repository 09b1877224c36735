"""The streams of all workers, as users see them."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from flask import Flask
from support.recorder import wait_until
from support.webhooks import started

import rtms_gevent as rtms
from rtms_gevent.cluster import Cluster, all_clusters, cluster
from rtms_gevent.cluster.memory import MemoryCluster, MemoryStore
from rtms_gevent.cluster.overview import describe, streams_of
from rtms_gevent.cluster.records import NO_PROGRESS, Progress, StreamRow, Worker
from rtms_gevent.enums import Product
from rtms_gevent.flask import RTMS
from rtms_gevent.protocol.webhook_events import parse_event
from rtms_gevent.runtime.hub_context import context_of
from rtms_gevent.simulator import Simulator

from .standins import StandInHost

WORKERS = {"w": Worker("w", "there", 4711, 0.0)}


def row(**fields: Any) -> StreamRow:
    values: dict[str, Any] = {
        "stream_id": "609340fb",
        "document": started(),
        "owner": "w",
        "fence": 3,
        "has_ended": False,
        "progress": Progress({"audio": 1}, True, 100, 2, 1500, 1),
        "age": 12.5,
    }
    return StreamRow(**{**values, **fields})


def test_a_row_of_a_store_in_words() -> None:
    assert describe(row(), WORKERS) == rtms.StreamInfo(
        stream_id="609340fb",
        uuid="4444AAAiAAAAAiAiAiiAii==",
        product=Product.MEETING,
        state="joined",
        owner="w",
        host="there",
        pid=4711,
        fence=3,
        age=12.5,
        received=100,
        gaps=2,
        missing_ms=1500,
        outages=1,
    )


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "joined"),
        ({"progress": NO_PROGRESS}, "joining"),
        ({"owner": None}, "waiting"),
        ({"owner": "another"}, "lost"),
        ({"has_ended": True}, "ended"),
        ({"has_ended": True, "owner": "another"}, "ended"),
        ({"has_ended": True, "owner": None}, "ended"),
    ],
)
def test_states(fields: dict[str, Any], state: str) -> None:
    assert describe(row(**fields), WORKERS).state == state


def test_an_owner_that_is_gone_has_an_id_and_nothing_else() -> None:
    info = describe(row(silent=math.inf), {})
    assert (info.owner, info.host, info.pid) == ("w", None, None)


def test_what_a_store_has_lost_is_shown_without_its_meeting() -> None:
    info = describe(row(document={}), WORKERS)
    assert (info.uuid, info.product) == ("", None)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryCluster]:
    """What workers on this hub share; one of them has a stream."""
    here = context_of(gevent.get_hub())
    monkeypatch.setattr(cluster, "streams_context", lambda: here)
    memory = MemoryCluster()
    another = Cluster(StandInHost(), store=MemoryStore(memory))  # type: ignore[arg-type]
    another.handle_event(parse_event(started()))
    wait_until(lambda: [row for row in another.streams() if row.owner])
    yield memory
    for each in all_clusters():
        each.drain()


def test_streams_of_all_workers_from_any_thread(shared: MemoryCluster) -> None:
    ours = Cluster(StandInHost(), store=MemoryStore(shared))  # type: ignore[arg-type]
    ours.start()
    wait_until(lambda: len(ours.workers()) == 2)
    found: list[rtms.StreamInfo] = []
    thread = threading.Thread(target=lambda: found.extend(streams_of([ours], [])))
    thread.start()
    wait_until(lambda: found)
    thread.join()
    (info,) = found
    assert (info.stream_id, info.pid) == ("609340fb", os.getpid())


def test_the_flask_extension_has_those_of_its_apps(shared: MemoryCluster) -> None:
    app = Flask("shop")
    app.config["RTMS_WEBHOOK_VERIFY"] = False
    extension, stranger = RTMS(app), RTMS()
    (ours,) = extension.clusters
    ours._given_store = MemoryStore(shared)
    ours.start()
    wait_until(lambda: len(extension.workers()) == 2)
    assert [each.stream_id for each in extension.streams()] == ["609340fb"]
    assert stranger.streams() == []


def test_where_nothing_is_shared_they_are_those_of_this_process() -> None:
    with Simulator("empty") as simulator, rtms.Client() as client:
        client.on_audio_data(lambda *packet: None)
        client.join(
            simulator.meeting.started_event,
            client=simulator.client_id,
            secret=simulator.client_secret,
            allowed_hosts="127.0.0.1",
        )
        client.wait_joined(10)
        (info,) = [one for one in rtms.streams() if one.stream_id == client.stream_id()]
        assert info.state == "joined"
        assert info.product is Product.MEETING
        assert (info.owner, info.pid, info.fence) == (None, os.getpid(), 0)
    assert client.stream_id() not in [one.stream_id for one in rtms.streams()]

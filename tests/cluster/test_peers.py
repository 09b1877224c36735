"""What one worker makes of what it knows of the others."""

from __future__ import annotations

import pytest

from rtms_gevent.cluster import peers as module
from rtms_gevent.cluster.peers import Peers
from rtms_gevent.cluster.records import Worker


def worker(pid: int, streams: int = 0, host: str = "here", **state: bool) -> Worker:
    return Worker(f"{host} {pid}", host, pid, 0.0, streams, **state)


@pytest.fixture(autouse=True)
def _without_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLAIM_JITTER", 0.0)


def test_who_has_most_leaves_streams_to_others_for_longest() -> None:
    peers = Peers(worker(1), set)
    peers.note([worker(1), worker(2, 3), worker(3, 5)])
    delays = [peers.claim_delay(streams) for streams in range(20)]
    assert delays[:4] == [0, 0, 0, 0]
    assert delays[3:7] == sorted(set(delays[3:7]))
    assert delays[-1] == delays[-2]  # it does not grow for ever


def test_who_claims_nothing_more_is_not_waited_for() -> None:
    peers = Peers(worker(1), set)
    assert peers.claim_delay(9) == 0
    peers.note([worker(2, is_draining=True), Worker("full", "here", 3, 0.0, 2, max_streams=2)])
    assert peers.claim_delay(9) == 0


def test_processes_of_the_server_that_take_no_part_yet_are_starting() -> None:
    siblings = {1}
    peers = Peers(worker(1), lambda: siblings)
    assert not peers.are_starting
    siblings |= {2}
    peers.note([worker(1), worker(2, host="elsewhere")])
    assert peers.are_starting
    peers.note([worker(1), worker(2)])
    assert not peers.are_starting
    peers.note([worker(1)])  # it has ended, though its process has not yet
    assert not peers.are_starting


@pytest.mark.parametrize(("others", "share"), [(0, 1), (8, 1), (16, 2), (1000, 6)])
def test_many_workers_look_less_often_each(others: int, share: float) -> None:
    peers = Peers(worker(1), set)
    peers.note([worker(number) for number in range(2, 2 + others)])
    assert peers.share == share

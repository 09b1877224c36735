"""One list of the streams of several workers."""

from __future__ import annotations

from typing import Any

import pytest

from rtms_gevent.live.stream_list import KEEP_LOST, StreamList


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def streams(clock: Clock) -> StreamList:
    return StreamList(clock)


def about(stream_id: str, began: int, ended: int | None = None, **more: Any) -> dict[str, Any]:
    state = "live" if ended is None else "ended"
    return {"id": stream_id, "began": began, "ended": ended, "state": state, "reason": "", **more}


def states(streams: list[dict[str, Any]]) -> dict[str, str]:
    return {stream["id"]: stream["state"] for stream in streams}


def test_the_first_list_may_be_empty(streams: StreamList) -> None:
    assert streams.changes() == {"ids": []}
    assert streams.changes() == {}


def test_lists_are_merged_in_the_order_of_arrival(streams: StreamList) -> None:
    streams.update("here", ["b"], [about("b", 2)])
    streams.update("there", ["a", "c"], [about("a", 1), about("c", 3)])
    changes = streams.changes()
    assert changes["ids"] == ["a", "b", "c"]
    assert [stream["id"] for stream in changes["streams"]] == ["a", "b", "c"]
    assert [streams.worker_of(one) for one in "abcd"] == ["there", "here", "there", None]


def test_only_what_changed_is_told_again(streams: StreamList) -> None:
    streams.update("here", ["a", "b"], [about("a", 1), about("b", 2)])
    streams.changes()
    streams.update("here", streams=[about("b", 2, speaker="Ada")])
    assert streams.changes() == {"streams": [about("b", 2, speaker="Ada")]}


def test_a_stream_that_ended_is_forgotten_with_its_worker(streams: StreamList) -> None:
    streams.update("here", ["a", "b"], [about("a", 1, ended=9), about("b", 2, ended=9)])
    streams.changes()
    streams.update("here", ["b"])
    assert streams.changes() == {"ids": ["b"]}
    streams.lose("here")
    assert streams.changes() == {"ids": []}


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_stream_between_two_workers_is_interrupted_until_the_second_has_it(
    streams: StreamList, clock: Clock, is_lost: bool
) -> None:
    """A worker that was killed is lost; one that hands over says that it has the stream no more."""
    streams.update("first", ["a"], [about("a", 1)])
    streams.changes()
    if is_lost:
        streams.lose("first")
    else:
        streams.update("first", [])
    changes = streams.changes()
    assert "ids" not in changes
    assert states(changes["streams"]) == {"a": "interrupted"}
    assert streams.worker_of("a") is None
    clock.seconds += KEEP_LOST / 2
    assert streams.changes() == {}
    streams.update("second", ["a"], [about("a", 5)])
    assert states(streams.changes()["streams"]) == {"a": "live"}
    assert streams.worker_of("a") == "second"
    streams.update("second", streams=[about("a", 5, ended=9)])
    assert states(streams.changes()["streams"]) == {"a": "ended"}


def test_a_stream_that_nobody_takes_over_goes_at_last(streams: StreamList, clock: Clock) -> None:
    streams.update("first", ["a"], [about("a", 1)])
    streams.lose("first")
    assert streams.changes()["ids"] == ["a"]
    clock.seconds += KEEP_LOST + 1
    assert streams.changes() == {"ids": []}


def test_the_worker_where_a_stream_lives_counts_more_than_the_one_that_left_it(
    streams: StreamList,
) -> None:
    """A worker that was stopped for too long leaves what others have taken over."""
    streams.update("second", ["a"], [about("a", 5)])
    streams.update("first", ["a"], [about("a", 1, ended=9)])
    assert states(streams.changes()["streams"]) == {"a": "live"}
    assert streams.worker_of("a") == "second"
    streams.update("second", streams=[about("a", 5, ended=12)])
    assert streams.changes()["streams"][0]["ended"] == 12


def test_a_worker_that_comes_back_has_its_streams_again(streams: StreamList) -> None:
    streams.update("there", ["a"], [about("a", 1)])
    streams.lose("there")
    streams.changes()
    streams.update("there", ["a"], [about("a", 1)])
    assert states(streams.changes()["streams"]) == {"a": "live"}

"""Which answers to keep-alives count."""

from __future__ import annotations

import pytest

from rtms_gevent.simulator.wire.keep_alive import PendingKeepAlives


@pytest.fixture
def pending():
    """Three keep-alives without an answer: of 10, 20 and 30 ms."""
    keep_alives = PendingKeepAlives()
    for timestamp in (10, 20, 30):
        keep_alives.request(timestamp)
    return keep_alives


def test_requests_are_numbered():
    keep_alives = PendingKeepAlives()
    assert keep_alives.request(10) == {"msg_type": 12, "timestamp": 10, "sequence": 1}
    assert keep_alives.request(10)["sequence"] == 2
    assert (len(keep_alives), keep_alives.sent) == (2, 2)


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ({"timestamp": 10, "sequence": 1}, 2),
        ({"timestamp": 10}, 2),
        ({"timestamp": 10, "sequence": None}, 2),
        ({"timestamp": 20, "sequence": 2}, 1),  # and with it the one before
        ({"timestamp": 30, "sequence": 3}, 0),
        ({"timestamp": 10, "sequence": 2}, 3),
        ({"timestamp": 99, "sequence": 1}, 3),
        ({"sequence": 1}, 3),
        ({"timestamp": [], "sequence": {}}, 3),
        ({}, 3),
    ],
)
def test_an_answer_counts_if_it_echoes_what_was_asked(pending, answer, left):
    pending.answered(answer)
    assert len(pending) == left
    assert pending.sent == 3


def test_an_answer_counts_once(pending):
    for _ in range(2):
        pending.answered({"timestamp": 10, "sequence": 1})
    assert len(pending) == 2

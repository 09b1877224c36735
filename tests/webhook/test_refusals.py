"""Refused webhooks are logged, but a flood of them is only counted."""

from __future__ import annotations

import logging

import pytest

from rtms_gevent.webhook.refusals import RefusalLog


def test_so_many_a_minute_and_then_a_count(caplog: pytest.LogCaptureFixture) -> None:
    now = [1000.0]
    refusals = RefusalLog(logging.getLogger("shop"), limit=3, clock=lambda: now[0])
    for number in range(10):
        refusals.warning("refused: %d", number)
    assert caplog.messages == [
        "refused: 0",
        "refused: 1",
        "refused: 2",
        "what else is refused within this minute is only counted",
    ]
    caplog.clear()
    now[0] += 60
    refusals.warning("refused: %s", "later")
    assert caplog.messages == ["7 more webhooks were refused, and not logged", "refused: later"]
    caplog.clear()
    now[0] += 1000
    refusals.warning("refused: %s", "much later")
    assert caplog.messages == ["refused: much later"]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}

"""What follows where an inbox has too much, as a table."""

from __future__ import annotations

import pytest
from support.delivery import BackPressureLog

from rtms_gevent import InboxLimits, InboxOverflow, MediaDataType, OverflowPolicy

AUDIO, CHAT = MediaDataType.AUDIO, MediaDataType.CHAT
DROP, BLOCK, FAIL = OverflowPolicy.DROP_OLDEST, OverflowPolicy.BLOCK, OverflowPolicy.FAIL


def error_of(log):
    """Return the error of the one event that was reported, and where it says that it was."""
    ((name, (error, where)),) = log.reported
    assert name == "error"
    return error, where


@pytest.mark.parametrize(
    ("kind", "policy", "does"),
    [
        (CHAT, BLOCK, [("pause", CHAT), ("resume", CHAT)]),
        (AUDIO, BLOCK, [("pause", AUDIO), ("resume", AUDIO)]),
        (AUDIO, FAIL, [("fail", "audio"), ("resume", AUDIO)]),
        (None, FAIL, [("fail", "events")]),
    ],
)
def test_full_and_drained(kind, policy, does, caplog):
    log = BackPressureLog()
    handler = log.handler(kind, InboxLimits(packets=1, when_full=policy))
    handler.on_full(0)
    handler.on_drained()
    done = [
        (verb, what.media_type if isinstance(what, InboxOverflow) else what)
        for verb, what in log.calls
    ]
    assert done == does
    assert "nothing was dropped" in caplog.text


@pytest.mark.parametrize(
    ("kind", "name"), [(AUDIO, "audio_data"), (MediaDataType.VIDEO, "video_data")]
)
def test_drops_are_reported_and_change_nothing(kind, name, caplog):
    log = BackPressureLog()
    log.handler(kind, InboxLimits(packets=1, when_full=DROP)).on_dropping(3)
    error, where = error_of(log)
    assert (error.media_type, error.dropped, error.stream, where) == (
        kind.name.lower(),
        3,
        "s",
        name,
    )
    assert "3 packets were dropped" in caplog.text
    assert log.calls == []


def test_events_that_do_not_fit_are_not_told_by_an_event():
    log = BackPressureLog()
    log.handler(None, InboxLimits(packets=1, when_full=FAIL)).on_full(0)
    assert log.reported == []

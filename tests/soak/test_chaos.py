"""A short piece of chaos; longer ones by hand: ``cd tests && python -m soak --help``."""

from __future__ import annotations

from .chaos import Run, quiet_logs


def test_every_message_is_accounted_for():
    run = Run(seed=15, streams=4, duration=20)
    with quiet_logs():
        run.play()
    assert run.problems == []
    # Something did happen.
    verdicts = [one for stream in run.streams.values() for one in stream.verdicts]
    # Some 12,000 on a quiet machine; a busy one spends more of the time on repairs.
    assert sum(one.delivered for one in verdicts) > 5_000
    assert sum(one.missing for one in verdicts) > 0
    assert sum(len(stream.witness.outages) for stream in run.streams.values()) > 10

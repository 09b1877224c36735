"""Fixtures for the simulator's tests."""

from __future__ import annotations

import contextlib

import pytest

from rtms_gevent.simulator import Simulator


@pytest.fixture
def simulate():
    """Start a simulator with the given options, whose meeting does nothing by itself."""
    with contextlib.ExitStack() as stack:
        yield lambda scenario="empty", **options: stack.enter_context(
            Simulator(scenario, **options)
        )


@pytest.fixture
def simulator(simulate):
    return simulate(record=True)

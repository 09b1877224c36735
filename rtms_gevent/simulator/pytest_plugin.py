"""Pytest fixtures for programs that use this package: a simulated Zoom in every test.

::

    def test_my_bot(rtms_simulator, monkeypatch):
        monkeypatch.setenv("ZM_RTMS_ALLOWED_HOSTS", "127.0.0.1")
        meeting = rtms_simulator.meeting
        zoom = {"client": rtms_simulator.client_id, "secret": rtms_simulator.client_secret}
        bot.join(meeting.payload, **zoom)
        assert meeting.wait_ready(5)
        meeting.send_transcript("hello")

Nothing of the simulator is imported before a test asks for a fixture, and the environment is left
alone. The simulator runs on the hub of the test's thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .server import Simulator

__all__ = ["rtms_simulator", "rtms_simulator_factory"]


@pytest.fixture
def rtms_simulator_factory() -> Iterator[Callable[..., Simulator]]:
    """Make started simulators; takes the arguments of ``Simulator``, whose scenario is "empty"."""
    from .server import Simulator

    with contextlib.ExitStack() as stack:

        def make(scenario: Any = "empty", **options: Any) -> Simulator:
            return stack.enter_context(Simulator(scenario, **options))

        yield make


@pytest.fixture
def rtms_simulator(rtms_simulator_factory: Callable[..., Simulator]) -> Simulator:
    """Give a started simulator whose meeting does nothing by itself."""
    return rtms_simulator_factory()

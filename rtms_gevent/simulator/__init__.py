"""A simulated Zoom: signaling and media servers that play a scenario, for tests and demos.

::

    from rtms_gevent.simulator import Simulator

    with Simulator("standup", webhook_url="http://127.0.0.1:8080/rtms/webhook") as simulator:
        simulator.meeting.start()
        simulator.meeting.finished.wait(60)

It shares the wire numbers with the SDK and nothing else, so that a mistake in one of the two does
not cancel itself out. Importing this package is cheap; the server's dependencies are imported when
:class:`Simulator` is first asked for. See ``docs/simulator.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .meeting.meeting import Meeting
    from .scenario import Scenario, load_scenario, make_chaos, parse_scenario
    from .server import Simulator

__all__ = ["Meeting", "Scenario", "Simulator", "load_scenario", "make_chaos", "parse_scenario"]

_MODULES = {
    "Meeting": "meeting.meeting",
    "Scenario": "scenario",
    "Simulator": "server",
    "load_scenario": "scenario",
    "make_chaos": "scenario",
    "parse_scenario": "scenario",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value

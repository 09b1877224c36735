"""A scenario: who is in a meeting and what happens when, as data that a user can write.

The format is described in ``docs/simulator.md``.
"""

from __future__ import annotations

from .loader import load_scenario, make_chaos
from .model import Person, Scenario, Step
from .parser import parse_scenario

__all__ = ["Person", "Scenario", "Step", "load_scenario", "make_chaos", "parse_scenario"]

"""Scenarios by name: shipped ones, files, and chaos."""

from __future__ import annotations

import json
import pathlib

from ...errors import ConfigurationError
from .assets import SHIPPED
from .chaos import chaos_data
from .model import Scenario
from .parser import parse_scenario

__all__ = ["load_scenario", "make_chaos"]

#: Bytes of the largest scenario file.
MAX_FILE = 4 * 1024 * 1024


def load_scenario(source: str | pathlib.Path | Scenario) -> Scenario:
    """Return the scenario that ``source`` names.

    Args:
        source: the name of a shipped scenario, "chaos", the path of a JSON file, or a scenario
            already.

    Raises:
        ConfigurationError: there is no such scenario, or it is not valid.
    """
    if isinstance(source, Scenario):
        return source
    if source == "chaos":
        return make_chaos()
    path = pathlib.Path(source)
    names = sorted(file.stem for file in SHIPPED.glob("*.json"))
    if str(source) in names:
        path = SHIPPED / f"{source}.json"
    elif not path.is_file():
        raise ConfigurationError(
            f"no scenario {str(source)!r}: give a file, or one of {', '.join(names)}, chaos"
        )
    try:
        if path.stat().st_size > MAX_FILE:
            raise ConfigurationError(f"scenario {str(source)!r} is larger than {MAX_FILE} bytes")
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"scenario {str(source)!r} cannot be read: {error}") from error
    return parse_scenario(data, name=path.stem, folder=path.parent.resolve())


def make_chaos(seed: int | str = 0, duration: float = 60.0) -> Scenario:
    """Return a scenario in which anything may go wrong at any time.

    Args:
        seed: the same seed and duration give the same scenario.
        duration: scenario seconds, of which the last few have no new faults.

    Raises:
        ConfigurationError: the duration is not a number of seconds.
    """
    number = isinstance(duration, (int, float)) and not isinstance(duration, bool)
    if not number or not 0 < duration < 1e6:
        raise ConfigurationError(f"duration must be a number of seconds above 0, not {duration!r}")
    return parse_scenario(chaos_data(seed, duration), name=f"chaos {seed}")

"""From measurements to medians, ratios and verdicts."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

from .contender import OFFICIAL, OURS
from .measure import Result
from .rows import Row

__all__ = ["Cell", "Line", "Results", "summarize"]

#: Results by experiment, then by contender: one for each round.
Results = Mapping[str, Mapping[str, Sequence[Result]]]


@dataclasses.dataclass(frozen=True)
class Cell:
    """What one contender's rounds come to."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Cell:
        """Summarize the rounds."""
        return cls(statistics.median(values), min(values), max(values))


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the table, worked out."""

    row: Row
    cells: Mapping[str, Cell]  #: by contender
    against: str | None  #: whom the ratio is of
    ratio: float | None
    is_met: bool | None  #: None where there is no target, or no way to tell


def summarize(row: Row, results: Results) -> Line:
    """Work out one line."""
    cells = {}
    for name, rounds in results.get(row.experiment, {}).items():
        read = [row.read(result) for result in rounds if "error" not in result]
        values = [value for value in read if value is not None and not math.isnan(value)]
        if values:
            cells[name] = Cell.of(values)
    ours, against = cells.get(OURS.name), _opponent(row, cells)
    ratio = None
    if row.has_ratio and ours and against and cells[against].median > 0:
        ratio = ours.median / cells[against].median
    is_met = row.target.is_met(ours.median, ratio) if row.target and ours else None
    return Line(row, cells, against, ratio, is_met)


def _opponent(row: Row, cells: Mapping[str, Cell]) -> str | None:
    """Return whom the row is compared with: who it says, else the better official mode."""
    modes = [row.against] if row.against else [mode.name for mode in OFFICIAL]
    modes = [name for name in modes if name in cells]
    if not modes:
        return None
    best = max if row.more_is_better else min
    return best(modes, key=lambda name: cells[name].median)

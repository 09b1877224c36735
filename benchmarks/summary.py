"""From measurements to medians, ratios and verdicts."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

from .contender import OFFICIAL, OTHERS, OURS
from .measure import Result
from .rows import Row

__all__ = ["Cell", "Line", "Results", "summarize"]

#: Results by experiment, then by contender: one for each round.
Results = Mapping[str, Mapping[str, Sequence[Result]]]


@dataclasses.dataclass(frozen=True)
class Cell:
    """What one contender's rounds come to."""

    contender: str
    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, contender: str, values: Sequence[float]) -> Cell:
        """Summarize the rounds."""
        return cls(contender, statistics.median(values), min(values), max(values))


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the table, worked out."""

    row: Row
    ours: Cell | None
    official: Cell | None  #: the better one of its modes
    others: Mapping[str, Cell]  #: by name
    ratio: float | None
    is_met: bool | None  #: None where there is no target, or no way to tell


def summarize(row: Row, results: Results) -> Line:
    """Work out one line."""
    measured = results.get(row.experiment, {})
    cells = {}
    for name, rounds in measured.items():
        values = [row.read(result) for result in rounds if "error" not in result]
        values = [value for value in values if value is not None and not math.isnan(value)]
        if values:
            cells[name] = Cell.of(name, values)
    ours = cells.get(OURS.name)
    modes = [cells[mode.name] for mode in OFFICIAL if mode.name in cells]
    best = max if row.more_is_better else min
    official = best(modes, key=lambda cell: cell.median) if modes else None
    others = {other.name: cells[other.name] for other in OTHERS if other.name in cells}
    ratio = None
    if ours and official and official.median:
        ratio = ours.median / official.median
    is_met = row.target.is_met(ours.median, ratio) if row.target and ours else None
    return Line(row, ours, official, others, ratio, is_met)

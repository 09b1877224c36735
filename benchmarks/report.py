"""The table, as text that is Markdown too, and the same as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence

from .contender import BARE, OFFICIAL, OTHERS, OURS
from .summary import Cell, Line, Results

__all__ = ["as_json", "calibration", "columns", "machine_line", "noise", "number", "table"]

_COLUMNS = tuple(contender.name for contender in (OURS, *OFFICIAL, *OTHERS))
_HEADER = ("what", *_COLUMNS, "ours / official", "target", "met")
_VERDICTS = {True: "yes", False: "NO", None: ""}
_UNITS = ((1e6, "M"), (1e3, "k"), (1, ""))


def table(lines: Iterable[Line]) -> str:
    """Return all lines, in columns."""
    return columns([_HEADER, *map(_texts, lines)])


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, of which the first is the header, as a table."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    written = [_join(row, widths) for row in rows]
    written.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(written)


def _join(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
    return "| " + " | ".join(cells) + " |"


def _texts(line: Line) -> tuple[str, ...]:
    return (
        f"{line.row.title} [{line.row.unit}]",
        *(_cell(line.cells.get(name)) for name in _COLUMNS),
        "" if line.ratio is None else f"{line.ratio:.2f}",
        "" if line.row.target is None else str(line.row.target),
        _VERDICTS[line.is_met],
    )


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if cell.lowest == cell.highest:
        return number(cell.median)
    return f"{number(cell.median)} ({number(cell.lowest)} - {number(cell.highest)})"


def number(value: float) -> str:
    """Write a number with three digits that matter, such as 56.9k."""
    for factor, letter in _UNITS:
        if abs(value) >= factor:
            scaled = value / factor
            digits = 0 if abs(scaled) >= 100 else 1 if abs(scaled) >= 10 else 2
            return f"{scaled:.{digits}f}{letter}"
    return f"{value:.2g}" if 0 < abs(value) < 0.1 else f"{value:.2f}" if value else "0"


def machine_line(machine: Mapping[str, object]) -> str:
    """Return one line on the machine."""
    return (
        f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, "
        f"Python {machine['python']}, load average {machine['load']} before the run"
    )


def calibration(results: Results) -> list[str]:
    """Return lines that show what the load generator can do, and whether it held anything up."""
    lines = []
    for experiment, measured in results.items():
        loads = [
            result["load"]
            for name, rounds in measured.items()
            for result in rounds
            if "load" in result and name != BARE.name
        ]
        if not loads:
            continue
        line = f"{experiment}: load generator at {max(load['cpu_percent'] for load in loads):.0f} %"
        if "late_p99_us" in loads[0]:
            late = sorted(load["late_p99_us"] / 1000 for load in loads)
            line += f" of a core, p99 of its lateness {late[0]:.1f} - {late[-1]:.1f} ms"
        else:
            line += " of a core"
        bare = [result["rate"] for result in measured.get(BARE.name, []) if "rate" in result]
        if bare:
            line += f", a bare loop gets {number(max(bare))} msg/s of it"
        lines.append(line)
    return lines


def noise(results: Results) -> str:
    """Return a line on what else the machine did."""
    shares = [
        result["noise_percent"]
        for measured in results.values()
        for rounds in measured.values()
        for result in rounds
        if "noise_percent" in result
    ]
    if not shares:
        return ""
    return (
        f"Other processes took {statistics.median(shares):.0f} % of one core in the median "
        f"measurement, and {max(shares):.0f} % in the worst; above 10 % do not trust rates and p99."
    )


def as_json(
    machine: Mapping[str, object],
    settings: Mapping[str, object],
    lines: Iterable[Line],
    results: Results,
    left_out: Mapping[str, str],
) -> dict[str, object]:
    """Return everything, for a file."""
    return {
        "machine": machine,
        "settings": settings,
        "left_out": left_out,
        "rows": [
            {
                "title": line.row.title,
                "unit": line.row.unit,
                "experiment": line.row.experiment,
                "medians": {name: dataclasses.asdict(cell) for name, cell in line.cells.items()},
                "against": line.against,
                "ratio": line.ratio,
                "target": str(line.row.target) if line.row.target else None,
                "met": line.is_met,
            }
            for line in lines
        ],
        "measurements": results,
    }

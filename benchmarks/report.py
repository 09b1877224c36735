"""The table, as text that is Markdown too, and the same as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from .contender import BARE, OFFICIAL, OTHERS
from .summary import Cell, Line, Results

__all__ = ["as_json", "calibration", "machine_line", "table"]

_HEADER = (
    "what",
    "ours",
    "official",
    *(other.name for other in OTHERS),
    "ours / official",
    "target",
    "met",
)
_VERDICTS = {True: "yes", False: "NO", None: ""}


def table(lines: Iterable[Line]) -> str:
    """Return all lines, in columns."""
    rows = [_HEADER, *map(_texts, lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    written = [_join(row, widths) for row in rows]
    written.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(written)


def _join(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
    return "| " + " | ".join(cells) + " |"


def _texts(line: Line) -> tuple[str, ...]:
    official = _cell(line.official)
    if line.official and line.official.contender == OFFICIAL[1].name:
        official += " *"
    return (
        f"{line.row.title} [{line.row.unit}]",
        _cell(line.ours),
        official,
        *(_cell(line.others.get(other.name)) for other in OTHERS),
        "" if line.ratio is None else f"{line.ratio:.2f}",
        "" if line.row.target is None else str(line.row.target),
        _VERDICTS[line.is_met],
    )


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return f"{_number(cell.median)} ({_number(cell.lowest)} - {_number(cell.highest)})"


def _number(value: float) -> str:
    """Write a number with three digits that matter."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


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
            line += f", a bare loop gets {_number(max(bare))} msg/s of it"
        lines.append(line)
    return lines


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
                "ours": line.ours and dataclasses.asdict(line.ours),
                "official": line.official and dataclasses.asdict(line.official),
                "others": {name: dataclasses.asdict(cell) for name, cell in line.others.items()},
                "ratio": line.ratio,
                "target": str(line.row.target) if line.row.target else None,
                "met": line.is_met,
            }
            for line in lines
        ],
        "measurements": results,
    }

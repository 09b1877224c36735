"""Judges a report of Autobahn|Testsuite, more strictly than its own summary does.

Accepted as *behavior* is what Autobahn calls passed: ``OK``; ``NON-STRICT``, where a SHOULD or a
matter of taste is not met; and ``INFORMATIONAL``, where the standard leaves it open. The close
must be ``OK`` or ``INFORMATIONAL``. Autobahn also lets it pass that an endpoint drops the
connection without a word where it should send a close frame; here the right code must have come.
"""

from __future__ import annotations

import json
from pathlib import Path

PASSED = {"OK", "NON-STRICT", "INFORMATIONAL"}
CLOSED_WELL = {"OK", "INFORMATIONAL"}


def read_report(folder: Path) -> dict[str, dict]:
    """Return what Autobahn noted about each case of the one client it has seen."""
    (cases,) = json.loads((folder / "index.json").read_text()).values()
    return {
        name: json.loads((folder / summary["reportfile"]).read_text())
        for name, summary in cases.items()
    }


def complaints(cases: dict[str, dict], expected: int) -> list[str]:
    """Say what is wrong, a line for each case; and whether cases are missing."""
    found = [
        f"case {name}: {problem}"
        for name, case in sorted(cases.items(), key=lambda item: case_number(item[0]))
        if (problem := _complaint(case)) is not None
    ]
    if len(cases) != expected:
        found.append(f"{expected} cases were to be run, and {len(cases)} were")
    return found


def _complaint(case: dict) -> str | None:
    if case["behavior"] not in PASSED:
        return f"{case['behavior']}: {case['result']}"
    if case["behaviorClose"] not in CLOSED_WELL:
        return f"close {case['behaviorClose']}: {case['resultClose']}"
    if case["behaviorClose"] == "INFORMATIONAL":
        return None
    allowed = case["expectedClose"]["closeCode"]
    if not case["closedByMe"] and case["remoteCloseCode"] not in allowed:
        return f"close code {case['remoteCloseCode']} instead of one of {allowed}"
    return None


def summary(cases: dict[str, dict]) -> str:
    """Count the outcomes, and name the cases that passed without being ``OK``."""
    lines = []
    for outcome in sorted({case["behavior"] for case in cases.values()}):
        names = [name for name, case in cases.items() if case["behavior"] == outcome]
        names.sort(key=case_number)
        which = "" if outcome == "OK" else ": " + ", ".join(names)
        lines.append(f"{outcome:13} {len(names):4}{which}")
    return "\n".join(lines)


def case_number(name: str) -> tuple[int, ...]:
    """Return what sorts case names as people count."""
    return tuple(int(part) for part in name.split("."))

"""docs/reliability.md names a test for each fault, and each of these tests exists."""

from __future__ import annotations

import functools
import pathlib
import re

import pytest

from rtms_gevent.simulator.scenario.schema import FAULTS

TESTS = pathlib.Path(__file__).parent
DOCUMENT = (TESTS.parent / "docs" / "reliability.md").read_text()
_NAME = re.compile(r"(?:\w+/)*test_\w+\.py|test_\w+|Test\w+")


def tables():
    """Return the rows of each table that has a column of tests, as lists of cells."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", DOCUMENT, re.MULTILINE):
        head, _, *rows = [line.strip().strip("|").split(" | ") for line in table.splitlines()]
        if head[-1].strip() == "test":
            found.append([[cell.strip() for cell in row] for row in rows])
            assert all(len(row) == len(head) for row in found[-1])
    return found


ROWS = [row for table in tables() for row in table]


def files(name):
    """Return the test files that ``name`` may mean."""
    return [path for path in TESTS.rglob("test_*.py") if f"/{path}".endswith(f"/{name}")]


@functools.cache
def defined(path):
    return set(re.findall(r"^ *(?:def|class) (\w+)", path.read_text(), re.MULTILINE))


def test_the_tables_are_found():
    assert [len(table) > 5 for table in tables()] == [True] * 6


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_each_row_names_a_test(row):
    spans = re.findall(r"`([^`]+)`", row[-1])
    assert row[-1].startswith(("same", "the same")) or any(map(_NAME.fullmatch, spans))


@pytest.mark.parametrize("line", [line for line in DOCUMENT.splitlines() if _NAME.search(line)])
def test_each_test_that_is_named_exists(line):
    """A name is one of the file that was named before it in the same line, if any was."""
    places = list(TESTS.rglob("test_*.py"))
    for name in filter(_NAME.fullmatch, re.findall(r"`([^`]+)`", line)):
        if name.endswith(".py"):
            places = files(name)
            assert len(places) == 1, f"{name} is none, or several"
        else:
            assert any(name in defined(place) for place in places), f"{name} is not there"


@pytest.mark.parametrize("fault", [*FAULTS, "event", "stream", "buffer_audio", "chaos"])
def test_each_fault_of_the_simulator_has_a_row(fault):
    assert any(f"`{fault}`" in row[0] for row in tables()[0])

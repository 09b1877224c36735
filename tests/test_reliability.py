"""docs/reliability.md names tests for each row of its tables, and each of these tests exists.

Below each table stands a list: what the row's first cell says, a colon, and the row's tests.
"""

from __future__ import annotations

import functools
import pathlib
import re

import pytest

from rtms_gevent.simulator.scenario.schema import FAULTS

TESTS = pathlib.Path(__file__).parent
DOCUMENT = (TESTS.parent / "docs" / "reliability.md").read_text()
_NAME = re.compile(r"(?:\w+/)*test_\w+\.py|test_\w+|Test\w+")
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
_LIST = re.compile(r"^<details><summary>Tests</summary>\n\n(.*?)\n</details>", re.M | re.S)
_CONTINUED = re.compile(r"\n  (?=\S)")


def rows(table):
    """Return the rows of a table, without its head, as lists of cells."""
    head, _, *lines = [line.strip().strip("|").split(" | ") for line in table.splitlines()]
    assert all(len(line) == len(head) for line in lines)
    return [[cell.strip() for cell in line] for line in lines]


def entries(text):
    """Return each entry of a list: the row that it belongs to, and what it says of tests."""
    found = []
    for line in _CONTINUED.sub(" ", text).splitlines():
        match = re.fullmatch(r"- (.+?): (`.+)", line)
        assert match, f"this is no row and its tests: {line}"
        found.append(match.groups())
    return found


#: Each table with all that follows it up to the next one.
TABLES = [
    (rows(table), _LIST.findall(rest))
    for table, rest in zip(_TABLE.findall(DOCUMENT), _TABLE.split(DOCUMENT)[1:], strict=True)
]
NAMED = [entry for _, lists in TABLES for text in lists for entry in entries(text)]


def files(name):
    """Return the test files that ``name`` may mean."""
    return [path for path in TESTS.rglob("test_*.py") if f"/{path}".endswith(f"/{name}")]


@functools.cache
def defined(path):
    return set(re.findall(r"^ *(?:def|class) (\w+)", path.read_text(), re.MULTILINE))


def test_the_tables_are_found():
    assert len(TABLES) == 14
    assert min(len(table) for table, _ in TABLES) > 3
    assert len(NAMED) > 120


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table[0][0][0][:40])
def test_each_row_has_its_tests_below_the_table(table):
    found, lists = table
    assert [[row for row, _ in entries(text)] for text in lists] == [[row[0] for row in found]]


@pytest.mark.parametrize("tests", [tests for _, tests in NAMED], ids=[row[:40] for row, _ in NAMED])
def test_each_row_names_a_test_and_its_file_first(tests):
    first, *_ = re.findall(r"`([^`]+)`", tests)
    assert first.endswith(".py")
    assert len(files(first)) == 1


@pytest.mark.parametrize(
    "text",
    [line for line in _CONTINUED.sub(" ", DOCUMENT).splitlines() if _NAME.search(line)],
)
def test_each_test_that_is_named_exists(text):
    """A name is one of the file that was named before it in the same item, if any was."""
    places = list(TESTS.rglob("test_*.py"))
    for name in filter(_NAME.fullmatch, re.findall(r"`([^`]+)`", text)):
        if name.endswith(".py"):
            places = files(name)
            assert len(places) == 1, f"{name} is none, or several"
        else:
            assert any(name in defined(place) for place in places), f"{name} is not there"


@pytest.mark.parametrize("fault", [*FAULTS, "event", "stream", "buffer_audio", "chaos"])
def test_each_fault_of_the_simulator_has_a_row(fault):
    assert any(f"`{fault}`" in row for row, _ in NAMED)

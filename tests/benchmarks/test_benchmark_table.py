"""From measurements to the table."""

from __future__ import annotations

import json

import pytest

from benchmarks import report
from benchmarks.contenders.meter import percentile
from benchmarks.experiments import EXPERIMENTS
from benchmarks.rows import ROWS, Row, Target
from benchmarks.summary import summarize

RATE = Row("flood", "flood-160", "msg/s", "rate", Target(5, True, True), more_is_better=True)
CPU = Row("cpu", "flood-160", "µs", "cpu_us", Target(0.4, True))


def rounds(*rates):
    return [{"rate": rate, "cpu_us": 1e6 / rate, "delivered": 1} for rate in rates]


RESULTS = {
    "flood-160": {
        "ours": rounds(500_000, 510_000, 900_000),
        "official": rounds(9_000),
        "official, poll 0": rounds(100_000, 90_000, 110_000),
        "picows": rounds(200_000),
    }
}


def test_the_better_loop_of_the_official_sdk_counts():
    line = summarize(RATE, RESULTS)
    assert (line.against, line.ratio, line.is_met) == ("official, poll 0", 5.1, True)
    assert (line.cells["ours"].lowest, line.cells["ours"].highest) == (500_000, 900_000)


def test_less_is_better_where_it_is():
    line = summarize(CPU, RESULTS)
    assert line.against == "official, poll 0"
    assert line.ratio == pytest.approx(100 / 510)
    assert line.is_met


def test_a_row_may_name_whom_it_is_against():
    row = Row("flood", "flood-160", "msg/s", "rate", against="official")
    assert summarize(row, RESULTS).ratio == pytest.approx(510 / 9)


@pytest.mark.parametrize(
    "measured", [{}, {"ours": rounds(1.0)}, {"ours": [{"error": "crashed"}]}, {"official": []}]
)
def test_what_is_missing_is_no_verdict(measured):
    line = summarize(RATE, {"flood-160": measured})
    assert (line.ratio, line.is_met) == (None, None)
    assert report.table([line])


@pytest.mark.parametrize(
    ("target", "ours", "ratio", "met"),
    [
        (Target(5), 5, None, True),
        (Target(5), 5.1, 0.1, False),
        (Target(5, is_ratio=True, at_least=True), 1, 5.0, True),
        (Target(5, is_ratio=True, at_least=True), 9, 4.9, False),
        (Target(5, is_ratio=True), 9, None, None),
    ],
)
def test_targets(target, ours, ratio, met):
    assert target.is_met(ours, ratio) is met


def test_the_table_is_markdown():
    header, rule, line = report.table([summarize(RATE, RESULTS)]).splitlines()
    assert header.count("|") == rule.count("|") == line.count("|")
    assert "510k (500k - 900k)" in line
    assert line.rstrip(" |").endswith("yes")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0123, "0.012"),
        (5.4321, "5.43"),
        (56.78, "56.8"),
        (943.2, "943"),
        (56_936, "56.9k"),
        (10_288_909, "10.3M"),
        (-3.5, "-3.50"),
    ],
)
def test_numbers(value, text):
    assert report.number(value) == text


def test_everything_can_be_written_as_json():
    line = summarize(RATE, RESULTS)
    document = report.as_json({"cpu": "x"}, {"rounds": 3}, [line], RESULTS, {})
    assert json.loads(json.dumps(document))["rows"][0]["met"] is True


def test_every_row_is_of_an_experiment_and_every_experiment_has_a_row():
    assert {row.experiment for row in ROWS} == set(EXPERIMENTS)


def test_percentiles():
    assert percentile(list(range(100, 0, -1)), 0.99) == 100
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile([3, 1, 2], 1.0) == 3
    assert percentile([], 0.5) != percentile([], 0.5)  # NaN

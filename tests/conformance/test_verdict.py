"""A report is judged right: what would let a fault pass has a row here."""

from __future__ import annotations

import json

import pytest

from .verdict import complaints, read_report, summary

GOOD = {
    "behavior": "OK",
    "behaviorClose": "OK",
    "result": "as expected",
    "resultClose": "closed",
    "closedByMe": False,
    "remoteCloseCode": 1002,
    "expectedClose": {"closeCode": [1002]},
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"behavior": "NON-STRICT"},
        {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL"},
        {"behaviorClose": "INFORMATIONAL", "remoteCloseCode": None},
        {"closedByMe": True, "remoteCloseCode": None},
        {"expectedClose": {"closeCode": [1000, 1002]}},
    ],
)
def test_passes(change):
    assert complaints({"1.1.1": GOOD | change}, 1) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"behavior": "FAILED", "result": "no echo"}, "FAILED: no echo"),
        ({"behavior": "UNIMPLEMENTED"}, "UNIMPLEMENTED: as expected"),
        ({"behaviorClose": "FAILED"}, "close FAILED: closed"),
        ({"behaviorClose": "WRONG CODE"}, "close WRONG CODE: closed"),
        ({"behaviorClose": "UNCLEAN"}, "close UNCLEAN: closed"),
        ({"behaviorClose": "FAILED BY CLIENT"}, "close FAILED BY CLIENT: closed"),
        ({"remoteCloseCode": None}, "close code None instead of one of [1002]"),
        ({"remoteCloseCode": 1000}, "close code 1000 instead of one of [1002]"),
    ],
)
def test_fails(change, problem):
    assert complaints({"1.1.1": GOOD | change}, 1) == [f"case 1.1.1: {problem}"]


def test_missing_cases_are_told():
    assert complaints({}, 2) == ["2 cases were to be run, and 0 were"]


def test_report_is_read_and_summed_up(tmp_path):
    behaviors = {"2.10": "NON-STRICT", "2.9": "NON-STRICT", "1.1.1": "OK"}
    index = {}
    for name, behavior in behaviors.items():
        index[name] = {"behavior": behavior, "reportfile": f"case-{name}.json"}
        (tmp_path / f"case-{name}.json").write_text(json.dumps(GOOD | {"behavior": behavior}))
    (tmp_path / "index.json").write_text(json.dumps({"agent": index}))
    cases = read_report(tmp_path)
    assert cases["2.9"]["remoteCloseCode"] == 1002
    assert summary(cases).split("\n") == ["NON-STRICT       2: 2.9, 2.10", "OK               1"]

"""Short measurements of this package: whether the harness works, not what comes out."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("trustme")
if sys.platform != "linux":
    pytest.skip("the benchmarks read /proc", allow_module_level=True)

from benchmarks import profile
from benchmarks.contender import BARE, OURS, OURS_TUNED, SKELETONS
from benchmarks.measure import MeasurementFailed, measure, run_script
from benchmarks.workload import Workload


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("contender", [OURS, BARE], ids=lambda contender: contender.name)
def test_a_flood_is_counted(contender, tls):
    result = measure(contender, Workload("flood", tls=tls, seconds=0.1, warm_up=0.05))
    assert result["delivered"] == result["load"]["sent"] > 0


@pytest.mark.parametrize("tls", [False, True])
def test_every_paced_packet_is_timed(tls):
    workload = Workload("paced", streams=3, tls=tls, seconds=0.2, warm_up=0.05)
    result = measure(OURS, workload)
    assert result["delivered"] == result["load"]["sent"] == 30
    assert 0 < result["p50_us"] <= result["p99_us"]
    assert result["join_seconds"] > 0


@pytest.mark.parametrize("contender", SKELETONS, ids=lambda contender: contender.name)
def test_the_skeletons_get_every_paced_packet(contender):
    pytest.importorskip("msgspec")
    result = measure(contender, Workload("paced", streams=3, seconds=0.2, warm_up=0.05))
    assert result["delivered"] == result["load"]["sent"] == 30


@pytest.mark.parametrize("contender", [OURS, OURS_TUNED], ids=["as it is", "tuned"])
def test_streams_can_be_joined_while_others_run(contender):
    workload = Workload("paced", streams=2, seconds=1.5, warm_up=0.05)
    result = measure(contender, workload, late=3, late_after=0.2)
    assert result["late_seconds"] > 0


def test_the_ways_to_decode_are_compared(monkeypatch, capsys):
    monkeypatch.setattr(profile, "_SECONDS", 0.002)
    profile._print_decoding()
    rows = capsys.readouterr().out.splitlines()[-3:]
    assert [row.split("  ")[0] for row in rows] == [
        "the fast path",
        "the fast path, without accelerators",
        "all of JSON",
    ]
    assert all(row.count("(") == 3 for row in rows)


def test_a_contender_that_crashes_is_told():
    with pytest.raises(MeasurementFailed, match="JSONDecodeError"):
        run_script(OURS, "no task")

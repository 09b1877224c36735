"""``python -m benchmarks workers`` with few streams: whether it runs, not what comes out."""

from __future__ import annotations

import argparse
import json
import sys

import pytest

pytest.importorskip("trustme")
if sys.platform != "linux":
    pytest.skip("the benchmarks read /proc", allow_module_level=True)

from benchmarks import workers

FEW = {
    "claims": 8,
    "starts": 4,
    "held": 8,
    "streams": 8,
    "processes": 2,
    "seconds": 1.2,
    "lease": 1,
}


@pytest.fixture
def run(tmp_path, capsys):
    def run(*more):
        parser = argparse.ArgumentParser()
        workers.add_arguments(parser)
        file = tmp_path / "workers.json"
        few = [f"--{name}={value}" for name, value in FEW.items()]
        assert workers.run(parser.parse_args([*few, *more, "--json", str(file)])) == 0
        return json.loads(file.read_text()), capsys.readouterr().out

    return run


def test_all_that_is_claimed_has_one_owner_and_is_renewed(run):
    document, table = run("--only", "claims,many")
    assert not [text for text in document["left_out"] if "streams have an owner" in text]
    measured = {(row["store"], row["scenario"]): row for row in document["measurements"]}
    assert measured["memory", "claims at once"]["claims_per_second"] > 0
    if (held := measured.get(("redis, 2 processes", "many at rest"))) is not None:
        assert held["streams"] == FEW["streams"]
        assert held["redis_commands"] > 0
    assert "| memory" in table

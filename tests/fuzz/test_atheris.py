"""The fuzzer, for a bounded time, finds nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 15


@pytest.mark.parametrize("target", ["frames", "decoder", "webhook"])
def test_finds_nothing(target, tmp_path):
    command = [sys.executable, "-m", "fuzz", target, "--seconds", str(SECONDS)]
    done = subprocess.run(
        [*command, "--findings", str(tmp_path)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
    runs = re.search(r"Done (\d+) runs", done.stderr)
    assert runs is not None
    assert int(runs[1]) > 1000

"""No test can hang: not in the hub, and not after it has failed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from gevent import subprocess

CONFTEST = """
from support import hanging
from support.hanging import *

hanging.MARGIN = 1
"""

IN_THE_HUB = """
import gevent
from gevent.event import Event

def test_hangs():
    def computes():
        while True:
            pass

    gevent.get_hub().loop.run_callback(computes)
    Event().wait()
"""

AFTER_IT_HAS_FAILED = """
import threading
import pytest

@pytest.fixture
def ends_never():
    yield
    threading.Event().wait()

def test_fails(ends_never):
    assert not "this"
"""


def run(folder, code):
    (folder / "pytest.ini").write_text("[pytest]\ntimeout = 0.2")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(code)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )


def test_a_time_limit_that_goes_off_in_the_hub_fails_the_test(tmp_path):
    ended = run(tmp_path, IN_THE_HUB)
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED
    assert "Failed: Timeout" in ended.stdout


def test_a_fixture_that_hangs_after_a_failure_ends_the_process(tmp_path):
    ended = run(tmp_path, AFTER_IT_HAS_FAILED)
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr
    assert "in ends_never" in ended.stderr

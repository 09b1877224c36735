"""The pytest fixtures, in a pytest of their own as a user runs it."""

from __future__ import annotations

import os
import sys

from gevent import subprocess

TESTS = """
import os
import sys

before = dict(os.environ)
simulator_loaded_early = "rtms_gevent.simulator.server" in sys.modules


def test_without(request):
    assert not simulator_loaded_early
    assert "rtms_gevent.simulator.server" not in sys.modules


def test_with(rtms_simulator):
    assert rtms_simulator.signaling_url.startswith("ws://127.0.0.1:")
    assert rtms_simulator.meeting.payload["rtms_stream_id"]
    assert {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"} == {
        k: v for k, v in before.items() if k != "PYTEST_CURRENT_TEST"
    }


def test_factory(rtms_simulator_factory):
    one, two = rtms_simulator_factory(), rtms_simulator_factory("short", tls=True)
    assert one.signaling_url != two.signaling_url
    assert two.signaling_url.startswith("wss://")
"""


def test_fixtures(tmp_path):
    path = tmp_path / "test_user.py"
    path.write_text(TESTS)
    options = ["-p", "rtms_gevent.simulator.pytest_plugin", "-c", "/dev/null", "-W", "error"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, "--rootdir", str(tmp_path), str(path)],
        # With it, the fixtures come twice where the package is installed.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        timeout=50,
        check=False,
    )
    assert b"3 passed" in done.stdout, done.stdout.decode()

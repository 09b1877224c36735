"""The pytest fixtures, in a pytest of their own as a user runs it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from gevent import subprocess

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulator.md"

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

BOT = """
import rtms_gevent

bot = rtms_gevent.Client()
bot.on_transcript_data(print)


"""


def passes(tmp_path, tests):
    path = tmp_path / "test_user.py"
    path.write_text(tests)
    options = ["-p", "rtms_gevent.simulator.pytest_plugin", "-c", "/dev/null", "-W", "error"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, "--rootdir", str(tmp_path), str(path)],
        # With it, the fixtures come twice where the package is installed.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        timeout=50,
        check=False,
    )
    output = done.stdout.decode()
    return re.search(r"^(\d+) passed in|\Z", output, re.MULTILINE)[1], output  # and none failed


def test_fixtures(tmp_path):
    passed, output = passes(tmp_path, TESTS)
    assert passed == "3", output


def test_the_documents_example(tmp_path):
    example = re.search(
        r"```python\n(def test_my_bot.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL
    )
    passed, output = passes(tmp_path, BOT + example[1])
    assert passed == "1", output

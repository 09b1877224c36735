"""A thread that only lets greenlets run: it ends when it is told to, on both loops."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import os, time
from rtms_gevent.transport.hubs import HubThread

def held():
    # The kernel's thread is there for a moment after its last line of Python.
    limit = time.monotonic() + 20
    while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < limit:
        time.sleep(0.01)
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

def use():
    thread = HubThread()
    assert thread.call(lambda: 5) == 5
    thread.spawn(lambda: None)
    thread.stop()

use()  # what is opened once stays
before = held()
for _ in range(5):
    use()
assert held() == before, (before, held())
print("all gone")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
@pytest.mark.parametrize("loop", ["libev-cext", "libuv"])
def test_nothing_of_it_is_left(loop, monkeypatch):
    monkeypatch.setenv("GEVENT_LOOP", loop)
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (0, "all gone\n"), done.stderr

"""The kernel's table of descriptors is big enough before streams run."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the table is Linux's")

_BEGIN = """
import os, resource, pathlib
from rtms_gevent.runtime.file_descriptors import preallocate_fd_table

def size():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("FDSize:")[1].split()[0])

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min({limit}, hard), hard))
print(size() < 300, flush=True)
"""


def _run(limit, code):
    """Return the lines that a fresh process prints which may have so many descriptors."""
    program = _BEGIN.format(limit=limit) + code
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()


@pytest.mark.parametrize("limit", [300, 1024, 2000])
def test_there_is_room_for_all_that_the_process_may_open(limit):
    code = f"preallocate_fd_table(); print(size() >= {limit}, len(os.listdir('/proc/self/fd')))"
    begun_small, has_room, open_now = _run(limit, code)
    assert (begun_small, has_room) == ("True", "True")
    assert int(open_now) < 10


def test_a_process_that_may_open_nothing_more_goes_on():
    code = """
while True:
    try:
        os.open(os.devnull, os.O_RDONLY)
    except OSError:
        break
preallocate_fd_table()
print("went on")
"""
    assert _run(64, code)[-2:] == ["went", "on"]


def test_a_forked_child_makes_room_for_itself():
    code = """
preallocate_fd_table()
child = os.fork()
if not child:
    preallocate_fd_table()
    print(size() >= 1024, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    assert _run(1024, code) == ["True", "True"]

"""The garbage collector of processes that are ours."""

import gc
import math
import subprocess
import sys

import pytest

from rtms_gevent.runtime import garbage


@pytest.fixture
def tuned():
    before = gc.get_threshold()
    undo = garbage.tune()
    yield
    undo()
    assert gc.get_threshold() == before


class Node:
    """Something to refer to."""


@pytest.mark.usefixtures("tuned")
def test_what_was_made_before_is_gone_through_no_more():
    assert gc.get_freeze_count() > len(gc.get_objects())


@pytest.mark.usefixtures("tuned")
def test_full_collections_are_rarer_than_by_default():
    program = "import gc; print(*gc.get_threshold())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    default = [int(number) for number in done.stdout.split()]
    assert math.prod(gc.get_threshold()) > math.prod(default)


@pytest.mark.usefixtures("tuned")
def test_cycles_made_later_are_still_collected():
    node = Node()
    node.itself = node
    gc.collect()
    del node
    assert gc.collect() >= 1


def test_a_collector_that_is_switched_off_stays_so():
    gc.disable()
    try:
        undo = garbage.tune()
        assert not gc.isenabled()
        undo()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_undone_everything_is_gone_through_again():
    node = Node()
    node.itself = node
    undo = garbage.tune()
    undo()
    assert gc.get_freeze_count() == 0
    del node
    assert gc.collect() >= 1


def test_importing_changes_nothing():
    program = (
        "import gc; state = lambda: (gc.get_threshold(), gc.get_freeze_count()); before = state();"
        "import rtms_gevent.runtime.garbage, rtms_gevent; print(state() == before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [b"True"]

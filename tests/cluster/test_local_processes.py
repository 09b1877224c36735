"""The local store between real processes: they die, stop, fork, and all want the same."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import tempfile
import time

import gevent
import pytest
from support.script import Script

from rtms_gevent.cluster.local import LocalStore
from rtms_gevent.cluster.records import Worker

START = {"event": "meeting.rtms_started"}
LEASE = 1.0

#: What a worker does: it opens a store, and then what the test says.
WORKER = """
    import json, os, subprocess, sys, time
    import gevent
    from rtms_gevent.cluster.local import LocalStore
    from rtms_gevent.cluster.records import Worker
    from rtms_gevent.errors import StoreError

    def say(value):
        os.write(1, (json.dumps(value) + chr(10)).encode())  # not through a copied buffer

    def claim_all(store):
        while (claim := store.claim(may_expire=False)) is not None:
            yield claim

    store = LocalStore(sys.argv[1], {lease})
    worker = Worker(f"child-{{os.getpid()}}", "here", os.getpid(), time.time())
    store.open(worker)
    {body}
"""
PATCH = "from gevent import monkey; monkey.patch_all()"

CLAIM_AND_HANG = """
    claims = list(claim_all(store))
    say([claim.stream_id for claim in claims])
    sys.stdin.readline()
    say(sorted(store.renew(worker, claims)))
"""
FORK = """
    claims = list(claim_all(store))
    child = os.fork()
    if child == 0:
        try:
            store.offer("from the child", {})
        except StoreError as problem:
            said = str(problem)
        store.close()
        say([said, len(os.listdir("/dev/fd"))])
        try:
            LocalStore(sys.argv[1]).open(Worker("child", "here", os.getpid(), time.time()))
        except StoreError as problem:
            say([problem.is_lasting, str(problem)])
        gevent.sleep(60)
        os._exit(0)
    sys.stdin.readline()
    store.offer("after the fork", {})
    say([child, len(os.listdir("/dev/fd"))])
    sys.stdin.readline()
"""
SPAWN = """
    claims = list(claim_all(store))
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    say([child.pid])
    sys.stdin.readline()
"""


@pytest.fixture
def directory():
    with tempfile.TemporaryDirectory(prefix="rtms-") as base:
        yield os.path.join(base, "apps", "app")


@pytest.fixture
def store(directory):
    with LocalStore(directory, LEASE) as store:
        store.open(Worker("ours", "here", os.getpid(), time.time()))
        yield store


def child(directory, body):
    return running(WORKER.format(body=body.strip(), lease=LEASE), directory)


@contextlib.contextmanager
def running(code, directory):
    """Run a script, and kill it at the end."""
    script = Script(code, directory)
    try:
        yield script
    finally:
        with contextlib.suppress(ProcessLookupError):
            script.process.send_signal(signal.SIGCONT)
            script.process.kill()
        script.process.communicate()


def heard(script):
    line = script.line()
    assert line, script.process.stderr.read()
    return json.loads(line)


def claims_of(store, **options):
    return list(iter(lambda: store.claim(**{"may_expire": False, **options}), None))


def test_what_a_killed_worker_had_can_be_claimed_at_once(directory, store):
    for number in range(3):
        store.offer(f"s{number}", START)
    with child(directory, CLAIM_AND_HANG) as script:
        assert heard(script) == ["s0", "s1", "s2"]
        assert store.claim(may_expire=True) is None
        script.process.send_signal(signal.SIGKILL)
        script.process.wait()
        claims = claims_of(store)
    assert [(claim.stream_id, claim.fence) for claim in claims] == [("s0", 2), ("s1", 2), ("s2", 2)]
    assert all(claim.is_takeover for claim in claims)
    store.renew(Worker("ours", "here", os.getpid(), 0.0), claims)
    assert [worker.id for worker in store.workers()] == ["ours"]


def test_what_a_stopped_worker_has_can_be_claimed_after_its_lease(directory, store):
    store.offer("s", START)
    store.offer("t", START)
    with child(directory, CLAIM_AND_HANG) as script:
        assert heard(script) == ["s", "t"]
        script.process.send_signal(signal.SIGSTOP)
        assert store.claim(may_expire=True) is None
        with gevent.Timeout(20):
            while (claimed := store.claim(may_expire=True)) is None:
                assert store.claim(may_expire=False) is None
                gevent.sleep(0.05)
        assert (claimed.stream_id, claimed.fence) == ("s", 2)
        (silent,) = (row for row in store.streams() if row.stream_id == "t")
        assert silent.silent > LEASE
        script.process.send_signal(signal.SIGCONT)
        script.process.stdin.write("\n")
        script.process.stdin.flush()
        assert heard(script) == ["s"]  # it has lost one, and keeps the other
    assert store.release(dataclasses.replace(claimed), has_ended=True) is True


@pytest.mark.parametrize("body", [FORK, SPAWN], ids=["fork", "spawn"])
def test_a_child_does_not_keep_its_parents_locks(directory, store, body):
    store.offer("s", START)
    with child(directory, body) as script:
        if body is FORK:
            refused, descriptors_of_child = heard(script)
            assert "not open" in refused
            is_lasting, refused = heard(script)
            assert is_lasting
            assert "forked" in refused
            script.process.stdin.write("\n")
            script.process.stdin.flush()
            grandchild, descriptors = heard(script)
            assert descriptors_of_child < descriptors
            assert {row.stream_id for row in store.streams()} == {"s", "after the fork"}
            store.claim(may_expire=False)
        else:
            (grandchild,) = heard(script)
        try:
            assert store.claim(may_expire=True) is None
            script.process.kill()
            script.process.wait()
            assert store.claim(may_expire=False).stream_id == "s"
            os.kill(grandchild, 0)  # and the child lives on
        finally:
            os.kill(grandchild, signal.SIGKILL)


#: Workers as a server forks them. Each claims what it can, when it is told to.
MANY = """
    import json, os, sys, time
    {patch}
    from rtms_gevent.cluster.local import LocalStore
    from rtms_gevent.cluster.records import Worker

    def work(number):
        store = LocalStore(sys.argv[1])
        store.open(Worker(f"w{{number}}", "here", os.getpid(), time.time()))
        os.write(1, b"ready\\n")
        os.read(0, 1)
        claims = iter(lambda: store.claim(may_expire=False), None)
        claimed = [claim.stream_id for claim in claims]
        os.write(1, (json.dumps(claimed) + chr(10)).encode())
        os.read(alive, 1)  # until all have claimed: what a dead one had is free

    alive, parent = os.pipe()
    for number in range(8):
        if os.fork() == 0:
            try:
                os.close(parent)
                work(number)
            finally:
                os._exit(0)
    time.sleep(60)
"""


@pytest.mark.parametrize("patch", ["", PATCH], ids=["plain", "patched"])
def test_of_many_processes_each_stream_is_claimed_by_one(directory, store, patch):
    with running(MANY.format(patch=patch), directory) as script:
        assert [script.line() for _ in range(8)] == ["ready"] * 8
        for number in range(200):
            store.offer(f"s{number}", START)
        script.process.stdin.write("." * 8)
        script.process.stdin.flush()
        claimed = [stream_id for _ in range(8) for stream_id in heard(script)]
    assert sorted(claimed) == sorted(f"s{number}" for number in range(200))

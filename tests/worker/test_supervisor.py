"""The life of the processes that the worker command starts, with real ones."""

from __future__ import annotations

import os
import signal

import pytest
from support.recorder import wait_until

from .command import WorkerCommand
from .notifications import Notifications

APP = "plain:cluster"
HANDED_OVER = "has handed its streams over"


def test_a_signal_ends_all_processes(tmp_path):
    """systemd hears of the start, when all take part, and of the end."""
    with Notifications(tmp_path / "systemd") as systemd:
        settings = {"NOTIFY_SOCKET": systemd.address}
        with WorkerCommand(tmp_path, APP, "--processes", "2", **settings) as worker:
            assert wait_until(systemd.read, 20) == b"READY=1"
            taking = worker.wait_taking(2)
            assert taking == worker.pids
            worker.send(signal.SIGTERM)
            assert worker.wait_ended() == 0
            assert systemd.read() == b"STOPPING=1"
            assert len(worker.told(HANDED_OVER)) == 2
            assert len(worker.told(r"has ended \(exit code 0\)")) == 2


def test_processes_that_end_are_replaced(tmp_path):
    with WorkerCommand(tmp_path, APP, "--processes", "2") as worker:
        first, second = worker.wait_taking(2)
        os.kill(first, signal.SIGKILL)
        worker.wait_told(rf"process {first} died \(signal 9, Killed\); another one starts in 1 s")
        third = worker.wait_taking(3)[-1]
        os.kill(second, signal.SIGTERM)
        worker.wait_told(f"{second} {HANDED_OVER}")
        worker.wait_told(rf"process {second} died \(exit code 0\); another one starts in 2 s")
        assert third not in (first, second)


def test_processes_end_when_the_supervisor_was_killed(tmp_path):
    with WorkerCommand(tmp_path, APP, "--processes", "2") as worker:
        worker.wait_taking(2)
        worker.send(signal.SIGKILL)
        assert worker.wait_ended() == -signal.SIGKILL
        worker.wait_told(HANDED_OVER, 2)


@pytest.mark.parametrize("option", [None, "--no-patch"])
def test_how_processes_are_set_up(tmp_path, option):
    options = ["--graceful-timeout", "12", *filter(None, [option])]
    with WorkerCommand(tmp_path, APP, *options) as worker:
        worker.wait_taking(1)
        assert worker.told("patched: (.*)") == [str(option is None)]
        assert worker.told("functions get (.*) s") == ["9.5"]  # before the process is killed
        worker.send(signal.SIGTERM)
        assert worker.wait_ended() == 0
        assert worker.told(HANDED_OVER)
        assert not worker.told("Traceback")


# -- reloading -------------------------------------------------------------------------------------


def test_a_reload_starts_new_processes_and_then_ends_the_old_ones(tmp_path):
    with WorkerCommand(tmp_path, APP, "--processes", "2") as worker:
        old = worker.wait_taking(2)
        worker.send(signal.SIGHUP)
        new = worker.wait_taking(4)[2:]
        assert not set(new) & set(old)
        for pid in old:
            worker.wait_told(rf"process {pid} has ended \(exit code 0\)")
        said = worker.log
        starts, ends = "takes streams", "ends: hands its streams over"
        assert max(said.index(f"{pid} {starts}") for pid in new) < min(
            said.index(f"{pid} {ends}") for pid in old
        )
        worker.send(signal.SIGTERM)
        assert worker.wait_ended() == 0
        assert len(worker.told(HANDED_OVER)) == 4


def test_a_reload_of_a_broken_app_changes_nothing(tmp_path):
    with WorkerCommand(tmp_path, APP) as worker:
        (old,) = worker.wait_taking(1)
        (tmp_path / "broken").touch()
        worker.send(signal.SIGHUP)
        worker.wait_told("did not start .* nothing is reloaded")
        assert worker.told("RuntimeError: this app is broken")
        assert not worker.told(f"{old} ends")
        # And when it is mended, it is reloaded.
        (tmp_path / "broken").unlink()
        worker.send(signal.SIGHUP)
        worker.wait_taking(2)
        worker.wait_told(f"{old} {HANDED_OVER}")


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "environment", "problem"),
    [
        ("nowhere:app", {}, "there is no module 'nowhere'"),
        ("string:digits", {}, "neither the Flask extension RTMS nor a Cluster.*factory"),
        ("shop:create_app()", {}, "'auto' is this process's own.* set RTMS_STORE to redis"),
        (APP, {"RTMS_MAX_STREAMS": "0"}, "RTMS_MAX_STREAMS is 0"),
    ],
)
def test_an_app_that_cannot_start_ends_the_command(tmp_path, app, environment, problem):
    with WorkerCommand(tmp_path, app, "--processes", "3", **environment) as worker:
        assert worker.wait_ended() == 1
        assert worker.told(f"rtms-gevent worker: .*{problem}")
        assert worker.told(r"does not start \(exit code 1\); its own words are above")
        assert len(worker.pids) == 1  # it is said once
        assert not worker.told("Traceback")


def test_a_store_that_cannot_be_is_said_before_anything_starts(tmp_path):
    with WorkerCommand(tmp_path, APP, "--store", "mysql://") as worker:
        assert worker.wait_ended() == 2
        assert worker.told("RTMS_STORE must be")
        assert worker.pids == []


def test_a_process_that_takes_too_long_to_end_is_killed(tmp_path):
    with WorkerCommand(tmp_path, APP, "--graceful-timeout", "0.2", STUCK="1") as worker:
        worker.wait_taking(1)
        worker.send(signal.SIGTERM)
        assert worker.wait_ended() == 1
        assert worker.told("has not ended within 0.2 s, and is killed")


def test_a_second_signal_ends_all_at_once(tmp_path):
    with WorkerCommand(tmp_path, APP, "--graceful-timeout", "600", STUCK="1") as worker:
        worker.wait_taking(1)
        worker.send(signal.SIGTERM)
        worker.wait_told("ends: hands its streams over")
        worker.send(signal.SIGINT)
        assert worker.wait_ended() == 1
        assert worker.told("SIGINT again: all processes are killed")

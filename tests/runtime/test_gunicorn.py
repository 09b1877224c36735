"""What is known of the gunicorn worker that this process is: asked in real workers."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import types

import pytest
from whole.test_servers import Server

from rtms_gevent.runtime.gunicorn import current_worker

HERE = pathlib.Path(__file__).parent
KNOWN = {
    "workers": 2,
    "is_ending": False,
    "graceful_timeout": 8.0,
    "timeout": 20.0,
    "is_child": True,
    "seconds": 5.5,
}


@pytest.mark.parametrize(
    ("kind", "name", "is_gevent", "options"),
    [
        ("sync", "SyncWorker", False, ()),
        ("gthread", "ThreadWorker", False, ()),
        ("gevent", "GeventWorker", True, ()),
        ("gevent", "GeventWorker", True, ("--preload",)),
        (
            "geventwebsocket.gunicorn.workers.GeventWebSocketWorker",
            "GeventWebSocketWorker",
            True,
            (),
        ),
    ],
    ids=["sync", "gthread", "gevent", "gevent, preloaded", "with WebSockets"],
)
def test_a_worker_knows_itself(kind, name, is_gevent, options):
    command = ["gunicorn", "-k", kind, "-w", "2", "--timeout", "20", *options, "gunicorn_app:app"]
    with Server(command, HERE, ready="/", graceful=8) as server:
        answer = json.loads(server.get("/end")[1])
    known = {**KNOWN, "name": name, "is_gevent": is_gevent}
    assert answer["now"] == known
    assert answer["imported_here"] is not bool(options)
    # While the app is imported in the worker it is known; in the arbiter there is none.
    assert answer["at_import"] == (None if options else known)
    assert answer["ending"] == {**known, "is_ending": True}
    assert not answer["in_child"]


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
def test_before_a_worker_ends_streams_can_be_handed_over(kind):
    """Once, while threads can still be started, and before the app's own hook."""
    command = ["gunicorn", "-k", kind, "-c", "gunicorn_conf.py", "gunicorn_app:app"]
    with Server(command, HERE, ready="/") as server:
        pass
    lines = server.output.decode().splitlines()
    words = ("handed over", "the app's own hook")
    assert [line for line in lines if line in words] == list(words)


class Worker:
    """As gunicorn's are, in another process."""

    alive, pid = True, -1
    cfg = types.SimpleNamespace()

    def handle(self, *_):
        pass


@pytest.mark.parametrize("handler", [signal.SIG_DFL, lambda *_: None, [].append, Worker().handle])
def test_no_worker(handler, monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda _: handler)
    assert current_worker() is None


def test_an_app_may_handle_sigterm_itself(monkeypatch):
    worker = Worker()
    monkeypatch.setattr(Worker, "pid", os.getpid())
    handlers = {signal.SIGABRT: worker.handle}
    monkeypatch.setattr(signal, "getsignal", handlers.get)
    found = current_worker()
    assert found is not None
    assert not found.is_ending

"""Answers with what it knows of the gunicorn worker that it runs in, and at its import knew."""

from __future__ import annotations

import json
import os
import signal
import time

import gevent

from rtms_gevent.runtime.exit import callback_deadline, leave_at_exit
from rtms_gevent.runtime.gunicorn import current_worker
from rtms_gevent.runtime.hub_context import context_of


def describe():
    worker = current_worker()
    if worker is None:
        return None
    return {
        "workers": worker.workers,
        "is_ending": worker.is_ending,
        "graceful_timeout": worker.graceful_timeout,
        "timeout": worker.timeout,
        "name": worker.name,
        "is_gevent": worker.is_gevent,
        "is_child": worker.arbiter == os.getppid(),
        "seconds": callback_deadline().seconds,
    }


def in_child():
    """Return whether a process that this one forks takes itself for the worker."""
    child = os.fork()
    if child == 0:
        os._exit(current_worker() is not None)
    return os.waitpid(child, 0)[1] != 0


def hand_over():
    """Need new threads, as stores may."""
    pool = gevent.get_hub().threadpool
    gevent.joinall([pool.spawn(time.sleep, 0.01) for _ in range(3)], raise_error=True)
    os.write(1, b"handed over\n")


IMPORTED = os.getpid(), describe()
if IMPORTED[1] is not None:
    leave_at_exit()
    context_of(gevent.get_hub()).before_leaving(hand_over)


def app(environ, start_response):
    answer = {
        "now": describe(),
        "imported_here": IMPORTED[0] == os.getpid(),
        "at_import": IMPORTED[1],
        "in_child": in_child(),
    }
    if environ["PATH_INFO"] == "/end":
        signal.raise_signal(signal.SIGTERM)
        while not current_worker().is_ending:  # gthread's other threads handle no signals
            time.sleep(0.001)
        answer["ending"] = describe()
    body = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

"""Settings of the gunicorn that ``rtms-gevent demo`` starts; read by gunicorn, by name.

The demo holds the other end of our standard input. When that closes, however the demo ended, the
server ends too, so that no orphan keeps the port.
"""

from __future__ import annotations

import os
import signal
from typing import Any

import gevent
import gevent.os

from ..live.page import WORKER_CLASS

worker_class = WORKER_CLASS
workers = 1  # a page shows the streams of the process that serves it
loglevel = "warning"
control_socket_disable = True


def post_worker_init(worker: Any) -> None:
    """Called by gunicorn in the worker, after the app was loaded."""
    gevent.spawn(_end_with_demo, worker.ppid)


def _end_with_demo(arbiter: int) -> None:
    gevent.os.make_nonblocking(0)
    while gevent.os.nb_read(0, 1):
        pass
    os.kill(arbiter, signal.SIGINT)

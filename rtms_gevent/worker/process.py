"""A process of the worker command: loads the app, and keeps streams until it is to end.

It ends when its control socket does, whose other end the supervisor holds: also where that was
killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import signal
import socket
import sys

import gevent

from ..cluster.cluster import Cluster, all_clusters
from ..errors import ConfigurationError, MissingExtra
from ..logs import configure_from_environment
from ..runtime.exit import set_graceful_timeout
from ..runtime.garbage import tune
from .application import load_app
from .options import READY, Options

__all__ = ["main"]

logger = logging.getLogger(__package__)

#: Seconds that the end may take longer than ``graceful_timeout`` where no supervisor is left.
_MARGIN = 5.0


def main() -> None:
    """Run the process; its first argument is the descriptor of the control socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    with control.makefile("rb") as lines:
        options = Options(**json.loads(lines.readline()))
    set_graceful_timeout(options.graceful_timeout)
    try:
        _run(control, options)
    except (ConfigurationError, MissingExtra) as problem:
        sys.exit(f"rtms-gevent worker: {problem}")


def _run(control: socket.socket, options: Options) -> None:
    app = load_app(options.app)  # kept, since nobody else may hold it
    _configure_logging()
    clusters = all_clusters()
    if not clusters:
        raise ConfigurationError(
            f"{options.app} has neither the Flask extension RTMS nor a Cluster, so that it gets no "
            f"streams (it is {type(app).__name__!r}; a factory is written with parentheses, as in "
            "app:create_app())"
        )
    tune()
    for number in (signal.SIGTERM, signal.SIGINT):  # before there is a stream
        signal.signal(number, lambda *_: control.shutdown(socket.SHUT_RD))
    for cluster in clusters:
        _start(cluster, options)
    with contextlib.suppress(OSError):  # the supervisor is gone; or gevent says so at the shutdown
        control.sendall(READY)
        while control.recv(64):
            pass
    _end(clusters, options.graceful_timeout)


def _start(cluster: Cluster, options: Options) -> None:
    """Let this process take part, with what the command line says in place of the app's settings.

    Raises:
        ConfigurationError: the store or the number of streams makes no sense for a worker.
    """
    settings = cluster.settings
    cluster.settings = settings = dataclasses.replace(
        settings,
        store=settings.store if options.store is None else options.store,
        max_streams=settings.max_streams if options.max_streams is None else options.max_streams,
    )
    if settings.max_streams == 0:
        raise ConfigurationError(
            "RTMS_MAX_STREAMS is 0, so that this worker would take no stream: leave it to the "
            "processes that only receive webhooks, or say --max-streams"
        )
    cluster.start()
    if cluster.store is None or not cluster.store.is_shared:
        raise ConfigurationError(
            f"the store {settings.store!r} is this process's own, so that no webhook's stream gets "
            "here: set RTMS_STORE to redis://... (or to local, where all processes are on this "
            "machine), for the processes that receive the webhooks, too; or say --store"
        )
    limit = settings.max_streams
    logger.info(
        "takes streams of %s from the store %s, %s",
        options.app,
        cluster.store.name,
        "any number" if limit is None else f"at most {limit}",
    )


def _end(clusters: list[Cluster], timeout: float) -> None:
    """Hand all streams over; what the interpreter does at its exit follows."""
    # The kernel ends this process if that lasts too long, whether or not a supervisor still lives.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, timeout + _MARGIN)
    logger.info("ends: hands its streams over, and takes no more")
    gevent.joinall([gevent.spawn(cluster.drain) for cluster in clusters])
    logger.info("has handed its streams over")


class _WithProcess(logging.Filter):
    """Begins each line with the number of this process, since several write to one terminal."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = f"{os.getpid()} {record.msg}"
        return True


def _configure_logging() -> None:
    """Write to standard error, where the app has not set up logging itself."""
    ours = logging.getLogger(__package__.partition(".")[0])
    before = list(ours.handlers)
    configure_from_environment()
    for handler in ours.handlers:
        if handler not in before:
            handler.addFilter(_WithProcess())

"""Lets an app take part in the workers of gunicorn, which need no hook and no setting for it."""

from __future__ import annotations

import functools
import logging
import os
import sys
import weakref
from typing import Protocol

import gevent
from gevent import monkey
from gevent.hub import Hub

from ..runtime.gunicorn import current_worker
from ..runtime.threads import start_native_thread

__all__ = ["Participant", "is_arbiter", "take_part_in_workers"]

logger = logging.getLogger(__name__)

_native_sleep = monkey.get_original("time", "sleep")

#: Seconds between two looks at what has become of this process.
_POLL = 0.05
#: Seconds after a fork in which gunicorn makes the child a worker; mostly it takes milliseconds.
_PATIENCE = 60.0


class Participant(Protocol):
    """A :class:`.Cluster`."""

    def start(self) -> None:
        """Take part, in the worker that this process is."""


#: Clusters of apps that were loaded in gunicorn's arbiter (``--preload``), and its process id.
_preloaded: weakref.WeakKeyDictionary[Participant, int] = weakref.WeakKeyDictionary()


def take_part_in_workers(cluster: Participant) -> None:
    """Start ``cluster`` in each gunicorn worker that has its app, once the app is loaded there.

    To be called when the app is made. With ``--preload`` that is in the arbiter, and the workers
    are its forks. In all other processes this does nothing.
    """
    if is_arbiter():
        _preloaded[cluster] = os.getpid()
        _register()
    elif current_worker() is not None:
        _start_once_booted([cluster], timeout=None)


def is_arbiter() -> bool:
    """Return whether this is gunicorn's first process, which loads the app for ``--preload``."""
    return "gunicorn.arbiter" in sys.modules and current_worker() is None


@functools.cache
def _register() -> None:
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _after_fork_in_child() -> None:
    # A worker's own children are nobody's workers.
    clusters = [cluster for cluster, arbiter in _preloaded.items() if arbiter == os.getppid()]
    _preloaded.clear()
    if clusters:
        _start_once_booted(clusters, _PATIENCE)


def _start_once_booted(clusters: list[Participant], timeout: float | None) -> None:
    # A thread looks, since a sync or gthread worker runs no hub.
    hub = gevent.get_hub()
    start_native_thread(lambda: _wait(hub, clusters, timeout))


def _wait(hub: Hub, clusters: list[Participant], timeout: float | None) -> None:
    """Start clusters when gunicorn is done with making this process a worker, if it ever is.

    Not before: streams would come while the app still registers its functions.
    """
    waited = 0.0
    while (worker := current_worker()) is None or not worker.is_booted:
        if worker is None and timeout is not None and waited > timeout:
            return  # it was forked for something else
        _native_sleep(_POLL)
        waited += _POLL
    for cluster in clusters:
        if monkey.is_module_patched("socket"):
            hub.loop.run_callback_threadsafe(gevent.spawn, _start, cluster)
        else:
            _start(cluster)


def _start(cluster: Participant) -> None:
    try:
        cluster.start()
    except Exception:
        logger.exception("%r cannot take part in sharing streams", cluster)

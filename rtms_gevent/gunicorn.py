"""Settings for gunicorn that are optional: ``from rtms_gevent.gunicorn import *``.

To be written into ``gunicorn.conf.py``. Workers share their streams without it.
"""

from __future__ import annotations

from .runtime.garbage import tune

__all__ = ["post_worker_init"]


def post_worker_init(worker: object) -> None:
    """Keep the garbage collector from stopping all streams of a worker; see ``docs/deployment.md``.

    Called by gunicorn in each worker, once the app is loaded. A ``gunicorn.conf.py`` that has a
    function of this name calls this one in it.
    """
    tune()

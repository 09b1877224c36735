"""The other workers of this machine, and what their pages see."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import gevent
from gevent.event import Event

from ..cluster.cluster import all_clusters
from ..cluster.records import Worker
from ..errors import NotJoinedError, StoreError
from .pipe import Pipe, PipeClosed
from .sharing import FORMAT, live_socket

__all__ = ["SIBLINGS_INTERVAL", "Relay", "numbers_of", "siblings"]

logger = logging.getLogger(__name__)

#: Seconds between two looks for other workers.
SIBLINGS_INTERVAL = 1.0
#: Seconds that another worker has to tell its numbers.
NUMBERS_TIMEOUT = 2.0


#: What :func:`siblings` found last, and when: many viewers ask for it.
_found: tuple[float, list[Worker]] = (float("-inf"), [])


def siblings() -> list[Worker]:
    """Return the other workers of this machine whose pages can be asked, as of the last second.

    Asks the stores, and so may wait, cooperatively. Any thread.
    """
    global _found
    if time.monotonic() - _found[0] >= SIBLINGS_INTERVAL:
        _found = (time.monotonic(), _found[1])  # whoever comes meanwhile gets the last ones
        _found = (time.monotonic(), _find())
    return _found[1]


def _find() -> list[Worker]:
    here, own = socket.gethostname(), live_socket()
    found: dict[str, Worker] = {}
    for cluster in all_clusters():
        try:
            workers = cluster.workers()
        except (StoreError, NotJoinedError) as problem:
            logger.debug("which workers there are cannot be known: %s", problem)
            continue
        for worker in workers:
            if worker.live_socket and worker.host == here and worker.live_socket != own:
                found[worker.live_socket] = worker
    return list(found.values())


def numbers_of(workers: Iterable[Worker], page: str) -> list[tuple[Worker, dict[str, Any]]]:
    """Return what other workers say in ``/stats`` of a page; without those that do not answer.

    Waits cooperatively. To be called in a greenlet of a hub that runs.
    """
    asked = [(worker, gevent.spawn(_ask, worker, page)) for worker in workers]
    gevent.joinall([greenlet for _, greenlet in asked], timeout=NUMBERS_TIMEOUT)
    gevent.killall([greenlet for _, greenlet in asked])
    return [
        (worker, greenlet.value) for worker, greenlet in asked if isinstance(greenlet.value, dict)
    ]


def _ask(worker: Worker, page: str) -> dict[str, Any] | None:
    try:
        with contextlib.closing(Pipe.connect(worker.live_socket)) as pipe:
            pipe.send(_opening(page, "numbers"))
            answer: dict[str, Any] = json.loads(pipe.receive())
            return answer
    except PipeClosed as problem:
        logger.debug("worker %s does not tell its numbers: %s", worker.id, problem)
        return None


def _opening(page: str, want: str) -> str:
    return json.dumps({"format": FORMAT, "page": page, "want": want})


class Relay:
    """Passes on what another worker's page sees, to one viewer.

    It takes the next message when the last one was passed on. So a slow viewer is slow for the
    other worker, too, which then sends it the newest picture only, and waits for nobody.
    """

    def __init__(
        self,
        worker: Worker,
        page: str,
        pass_on: Callable[[Relay, dict[str, Any] | bytes], None],
    ) -> None:
        """Connect to nobody yet.

        Args:
            worker: Whom to ask.
            page: Key of the page.
            pass_on: Called with each message, and with each picture as browsers get it.
        """
        self.worker = worker
        self.heard = Event()  #: its first message was passed on, or there is none
        self._page = page
        self._pass_on = pass_on
        self._pipe: Pipe | None = None
        self._watched = ""

    def watch(self, stream_id: str) -> None:
        """Ask for a stream in detail from now on, from its beginning; "" is none."""
        self._watched = stream_id
        if self._pipe is not None:
            with contextlib.suppress(PipeClosed):  # run() notices, too
                self._pipe.send(stream_id)

    def run(self) -> None:
        """Pass on until the other worker is gone. Raises what ``pass_on`` raises."""
        try:
            with contextlib.closing(Pipe.connect(self.worker.live_socket)) as pipe:
                pipe.send(_opening(self._page, "news"))
                self._pipe = pipe
                if self._watched:
                    pipe.send(self._watched)
                while True:
                    message = pipe.receive()
                    self._pass_on(
                        self, message if isinstance(message, bytes) else json.loads(message)
                    )
                    self.heard.set()
        except PipeClosed as problem:
            logger.debug("worker %s is not heard of: %s", self.worker.id, problem)
        finally:
            self._pipe = None
            self.heard.set()

"""Turns of the loop for work that can wait a little, such as joining.

When five hundred streams are joined at once, half a second of work becomes ready at about the same
time, and gevent would do it in one go, while nothing is read of the streams that run already. So
each step waits for its turn: one step for each turn of the loop, which reads in between. Steps are
the beginning of a join (:mod:`.hub_context`) and those of opening a connection, whoever opens it
(:mod:`rtms_gevent.transport.connect`, and after the handshake :mod:`rtms_gevent.stream.opening`).
"""

from __future__ import annotations

from collections import deque
from typing import Any

import gevent
from gevent.hub import Hub

from .hub_local import HubLocal

__all__ = ["yield_to_io"]

#: libev's lowest priority: after all else that is ready in that turn, and so after the reading.
#: Else what comes during one step would wait for the next one, too. (libuv knows no priorities, but
#: checks after it has read.)
_LAST = -2


class _Queue:
    def __init__(self, hub: Hub) -> None:
        self._waiting: deque[Any] = deque()
        # Both run while anybody waits. A timer of no time would do the work of both, but libuv
        # before 1.45 has timers come twice in a turn: before the reading, and after it.
        self._turn = hub.loop.check(priority=_LAST)  # comes once in each turn
        self._awake = hub.loop.idle()  # keeps the loop from sleeping until something is to be read

    def wait(self, hub: Hub) -> None:
        greenlet = gevent.getcurrent()
        if not self._waiting:
            self._turn.start(self._next)
            self._awake.start(_nothing)
        self._waiting.append(greenlet)
        try:
            hub.switch()
        except BaseException:  # killed, or out of time, while it waits
            if greenlet in self._waiting:
                self._waiting.remove(greenlet)
                self._rest()
            raise

    def _next(self) -> None:
        greenlet = self._waiting.popleft()
        self._rest()
        greenlet.switch()

    def _rest(self) -> None:
        if not self._waiting:
            self._turn.stop()
            self._awake.stop()


#: By line.
_queues: HubLocal[dict[str, _Queue]] = HubLocal(dict)


def _nothing() -> None:
    pass


def yield_to_io(line: str = "joining") -> None:
    """Wait until the loop has read what there was, and nobody who came before still waits.

    For greenlets, never for the hub itself.

    Args:
        line: Who waits for whom. Strangers wait in another line, lest they hold up streams.
    """
    hub = gevent.get_hub()
    queues = _queues.of(hub)
    if line not in queues:
        queues[line] = _Queue(hub)
    queues[line].wait(hub)

"""Which clients are joined, per hub: what ``run()`` waits for and leaves at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gevent.hub import Hub

from .session import Session
from .transport.hubs import current_hub

if TYPE_CHECKING:
    from .client import Client

__all__ = ["add", "clients_of", "wait_for_change"]


class _OfHub:
    """The clients of one hub."""

    def __init__(self) -> None:
        self.clients: dict[Session, Client] = {}
        self.changed = Event()


_by_hub: dict[Hub, _OfHub] = {}


def _of(hub: Hub) -> _OfHub:
    found = _by_hub.get(hub)
    if found is None:
        found = _by_hub[hub] = _OfHub()
    return found


def add(session: Session, client: Client) -> None:
    """Remember ``client`` until ``session`` is over. Call it on the session's hub."""
    here = _of(current_hub())
    here.clients[session] = client

    def forget(_: Any) -> None:
        here.clients.pop(session, None)
        here.changed.set()

    session.over.rawlink(forget)


def clients_of(hub: Hub) -> list[Client]:
    """Return the clients whose streams live on ``hub``."""
    return list(_of(hub).clients.values())


def wait_for_change(hub: Hub, stopping: Event) -> None:
    """Wait until a stream of ``hub`` is over, or ``stopping`` is set."""
    here = _of(hub)
    here.changed.clear()
    gevent.wait([here.changed, stopping], count=1)


def forget_hub(hub: Hub) -> None:
    """Forget a hub whose thread ends."""
    _by_hub.pop(hub, None)

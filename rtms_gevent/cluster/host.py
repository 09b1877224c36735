"""What a cluster needs of whoever keeps the clients of this process, and calls the app."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from ..client import Client
from ..protocol.webhook_events import WebhookEvent

__all__ = ["StreamHost"]


class StreamHost(Protocol):
    """Keeps one client per stream of this process; :class:`.StreamManager` is one."""

    #: Called with a stream's id when its client is gone, from any thread; set by the cluster.
    on_gone: Callable[[str], object]

    @property
    def wants_streams(self) -> bool:
        """Whether the app joins streams at all."""

    @property
    def clients(self) -> Mapping[str, Client]:
        """The clients of the streams that are live now, by stream id."""

    def handle_event(self, event: WebhookEvent) -> object:
        """Act on a webhook whose stream is to live here, or lives here, or is nobody's.

        Called in a greenlet where functions of the user may run, and may block.
        """

    def take_over(self, event: WebhookEvent) -> object:
        """Join a stream that another worker had; ``event`` is its start. Called like the above."""

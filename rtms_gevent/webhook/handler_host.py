"""Where handlers with one argument run: the streams of a program that joins by itself."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

import gevent
from gevent.pool import Group

from .._interrupts import is_ctrl_c
from ..client import Client
from ..errors import NotJoinedError
from ..protocol.webhook_events import WebhookEvent, WebhookKind
from ..runtime.hub_context import all_clients
from .handlers import SimpleHandler
from .http_messages import WebhookPayload

__all__ = ["HandlerHost"]

logger = logging.getLogger(__name__)

#: Seconds between the end of a stream and another look whether it was joined again.
_LOOK_AGAIN = 0.01


class HandlerHost:
    """Calls handlers for webhooks, and sees which streams they have joined: a ``StreamHost``.

    A start belongs to this process until no handler works on it any more and no client of this
    process has joined its stream. The handlers make and keep their clients themselves.

    Greenlet-safety: the hub that serves webhooks.
    """

    def __init__(self, greenlets: Group) -> None:
        """Make a host without handlers.

        Args:
            greenlets: Where handlers run.
        """
        self.handlers: list[SimpleHandler] = []
        #: Called with the id of a stream that is over here, or that no handler has joined.
        self.on_gone: Callable[[str], object] = _is_alone
        self._greenlets = greenlets
        self._held: dict[str, Group] = {}  # calls about streams that belong to this process
        self._followed: dict[str, Client] = {}  # their clients, until their end was told

    @property
    def wants_streams(self) -> bool:
        """Whether there is a handler that may join one."""
        return bool(self.handlers)

    @property
    def clients(self) -> dict[str, Client]:
        """The clients of this process whose streams are not over, by stream id."""
        return {**self._followed, **_live_clients()}

    def handle_event(self, event: WebhookEvent) -> None:
        """Call each handler, in a greenlet of its own. Returns at once."""
        payload = WebhookPayload.of(event)
        calls: list[gevent.Greenlet[..., object]] = [
            self._greenlets.spawn(_call, handler, payload) for handler in self.handlers
        ]
        if self.on_gone is _is_alone:
            return
        stream_id = event.stream_id or ""
        if event.kind is WebhookKind.STARTED and stream_id not in self._held:
            self._held[stream_id] = Group()
            gevent.spawn(self._follow, stream_id)
        if event.kind is not WebhookKind.STOPPED and stream_id in self._held:
            for call in calls:  # which may also leave one client, and join with another
                self._held[stream_id].add(call)

    #: The handlers see by ``payload.is_takeover`` that another process has had the stream.
    take_over = handle_event

    def stop(self) -> None:
        """Call no handler any more."""
        self.handlers.clear()

    def _follow(self, stream_id: str) -> None:
        """Wait until a stream is over here, or was not joined, and say so."""
        calls = self._held[stream_id]
        calls.join()
        while (client := _live_clients().get(stream_id)) is not None:
            self._followed[stream_id] = client
            with contextlib.suppress(NotJoinedError):  # its loop does not run yet, or no more
                client.wait()
            gevent.sleep(_LOOK_AGAIN)  # it may be joined again, and is known for a moment more
            calls.join()
        del self._held[stream_id]
        was_joined = self._followed.pop(stream_id, None) is not None
        if was_joined or self.wants_streams:  # else a handler was killed, and others may join
            self.on_gone(stream_id)


def _live_clients() -> dict[str, Client]:
    return {one.stream_id(): one for one in all_clients() if isinstance(one, Client)}


def _is_alone(stream_id: str) -> None:
    """Tell nobody, where no cluster wants to know."""


def _call(handler: SimpleHandler, payload: WebhookPayload) -> None:
    try:
        handler(payload)
    except BaseException as problem:
        if is_ctrl_c(problem):
            raise
        logger.exception("webhook handler %r failed", handler)

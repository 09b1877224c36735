"""Where a webhook goes: to the owner of its stream, by the store, or to the app of this process."""

from __future__ import annotations

import functools
import logging
import random
from collections.abc import Callable
from typing import Any

import gevent

from .. import signals
from ..errors import StoreError
from ..protocol.webhook_events import WebhookEvent, WebhookKind
from ..runtime.deadline import Deadline
from ..runtime.hub_context import HubContext
from .host import StreamHost
from .records import storable
from .store import OFFERS_KEPT

__all__ = ["WebhookRouter"]

logger = logging.getLogger(__name__)

#: Seconds before an offer is tried again where the store does not answer, and the most.
_RETRY, _MAX_RETRY = 0.25, 2.0
#: Seconds after which a store that was away, and may have lost everything, knows all owners again.
_SETTLED = 3.0


class WebhookRouter:
    """Lets webhooks be acted on where their streams live, or are going to live.

    Greenlet-safety: any greenlet of the hub of ``context``.
    """

    def __init__(
        self,
        host: StreamHost,
        context: HubContext,
        ask: Callable[[Callable[..., Any]], Any],
        owns: Callable[[str | None], bool],
        in_touch: Callable[[], float],
    ) -> None:
        """Know no webhook yet.

        Args:
            host: Acts on what is for this process.
            context: Functions of the user run where it lets them.
            ask: Asks the store; see :meth:`.StoreAccess.ask`.
            owns: Whether a stream is this worker's.
            in_touch: Returns for how long the store has answered; see :class:`.StoreAccess`.
        """
        self.missed = 0  #: starts that nobody has joined in time, as far as this worker knows
        self._host = host
        self._context = context
        self._ask = ask
        self._owns = owns
        self._in_touch = in_touch

    def route(self, event: WebhookEvent) -> None:
        """Let a webhook be acted on where its stream lives, or is going to live.

        Waits for the store, which is asked again for as long as Zoom holds a stream.
        """
        if event.kind is WebhookKind.STARTED and not self._host.wants_streams:
            self.handle(event)
            return
        try:
            self._route(event)
        except BaseException as problem:
            # Also where this process ends meanwhile: the app is to hear of it.
            if event.kind is WebhookKind.STARTED:
                self.miss(event, str(problem) or "the process ended while the store was away")
            else:
                self.handle(event)
            if not isinstance(problem, StoreError):
                raise

    def _route(self, event: WebhookEvent) -> None:
        deadline, delay = Deadline(OFFERS_KEPT), _RETRY
        while True:
            try:
                return self._send(event)
            except StoreError:
                if self._owns(event.stream_id):
                    return self.handle(event)
                if not deadline.left():
                    raise
            gevent.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            delay = min(2 * delay, _MAX_RETRY)

    def _send(self, event: WebhookEvent) -> None:
        """Offer a start, and send all else to the owner.

        Raises:
            StoreError: the store does not answer.
        """
        stream_id, document = event.stream_id or "", storable(event.raw)
        if event.kind is WebhookKind.STARTED:
            self._ask(lambda store: store.offer(stream_id, document))
            return
        is_stop = event.kind is WebhookKind.STOPPED
        while not self._ask(lambda store: store.send(stream_id, document, ends=is_stop)):
            if self._in_touch() > _SETTLED:
                break
            gevent.sleep(_RETRY)
        else:
            return
        if event.kind is WebhookKind.INTERRUPTED and event.server_urls:
            # Its owner has died, and the store with it: what says where to join is a start.
            start = {**document, "event": event.event.replace("interrupted", "started")}
            self._ask(lambda store: store.offer(stream_id, start))
        else:
            self.handle(event)

    def handle(self, event: WebhookEvent) -> None:
        """Let the app of this process act on a webhook. Returns at once."""
        self._context.spawn(self._host.handle_event, event)

    def miss(self, event: WebhookEvent, why: str) -> None:
        """Tell of a stream that nobody has joined. Returns at once."""
        self.missed += 1
        logger.error("stream %.80r is missed, no worker has joined it: %s", event.stream_id, why)
        tell = functools.partial(signals.emit, event=event, reason=why)
        # Whoever is told may take as long as it likes, and claims are to be renewed meanwhile.
        self._context.spawn(tell, signals.missed, self._host)

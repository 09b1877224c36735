"""Between what clients and apps have, and what a store keeps of it."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping
from typing import Any

from ..client import Client
from ..errors import WebhookError
from ..protocol.webhook_events import WebhookEvent, WebhookKind, parse_event
from .records import Claim, Progress
from .store import OFFERS_KEPT

__all__ = ["event_of", "with_progress"]

logger = logging.getLogger(__name__)

#: ms that a packet may be older than one of another media type that came before it.
_ON_THE_WAY = 2000


def with_progress(claim: Claim, client: Client | None) -> Claim:
    """Return a claim that says how far its client got."""
    if client is None or not client.stream_id():
        return claim
    stats = client.stats()
    delivered = {
        name: media.delivered_timestamp
        for name, media in stats.media.items()
        if media.delivered_timestamp is not None
    }
    newest = max(delivered.values(), default=0)
    for name, timestamp in delivered.items():
        if not stats.media[name].waiting:
            # Nobody has said anything since then: what is missing later did not begin there.
            delivered[name] = max(timestamp, newest - _ON_THE_WAY)
    progress = Progress(
        # Of a media type of which nothing came yet, an earlier owner knows more.
        delivered={**claim.progress.delivered, **delivered},
        is_joined=stats.is_joined,
        received=sum(media.received for media in stats.media.values()),
        gaps=sum(len(media.gaps) for media in stats.media.values()),
        missing_ms=sum(media.missing_ms for media in stats.media.values()),
        outages=stats.outages,
    )
    return dataclasses.replace(claim, progress=progress)


def event_of(document: Mapping[str, Any], claim: Claim | None = None) -> WebhookEvent | None:
    """Return a stored webhook as an event; ``None`` for one that says nothing.

    Args:
        document: What was stored.
        claim: Where it is the start of a stream that was claimed: whose progress it is to tell.
    """
    if not document:
        return None
    try:
        event = parse_event(document)
    except WebhookError as problem:
        logger.error("a webhook in the store is malformed: %s", problem)
        return None
    if claim is not None and claim.is_takeover:
        return dataclasses.replace(
            event, is_takeover=True, delivered=dict(claim.progress.delivered)
        )
    is_old = event.event_ts is not None and time.time() - event.event_ts / 1000 > OFFERS_KEPT
    return dataclasses.replace(event, is_stale=is_old and event.kind is WebhookKind.STARTED)

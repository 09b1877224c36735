"""Receiving Zoom's webhooks: signatures, typed events, answers.

An own server for scripts is :func:`on_webhook_event`; for Flask see :mod:`rtms_gevent.flask`.
"""

from __future__ import annotations

from ..official.client_names import receive_webhooks_with
from ..protocol.webhook_events import WebhookEvent, WebhookKind, parse_event
from .deduplication import DeliveryStore, RecentDeliveries
from .http_messages import Headers, WebhookPayload, WebhookRequest, WebhookResponse
from .receiver import WebhookReceiver, WebhookReply
from .server import WebhookServer, on_webhook_event, stop_all
from .signature import (
    SignatureReport,
    encrypt_token,
    explain_signature,
    find_problem,
    is_authentic,
    is_plain_token,
    sign,
)

#: What a handler gets as ``request``, and the decorator, as the official SDK calls them.
WebhookHandler = WebhookRequest
onWebhookEvent = on_webhook_event
receive_webhooks_with(on_webhook_event)

__all__ = [
    "DeliveryStore",
    "Headers",
    "RecentDeliveries",
    "SignatureReport",
    "WebhookEvent",
    "WebhookHandler",
    "WebhookKind",
    "WebhookPayload",
    "WebhookReceiver",
    "WebhookReply",
    "WebhookRequest",
    "WebhookResponse",
    "WebhookServer",
    "encrypt_token",
    "explain_signature",
    "find_problem",
    "is_authentic",
    "is_plain_token",
    "onWebhookEvent",
    "on_webhook_event",
    "parse_event",
    "sign",
    "stop_all",
]

"""Receiving Zoom's webhooks: signatures, typed events, answers, and a client for each stream.

An own server for scripts is :func:`on_webhook_event`; for Flask see :mod:`rtms_gevent.flask`. Other
frameworks put together :class:`WebhookReceiver`, :class:`AfterAnswer`, :class:`StreamManager` and
:class:`rtms_gevent.cluster.Cluster`.
"""

from __future__ import annotations

from ..official.client_names import receive_webhooks_with
from ..protocol.webhook_events import WebhookEvent, WebhookKind, parse_event
from ..wsgi.body import RequestRefused, read_body
from .after_answer import AfterAnswer
from .decorator import on_webhook_event, stop_all
from .deduplication import DeliveryStore, RecentDeliveries
from .http_messages import Headers, WebhookPayload, WebhookRequest, WebhookResponse
from .receiver import WebhookReceiver, WebhookReply
from .server import WebhookServer
from .signature import (
    SignatureReport,
    encrypt_token,
    explain_signature,
    find_problem,
    is_authentic,
    is_plain_token,
    sign,
)
from .stream_manager import JoinOptions, StreamHandlers, StreamManager

#: What a handler gets as ``request``, and the decorator, as the official SDK calls them.
WebhookHandler = WebhookRequest
onWebhookEvent = on_webhook_event
receive_webhooks_with(on_webhook_event)

__all__ = [
    "AfterAnswer",
    "DeliveryStore",
    "Headers",
    "JoinOptions",
    "RecentDeliveries",
    "RequestRefused",
    "SignatureReport",
    "StreamHandlers",
    "StreamManager",
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
    "read_body",
    "sign",
    "stop_all",
]

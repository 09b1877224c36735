"""Receiving Zoom's webhooks: signatures, typed events, answers.

An own server for scripts is :func:`on_webhook_event`; for Flask see :mod:`rtms_gevent.flask`.
"""

from __future__ import annotations

from .events import WebhookEvent, WebhookKind, parse_event
from .exchange import Headers, WebhookPayload, WebhookRequest, WebhookResponse
from .memory import DeliveryMemory, RecentDeliveries
from .receiver import Answer, WebhookReceiver
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

__all__ = [
    "Answer",
    "DeliveryMemory",
    "Headers",
    "RecentDeliveries",
    "SignatureReport",
    "WebhookEvent",
    "WebhookKind",
    "WebhookPayload",
    "WebhookReceiver",
    "WebhookRequest",
    "WebhookResponse",
    "WebhookServer",
    "encrypt_token",
    "explain_signature",
    "find_problem",
    "is_authentic",
    "is_plain_token",
    "on_webhook_event",
    "parse_event",
    "sign",
    "stop_all",
]

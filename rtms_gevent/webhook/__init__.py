"""Receiving Zoom's webhooks: signatures, typed events, answers.

For Flask see :mod:`rtms_gevent.flask`.
"""

from __future__ import annotations

from .events import WebhookEvent, WebhookKind, parse_event
from .memory import DeliveryMemory, RecentDeliveries
from .receiver import Answer, WebhookReceiver
from .signature import (
    SignatureReport,
    encrypt_token,
    explain_signature,
    find_problem,
    is_authentic,
    sign,
)

__all__ = [
    "Answer",
    "DeliveryMemory",
    "RecentDeliveries",
    "SignatureReport",
    "WebhookEvent",
    "WebhookKind",
    "WebhookReceiver",
    "encrypt_token",
    "explain_signature",
    "find_problem",
    "is_authentic",
    "parse_event",
    "sign",
]

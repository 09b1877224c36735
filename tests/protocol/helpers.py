"""Short ways to decode literal documents."""

from __future__ import annotations

import json
from typing import Any

from rtms_gevent.enums import Product
from rtms_gevent.protocol.codec import JsonCodec


def decode(document: Any, product: Product = Product.MEETING) -> Any:
    """Decode a document, or JSON text as it stands."""
    text = document if isinstance(document, str) else json.dumps(document)
    return JsonCodec(product).decode(text.encode())


def encode(message: Any, product: Product = Product.MEETING) -> dict[str, Any]:
    """Return the document that a message is sent as, after a trip through JSON text."""
    document: dict[str, Any] = json.loads(JsonCodec(product).encode(message))
    return document


#: Names of fields that are read somewhere.
KEYS = [
    "attribute",
    "channel_id",
    "chat_session",
    "content",
    "data",
    "delete_file_id_list",
    "end_time",
    "event",
    "event_code",
    "event_ts",
    "event_type",
    "events",
    "files",
    "fps",
    "length",
    "language",
    "media_params",
    "media_server",
    "media_server_url",
    "media_type",
    "meeting_uuid",
    "message_id",
    "operation_type",
    "paticipant_info",
    "participants",
    "payload_encrypted",
    "reason",
    "receiver",
    "rtms_session_id",
    "rtms_stream_id",
    "send_rate",
    "sender",
    "server_urls",
    "start_time",
    "state",
    "status",
    "status_code",
    "stop_reason",
    "subscribe",
    "timestamp",
    "type",
    "user_id",
    "user_name",
    "users",
]

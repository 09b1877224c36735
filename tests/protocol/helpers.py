"""Short ways to decode literal documents."""

from __future__ import annotations

import base64
import json
from typing import Any

from rtms_gevent.enums import Product
from rtms_gevent.protocol.codec import JsonCodec
from rtms_gevent.protocol.metadata import ChatDetails
from rtms_gevent.protocol.packets import TEXTUAL, MediaPacket


def decode(document: Any, product: Product = Product.MEETING) -> Any:
    """Decode a document, or JSON text as it stands."""
    text = document if isinstance(document, str) else json.dumps(document)
    return JsonCodec(product).decode(text.encode())


def encode(message: Any, product: Product = Product.MEETING) -> dict[str, Any]:
    """Return the document that a message is sent as, after a trip through JSON text."""
    document: dict[str, Any] = json.loads(JsonCodec(product).encode(message))
    return document


def packet_document(packet: MediaPacket) -> dict[str, Any]:
    """Return the document that a server would send for a packet."""
    metadata = packet.metadata
    textual = packet.media_type in TEXTUAL
    content: dict[str, Any] = {
        **metadata.extra,
        "timestamp": packet.timestamp,
        "data": packet.data.decode() if textual else base64.b64encode(packet.data).decode(),
        "channel_id": metadata.channelId,
        "user_name": metadata.userName,
        "start_time": metadata.startTs,
        "end_time": metadata.endTs,
        "language": metadata.language,
        "attribute": metadata.attribute,
    }
    content.setdefault("user_id", metadata.userId)
    if metadata.chat is not None:
        content.update(_chat_fields(metadata.chat))
    return {"msg_type": packet.msg_type, "content": content}


def _chat_fields(chat: ChatDetails) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if chat.session_type is not None:
        content["chat_session"] = {"type": int(chat.session_type), "id": chat.session_id}
    if chat.operation is not None:
        content["operation_type"] = int(chat.operation)
    if chat.message_id:
        content["message_id"] = chat.message_id
    if chat.parent_message_id:
        content["parent_message_id"] = chat.parent_message_id
    if chat.receiver is not None:
        content["receiver"] = {"user_id": chat.receiver.id, "user_name": chat.receiver.name}
    if chat.files:
        content["files"] = [dict(item) for item in chat.files]
    if chat.deleted_files:
        content["delete_file_id_list"] = list(chat.deleted_files)
    return content


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

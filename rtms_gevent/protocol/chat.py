"""Reads chat messages, whose fields may be in two places.

Source: Zoom's samples of July 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..enums import ChatOperation, ChatSessionType, known
from .fields import Document, integer, mapping, string, text
from .metadata import ChatDetails
from .people import Participant
from .strict_json import embedded_object

__all__ = ["CHAT_FIELDS", "read_chat"]

#: Fields of a packet's content that have a place in ChatDetails.
CHAT_FIELDS = frozenset(
    {
        "chat_session",
        "operation_type",
        "message_id",
        "parent_message_id",
        "sender",
        "receiver",
        "files",
        "delete_file_id_list",
    }
)


def read_chat(content: Document) -> tuple[Document, Any, ChatDetails | None]:
    """Return content, text and details of a chat message."""
    content, words = _unwrapped(content)
    if CHAT_FIELDS.isdisjoint(content):
        return content, words, None
    return {**mapping(content, "sender"), **content}, words, _details(content)


def _unwrapped(content: Document) -> tuple[Document, Any]:
    """Return all fields beside each other, and the text.

    The fields may be in ``content`` or, as JSON, in its ``data``; then the text is in there too.
    Where the content has them, ``data`` is what somebody typed, be it JSON or not; and what is in
    ``data`` never replaces what Zoom says beside it: people could write in the name of others.
    """
    data = content.get("data")
    if isinstance(data, str) and CHAT_FIELDS.isdisjoint(content):
        nested = embedded_object(data)
        if nested is not None and not CHAT_FIELDS.isdisjoint(nested):
            return {**nested, **content}, text(nested, "data", "text", "message")
    return content, data


def _details(content: Document) -> ChatDetails:
    session, receiver = mapping(content, "chat_session"), mapping(content, "receiver")
    kind, operation = integer(session, "type"), integer(content, "operation_type")
    files, deleted = content.get("files"), content.get("delete_file_id_list")
    return ChatDetails(
        session_type=None if kind is None else known(ChatSessionType, kind),
        session_id=string(session.get("id")),
        operation=None if operation is None else known(ChatOperation, operation),
        message_id=string(content.get("message_id")),
        parent_message_id=string(content.get("parent_message_id")),
        receiver=Participant.from_wire(receiver) if receiver else None,
        files=tuple(item for item in files if isinstance(item, Mapping))
        if isinstance(files, list)
        else (),
        deleted_files=tuple(string(item) for item in deleted) if isinstance(deleted, list) else (),
        raw={key: value for key, value in content.items() if key in CHAT_FIELDS},
    )

"""The messages that a client sends to join, for contenders that are no RTMS clients."""

from __future__ import annotations

import base64
import json
import ssl

from .task import CLIENT_ID, Task

__all__ = ["client_ready", "media_request", "read_packet", "signaling_request", "tls_context"]

_MEDIA_TYPES = {"audio": 1, "video": 2}


def signaling_request(stream: str) -> str:
    """Return the first message on the signaling socket."""
    return _message(1, stream, meeting_uuid=stream, signature=CLIENT_ID)


def media_request(stream: str, media: str) -> str:
    """Return the first message on the media socket."""
    kind = _MEDIA_TYPES[media]
    return _message(3, stream, meeting_uuid=stream, signature=CLIENT_ID, media_type=kind)


def client_ready(stream: str) -> str:
    """Return what follows on the signaling socket."""
    return _message(7, stream)


def _message(number: int, stream: str, **fields: object) -> str:
    return json.dumps({"msg_type": number, "rtms_stream_id": stream, "sequence": 1, **fields})


def read_packet(text: str | bytes) -> tuple[bytes, int, int, dict[str, object]]:
    """Return a callback's arguments: data, size, timestamp, metadata."""
    content = json.loads(text)["content"]
    data = base64.b64decode(content["data"])
    return data, len(data), content["timestamp"], content


def tls_context(task: Task) -> ssl.SSLContext | None:
    """Return what trusts the task's authority, or None without TLS."""
    return ssl.create_default_context(cafile=task.ca) if task.ca else None

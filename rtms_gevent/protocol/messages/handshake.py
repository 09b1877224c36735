"""Opening the signaling socket and media sockets: messages 1 to 4, and 7."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from ...enums import MediaDataType, MessageType, Product, StatusCode
from ..fields import Document, mapping, text
from ..identity import StreamIdentity
from .base import Message, OutgoingMessage, read_status

__all__ = [
    "ClientReady",
    "MediaHandshakeRequest",
    "MediaHandshakeResponse",
    "SignalingHandshakeRequest",
    "SignalingHandshakeResponse",
]

_PROTOCOL_VERSION = 1

#: Names under which servers announce the address of a media type.
_URL_NAMES = {
    "audio": MediaDataType.AUDIO,
    "video": MediaDataType.VIDEO,
    "deskshare": MediaDataType.DESKSHARE,
    "share": MediaDataType.DESKSHARE,
    "sharescreen": MediaDataType.DESKSHARE,
    "transcript": MediaDataType.TRANSCRIPT,
    "chat": MediaDataType.CHAT,
    "all": MediaDataType.ALL,
}


def _signed(identity: StreamIdentity, signature: str) -> dict[str, Any]:
    """Return what both requests have in common."""
    return {
        "protocol_version": _PROTOCOL_VERSION,
        "sequence": 1,
        **identity.fields,
        "signature": signature,
    }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SignalingHandshakeRequest(OutgoingMessage):
    """Message 1: we ask to open the signaling socket."""

    number: ClassVar[MessageType] = MessageType.SIGNALING_HAND_SHAKE_REQ
    identity: StreamIdentity
    signature: str = dataclasses.field(repr=False)
    #: False drops the up to 60 s of audio that Zoom buffers until we join; None leaves it to Zoom.
    buffer_data: bool | None = None
    agent: str = ""

    def _fields(self) -> dict[str, Any]:
        fields = _signed(self.identity, self.signature)
        if self.buffer_data is not None:
            fields["buffer_data"] = self.buffer_data
        if self.agent:
            fields["rtms_client_agent"] = self.agent
        return fields


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SignalingHandshakeResponse(Message):
    """Message 2: the answer, with the addresses of the media servers."""

    number: ClassVar[MessageType] = MessageType.SIGNALING_HAND_SHAKE_RESP
    #: None where the server sent none, which makes the answer unusable.
    status: StatusCode | int | None
    reason: str = ""
    #: Addresses as sent, per media type.
    media_urls: Mapping[MediaDataType, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> SignalingHandshakeResponse:
        """Read a document."""
        return cls(
            status=read_status(document),
            reason=text(document, "reason"),
            media_urls=_media_urls(document),
            raw=document,
        )


def _media_urls(document: Document) -> dict[MediaDataType, str]:
    """Return the addresses of the media servers, which come in three shapes."""
    server = mapping(document, "media_server")
    urls = server.get("server_urls", document.get("server_urls"))
    if not isinstance(urls, Mapping):
        one = urls if isinstance(urls, str) else text(document, "media_server_url")
        return {MediaDataType.ALL: one} if one.strip() else {}
    found: dict[MediaDataType, str] = {}
    for name, url in urls.items():
        kind = _URL_NAMES.get(name)
        if kind is not None and isinstance(url, str) and url.strip():
            found.setdefault(kind, url)
    return found


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MediaHandshakeRequest(OutgoingMessage):
    """Message 3: we ask for media on a media socket."""

    number: ClassVar[MessageType] = MessageType.DATA_HAND_SHAKE_REQ
    identity: StreamIdentity
    signature: str = dataclasses.field(repr=False)
    media_type: MediaDataType
    #: Parameters per media type, such as ``{"audio": {"codec": 4, ...}}``.
    media_params: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def _fields(self) -> dict[str, Any]:
        fields = {
            **_signed(self.identity, self.signature),
            "media_type": int(self.media_type),
            "payload_encryption": False,
        }
        if self.media_params:
            fields["media_params"] = {key: dict(value) for key, value in self.media_params.items()}
        return fields


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MediaHandshakeResponse(Message):
    """Message 4: the answer, with the parameters that the server will really use."""

    number: ClassVar[MessageType] = MessageType.DATA_HAND_SHAKE_RESP
    #: None where the server sent none, which makes the answer unusable.
    status: StatusCode | int | None
    reason: str = ""
    media_params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    payload_encrypted: bool = False

    @classmethod
    def from_wire(cls, document: Document, product: Product) -> MediaHandshakeResponse:
        """Read a document; the encryption flag has two spellings."""
        return cls(
            status=read_status(document),
            reason=text(document, "reason"),
            media_params=mapping(document, "media_params"),
            payload_encrypted=any(
                document.get(name) is True for name in ("payload_encrypted", "payload_encryption")
            ),
            raw=document,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientReady(OutgoingMessage):
    """Message 7: sent on signaling after a media handshake; media may flow now."""

    number: ClassVar[MessageType] = MessageType.CLIENT_READY_ACK
    stream_id: str

    def _fields(self) -> dict[str, Any]:
        return {"rtms_stream_id": self.stream_id}

"""The ids that identify a stream: webhooks carry them, and handshakes repeat them."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Protocol, TypedDict

from ..enums import Product
from ..errors import ConfigurationError
from .webhook_events import product_of

__all__ = ["ParsedEvent", "StartPayload", "StreamIdentity", "handshake_signature"]


class StartPayload(TypedDict, total=False):
    """What names a stream in the payload of its start webhook, for payloads written by hand.

    A type checker finds a misspelt key where a variable has this type. ``join()`` itself takes any
    mapping: what comes from JSON has no better type, and has keys that are not listed here.
    """

    meeting_uuid: str
    webinar_uuid: str
    session_id: str
    engagement_id: str
    call_id: str
    rtms_stream_id: str
    server_urls: str


class ParsedEvent(Protocol):
    """A webhook event as an object, such as :class:`rtms_gevent.WebhookEvent`."""

    @property
    def event(self) -> str:
        """Its name, such as "meeting.rtms_started"."""

    @property
    def payload(self) -> Mapping[str, Any]:
        """Its payload."""


def handshake_signature(client_id: str, client_secret: str, uuid: str, stream_id: str) -> str:
    """Return what proves to Zoom that we are the app: HMAC-SHA256, as hex.

    Source: https://developers.zoom.us/docs/rtms/event-reference/, handshake requests.
    """
    text = f"{client_id},{uuid},{stream_id}"
    return hmac.new(client_secret.encode(), text.encode(), hashlib.sha256).hexdigest()


@dataclasses.dataclass(frozen=True, slots=True)
class StreamIdentity:
    """The ids of one stream."""

    product: Product
    uuid: str  #: id of the meeting, webinar, session, engagement or call
    stream_id: str  #: rtms_stream_id
    id_field: str  #: the name under which ``uuid`` travels in handshakes

    @classmethod
    def from_fields(
        cls,
        fields: Mapping[str, Any],
        *,
        event: str | None = None,
        id_field: str | None = None,
    ) -> StreamIdentity:
        """Pick the ids out of a flat payload or keyword arguments.

        Where several ids are given, the first of meeting_uuid, webinar_uuid, session_id,
        engagement_id and call_id counts, as in the official SDK.

        Args:
            fields: What the webhook said.
            event: The webhook's event name: it shows webinars that carry a ``meeting_uuid``.
            id_field: The name to use in handshakes instead of the product's own.

        Raises:
            ConfigurationError: an id is missing or no string of printable characters.
        """
        product = product_of(event or "")
        for candidate in Product:
            uuid = fields.get(candidate.value)
            if uuid is not None and uuid != "":
                break
        else:
            names = ", ".join(candidate.value for candidate in Product)
            raise ConfigurationError(f"no id of the meeting given: pass one of {names}")
        stream_id = fields.get("rtms_stream_id")
        for name, value in ((candidate.value, uuid), ("rtms_stream_id", stream_id)):
            # Ids are signed, sent and logged, so a line break or half a character must not pass.
            if not isinstance(value, str) or not value or not value.isprintable():
                raise ConfigurationError(
                    f"{name} must be a string of printable characters that is not empty, as in "
                    f"the start webhook's payload (a {type(value).__name__} was given)"
                )
        return cls(product or candidate, uuid, str(stream_id), id_field or candidate.value)

    @property
    def fields(self) -> dict[str, str]:
        """The ids as they travel in handshakes."""
        return {self.id_field: self.uuid, "rtms_stream_id": self.stream_id}

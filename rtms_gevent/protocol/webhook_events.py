"""Parses webhook events to dataclasses: every name that Zoom uses, and one shape for all payloads.

Source: https://developers.zoom.us/docs/api/rtms/events/ and, for the aliases, Zoom's samples,
changelogs and the documentation of the official SDK.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from ..enums import Product, StopReason, known
from ..errors import WebhookError
from .fields import integer

__all__ = ["WebhookEvent", "WebhookKind", "flatten", "parse_event", "product_of", "stream_kind_of"]


class WebhookKind(enum.Enum):
    """What a webhook says, whatever product it is about."""

    STARTED = "started"  #: a stream may be joined, or has moved to new addresses
    STOPPED = "stopped"  #: a stream is over
    INTERRUPTED = "interrupted"  #: Zoom lost our connection; there is about a minute to rejoin
    CONCURRENCY_LIMITED = "concurrency_limited"  #: no new stream, since too many are open
    CONCURRENCY_NEAR_LIMIT = "concurrency_near_limit"  #: more than 80 % of the limit are open
    START_FAILED = "start_failed"  #: Zoom could not start a stream
    URL_VALIDATION = "url_validation"  #: Zoom asks whether this address is ours
    OTHER = "other"  #: anything else; the name is in :attr:`WebhookEvent.event`


#: What may happen to a stream.
_STREAM_KINDS = (WebhookKind.STARTED, WebhookKind.STOPPED, WebhookKind.INTERRUPTED)

#: What stands before ``started``, ``stopped`` and ``interrupted``.
_PREFIXES: Mapping[str, Product] = {
    "meeting.rtms_": Product.MEETING,
    "meeting.rtms.": Product.MEETING,  # in comments of the official SDK, never seen on the wire
    "webinar.rtms_": Product.WEBINAR,
    "session.rtms_": Product.VIDEO_SDK,
    "contact_center.voice_rtms_": Product.CONTACT_CENTER,
    "contactcenter.rtms_": Product.CONTACT_CENTER,  # in older samples
    "phone.rtms_": Product.PHONE,
    "phone.call_rtms_": Product.PHONE,  # in Zoom's phone sample
}

_NAMES: Mapping[str, tuple[WebhookKind, Product | None]] = {
    **{
        prefix + kind.value: (kind, product)
        for prefix, product in _PREFIXES.items()
        for kind in _STREAM_KINDS
    },
    "rtms.concurrency_limited": (WebhookKind.CONCURRENCY_LIMITED, None),
    "rtms.concurrency_near_limit": (WebhookKind.CONCURRENCY_NEAR_LIMIT, None),
    "meeting.rtms_concurrency_limited": (WebhookKind.CONCURRENCY_LIMITED, None),  # until 2025
    "meeting.rtms_concurrency_near_limit": (WebhookKind.CONCURRENCY_NEAR_LIMIT, None),
    "rtms.start_failed": (WebhookKind.START_FAILED, None),
    "endpoint.url_validation": (WebhookKind.URL_VALIDATION, None),
}

#: By the first part of a name, which says it also of events that are not about streams.
_PRODUCTS: Mapping[str, Product] = {
    prefix.partition(".")[0]: product for prefix, product in _PREFIXES.items()
}

#: Fields that must be there, as text, since nothing can be done without them.
_REQUIRED: Mapping[WebhookKind, tuple[str, ...]] = {
    WebhookKind.STARTED: ("rtms_stream_id", "server_urls"),
    WebhookKind.STOPPED: ("rtms_stream_id",),
    WebhookKind.INTERRUPTED: ("rtms_stream_id",),
}


@dataclasses.dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One webhook, as Zoom sent it, with names for what matters.

    Fields that Zoom did not send are ``None``; those that have no name here are in ``payload``.
    """

    event: str  #: the name as sent, for example ``meeting.rtms_started``
    kind: WebhookKind
    product: Product | None  #: None where the event is about no stream
    event_ts: int | None  #: when it happened, in ms since the epoch
    #: ``payload`` of the document, with what is under ``payload.object`` beside the rest.
    payload: Mapping[str, Any] = dataclasses.field(repr=False, hash=False)
    #: The whole document, as sent.
    raw: Mapping[str, Any] = dataclasses.field(repr=False, hash=False)
    #: A start that came so late that Zoom has probably given the stream up; joining may fail.
    is_stale: bool = False
    #: A start of a stream that another worker had, which has handed it over, or is gone.
    is_takeover: bool = False
    #: How far that one got: timestamp of the packet that it delivered last, by media type
    #: ("audio"), in ms since the epoch on the media's own clock. Empty where nothing is known.
    delivered: Mapping[str, int] = dataclasses.field(default_factory=dict, hash=False)
    #: The bytes of the document, which Zoom signed; empty where it did not come by a receiver.
    body: bytes = dataclasses.field(default=b"", repr=False, compare=False)

    @property
    def stream_id(self) -> str | None:
        """Id of the stream (``rtms_stream_id``)."""
        return self._text("rtms_stream_id")

    @property
    def uuid(self) -> str | None:
        """Id of the meeting, webinar, session, engagement or call: the first that is there."""
        named = _identify(self.payload)
        return None if named is None else named[1]

    @property
    def server_urls(self) -> str | None:
        """Where to connect to: one address, or several with commas between."""
        return self._text("server_urls")

    @property
    def stop_reason(self) -> StopReason | int | None:
        """Why the stream stopped; a plain number where it is newer than this package."""
        number = integer(self.payload, "stop_reason")
        return None if number is None else known(StopReason, number)

    @property
    def operator_id(self) -> str | None:
        """Id of the user who started the stream."""
        return self._text("operator_id")

    @property
    def concurrency_number(self) -> int | None:
        """How many streams are open, in the two concurrency events."""
        return integer(self.payload, "concurrency_number")

    @property
    def concurrency_limit(self) -> int | None:
        """How many streams may be open, in ``rtms.concurrency_near_limit``."""
        return integer(self.payload, "concurrency_limit")

    @property
    def percentage(self) -> int | None:
        """How much of the limit is used, in ``rtms.concurrency_near_limit``."""
        return integer(self.payload, "percentage")

    def _text(self, name: str) -> str | None:
        value = self.payload.get(name)
        return value if isinstance(value, str) and value else None


def stream_kind_of(name: str) -> WebhookKind | None:
    """Return what an event says of its stream, by the end of its name; ``None`` if nothing.

    For events that are known to be about a stream of ours. Zoom may have products by then whose
    names are not in the table.
    """
    plain = name.replace(".", "_")
    return next((kind for kind in _STREAM_KINDS if plain.endswith(f"rtms_{kind.value}")), None)


def product_of(name: str) -> Product | None:
    """Return the product that an event's name begins with; ``None`` where it names none."""
    return _PRODUCTS.get(name.partition(".")[0])


def flatten(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a webhook's payload with what is under ``object`` beside the rest.

    Real traffic is flat; Zoom's own skill documents describe the nested shape. Values under
    ``object`` win, since the outer ones then speak of the account.
    """
    inner = payload.get("object")
    outer = {key: value for key, value in payload.items() if key != "object"}
    return {**outer, **inner} if isinstance(inner, Mapping) else dict(payload)


def parse_event(document: object) -> WebhookEvent:
    """Make a typed event of a webhook's JSON document.

    Names that are not known here become ``WebhookKind.OTHER``, and unknown fields survive.

    Raises:
        WebhookError: with status 400, where the document is no webhook, or an event about a
            stream lacks what is needed to act on it.
    """
    if not isinstance(document, Mapping):
        raise WebhookError(400, "the body is no JSON object")
    name = document.get("event")
    if not isinstance(name, str) or not name:
        raise WebhookError(400, "the body has no event name")
    kind, product = _NAMES.get(name, (WebhookKind.OTHER, None))
    sent = document.get("payload")
    if sent is not None and not isinstance(sent, Mapping):
        raise WebhookError(400, "payload is no JSON object")
    payload = flatten(sent or {})
    named = _identify(payload)
    for field in _REQUIRED.get(kind, ()):
        if not isinstance(payload.get(field), str) or not payload[field]:
            raise WebhookError(400, f"payload of a {kind.value} event has no text in {field}")
    if kind is WebhookKind.STARTED and named is None:
        raise WebhookError(400, "payload of a started event has no id of a meeting")
    if product is None and named is not None:
        product = named[0]
    return WebhookEvent(name, kind, product, integer(document, "event_ts"), payload, document)


def _identify(payload: Mapping[str, Any]) -> tuple[Product, str] | None:
    """Return the id of the meeting, looked for in the official SDK's order.

    ``rtms.concurrency_limited`` has it one level deeper, in ``id_field``.
    """
    deeper = payload.get("id_field")
    for fields in (payload, deeper if isinstance(deeper, Mapping) else {}):
        for product in Product:
            uuid = fields.get(product.value)
            if isinstance(uuid, str) and uuid:
                return product, uuid
    return None

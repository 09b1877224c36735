"""The webhooks of one stream: that it has started, stopped, or was interrupted."""

from __future__ import annotations

from typing import Any

from gevent.pool import Group

from ...enums import Product
from ..clock import milliseconds
from ..options import Options
from .addresses import ServerAddresses
from .identity import Identity
from .webhook_sender import WebhookSender

__all__ = ["WEBHOOK_NAMES", "WebhookEvents"]

#: What stands before ``_started``, ``_stopped`` and ``_interrupted`` in the event's name.
WEBHOOK_NAMES = {
    Product.MEETING: "meeting.rtms",
    Product.WEBINAR: "webinar.rtms",
    Product.VIDEO_SDK: "session.rtms",
    Product.CONTACT_CENTER: "contact_center.voice_rtms",
    Product.PHONE: "phone.rtms",
}

#: The account that all meetings belong to.
ACCOUNT_ID = "simulated-account"

#: Seconds for which a receiver that is not up yet is tried again with the first webhook.
TRY_FOR = 10.0


class WebhookEvents:
    """Makes the events of one stream, and posts them if there is a URL for them."""

    def __init__(
        self, identity: Identity, addresses: ServerAddresses, options: Options, greenlets: Group
    ) -> None:
        self._identity = identity
        self._addresses = addresses
        self._sender = (
            None
            if options.webhook_url is None
            else WebhookSender(options.webhook_url, options.webhook_secret)
        )
        self._greenlets = greenlets
        self._started_ts = milliseconds()

    @property
    def payload(self) -> dict[str, Any]:
        """What names the stream in the start webhook, as ``client.join`` takes it: flat."""
        payload = {
            **self._identity.fields,
            "operator_id": self._identity.operator_id,
            "server_urls": self._addresses.server_urls,
        }
        if self._identity.product is Product.VIDEO_SDK:
            payload["session_key"] = "simulated"
        return payload

    @property
    def started(self) -> dict[str, Any]:
        """The whole start webhook.

        Source of what it has since May 2026 (``account_id``, ``object``): zoom/skills, their
        reference of webhooks. There all is in ``object``, while real traffic is flat. Clients
        look in one or the other, so that all is in both.
        """
        payload: dict[str, Any] = self.payload
        product, meeting_id = self._identity.product, self._identity.meeting_id
        if product is Product.VIDEO_SDK:
            payload["account_id"] = ACCOUNT_ID
        elif product in (Product.MEETING, Product.WEBINAR):
            numbers = {"meeting_id": meeting_id}
            if product is Product.WEBINAR:
                numbers["webinar_id"] = meeting_id
            inner = {**payload, **numbers, "is_original_host": True}
            payload |= {"account_id": ACCOUNT_ID, "object": inner}
        return self._event("started", self._started_ts, payload)

    def post_started(self) -> int | None:
        """Post the start webhook, and wait for its answer; return the HTTP status, if any."""
        self._started_ts = milliseconds()
        return self._post(self.started, TRY_FOR)

    def post_moved(self) -> None:
        """Post a later start webhook, with the addresses of now; does not wait."""
        self._started_ts = max(milliseconds(), self._started_ts + 1)
        self._greenlets.spawn(self._post, self.started)

    def post_interrupted(self) -> None:
        """Post that the stream is interrupted; does not wait."""
        # Made now: clients see by the time whether they have reconnected since.
        event = self._event("interrupted", milliseconds(), self._identity.fields)
        self._greenlets.spawn(self._post, event)

    def post_stopped(self, reason: int) -> None:
        """Post that the stream has stopped, and wait for the answer."""
        payload = {**self._identity.fields, "stop_reason": reason}
        self._post(self._event("stopped", milliseconds(), payload))

    def _event(self, what: str, event_ts: int, payload: dict[str, Any]) -> dict[str, Any]:
        name = f"{WEBHOOK_NAMES[self._identity.product]}_{what}"
        return {"event": name, "event_ts": event_ts, "payload": payload}

    def _post(self, event: dict[str, Any], try_for: float = 0.0) -> int | None:
        return None if self._sender is None else self._sender.post(event, try_for=try_for)

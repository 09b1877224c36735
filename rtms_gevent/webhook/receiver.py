"""Answers webhook requests without a framework: verifies, parses, recognises repeats, decides.

The adapter (Flask blueprint, own server, yours) hands in method, body and headers, sends the
:class:`WebhookReply`, and only then lets :meth:`WebhookReceiver.accept` run, for which
:class:`.AfterAnswer` is there: Zoom waits three seconds for an answer and then sends the webhook
again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping

from .. import signals
from .._interrupts import is_ctrl_c
from ..config import WebhookSettings
from ..errors import RemoteProtocolError, WebhookError
from ..protocol.strict_json import parse_object
from ..protocol.webhook_events import WebhookEvent, WebhookKind, parse_event
from ..wsgi.body import Readable, RequestRefused, read_body
from .deduplication import DeliveryStore, RecentDeliveries
from .refusals import RefusalLog
from .signature import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    encrypt_token,
    explain_signature,
    find_problem,
    is_plain_token,
)

__all__ = ["WebhookReceiver", "WebhookReply"]

logger = logging.getLogger(__name__)

#: Bytes of a body without a signature that are looked at: Zoom's url validation is small.
_MAX_UNSIGNED = 4096

#: Depth of objects and arrays within each other. Zoom's webhooks have fewer than ten.
_MAX_NESTING = 32


@dataclasses.dataclass(frozen=True, slots=True)
class WebhookReply:
    """The answer to a request, and what follows it."""

    status: int
    body: bytes = dataclasses.field(default=b"", repr=False)
    content_type: str = "text/plain; charset=utf-8"
    #: To be given to :meth:`WebhookReceiver.accept` once the answer was sent; None for nothing.
    event: WebhookEvent | None = None
    #: The key of the delivery in the store, for :meth:`WebhookReceiver.discard`.
    delivery: str | None = None


class WebhookReceiver:
    """Decides about webhook requests.

    May be used from any thread and greenlet: :meth:`handle` never blocks and never switches, as
    long as its store does not.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        handle_event: Callable[[WebhookEvent], object] | None = None,
        *,
        clock: Callable[[], float] = time.time,
        store: DeliveryStore | None = None,
        shared_store: DeliveryStore | None = None,
    ) -> None:
        """Make a receiver.

        Args:
            settings: What to check, and how strictly.
            handle_event: Called by :meth:`accept` with every event that is new, such as
                :meth:`.StreamManager.handle_event`; None where the signal is enough.
            clock: Returns seconds since the epoch.
            store: Where deliveries are noted, to know a repetition; by default in this process.
            shared_store: One that other processes use, too. It may be slow: :meth:`accept` asks it,
                when the answer was sent.
        """
        self.settings = settings
        self.refusals = RefusalLog(logger)  #: for adapters, which refuse requests, too
        self._handle_event = handle_event
        self._clock = clock
        self._store = RecentDeliveries() if store is None else store
        self._shared_store = shared_store
        if not settings.verify:
            logger.warning(
                "webhook signatures are NOT checked: whoever reaches this receiver can forge events"
            )

    def handle(self, method: str, body: bytes, headers: Mapping[str, str]) -> WebhookReply:
        """Return the answer to a request. Never raises, whatever the request holds.

        Args:
            method: The HTTP method.
            body: The raw bytes of the body, as they came.
            headers: Names in any case.
        """
        try:
            return self._decide(method, body, headers)
        except WebhookError as refusal:
            self.refusals.warning("%s", refusal)
            return WebhookReply(refusal.status)

    def receive(self, method: str, stream: Readable, headers: Mapping[str, str]) -> WebhookReply:
        """Read a request's body, and return the answer. Waits for the body, and never raises.

        A body that is too long, comes too slowly, breaks off or is malformed is refused with 413,
        408 or 400.

        Args:
            method: The HTTP method.
            stream: The body, as the framework gives it: what has a ``read`` that ends where the
                body ends. Nothing may have been read of it.
            headers: Names in any case.
        """
        try:
            body = read_body(stream, self.settings.max_body)
        except RequestRefused as refusal:
            return self.refuse(refusal)
        return self.handle(method, body, headers)

    def refuse(self, refusal: RequestRefused) -> WebhookReply:
        """Return the answer to a request whose body could not be read, and log why."""
        self.refusals.warning("webhook refused with %d: %s", refusal.status, refusal)
        return WebhookReply(refusal.status)

    def accept(self, event: WebhookEvent | None) -> None:
        """Emit ``webhook_received`` and call ``handle_event``, in the caller's greenlet.

        To be called when the answer was sent. Does nothing for ``None``, and for what another
        process has got already. Exceptions are logged.
        """
        if event is None or not self._is_first(event):
            return
        signals.emit(signals.webhook_received, self, event=event)
        if self._handle_event is None:
            return
        try:
            self._handle_event(event)
        except BaseException as problem:
            if is_ctrl_c(problem):
                raise
            logger.exception("handling the webhook event %.80r failed", event.event)

    def discard(self, reply: WebhookReply) -> None:
        """Take the delivery as not received, so that Zoom's next attempt counts as new.

        To be called instead of :meth:`accept` where another answer was sent than a 2xx.
        """
        if reply.delivery is not None:
            self._store.discard(reply.delivery)

    def _decide(self, method: str, body: bytes, headers: Mapping[str, str]) -> WebhookReply:
        if method != "POST":
            raise WebhookError(405, "webhooks come by POST")
        if len(body) > self.settings.max_body:
            raise WebhookError(413, f"the body is longer than {self.settings.max_body} bytes")
        headers = {name.lower(): text for name, text in headers.items()}
        if not self.settings.verify:
            _refuse_browsers(headers)
        event = self._trusted_event(body, headers)
        if event.kind is WebhookKind.URL_VALIDATION:
            return self._answer_url_validation(event)
        delivery = _delivery(event, body)
        reply = WebhookReply(204) if event.kind is WebhookKind.OTHER else _ok()
        if not self._is_new(delivery, self._store):
            logger.info("webhook event %.80r was delivered before, ignored", event.event)
            return reply
        return dataclasses.replace(reply, event=self._mark_stale(event), delivery=delivery)

    def _trusted_event(self, body: bytes, headers: Mapping[str, str]) -> WebhookEvent:
        """Parse a body that Zoom signed, or one that may come without any signature.

        Zoom's own samples answer url validation without looking for a signature, so it may have
        none; but a signature that is there must be right.
        """
        problem = self._signature_problem(body, headers)
        if problem is None:
            return _parse(body)
        if SIGNATURE_HEADER not in headers and len(body) <= _MAX_UNSIGNED:
            with contextlib.suppress(WebhookError):
                event = _parse(body)
                if event.kind is WebhookKind.URL_VALIDATION:
                    return event
        raise WebhookError(401, problem)

    def _signature_problem(self, body: bytes, headers: Mapping[str, str]) -> str | None:
        if not self.settings.verify:
            return None
        secret = self.settings.secret or ""  # settings that verify have one
        timestamp, signature = headers.get(TIMESTAMP_HEADER), headers.get(SIGNATURE_HEADER)
        now, tolerance = self._clock(), self.settings.tolerance
        problem = find_problem(secret, body, timestamp, signature, now=now, tolerance=tolerance)
        if problem is not None and self.settings.debug_signatures:
            report = explain_signature(
                secret, body, timestamp, signature, now=now, tolerance=tolerance
            )
            self.refusals.warning("a signature was refused: %s", report)
        return problem

    def _answer_url_validation(self, event: WebhookEvent) -> WebhookReply:
        """Prove to Zoom that we hold the secret; see :func:`encrypt_token` for the danger in it."""
        token = event.payload.get("plainToken")
        if self.settings.secret is None:
            logger.warning("Zoom's url validation cannot be answered: no webhook secret is set")
            return WebhookReply(204, event=event)
        if not is_plain_token(token):
            raise WebhookError(400, "the url validation's plainToken has not the shape of Zoom's")
        encrypted = encrypt_token(self.settings.secret, token)
        return _json(200, {"plainToken": token, "encryptedToken": encrypted})

    def _is_first(self, event: WebhookEvent) -> bool:
        """Whether no other process has got the event before."""
        if self._shared_store is None or event.kind is WebhookKind.URL_VALIDATION:
            return True
        is_first = self._is_new(_delivery(event, event.body), self._shared_store)
        if not is_first:
            logger.info("webhook event %.80r was delivered to another worker before", event.event)
        return is_first

    def _is_new(self, delivery: str, store: DeliveryStore) -> bool:
        try:
            return store.add(delivery, self._clock())
        except Exception:  # a store may be remote; twice is better than never
            logger.exception("the store of deliveries failed; the event is taken as new")
            return True

    def _mark_stale(self, event: WebhookEvent) -> WebhookEvent:
        """Mark a start that is old. It is still handed over: nothing else would report it."""
        if event.kind is not WebhookKind.STARTED or event.event_ts is None:
            return event
        age = self._clock() - event.event_ts / 1000
        if age <= self.settings.stale_after:
            return event
        logger.warning(
            "the start of stream %.80r came %.0f s late; Zoom holds a stream for about 60 s, so "
            "joining may fail",
            event.stream_id,
            age,
        )
        return dataclasses.replace(event, is_stale=True)


def _refuse_browsers(headers: Mapping[str, str]) -> None:
    """Raise where a web page may have sent it: nothing else keeps one from forging webhooks.

    A page of any site can let its reader's browser post to what only this machine reaches. Browsers
    name the page in ``Origin``, which Zoom never sends. Without asking first, which nobody answers,
    they do not post JSON.
    """
    if "origin" in headers:
        raise WebhookError(403, "a browser sent it, and signatures are not checked")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise WebhookError(
            415, "Content-Type must be application/json where signatures are not checked"
        )


def _delivery(event: WebhookEvent, body: bytes) -> str:
    """Return what all deliveries of one event have in common, as a short text.

    Zoom may stamp and sign a retry again, so headers do not count. A start with other addresses is
    another event, also where its time is the same.
    """
    marks = body
    if event.stream_id is not None:
        parts = (event.event, event.event_ts, event.stream_id, event.server_urls)
        marks = json.dumps(parts).encode()
    return hashlib.sha256(marks).hexdigest()


def _ok() -> WebhookReply:
    return _json(200, {"status": "ok"})


def _json(status: int, document: Mapping[str, object]) -> WebhookReply:
    return WebhookReply(status, json.dumps(document).encode(), "application/json")


def _parse(body: bytes) -> WebhookEvent:
    """Parse a body; whatever is wrong with it is a 400."""
    try:
        document = parse_object(body.decode("utf-8"), _MAX_NESTING)
    except UnicodeDecodeError:
        raise WebhookError(400, "the body is not UTF-8") from None
    except RemoteProtocolError as problem:
        raise WebhookError(400, f"the body is {problem}") from None
    return dataclasses.replace(parse_event(document), body=body)

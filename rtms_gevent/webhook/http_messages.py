"""What handlers of the own server get: the payload, the request, and the response to fill."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gevent.event import Event

from ..errors import ConfigurationError
from ..protocol.webhook_events import WebhookEvent

__all__ = ["Headers", "WebhookPayload", "WebhookRequest", "WebhookResponse"]

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


class WebhookPayload(dict[str, Any]):
    """The whole webhook document: ``payload["event"]``, ``payload["payload"]``.

    ``str(payload)`` is the text of the body as it came, byte for byte, since that is what Zoom
    signs; handlers that check signatures by themselves can put it into
    ``f"v0:{timestamp}:{payload}"``. Where another process has received the webhook it is the same
    document, written anew.

    Where another process has had the stream before, ``is_takeover`` is True, and ``delivered`` has
    the timestamp of the packet of each media type that was delivered last (ms since the epoch, by
    names like "audio"). :meth:`.Client.join` reads that of ``payload`` and ``payload["payload"]``.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        body: bytes,
        *,
        is_takeover: bool = False,
        delivered: Mapping[str, int] | None = None,
        event_ts: int | None = None,
    ) -> None:
        super().__init__(document)
        self._body = body
        self.is_takeover = is_takeover
        self.delivered = delivered or {}
        self.event_ts = event_ts  #: when it happened, in ms since the epoch

    @classmethod
    def of(cls, event: WebhookEvent) -> WebhookPayload:
        """Return what a handler gets for an event."""
        earlier: dict[str, Any] = {
            "is_takeover": event.is_takeover,
            "delivered": event.delivered,
            "event_ts": event.event_ts,
        }
        payload = cls(event.raw, event.body, **earlier)
        inner = event.raw.get("payload")
        if event.is_takeover and isinstance(inner, Mapping):  # what many programs join with
            payload["payload"] = cls(inner, b"", **earlier)
        return payload

    def __str__(self) -> str:
        return (self._body or json.dumps(self).encode()).decode("utf-8", "replace")


class Headers(Mapping[str, str]):
    """Header fields of a request; names in any case. Iterating gives lower case."""

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._fields = {name.lower(): value for name, value in fields}

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields


class WebhookRequest:
    """The request that brought a webhook."""

    def __init__(self, method: str, path: str, headers: Headers, body: bytes) -> None:
        self.method = method  #: always POST
        self.path = path  #: without the query
        self.headers = headers
        self.body = body  #: the raw bytes that Zoom signed


class WebhookResponse:
    """The answer to one webhook, as a handler with three arguments decides it.

    The first :meth:`send` counts, later ones do nothing. The handler may go on working after it.
    Greenlet-safety: any greenlet of the server's hub.
    """

    def __init__(self, status: int, body: bytes) -> None:
        """Make an answer, with what is sent where no handler says anything else."""
        self.status = status  #: HTTP status; what counts is its value when the answer was sent
        self.body = body
        self.headers: dict[str, str] = {}
        self._default = (status, body)
        self._sent = Event()

    @property
    def sent(self) -> bool:
        """Whether the answer is decided."""
        return self._sent.is_set()

    def set_status(self, code: int) -> None:
        """Set the HTTP status.

        Raises:
            ConfigurationError: it is no whole number from 200 to 599.
        """
        if not isinstance(code, int) or isinstance(code, bool) or not 200 <= code <= 599:
            raise ConfigurationError(f"a status must be from 200 to 599, not {code!r:.40}")
        if not self.sent:
            self.status = code

    def set_header(self, name: str, value: str) -> None:
        """Set a header field. ``Content-Type`` is ``application/json`` where it is not set.

        Raises:
            ConfigurationError: name or value cannot stand in an HTTP header.
        """
        for text, shape in ((name, _HEADER_NAME), (value, _HEADER_VALUE)):
            if not isinstance(text, str) or not shape.fullmatch(text):
                raise ConfigurationError(f"{text!r:.40} cannot stand in an HTTP header")
        if not self.sent:
            self.headers[name.title()] = value

    def send(self, data: Mapping[str, Any] | str | bytes | None = None) -> None:
        """Answer now: a mapping goes out as JSON, text as UTF-8, ``None`` as an empty body.

        Raises:
            ConfigurationError: ``data`` is of another type, or holds what JSON cannot.
        """
        body = _encode(data)
        if not self.sent:
            self.body = body
            self._sent.set()

    def reset(self) -> None:
        """Go back to what is sent where no handler says anything, unless the answer is decided."""
        if not self.sent:
            (self.status, self.body), self.headers = self._default, {}

    def finish(self) -> None:
        """Let the answer go out as it stands, if it is not decided yet."""
        self._sent.set()

    def wait(self, timeout: float) -> bool:
        """Block this greenlet until the answer is decided; False after ``timeout`` seconds."""
        return self._sent.wait(timeout)


def _encode(data: Mapping[str, Any] | str | bytes | None) -> bytes:
    if data is None:
        return b""
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode("utf-8", "replace")
    if isinstance(data, Mapping):
        try:
            return json.dumps(dict(data)).encode()
        except (TypeError, ValueError) as problem:
            raise ConfigurationError(f"this answer cannot be sent as JSON: {problem}") from None
    raise ConfigurationError(f"send() takes a dict, text or bytes, not {type(data).__name__}")

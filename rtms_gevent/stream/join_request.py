"""What ``join()`` is asked for: read from its arguments, checked, and kept as one value."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from ..config import Credentials, allowed_hosts
from ..enums import Product
from ..errors import ConfigurationError
from ..protocol.identity import StreamIdentity, handshake_signature
from ..protocol.urls import Endpoint, parse_server_urls
from ..protocol.webhook_events import flatten
from ..transport.base import Transport
from .connection import ConnectOptions

__all__ = ["EarlierWorker", "JoinRequest", "event_ts_of", "read_payload"]

#: Arguments of join() that name the stream. A payload may name it too, and nothing else.
_STREAM = frozenset({"rtms_stream_id", "server_urls", *(product.value for product in Product)})

#: The other arguments of join().
_OPTIONS = frozenset(
    {
        "signature",
        "timeout",
        "ca",
        "client",
        "secret",
        "poll_interval",
        "allowed_hosts",
        "unified",
        "buffer_data",
        "id_field",
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class EarlierWorker:
    """A worker that had the stream before. Times are ms since the epoch, on Zoom's clock."""

    #: Timestamp of the packet that it delivered last, by media type ("audio").
    delivered: Mapping[str, int]
    #: Nothing older is missing of what it delivered nothing of: the latest of these timestamps, or
    #: when the stream started.
    alive: int | None

    @classmethod
    def of(cls, event: Any) -> EarlierWorker | None:
        """Read a webhook event, or the payload that a handler got; others tell of none."""
        if not getattr(event, "is_takeover", False):
            return None
        return cls(event.delivered, max(event.delivered.values(), default=event.event_ts))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """All that is needed to join one stream, checked."""

    identity: StreamIdentity
    endpoints: tuple[Endpoint, ...]
    signature: str = dataclasses.field(repr=False)
    options: ConnectOptions = dataclasses.field(repr=False)
    #: What opens the sockets.
    transport: Transport = dataclasses.field(repr=False)
    allowed_hosts: tuple[str, ...]
    #: Seconds that all of joining may take.
    timeout: float
    #: One media socket for all media types instead of one for each.
    unified: bool = False
    buffer_data: bool | None = None
    #: Who had the stream before.
    earlier: EarlierWorker | None = None

    @property
    def stream(self) -> str:
        """The stream as logs name it: its id is no secret, but long."""
        return self.identity.stream_id[:12]

    @classmethod
    def from_arguments(
        cls,
        target: object,
        stream: Mapping[str, object],
        options: ConnectOptions,
        transport: Transport,
        *,
        signature: str | None = None,
        timeout: float = -1,
        client: str | None = None,
        secret: str | None = None,
        hosts: str | Iterable[str] | None = None,
        unified: bool = False,
        buffer_data: bool | None = None,
        id_field: str | None = None,
        others: Mapping[str, object] | None = None,
    ) -> JoinRequest:
        """Read the arguments of ``join()``.

        Args:
            target: The first argument: id of a meeting, a webhook's payload, a webhook event, or
                ``None``.
            stream: The keywords that name the stream: ids by their names in payloads, and
                ``server_urls``. Those that are not ``None`` win over the payload.
            options: How sockets are to be opened and kept.
            transport: What is to open them.
            signature: As ``join()`` has it, like all that follow.
            timeout: Milliseconds, or -1.
            client: Client id of the app.
            secret: Client secret of the app.
            hosts: Hosts that may be dialled beside Zoom's.
            unified: Whether to use one media socket for all media types.
            buffer_data: Whether audio from before joining is wanted.
            id_field: Name of the id in handshakes.
            others: Keywords that ``join()`` does not know: fields of payloads, or misspelt.

        Raises:
            ConfigurationError: an argument is missing or wrong.
        """
        event: str | None = None
        fields: dict[str, object] = {"meeting_uuid": target}
        if target is not None and not isinstance(target, str):
            event, payload = read_payload(target)
            # Only what names the stream: a webhook must not choose whom we trust, or who we are.
            fields = {name: value for name, value in payload.items() if name in _STREAM}
        fields |= {name: value for name, value in stream.items() if value is not None}
        _refuse_misspelt(others or {})
        allowed = allowed_hosts(hosts if hosts is None or isinstance(hosts, str) else tuple(hosts))
        identity = StreamIdentity.from_fields(fields, event=event, id_field=id_field)
        if not signature:
            credentials = Credentials.resolve(client, secret)
            signature = handshake_signature(
                credentials.client_id,
                credentials.client_secret,
                identity.uuid,
                identity.stream_id,
            )
        endpoints = parse_server_urls(fields.get("server_urls"), allowed)
        transport.check(endpoints)  # here the caller still hears of a mistake
        return cls(
            identity=identity,
            endpoints=endpoints,
            signature=signature,
            options=options,
            transport=transport,
            allowed_hosts=allowed,
            timeout=_seconds(timeout, options.timeouts.join),
            unified=unified,
            buffer_data=buffer_data,
            earlier=EarlierWorker.of(target),
        )


def read_payload(given: object) -> tuple[str | None, dict[str, Any]]:
    """Return event name and flat payload of a webhook event or payload, parsed or not.

    Raises:
        ConfigurationError: it is neither.
    """
    if isinstance(given, Mapping):
        event, payload = given.get("event"), given.get("payload", given)
    else:
        event, payload = getattr(given, "event", None), getattr(given, "payload", None)
    if not isinstance(payload, Mapping):
        raise ConfigurationError(
            f"join() takes ids, a webhook's payload or a webhook event, not {type(given).__name__}"
        )
    return (event if isinstance(event, str) else None), flatten(payload)


def event_ts_of(event: object) -> int | None:
    """Return when a webhook event, parsed or not, happened: ms since the epoch."""
    value = event.get("event_ts") if isinstance(event, Mapping) else getattr(event, "event_ts", 0)
    return value if isinstance(value, int) and value > 0 else None


def _refuse_misspelt(others: Mapping[str, object]) -> None:
    for name in others:
        close = difflib.get_close_matches(name, _OPTIONS | _STREAM, n=1, cutoff=0.8)
        if close:
            raise ConfigurationError(f"join() has no argument {name!r}; is {close[0]!r} meant?")


def _seconds(timeout: object, default: float) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise ConfigurationError(f"timeout must be milliseconds, not {type(timeout).__name__}")
    if timeout == -1:
        return default
    if timeout < 0:
        raise ConfigurationError(f"timeout must be -1 or milliseconds from 0 on, not {timeout}")
    return timeout / 1000

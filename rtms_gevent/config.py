"""Settings as frozen dataclasses. Explicit arguments win over the environment."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from ._environment import (
    DEFAULT_ALLOWED_HOSTS,
    allowed_hosts,
    boolean,
    ca_file,
    environment,
    max_streams,
    set_default_ca,
    store_url,
    unless_blank,
    webhook_port,
    webhook_verify,
)
from .errors import ConfigurationError

__all__ = [
    "DEFAULT_ALLOWED_HOSTS",
    "DEFAULT_WEBHOOK_PATH",
    "FORGEABLE",
    "ClusterSettings",
    "Credentials",
    "InboxLimits",
    "Inboxes",
    "Limits",
    "OverflowPolicy",
    "Proxies",
    "Reconnect",
    "Timeouts",
    "WebhookSettings",
    "allowed_hosts",
    "ca_file",
    "set_default_ca",
]

#: Where webhooks are received, by the Flask extension and by the own server alike.
DEFAULT_WEBHOOK_PATH = "/rtms/webhook"


@dataclasses.dataclass(frozen=True, slots=True)
class Credentials:
    """The app's client id and client secret. The handshake signature is made of them."""

    client_id: str
    client_secret: str = dataclasses.field(repr=False)

    @classmethod
    def resolve(
        cls,
        client_id: str | None = None,
        client_secret: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Credentials:
        """Take what is given, and the rest from ``ZM_RTMS_CLIENT`` and ``ZM_RTMS_SECRET``.

        What is blank counts as not given.

        Raises:
            ConfigurationError: one of them is given nowhere.
        """
        environ = environment(environ)
        client_id = unless_blank(client_id) or unless_blank(environ.get("ZM_RTMS_CLIENT"))
        client_secret = unless_blank(client_secret) or unless_blank(environ.get("ZM_RTMS_SECRET"))
        for value, argument, variable in (
            (client_id, "client", "ZM_RTMS_CLIENT"),
            (client_secret, "secret", "ZM_RTMS_SECRET"),
        ):
            if not value:
                raise ConfigurationError(
                    f"no {argument} given: pass {argument}=... or set the environment variable "
                    f"{variable}"
                )
            if not isinstance(value, str):
                raise ConfigurationError(f"{argument} must be a string, not {type(value).__name__}")
        assert client_id
        assert client_secret
        return cls(client_id, client_secret)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long each step may take, in seconds."""

    #: All of joining: Zoom holds a started stream for about 60 s.
    join: float = 60.0
    #: One WebSocket: DNS, TCP, TLS and HTTP upgrade together.
    connect: float = 10.0
    #: One answer to a handshake request.
    handshake: float = 10.0
    #: The peer's answer to our close frame, and to a request to close the stream. Also how long a
    #: server that has stopped a stream may go on sending.
    close: float = 2.0
    #: Silence on the signaling socket after which it counts as lost.
    signaling_silence: float = 65.0
    #: Silence on a media socket after which it counts as lost.
    media_silence: float = 65.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reconnect:
    """How a stream that broke is joined again. Times are in seconds."""

    #: False ends a stream when one of its sockets breaks.
    enabled: bool = True
    #: How long Zoom waits for us after the signaling socket broke.
    signaling_window: float = 60.0
    #: How long Zoom waits for us after a media socket broke.
    media_window: float = 65.0
    #: Seconds before the second attempt; the first comes within a quarter of that. Each later delay
    #: is twice as long, up to ``max_delay``.
    base_delay: float = 1.0
    #: The longest delay between two attempts.
    max_delay: float = 10.0
    #: How long the first attempt may take; the second may take twice as long, and so on.
    attempt_timeout: float = 4.0
    #: How often the first joining is tried, where the failure may pass.
    join_attempts: int = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of what a server sends is held in memory, per stream."""

    #: Bytes of one WebSocket message. The official SDK takes about 32 MB. A larger one is refused
    #: when its header arrives: the socket is closed with code 1009 and opened again.
    message_size: int = 32 * 1024 * 1024
    #: Bytes of one message, not counting the payload of audio or a picture. Zoom sends less than
    #: 100 kB. A larger message is skipped and counted; its socket stays open.
    document_size: int = 1024 * 1024
    #: Depth of objects and arrays within each other in one message.
    nesting: int = 32
    #: Bytes of the HTTP response that opens a WebSocket.
    http_headers: int = 16 * 1024


class OverflowPolicy(enum.Enum):
    """What happens when a callback is so slow that its inbox is full."""

    #: Read no more from that media socket until half of the inbox was delivered: TCP makes Zoom
    #: wait. Signaling goes on. Zoom may close such a socket after some 65 s; then it is reopened.
    BLOCK = "block"
    #: Drop what waits longest; H.264 up to a key frame, since nothing could decode the rest.
    DROP_OLDEST = "drop oldest"
    #: Deliver what waits, and end the stream with :class:`~rtms_gevent.InboxOverflow`.
    FAIL = "fail"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class InboxLimits:
    """How much may wait for one callback.

    Raises:
        ConfigurationError: a limit is not a number from 1 on, or ``when_full`` is not an
            :class:`OverflowPolicy`.
    """

    #: How many packets.
    packets: int
    #: How many bytes their payloads have together.
    size: int = 64 * 1024 * 1024
    when_full: OverflowPolicy = OverflowPolicy.DROP_OLDEST

    def __post_init__(self) -> None:
        for name in ("packets", "size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigurationError(f"{name} must be a number from 1 on, not {value!r:.40}")
        if not isinstance(self.when_full, OverflowPolicy):
            raise ConfigurationError(
                f"when_full must be an OverflowPolicy, not {self.when_full!r:.40}"
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Inboxes:
    """The limits of a client's inboxes: one per media type, and one for all events."""

    #: An hour of audio.
    audio: InboxLimits = InboxLimits(packets=200_000)
    video: InboxLimits = InboxLimits(packets=20_000)
    deskshare: InboxLimits = InboxLimits(packets=20_000)
    transcript: InboxLimits = InboxLimits(packets=100_000, when_full=OverflowPolicy.BLOCK)
    chat: InboxLimits = InboxLimits(packets=100_000, when_full=OverflowPolicy.BLOCK)
    #: Only :attr:`OverflowPolicy.FAIL` will do here. ``size`` is about what the messages take in
    #: memory.
    events: InboxLimits = InboxLimits(
        packets=100_000, size=24 * 1024 * 1024, when_full=OverflowPolicy.FAIL
    )

    def __post_init__(self) -> None:
        if self.events.when_full is not OverflowPolicy.FAIL:
            raise ConfigurationError(
                "events can only fail: one of them says that media may flow, and keep-alives, "
                "which must be read, come on the same socket"
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """How webhook requests are received and checked.

    Raises:
        ConfigurationError: a value is not allowed; or there is no secret, or a blank one, and
            ``verify`` is not False. Without a secret anybody could forge webhooks. So
            ``verify=False`` must be said.
    """

    #: Zoom's secret token of the app, with which it signs webhooks.
    secret: str | None = dataclasses.field(default=None, repr=False)
    #: False accepts every request on purpose, for example behind a gateway that has checked it.
    verify: bool = True
    #: Greatest age of a signature in seconds. One from the future may be as far ahead.
    tolerance: float = 300.0
    #: Bytes of one request body.
    max_body: int = 256 * 1024
    #: Age in seconds at which a start event is marked stale: Zoom holds a stream for about 60 s.
    stale_after: float = 60.0
    #: Log, for each signature that is refused, what helps to find out why: lengths, the difference
    #: in time, and the first and last two characters of the secret and of both signatures.
    debug_signatures: bool = False
    #: Where the own server listens; 0 takes any port that is free.
    port: int = 8080
    #: Begins with "/".
    path: str = DEFAULT_WEBHOOK_PATH

    def __post_init__(self) -> None:
        for name in ("verify", "debug_signatures"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ConfigurationError(f"{name} must be True or False, not {value!r:.40}")
        if not isinstance(self.secret, str | None):
            kind = type(self.secret).__name__
            raise ConfigurationError(f"a webhook secret must be a string, not {kind}")
        if not _is_number(self.port, int) or not 0 <= self.port <= 65535:
            raise ConfigurationError(f"port must be from 0 to 65535, not {self.port!r:.40}")
        if not isinstance(self.path, str) or not self.path.startswith("/"):
            raise ConfigurationError(
                f"path must be text that begins with /, unlike {self.path!r:.80}"
            )
        if not _is_number(self.tolerance, int, float) or not self.tolerance > 0:
            raise ConfigurationError(
                f"tolerance must be a number of seconds above 0, not {self.tolerance!r:.40}"
            )
        if not _is_number(self.max_body, int) or self.max_body <= 0:
            raise ConfigurationError(
                f"max_body must be a number of bytes from 1 on, not {self.max_body!r:.40}"
            )
        if unless_blank(self.secret) is None:
            if self.verify:
                raise ConfigurationError(FORGEABLE)
            object.__setattr__(self, "secret", None)  # nothing is ever signed with a blank one

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        path: str = DEFAULT_WEBHOOK_PATH,
        secret: str | None = None,
        verify: bool | None = None,
    ) -> WebhookSettings:
        """Read the environment.

        The variables are ``ZM_RTMS_WEBHOOK_SECRET``, ``ZM_RTMS_WEBHOOK_VERIFY``, ``ZM_RTMS_PORT``,
        ``ZM_RTMS_PATH`` and ``ZM_RTMS_DEBUG_SIGNATURES``.

        Args:
            environ: The environment to read, for tests.
            path: The path where ``ZM_RTMS_PATH`` is not set.
            secret: The secret, if not the environment's.
            verify: Whether to check signatures, if not as the environment says.

        Raises:
            ConfigurationError: there is no secret, and ``verify`` is not False; the port is no
                number from 0 to 65535; or a switch is neither true nor false.
        """
        environ = environment(environ)
        return cls(
            secret=environ.get("ZM_RTMS_WEBHOOK_SECRET") if secret is None else secret,
            verify=webhook_verify(environ) if verify is None else verify,
            port=webhook_port(environ),
            path=environ.get("ZM_RTMS_PATH") or path,
            debug_signatures=boolean(
                environ.get("ZM_RTMS_DEBUG_SIGNATURES") or "false", "ZM_RTMS_DEBUG_SIGNATURES"
            ),
        )


#: What may stand before ":" in the address of a store.
_STORES = ("local", "redis", "rediss", "sentinel")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """How the workers of an app agree on who owns which stream.

    Raises:
        ConfigurationError: a value is not allowed.
    """

    #: ``auto``: ``local`` where a server has several workers, else ``memory``. ``memory``: this
    #: process is alone. ``local`` or ``local:///path``: a directory that the workers of this
    #: machine share. ``redis://...``, ``rediss://...`` (TLS), ``sentinel://...``: machines share
    #: a Redis.
    store: str = dataclasses.field(default="auto", repr=False)
    #: How many streams a worker may own; 0 makes it one that only receives webhooks.
    max_streams: int | None = None
    #: What the workers have in common that belong together: an app, a Zoom app.
    namespace: str = "rtms"
    #: Seconds that a worker may be silent before others take over its streams.
    lease: float = 8.0

    def __post_init__(self) -> None:
        if not isinstance(self.store, str):
            raise ConfigurationError(f"store must be text, not {type(self.store).__name__}")
        scheme = self.store.partition("://")[0]
        if self.store not in ("auto", "memory", "local") and not (
            scheme in _STORES and "://" in self.store
        ):
            raise ConfigurationError(
                "RTMS_STORE must be auto, memory, local, local:///path, redis://..., rediss://... "
                f"or sentinel://..., not one that begins with {scheme!r:.20}"
            )
        limit = self.max_streams
        if limit is not None and (not _is_number(limit, int) or limit < 0):
            raise ConfigurationError(f"max_streams must be a number from 0 on, not {limit!r:.40}")
        if not isinstance(self.namespace, str) or not self.namespace:
            raise ConfigurationError("namespace must be a text that is not empty")
        if not _is_number(self.lease, int, float) or not self.lease >= 1:
            raise ConfigurationError(f"lease must be seconds from 1 on, not {self.lease!r:.40}")

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        store: str | None = None,
        limit: int | None = None,
        name: str = "rtms",
        client_id: str | None = None,
    ) -> ClusterSettings:
        """Take what is given, and the rest from ``ZM_RTMS_STORE`` and ``ZM_RTMS_MAX_STREAMS``.

        Without the prefix ``ZM_`` the variables do as well.

        Args:
            environ: The environment to read, for tests.
            store: The store, if not the environment's.
            limit: How many streams a worker may own, if not as the environment says.
            name: Of the Flask extension, or of anything that has streams of its own. With the
                client id it makes :attr:`namespace`: each Zoom app has its own streams.
            client_id: Client id of the Zoom app, if not ``ZM_RTMS_CLIENT``.

        Raises:
            ConfigurationError: a value is not allowed.
        """
        client_id = unless_blank(client_id) or environment(environ).get("ZM_RTMS_CLIENT")
        return cls(
            store=store_url(environ) if store is None else store,
            max_streams=max_streams(environ) if limit is None else limit,
            namespace=f"{name}-{client_id}" if client_id else name,
        )


def _is_number(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


#: What is wrong where there is no secret, and what to do.
FORGEABLE = (
    "no webhook secret, so that anybody could forge webhooks: set the environment variable "
    "ZM_RTMS_WEBHOOK_SECRET (Flask: RTMS_WEBHOOK_SECRET) to the secret token that Zoom's "
    "Marketplace shows for the app. To accept forged webhooks on purpose, say "
    "ZM_RTMS_WEBHOOK_VERIFY=false (Flask: RTMS_WEBHOOK_VERIFY = False; in code: "
    "WebhookSettings(verify=False))"
)


#: Names of this machine.
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclasses.dataclass(frozen=True, slots=True)
class Proxies:
    """Which HTTP proxy leads to which server."""

    #: Addresses of proxies by what they are for ("https", "http", "all"); and "no": hosts that need
    #: none. As urllib.request.getproxies_environment() has them. They may hold passwords.
    urls: Mapping[str, str] = dataclasses.field(repr=False)
    #: Whether this machine is reached without a proxy: a simulator, for example.
    spares_local: bool = False

    @classmethod
    def resolve(cls, given: str | None = None, environ: Mapping[str, str] | None = None) -> Proxies:
        """Take what is given, else ``ZM_RTMS_PROXY``.

        Args:
            given: A proxy's address; or "env" for ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``
                and ``NO_PROXY``, in capitals or not.
            environ: Where to look for ``ZM_RTMS_PROXY``, for tests.
        """
        environ = environment(environ)
        chosen = given or environ.get("ZM_RTMS_PROXY") or ""
        if chosen.strip().lower() == "env":
            # Not at import: few need it, and it takes 20 ms.
            from urllib.request import getproxies_environment

            return cls(getproxies_environment(), spares_local=True)
        return cls({"all": chosen} if chosen else {}, spares_local=not given)

    def url_for(self, host: str, port: int, *, secure: bool) -> str | None:
        """Return the address of the proxy that leads to a server; ``None`` if none is needed."""
        url = self.urls.get("https" if secure else "http") or self.urls.get("all")
        if url is None or (self.spares_local and host in _LOCAL):
            return None
        if "no" in self.urls:
            # The ignored error: typeshed does not have this function.
            from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

            if proxy_bypass_environment(host if ":" in host else f"{host}:{port}", self.urls):
                return None
        return url

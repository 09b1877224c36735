"""Settings as frozen values, and the only place that reads the environment.

Explicit arguments win over the environment; the environment is read when a setting is needed,
never at import.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

from .errors import ConfigurationError

__all__ = [
    "DEFAULT_ALLOWED_HOSTS",
    "Credentials",
    "Limits",
    "Timeouts",
    "WebhookSettings",
    "allowed_hosts",
    "ca_file",
]

#: Hosts whose names (and the names of whose subdomains) may be dialled without being told so.
DEFAULT_ALLOWED_HOSTS = ("zoom.us", "zoomgov.com")


@dataclasses.dataclass(frozen=True, slots=True)
class Credentials:
    """What the handshake signature is made of."""

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

        Raises:
            ConfigurationError: one of them is given nowhere.
        """
        environ = os.environ if environ is None else environ
        client_id = client_id or environ.get("ZM_RTMS_CLIENT")
        client_secret = client_secret or environ.get("ZM_RTMS_SECRET")
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
    #: The peer's answer to our close frame, and to a request to close the stream.
    close: float = 2.0
    #: Silence on the signaling socket after which it counts as lost.
    signaling_silence: float = 65.0
    #: Silence on a media socket after which it counts as lost.
    media_silence: float = 65.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one peer may make us hold."""

    #: Bytes of one WebSocket message. The official SDK takes about 32 MB.
    message_size: int = 32 * 1024 * 1024
    #: Depth of objects and arrays within each other in one message.
    nesting: int = 32
    #: Bytes of the HTTP response that opens a WebSocket.
    http_headers: int = 16 * 1024
    #: Bytes of media waiting for one callback before the oldest are dropped.
    inbox_bytes: int = 64 * 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """How webhook requests are received and checked."""

    #: Zoom's secret token of the app; without it no signature can be checked.
    secret: str | None = dataclasses.field(default=None, repr=False)
    #: False accepts every request on purpose, for example behind a gateway that has checked it.
    verify: bool = True
    #: Greatest age of a signature in seconds.
    tolerance: float = 300.0
    #: Bytes of one request body.
    max_body: int = 256 * 1024
    #: Age in seconds at which a start event is marked stale: Zoom holds a stream for about 60 s.
    stale_after: float = 60.0
    port: int = 8080
    path: str = "/"

    @property
    def checks_signatures(self) -> bool:
        """Whether requests without a valid signature are refused."""
        return self.verify and self.secret is not None

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] | None = None, *, path: str = "/"
    ) -> WebhookSettings:
        """Read ``ZM_RTMS_WEBHOOK_SECRET``, ``ZM_RTMS_PORT`` and ``ZM_RTMS_PATH``.

        Args:
            environ: The environment to read, for tests.
            path: The path where ``ZM_RTMS_PATH`` is not set.

        Raises:
            ConfigurationError: the port is no number from 0 to 65535.
        """
        environ = os.environ if environ is None else environ
        port = environ.get("ZM_RTMS_PORT") or "8080"
        if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= 65535):
            raise ConfigurationError(
                f"ZM_RTMS_PORT must be a number from 0 to 65535, not {port!r:.40}"
            )
        return cls(
            secret=environ.get("ZM_RTMS_WEBHOOK_SECRET") or None,
            port=int(port),
            path=environ.get("ZM_RTMS_PATH") or path,
        )


def allowed_hosts(
    given: str | tuple[str, ...] | list[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """Return the hosts that may be dialled: Zoom's own, and those ``given`` in addition.

    Args:
        given: Host names, as a sequence or with commas between; where it is ``None``, the
            environment variable ``ZM_RTMS_ALLOWED_HOSTS`` is read instead.
        environ: The environment to read, for tests.
    """
    if given is None:
        given = (os.environ if environ is None else environ).get("ZM_RTMS_ALLOWED_HOSTS", "")
    names = given.split(",") if isinstance(given, str) else given
    return DEFAULT_ALLOWED_HOSTS + tuple(name.strip().lower() for name in names if name.strip())


def ca_file(given: str | None = None, environ: Mapping[str, str] | None = None) -> str | None:
    """Return the CA file to trust: ``given``, or ``ZM_RTMS_CA``; ``None`` means certifi's."""
    environ = os.environ if environ is None else environ
    return given or environ.get("ZM_RTMS_CA") or None

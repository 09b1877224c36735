"""Reads the environment variables ``ZM_RTMS_...``; nothing else in this package does.

It is read when a setting is needed, never at import. Every function takes another mapping in its
place, for tests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from .errors import ConfigurationError

__all__ = [
    "DEFAULT_ALLOWED_HOSTS",
    "allowed_hosts",
    "boolean",
    "ca_file",
    "environment",
    "lacks_webhook_secret",
    "live_token",
    "log_options",
    "max_streams",
    "notify_socket",
    "runtime_directory",
    "set_default_ca",
    "store_url",
    "unless_blank",
    "webhook_port",
    "webhook_verify",
]

#: Hosts that may be connected to by default, each with its subdomains.
DEFAULT_ALLOWED_HOSTS = ("zoom.us", "zoomgov.com")


def environment(given: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Return the environment of the process, or what is given in its place."""
    return os.environ if given is None else given


def unless_blank(text: str | None) -> str | None:
    """Return ``None`` for a text that is empty or blank, and all else as it is."""
    return None if isinstance(text, str) and not text.strip() else text


def webhook_verify(environ: Mapping[str, str]) -> bool:
    """Return ``ZM_RTMS_WEBHOOK_VERIFY``, or True.

    Raises:
        ConfigurationError: it is neither true nor false.
    """
    name = "ZM_RTMS_WEBHOOK_VERIFY"
    return boolean(environ.get(name) or "true", name)


def lacks_webhook_secret(environ: Mapping[str, str] | None = None) -> bool:
    """Return whether the environment has no webhook secret, and does not say that none is needed.

    Args:
        environ: The environment to read, for tests.

    Raises:
        ConfigurationError: ``ZM_RTMS_WEBHOOK_VERIFY`` is neither true nor false.
    """
    environ = environment(environ)
    secret = unless_blank(environ.get("ZM_RTMS_WEBHOOK_SECRET"))
    return secret is None and webhook_verify(environ)


def webhook_port(environ: Mapping[str, str] | None = None) -> int:
    """Return the port of the own server: ``ZM_RTMS_PORT``, or 8080.

    Args:
        environ: The environment to read, for tests.

    Raises:
        ConfigurationError: it is no number from 0 to 65535.
    """
    port = environment(environ).get("ZM_RTMS_PORT") or "8080"
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= 65535):
        raise ConfigurationError(f"ZM_RTMS_PORT must be a number from 0 to 65535, not {port!r:.40}")
    return int(port)


def store_url(environ: Mapping[str, str] | None = None) -> str:
    """Return ``ZM_RTMS_STORE``, else ``RTMS_STORE``, else "auto".

    Args:
        environ: The environment to read, for tests.
    """
    environ = environment(environ)
    return environ.get("ZM_RTMS_STORE") or environ.get("RTMS_STORE") or "auto"


def runtime_directory(environ: Mapping[str, str] | None = None) -> str:
    """Return ``XDG_RUNTIME_DIR``, or "".

    Args:
        environ: The environment to read, for tests.
    """
    return environment(environ).get("XDG_RUNTIME_DIR") or ""


def max_streams(environ: Mapping[str, str] | None = None) -> int | None:
    """Return ``ZM_RTMS_MAX_STREAMS``, else ``RTMS_MAX_STREAMS``; ``None`` where neither is set.

    Args:
        environ: The environment to read, for tests.

    Raises:
        ConfigurationError: it is no number from 0 on.
    """
    environ = environment(environ)
    for name in ("ZM_RTMS_MAX_STREAMS", "RTMS_MAX_STREAMS"):
        text = unless_blank(environ.get(name))
        if text is not None:
            if not (text.isascii() and text.isdecimal() and len(text) <= 9):
                raise ConfigurationError(f"{name} must be a number from 0 on, not {text!r:.40}")
            return int(text)
    return None


def notify_socket(environ: Mapping[str, str] | None = None) -> str | None:
    """Return where systemd wants to hear of this process, ``NOTIFY_SOCKET``.

    Args:
        environ: The environment to read, for tests.
    """
    return environment(environ).get("NOTIFY_SOCKET")


def allowed_hosts(
    given: str | tuple[str, ...] | list[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """Return the hosts that may be connected to: Zoom's own, and those ``given`` in addition.

    Args:
        given: Host names, as a sequence or with commas between; where it is ``None``, the
            environment variable ``ZM_RTMS_ALLOWED_HOSTS`` is read instead.
        environ: The environment to read, for tests.

    Raises:
        ConfigurationError: something is no name of a host.
    """
    if given is None:
        given = environment(environ).get("ZM_RTMS_ALLOWED_HOSTS", "")
    names = given.split(",") if isinstance(given, str) else given
    hosts = tuple(name.strip().lower() for name in names if name.strip())
    for host in hosts:
        if "/" in host or "@" in host or " " in host:
            raise ConfigurationError(
                f"allowed_hosts takes names of hosts, such as example.com, not {host!r:.60}"
            )
    return DEFAULT_ALLOWED_HOSTS + hosts


_default_ca: str | None = None


def set_default_ca(path: str | None) -> None:
    """Set the CA file of joins that name none, before ``ZM_RTMS_CA``; ``None`` takes it back."""
    global _default_ca
    _default_ca = path


def ca_file(given: str | None = None, environ: Mapping[str, str] | None = None) -> str | None:
    """Return the CA file to trust; ``None`` means certifi's.

    The first of these counts: ``given``, :func:`set_default_ca`, ``ZM_RTMS_CA``.
    """
    environ = environment(environ)
    return given or _default_ca or environ.get("ZM_RTMS_CA") or None


#: What a link and a header can carry as it is, and nobody guesses.
_LIVE_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,200}")


def live_token(given: object = None, environ: Mapping[str, str] | None = None) -> str | None:
    """Return the token that opens the live page: ``given``, else ``ZM_RTMS_LIVE_TOKEN``.

    Returns:
        ``None`` where neither is set.

    Raises:
        ConfigurationError: it is no text of 16 to 200 letters, digits and ``._~+/=-``.
    """
    if given is None:
        given = environment(environ).get("ZM_RTMS_LIVE_TOKEN") or None
    if given is None:
        return None
    if not isinstance(given, str) or not _LIVE_TOKEN.fullmatch(given):
        raise ConfigurationError(
            "RTMS_LIVE_TOKEN (or ZM_RTMS_LIVE_TOKEN) must have 16 to 200 letters, digits or "
            "._~+/=-, such as secrets.token_urlsafe() returns; leave it out to have one made"
        )
    return given


def log_options(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what ``ZM_RTMS_LOG_LEVEL``, ``_FORMAT`` and ``_ENABLED`` say, as far as they are set.

    The names are those of :func:`rtms_gevent.logs.configure_logger`, which checks the values.
    """
    environ = environment(environ)
    given = {name: environ.get(f"ZM_RTMS_LOG_{name.upper()}") for name in _LOG_OPTIONS}
    return {name: value for name, value in given.items() if value}


_LOG_OPTIONS = ("level", "format", "enabled")


def boolean(value: object, name: str) -> bool:
    """Return a switch that may be written as text.

    Args:
        value: A bool; or "true", "1", "yes", "on", or their opposites, in any case.
        name: What to call it where it is none of these.

    Raises:
        ConfigurationError: ``value`` is none of these.
    """
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else ""
    if text not in _SWITCH:
        raise ConfigurationError(f"{name} must be true or false, not {value!r:.40}")
    return _SWITCH[text]


_SWITCH = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}

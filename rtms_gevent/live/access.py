"""Who may look at the live page: plain rules over a WSGI environment, without Flask.

What people say in a meeting is nobody's business but theirs. So the page is closed to all but this
machine, until the app says otherwise. "This machine" is harder to tell than it looks: behind a
reverse proxy every request comes from 127.0.0.1, and any web page that a developer has open may
send requests to localhost, through a name that it lets point there (DNS rebinding) or through a
WebSocket, which browsers do not restrict to the page's own site. Hence the rules on headers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

__all__ = ["foreign_origin", "is_local"]

#: Headers that a reverse proxy adds. One of them is enough to know that somebody else is asking.
_FORWARDING = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PREFIX",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_SERVER",
    "HTTP_X_REAL_IP",
    "HTTP_X_CLIENT_IP",
    "HTTP_X_CLUSTER_CLIENT_IP",
    "HTTP_X_ENVOY_EXTERNAL_ADDRESS",
    "HTTP_TRUE_CLIENT_IP",
    "HTTP_CF_CONNECTING_IP",
    "HTTP_FLY_CLIENT_IP",
    "HTTP_FASTLY_CLIENT_IP",
)

#: Ports that browsers leave out. A proxy that ends TLS turns one into the other.
_DEFAULT_PORTS = (80, 443)


def is_local(environ: Mapping[str, Any]) -> bool:
    """Tell whether a request was made on this machine, by a page or program of this machine.

    False for whatever is in doubt: a proxy's header, an old HTTP version (reverse proxies speak it
    by default, browsers never do), a host name that is not the machine itself.
    """
    return (
        _is_loopback(environ.get("REMOTE_ADDR", ""))
        and _is_loopback(_host_name(environ.get("HTTP_HOST", "")))
        and environ.get("SERVER_PROTOCOL") != "HTTP/1.0"
        and not any(header in environ for header in _FORWARDING)
    )


def foreign_origin(
    environ: Mapping[str, Any], *, required: bool, trusted: Collection[str] = ()
) -> bool:
    """Tell whether a page of another site made the request.

    Args:
        environ: The WSGI environment.
        required: Whether a request without an ``Origin`` counts as foreign: so for WebSockets,
            where every browser sends one.
        trusted: Origins that are welcome besides the own one, such as ``https://shop.example``.
    """
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        return required
    if origin in trusted:
        return False
    own = _address(f"http://{environ.get('HTTP_HOST', '')}")
    return own is None or _address(origin) != own


def _host_name(host: str) -> str:
    address = _address(f"http://{host}")
    return address[0] if address else ""


def _address(url: str) -> tuple[str, int | None] | None:
    """Return host name and port (``None`` for a default one) of ``url``, if it is an origin."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.username is not None or parts.path not in ("", "/"):
        return None
    return parts.hostname, None if port in _DEFAULT_PORTS else port


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)

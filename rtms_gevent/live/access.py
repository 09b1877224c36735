"""Who may look at the live page: plain rules over a WSGI environment, without Flask.

What people say in a meeting is nobody's business but theirs. So the page is closed until the app
says otherwise, or a viewer shows a token. Being on the same machine is no credential: no header and
no address distinguishes a local viewer from one whom a reverse proxy let in, and any page that a
developer has open may send requests to localhost. The rule on origins is for the latter: browsers
do not restrict WebSockets to the page's own site.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

__all__ = ["bearer", "derive_token", "foreign_origin", "is_same"]

#: Ports that browsers leave out. A proxy that ends TLS turns one into the other.
_DEFAULT_PORTS = (80, 443)

_BEARER = "bearer "


def derive_token(secret_key: str | bytes) -> str:
    """Return a token that all processes with this secret have in common.

    Args:
        secret_key: The app's. It cannot be found out from the token.
    """
    key = secret_key.encode() if isinstance(secret_key, str) else secret_key
    return hmac.new(key, b"rtms_gevent live page", hashlib.sha256).hexdigest()


def bearer(environ: Mapping[str, Any]) -> str:
    """Return the token of a header ``Authorization: Bearer ...``, empty where there is none.

    Source: RFC 6750 section 2.1.
    """
    header: str = environ.get("HTTP_AUTHORIZATION", "")
    return header[len(_BEARER) :].strip() if header.lower().startswith(_BEARER) else ""


def is_same(given: str, token: str) -> bool:
    """Compare what a viewer shows with the token, in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def foreign_origin(
    environ: Mapping[str, Any], *, required: bool, trusted: Collection[str] = ()
) -> bool:
    """Return whether a page of another site made the request.

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

"""The server's side of the request that opens a WebSocket: a pure rule over a WSGI environment.

gevent-websocket upgrades whatever asks for it, on every path and before the app is called, and
answers a key that is no base64 with 500 and a traceback. So what serves WebSockets here, the live
page and the simulator, first looks whether the path is its own, and then asks this module.

Source: RFC 6455 section 4.2.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

__all__ = ["VERSION", "BadUpgrade", "accept_key"]

#: The only version of the protocol that is spoken; a refusal names it in Sec-WebSocket-Version.
VERSION = "13"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class BadUpgrade(Exception):
    """A request opens no WebSocket; the text says what is wrong with it, and quotes none of it."""


def accept_key(environ: Mapping[str, Any]) -> str:
    """Return the ``Sec-WebSocket-Accept`` that answers a request.

    Args:
        environ: The WSGI environment.

    Raises:
        BadUpgrade: the request is no opening handshake. Answer it with 400.
    """
    if environ.get("REQUEST_METHOD") != "GET" or environ.get("SERVER_PROTOCOL") != "HTTP/1.1":
        raise BadUpgrade("a WebSocket is opened with GET over HTTP/1.1")
    for header, token in (("UPGRADE", "websocket"), ("CONNECTION", "upgrade")):
        if token not in _tokens(environ.get(f"HTTP_{header}", "")):
            raise BadUpgrade(f"the header {header.title()} has no {token}")
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != VERSION:
        raise BadUpgrade(f"Sec-WebSocket-Version is not {VERSION}")
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "").strip().encode("latin-1", "replace")
    try:
        is_key = len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        is_key = False
    if not is_key:
        raise BadUpgrade("Sec-WebSocket-Key is not 16 bytes in base64")
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()


def _tokens(header: str) -> list[str]:
    return [token.strip().lower() for token in header.split(",")]

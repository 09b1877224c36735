"""Posts webhooks as Zoom does: signed, and answered with 200 or 204 within three seconds.

Source of names and headers: https://developers.zoom.us/docs/api/webhooks/ and the RTMS events.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import logging
import secrets
import ssl as stdlib_ssl
import time
import urllib.parse
from typing import Any

import gevent
from gevent import socket, ssl

from ...errors import ConfigurationError
from ..clock import milliseconds

__all__ = ["WebhookSender"]

logger = logging.getLogger(__name__)

#: Seconds that a receiver has for its answer.
REQUEST_TIMEOUT = 3.0


class WebhookSender:
    """Posts to one URL. Blocks the calling greenlet only; works without monkey-patching."""

    def __init__(self, url: str, secret: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"the webhook URL must be http(s)://host/path, not {url!r}")
        self._is_tls = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._is_tls else 80)
        self._path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        self._secret = secret.encode()

    def post(self, event: dict[str, Any], *, try_for: float = 0.0) -> int | None:
        """Post one webhook.

        Args:
            event: the whole event, as it becomes the body.
            try_for: seconds for which a receiver that refuses connections is tried again.

        Returns:
            The HTTP status of the answer, or None where there was none in time.
        """
        answer = self._request(event, try_for)
        status = None if answer is None else answer[0]
        if status not in (200, 204):
            logger.warning("webhook %s was answered with %s", event.get("event"), status)
        return status

    def validate(self) -> bool:
        """Send Zoom's ``endpoint.url_validation`` challenge and check the encrypted token."""
        plain = secrets.token_urlsafe(16)
        answer = self._request(
            {
                "event": "endpoint.url_validation",
                "event_ts": milliseconds(),
                "payload": {"plainToken": plain},
            }
        )
        if answer is None or answer[0] != 200:
            return False
        try:
            tokens = json.loads(answer[1])
        except ValueError:
            return False
        expected = hmac.new(self._secret, plain.encode(), hashlib.sha256).hexdigest()
        return bool(tokens == {"plainToken": plain, "encryptedToken": expected})

    def _request(self, event: dict[str, Any], try_for: float = 0.0) -> tuple[int, bytes] | None:
        body = json.dumps(event).encode()
        give_up = time.monotonic() + try_for
        while True:
            try:
                with gevent.Timeout(REQUEST_TIMEOUT):
                    return self._exchange(body)
            except ConnectionRefusedError:
                if time.monotonic() >= give_up:
                    return None
                gevent.sleep(0.1)
            except gevent.Timeout:
                return None
            except (OSError, http.client.HTTPException) as error:
                logger.warning("webhook could not be delivered: %s", error)
                return None

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        stamp = str(int(time.time()))
        signed = b"v0:" + stamp.encode() + b":" + body
        signature = hmac.new(self._secret, signed, hashlib.sha256).hexdigest()
        connection = _Connection(self._host, self._port, self._is_tls)
        try:
            connection.request(
                "POST",
                self._path,
                body,
                {
                    "Content-Type": "application/json; charset=utf-8",
                    "User-Agent": "rtms-gevent simulator",
                    "x-zm-request-timestamp": stamp,
                    "x-zm-signature": "v0=" + signature,
                },
            )
            response = connection.getresponse()
            return response.status, response.read(65536)
        finally:
            connection.close()


class _Connection(http.client.HTTPConnection):
    """The standard library's HTTP on gevent's sockets, so that the hub is never blocked."""

    def __init__(self, host: str, port: int, is_tls: bool) -> None:
        super().__init__(host, port)
        self._is_tls = is_tls

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port))
        self.sock = plain
        if self._is_tls:
            # gevent's own class: create_default_context() returns the blocking one
            context = ssl.SSLContext(stdlib_ssl.PROTOCOL_TLS_CLIENT)
            context.load_default_certs()
            self.sock = context.wrap_socket(plain, server_hostname=self.host)

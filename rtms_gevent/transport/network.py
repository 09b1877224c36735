"""Opens sockets over the network, for one session."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from gevent import ssl

from ..config import Limits, Proxies
from ..errors import ConfigurationError, ConnectError
from ..protocol.urls import Endpoint
from ..runtime.deadline import Deadline
from .connect import open_connection, tls_context
from .frames import ReceivedMessage
from .happy_eyeballs import History
from .proxy import Proxy
from .websocket import CloseInfo, WebSocket

__all__ = ["NetworkTransport"]

logger = logging.getLogger(__name__)


class NetworkTransport:
    """Opens WebSockets over TCP and TLS, and remembers which addresses have worked.

    Greenlet-safety: any greenlet of one hub.
    """

    def __init__(self, ca: str | None, proxies: Proxies, limits: Limits) -> None:
        """Read the CA file.

        Args:
            ca: File (PEM) with the certificates to trust; ``None`` means certifi's.
            proxies: Which proxy leads where.
            limits: How much a server may make us hold.

        Raises:
            ConfigurationError: the CA file cannot be used.
        """
        self._ca = ca
        self._context = tls_context(ca)
        self._proxies = proxies
        self._limits = limits
        self._addresses = History()

    @property
    def context(self) -> ssl.SSLContext:
        """TLS settings with the CA file as it is now, since streams last for hours."""
        try:
            self._context = tls_context(self._ca)
        except ConfigurationError as problem:  # it may be about to be replaced
            logger.warning("%s; what was read of it before counts", problem)
        return self._context

    def check(self, endpoints: Sequence[Endpoint]) -> None:
        """Refuse proxies whose addresses are wrong.

        Raises:
            ConfigurationError: that of a proxy that leads to one of ``endpoints``.
        """
        for endpoint in endpoints:
            self._proxy_for(endpoint)

    def _proxy_for(self, endpoint: Endpoint) -> Proxy | None:
        url = self._proxies.url_for(endpoint.host, endpoint.port, secure=endpoint.secure)
        return Proxy.parse(url) if url else None

    def open(
        self,
        endpoints: Sequence[Endpoint],
        *,
        name: str,
        deadline: Deadline,
        on_messages: Callable[[Iterator[ReceivedMessage]], None],
        on_closed: Callable[[CloseInfo], None],
    ) -> WebSocket:
        """Open a WebSocket to one of ``endpoints``, as :class:`.Transport` says.

        Raises:
            ConnectError: none could be opened; this is the error of one of them, and the others
                are logged.
        """
        opened = open_connection(
            endpoints,
            deadline=deadline,
            context=self.context,
            proxy_for=self._proxy_for,
            history=self._addresses,
            on_failed=lambda error: _log(name, error),
            max_header_bytes=self._limits.http_headers,
        )
        return WebSocket(
            opened,
            name=name,
            on_messages=on_messages,
            on_closed=on_closed,
            max_message_size=self._limits.message_size,
        )


def _log(name: str, error: ConnectError) -> None:
    logger.warning("%s socket: %s", name, error)

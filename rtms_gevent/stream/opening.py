"""Opening one connection: which endpoint, which handshake, what the answer offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from .._version import __version__
from ..enums import MediaDataType
from ..errors import HandshakeMalformed, ServerUrlError
from ..protocol.messages import (
    MediaHandshakeRequest,
    MediaHandshakeResponse,
    OutgoingMessage,
    SignalingHandshakeRequest,
    SignalingHandshakeResponse,
)
from ..protocol.urls import Endpoint, parse_server_urls
from ..runtime.deadline import Deadline
from ..runtime.fair_scheduling import yield_to_io
from ..transport.happy_eyeballs import History
from .connection import Connection
from .join_request import JoinRequest

__all__ = ["ConnectionOpener"]

_Answer = TypeVar("_Answer", SignalingHandshakeResponse, MediaHandshakeResponse)


class ConnectionOpener:
    """Opens connections, and remembers which endpoints have worked. All methods wait.

    Greenlet-safety: any greenlet of one hub.
    """

    def __init__(self, request: JoinRequest) -> None:
        """Know of no endpoint yet."""
        self._request = request
        self._transport = request.transport
        self._timeouts = request.options.timeouts
        self._history = History()

    def open_signaling(
        self, connection: Connection, endpoints: Sequence[Endpoint], deadline: Deadline
    ) -> Mapping[MediaDataType, tuple[Endpoint, ...]]:
        """Open the signaling connection, and return where the server takes media connections.

        Raises:
            JoinError: it could not be opened, or offers what must not be dialled.
            ConnectionLost: it broke right away.
        """
        request = SignalingHandshakeRequest(
            identity=self._request.identity,
            signature=self._request.signature,
            buffer_data=self._request.buffer_data,
            agent=f"rtms-gevent/{__version__}",
        )
        answer = self._open(connection, endpoints, request, SignalingHandshakeResponse, deadline)
        try:
            return {
                kind: parse_server_urls(urls, self._request.allowed_hosts)
                for kind, urls in answer.media_urls.items()
            }
        except ServerUrlError as problem:
            raise HandshakeMalformed("signaling", str(problem)) from problem

    def open_media(
        self,
        connection: Connection,
        endpoints: Sequence[Endpoint],
        params: dict[str, dict[str, int | bool]],
        deadline: Deadline,
        on_accepted: Callable[[MediaHandshakeResponse], None],
    ) -> None:
        """Open a media connection.

        Args:
            connection: Which.
            endpoints: Where; the best first, as long as none has worked.
            params: What to ask for.
            deadline: When it must be open.
            on_accepted: Called as :meth:`.Connection.handshake` says.

        Raises:
            JoinError: it could not be opened.
        """
        assert connection.media_type is not None
        request = MediaHandshakeRequest(
            identity=self._request.identity,
            signature=self._request.signature,
            media_type=connection.media_type,
            media_params=params,
        )
        self._open(connection, endpoints, request, MediaHandshakeResponse, deadline, on_accepted)

    def _open(
        self,
        connection: Connection,
        endpoints: Sequence[Endpoint],
        request: OutgoingMessage,
        answer_type: type[_Answer],
        deadline: Deadline,
        on_accepted: Callable[[_Answer], None] | None = None,
    ) -> _Answer:
        """Open a connection, where the server has answered last time if possible."""
        name, timeouts = connection.name, self._timeouts
        ranked = self._history.best_first(endpoints, key=lambda each: (name, each))
        endpoint = connection.open(ranked, self._transport, deadline.within(timeouts.connect))
        # A server that never answers must not be the first choice again.
        self._history.tried((name, endpoint))
        limit = deadline.within(timeouts.handshake)
        answer = connection.handshake(request, answer_type, limit, on_accepted)
        yield_to_io()  # many answers may have come at once
        self._history.worked((name, endpoint))
        return answer

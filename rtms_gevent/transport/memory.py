"""Streams without a network, for tests: a transport whose other end is a function of yours.

Example: a Zoom that accepts everything, and sends one packet of audio::

    import json

    from rtms_gevent import Client
    from rtms_gevent.transport.memory import MemoryTransport, Peer


    def zoom(peer: Peer) -> None:
        request = json.loads(peer.receive())
        if request["msg_type"] == 1:  # the signaling handshake
            urls = {"audio": "ws://127.0.0.1/media"}
            peer.send_json(
                {"msg_type": 2, "status_code": 0, "media_server": {"server_urls": urls}}
            )
        else:
            peer.send_json({"msg_type": 4, "status_code": 0})
            content = {"user_id": 1, "data": "QUJD", "timestamp": 1738392033699}
            peer.send_json({"msg_type": 14, "content": content})
        peer.wait_closed()


    client = Client(transport=MemoryTransport(zoom))

What is missing of a real one: delays, and servers that take a connection and do not read.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import gevent
from gevent.event import Event
from gevent.hub import Hub
from gevent.queue import Queue

from ..errors import ConnectError, ConnectionLost
from ..protocol.urls import Endpoint
from ..runtime.clock import SYSTEM_CLOCK, Clock
from ..runtime.deadline import Deadline
from .frames import BINARY, TEXT, ReceivedMessage
from .websocket import CloseInfo

__all__ = ["MemoryTransport", "Peer", "PeerClosed"]

logger = logging.getLogger(__name__)


class MemoryTransport:
    """Opens sockets that lead to a function of this process; a :class:`.Transport`.

    Greenlet-safety: any greenlet of one hub.
    """

    def __init__(self, serve: Callable[[Peer], object], clock: Clock = SYSTEM_CLOCK) -> None:
        """Take connections.

        Args:
            serve: Called with the other end of each socket, in a greenlet of its own. When it
                returns, or raises, the connection breaks without a close frame.
            clock: Tells when anything arrived.
        """
        #: Whether nobody listens, so that no socket can be opened.
        self.is_down = False
        self.peers: list[Peer] = []  #: of all sockets that were opened so far
        self._serve = serve
        self._clock = clock

    def check(self, endpoints: Sequence[Endpoint]) -> None:
        """Refuse nothing."""

    def open(
        self,
        endpoints: Sequence[Endpoint],
        *,
        name: str,
        deadline: Deadline,
        on_messages: Callable[[Iterator[ReceivedMessage]], None],
        on_closed: Callable[[CloseInfo], None],
    ) -> _Socket:
        """Open a socket to the first of ``endpoints``, as :class:`.Transport` says.

        Raises:
            ConnectError: nobody listens now.
        """
        endpoint = endpoints[0]
        if self.is_down:
            raise ConnectError(endpoint.origin, "tcp", "nobody listens there")
        socket = _Socket(endpoint, name, on_messages, on_closed, self._clock)
        peer = Peer(socket)
        self.peers.append(peer)
        gevent.spawn(self._run, peer)
        return socket

    def _run(self, peer: Peer) -> None:
        try:
            self._serve(peer)
        except PeerClosed:
            pass
        except Exception:
            logger.exception("the other end of the %s socket failed", peer.name)
        peer.reset()


class PeerClosed(Exception):
    """The client has closed the socket."""


class Peer:
    """The server's end of one socket. What it sends arrives in one read each."""

    def __init__(self, socket: _Socket) -> None:
        self.endpoint = socket.endpoint  #: what the client has dialled
        self.name = socket.name  #: as the client calls it: "signaling", a media type, "unified"
        self._socket = socket

    @property
    def is_closed(self) -> bool:
        """Whether the connection is gone, on either end's account."""
        return self._socket.closed.is_set()

    def receive(self) -> str | bytes:
        """Wait for the client's next message, and return it.

        Raises:
            PeerClosed: the client has closed the socket; ``serve`` need not catch it.
        """
        message = self._socket.sent.get()
        if message is None:
            self._socket.sent.put(None)
            raise PeerClosed
        return message

    def send(self, *messages: str | bytes) -> None:
        """Let messages arrive together, in one read; text (``str``) or binary (``bytes``)."""
        self._socket.arrive(
            [
                (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
                for message in messages
            ]
        )

    def send_json(self, *documents: object) -> None:
        """Let messages arrive together that are JSON documents."""
        self.send(*map(json.dumps, documents))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the socket, after what was sent has arrived."""
        self._socket.end(CloseInfo(code, reason, True, "the server closed it"))

    def reset(self) -> None:
        """Break the connection, after what was sent has arrived."""
        self._socket.end(
            CloseInfo(None, "", False, "the connection was closed without a close frame")
        )

    def wait_closed(self) -> None:
        """Take messages until the client closes the socket, and answer that."""
        try:
            while True:
                self.receive()
        except PeerClosed:
            self.close()


class _Socket:
    """The client's end: a :class:`.Socket`."""

    def __init__(
        self,
        endpoint: Endpoint,
        name: str,
        on_messages: Callable[[Iterator[ReceivedMessage]], None],
        on_closed: Callable[[CloseInfo], None],
        clock: Clock,
    ) -> None:
        self.endpoint = endpoint
        self.name = name
        self.closed = Event()
        self.last_heard = clock.monotonic()
        self.is_paused = False
        #: What the client has sent; None at the end.
        self.sent: Queue[str | bytes | None] = Queue()
        self._on_messages = on_messages
        self._on_closed = on_closed
        self._clock = clock
        self._hub: Hub = gevent.get_hub()
        self._resumed_at = float("-inf")
        self._arriving: deque[list[tuple[int, bytes]] | CloseInfo] = deque()
        self._over: CloseInfo | None = None
        self._is_closing = False

    # -- the server's side -------------------------------------------------------------------------

    def arrive(self, messages: list[tuple[int, bytes]]) -> None:
        self._arriving.append(messages)
        self._hub.loop.run_callback(self._read)

    def end(self, closed: CloseInfo) -> None:
        self._arriving.append(closed)
        self._hub.loop.run_callback(self._read)

    # -- the client's side -------------------------------------------------------------------------

    @property
    def silent_since(self) -> float:
        return max(self.last_heard, self._resumed_at)

    def send(self, message: str | bytes) -> None:
        if self._over is not None or self._is_closing:
            problem = self._over.problem if self._over else "it is being closed"
            raise ConnectionLost(self.name, problem)
        self.sent.put(message)

    def pause(self) -> None:
        if not self._is_closing:
            self.is_paused = True

    def resume(self) -> None:
        if self.is_paused:
            self.is_paused = False
            self._resumed_at = self._clock.monotonic()
            self._hub.loop.run_callback(self._read)

    def close(self, code: int = 1000) -> None:
        if self._over is None and not self._is_closing:
            self._is_closing = True
            self.sent.put(None)
            self.resume()

    def abort(self, problem: str) -> None:
        self._finish(CloseInfo(None, "", False, problem))

    def _read(self) -> None:
        """Hand on one read, in the hub."""
        if not self._arriving or self.is_paused or self._over is not None:
            return
        arrived = self._arriving.popleft()
        if isinstance(arrived, CloseInfo):
            self._finish(arrived)
            return
        self.last_heard = self._clock.monotonic()
        if self._arriving:
            self._hub.loop.run_callback(self._read)
        self._on_messages(iter([(opcode, data, 0, len(data)) for opcode, data in arrived]))

    def _finish(self, closed: CloseInfo) -> None:
        if self._over is None:
            self._over = closed
            self.sent.put(None)
            self._on_closed(closed)
            self.closed.set()

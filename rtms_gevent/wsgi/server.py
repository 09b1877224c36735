"""gevent's WSGI server, hardened for one purpose: small requests from strangers.

gevent calls its server fit for development only. What is added here: a deadline for a whole
request, however slowly its bytes drip, or however fast they come; limits on bytes and on
connections; turns for others meanwhile; no access log and no tracebacks for what a stranger sends.
Each connection takes one request, since webhooks come rarely.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any

import gevent
from gevent.pool import Pool
from gevent.pywsgi import LoggingLogAdapter, WSGIHandler, WSGIServer

from ..runtime.deadline import Deadline
from .body import REQUEST_TIMEOUT, BoundedFile, Readable, bytes_on_the_wire, let_others_run

__all__ = ["HttpServer"]

logger = logging.getLogger(__name__)


class _Body:
    """The body of a request, which the application reads to its end before it does anything else.

    What it leaves is not read by gevent either, since the connection is closed then.
    """

    def __init__(self, body: Readable, on_end: Callable[[], None]) -> None:
        self._body = body
        self._on_end = on_end

    def read(self, size: int, /) -> bytes:
        piece = self._body.read(size)
        if not piece:
            self._on_end()
        return piece

    def _discard(self) -> None:
        """Do nothing, where gevent would read the rest."""


class _Handler(WSGIHandler):
    """Serves one connection, in a greenlet of its own."""

    server: HttpServer
    rfile: Any

    def __init__(self, sock: Any, address: Any, server: HttpServer) -> None:
        super().__init__(sock, address, server)
        deadline = Deadline(server.request_timeout)
        self.rfile = BoundedFile(self.rfile, server.max_header, deadline)

    def handle(self) -> None:
        self.socket.settimeout(self.server.request_timeout)  # also for reading the answer
        try:
            super().handle()
        except OSError as problem:
            logger.debug("a connection broke: %s", type(problem).__name__)

    def handle_one_request(self) -> None:
        """Serve a request; returning None closes the connection."""
        self._deadline = gevent.Timeout.start_new(self.server.request_timeout)
        try:
            refusal = super().handle_one_request()
        except gevent.Timeout as late:
            if late is not self._deadline:
                raise
            return
        finally:
            self._deadline.close()
        if isinstance(refusal, tuple):
            self.socket.sendall(refusal[1])
            self._linger()
        elif (self.code or 0) >= 400:
            self._linger()

    def _linger(self) -> None:
        """Let the client read a refusal, which closing at once would reset under it.

        What it still sends is thrown away as it comes, but only a little of it, for a moment.
        """
        self.socket.shutdown(socket.SHUT_WR)
        gevent.with_timeout(self.server.linger, self._throw_away, timeout_value=None)

    def _throw_away(self) -> None:
        for _ in range(self.server.linger_reads):
            if not self.socket.recv(64 * 1024):
                break
            let_others_run()

    def read_request(self, raw_requestline: str) -> Any:
        try:
            return super().read_request(raw_requestline)
        except ValueError:
            raise
        except Exception as problem:  # or gevent would print a traceback for each
            raise ValueError(type(problem).__name__) from problem

    def get_environ(self) -> dict[str, Any]:
        self.rfile.allow(self.server.max_rest)
        environ = super().get_environ()
        body: Any = _Body(environ["wsgi.input"], self._deadline.close)
        environ["wsgi.input"] = self.wsgi_input = body
        return environ

    def handle_error(self, t: Any, v: Any, tb: Any) -> None:
        """End a request that failed: quietly, where the fault lies with the other side."""
        if v is self._deadline or isinstance(v, OSError):
            self.close_connection = True
        else:
            super().handle_error(t, v, tb)


class HttpServer(WSGIServer):
    """A WSGI server for strangers. Runs on the hub of the thread that makes and starts it."""

    #: Seconds within which a request must have come in completely, and that a client may take for
    #: each piece of the answer.
    request_timeout = REQUEST_TIMEOUT
    #: Connections at one time. Each costs a greenlet and a buffer.
    max_connections = 1000
    #: Bytes of a request line and headers.
    max_header = 16 * 1024
    #: Seconds for which a client may go on sending what was refused, and reads of at most 64 KiB.
    linger = 1.0
    linger_reads = 16

    def __init__(
        self,
        listener: socket.socket,
        application: Any,
        *,
        name: str,
        max_body: int,
    ) -> None:
        """Prepare a server.

        Args:
            listener: What ``open_listener()`` returned, perhaps in another thread.
            application: The WSGI application. It reads the body to its end, by ``read`` of
                ``wsgi.input`` only: that ends the deadline.
            name: The server's name for applications (``SERVER_NAME``).
            max_body: The most bytes of a body that the application takes.
        """
        self.max_rest = bytes_on_the_wire(max_body)  #: what may follow a request's header
        accepting: Any = listener
        super().__init__(
            accepting,
            application,
            spawn=Pool(self.max_connections),
            handler_class=_Handler,
            log=None,
            error_log=LoggingLogAdapter(logger, logging.DEBUG),
            environ={"SERVER_NAME": name},  # or gevent asks DNS for it
        )

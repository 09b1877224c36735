"""gevent's WSGI server, hardened for one purpose: small requests from strangers.

gevent calls its server fit for development only. What is added here: a deadline for a whole
request, however slowly its bytes drip; limits on header bytes and on connections; no access log
and no tracebacks for what a stranger sends. Answers close their connection, since webhooks come
rarely.
"""

from __future__ import annotations

import logging
import socket
from typing import Any

import gevent
from gevent import monkey
from gevent.pool import Pool
from gevent.pywsgi import LoggingLogAdapter, WSGIHandler, WSGIServer

__all__ = ["HEARD", "HttpServer", "open_listener"]

logger = logging.getLogger(__name__)

#: Key in the WSGI environ of a function to call when the whole request was read.
HEARD = "rtms_gevent.heard"

#: Connections at one time. Each costs a greenlet and a buffer, and is closed after the deadline.
_MAX_CONNECTIONS = 1000

#: Connections that the kernel holds while we are busy.
_BACKLOG = 128

_MAX_HEADER_BYTES = 16 * 1024


class _LimitedLines:
    """Reads lines until there were too many bytes."""

    def __init__(self, file: Any, limit: int) -> None:
        self._file = file
        self._left = limit

    def readline(self, size: int = -1) -> bytes:
        line: bytes = self._file.readline(
            min(size, self._left + 1) if size >= 0 else self._left + 1
        )
        self._left -= len(line)
        if self._left < 0:
            raise ValueError("the header is too long")
        return line


class _Rest:
    """What is left of a request's body when it was answered.

    It is read and thrown away, so that the client gets the answer and not a reset connection, but
    only within the deadline: gevent alone would read on for as long as bytes drip in.
    """

    def __init__(self, body: Any, deadline: gevent.Timeout) -> None:
        self._body = body
        self._deadline = deadline

    def _discard(self) -> None:
        if self._deadline.pending:
            self._body._discard()


class _Handler(WSGIHandler):
    """Serves one connection, in a greenlet of its own."""

    server: HttpServer

    def handle(self) -> None:
        self.socket.settimeout(self.server.patience)  # for a client that does not read its answer
        try:
            super().handle()
        except OSError as problem:
            logger.debug("a connection broke: %s", type(problem).__name__)

    def handle_one_request(self) -> Any:
        self._deadline = gevent.Timeout.start_new(self.server.patience)
        try:
            return super().handle_one_request()
        except gevent.Timeout as late:
            if late is not self._deadline:
                raise
            return None  # closes the connection
        finally:
            self._deadline.close()

    def MessageClass(self, file: Any, *arguments: Any) -> Any:
        lines: Any = _LimitedLines(file, _MAX_HEADER_BYTES)
        return super().MessageClass(lines, *arguments)

    def read_request(self, raw_requestline: str) -> Any:
        try:
            return super().read_request(raw_requestline)
        except ValueError:
            raise
        except Exception as problem:  # or gevent would print a traceback for each
            raise ValueError(type(problem).__name__) from problem

    def get_environ(self) -> dict[str, Any]:
        environ = super().get_environ()
        environ[HEARD] = self._deadline.close
        rest: Any = _Rest(self.wsgi_input, self._deadline)
        self.wsgi_input = rest  # the application has the input itself, in the environ
        return environ

    def handle_error(self, t: Any, v: Any, tb: Any) -> None:
        """End a request that failed: quietly, where the fault lies with the other side."""
        if v is self._deadline or isinstance(v, OSError):
            self.close_connection = True
        else:
            super().handle_error(t, v, tb)


class HttpServer(WSGIServer):
    """A WSGI server for strangers. Runs on the hub of the thread that makes and starts it."""

    def __init__(
        self, listener: socket.socket, application: Any, *, name: str, patience: float
    ) -> None:
        """Prepare a server.

        Args:
            listener: What :func:`open_listener` returned, perhaps in another thread.
            application: The WSGI application. It calls ``environ[HEARD]()`` when it has read the
                body, which ends the deadline.
            name: What applications are told as the server's name.
            patience: Seconds within which a request must have come in completely, and that a
                client may take for each piece of the answer.
        """
        self.patience = patience
        accepting: Any = listener
        super().__init__(
            accepting,
            application,
            spawn=Pool(_MAX_CONNECTIONS),
            handler_class=_Handler,
            log=None,
            error_log=LoggingLogAdapter(logger, logging.DEBUG),
            environ={"SERVER_NAME": name},  # or gevent asks DNS for it
        )


def open_listener(host: str, port: int) -> socket.socket:
    """Return a listening socket of the standard library's, which belongs to no hub yet.

    Raises:
        OSError: the address cannot be listened on.
    """
    native: type[socket.socket] = monkey.get_original("socket", "socket")
    listener = native(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener

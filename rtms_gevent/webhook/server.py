"""An HTTP server of our own for webhooks, for scripts that have no web framework.

The port is open from the start; webhooks are served as soon as the hub runs on which streams of the
starting thread live: in ``rtms_gevent.run()``, ``run_async()``, or a loop that runs there. For the
public internet put a reverse proxy with TLS before it: Zoom
delivers webhooks over https only.
"""

from __future__ import annotations

import dataclasses
import logging
import socket

import gevent
from gevent.pool import Group

from ..config import ClusterSettings, WebhookSettings
from ..errors import ConfigurationError
from ..runtime.deadline import Deadline
from ..runtime.fork import forget_in_child
from ..runtime.hub_context import HubContext, PendingCall, context_of, current_context
from ..wsgi.listening import open_listener
from ..wsgi.server import HttpServer
from .application import WebhookApplication, is_local, with_path
from .handlers import Handler

__all__ = ["WebhookServer"]

logger = logging.getLogger(__name__)


class WebhookServer:
    """Receives webhooks on one port and hands them to functions.

    Greenlet-safety: :meth:`start` from the thread that called it first, or from the hub that
    serves; :meth:`stop` from anywhere.
    """

    def __init__(
        self,
        port: int | None = None,
        path: str | None = None,
        *,
        host: str | None = None,
        settings: WebhookSettings | None = None,
        cluster_settings: ClusterSettings | None = None,
    ) -> None:
        """Prepare a server; it listens from the first :meth:`start` on.

        Args:
            port: The port; 0 takes any that is free. By default ``ZM_RTMS_PORT`` or 8080.
            path: The path of handlers that name none. By default ``ZM_RTMS_PATH``, else
                ``/rtms/webhook``; what is served there is served at ``/``, too.
            host: The address to bind. By default all addresses where signatures are checked, and
                127.0.0.1 where they are not.
            settings: What to check; by default from the environment.
            cluster_settings: How processes share streams; by default from the environment.

        Raises:
            ConfigurationError: a value is not allowed, or there is no webhook secret, though
                nothing says that signatures are not to be checked.
        """
        self.settings = WebhookSettings.from_environment() if settings is None else settings
        chosen = with_path(self.settings, path)
        if port is not None:
            chosen = dataclasses.replace(chosen, port=port)
        self.path = chosen.path
        if host is None:
            host = "0.0.0.0" if self.settings.verify else "127.0.0.1"  # noqa: S104 (Zoom calls)
        self.host = host
        self._chosen = chosen
        self._cluster_settings = cluster_settings
        self._application: WebhookApplication | None = None
        self._listener: socket.socket | None = None
        self._hub_context: HubContext | None = None  # where it serves, or is going to
        self._begin: PendingCall | None = None  # makes it serve
        self._http: HttpServer | None = None  # once it serves

    @property
    def port(self) -> int:
        """The port that the server listens on, or is going to."""
        return self._chosen.port if self._listener is None else self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """Where this server is found from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{self.path}"

    def start(self, callback: Handler, path: str | None = None) -> None:
        """Add a handler, and listen if this is the first one. Returns at once.

        Args:
            callback: Called with ``payload`` after the answer was sent; or, where it has three
                parameters, with ``payload, request, response`` to decide the answer. Each call is
                in a greenlet of its own and may block.
            path: The path to serve, if another than the server's.

        Raises:
            ConfigurationError: the callback, the path or the store is not usable, or the port is
                not free.
            MissingExtra: the store needs a package that is not installed.
        """
        application = self._application
        if application is None:
            application = WebhookApplication(
                self._chosen,
                is_local=is_local(self.host),
                cluster_settings=self._cluster_settings,
            )
        application.add(callback, path)
        if self._application is None:
            self._listen(application)

    def stop(self, timeout: float = 1.0) -> None:
        """Close the port; handlers that run get ``timeout`` seconds to finish, then are killed.

        May be called from inside a handler, which then goes on. From another thread than that of
        the hub that serves it does not wait: the port is closed when that hub has its next turn.
        Does nothing where it was stopped before. The server may be started again.
        """
        listener, hub_context, http, application = (
            self._listener,
            self._hub_context,
            self._http,
            self._application,
        )
        if listener is None or hub_context is None or application is None:
            return
        self._listener = self._hub_context = self._http = self._application = None
        if self._begin is not None:
            self._begin.cancel()
        if http is None or hub_context.hub is None:  # it never served, or its hub took all with it
            listener.close()
        elif hub_context.hub is gevent.get_hub():
            _end(listener, http, application, timeout)
        else:  # whose thread may be waiting for us, or do something else than drive its hub
            hub_context.submit(lambda: _end(listener, http, application, timeout))

    def _listen(self, application: WebhookApplication) -> None:
        try:
            self._listener = open_listener(self.host, self._chosen.port)
        except OSError as problem:
            raise ConfigurationError(
                f"cannot listen on {self.host} port {self._chosen.port}: {problem}. Choose another "
                "with port= or ZM_RTMS_PORT"
            ) from None
        self._application = application
        # Served is where streams of this thread live, which run_async() may yet decide.
        self._hub_context = current_context()
        self._begin = self._hub_context.submit(self._serve)
        logger.info("listening for webhooks at %s", self.url)

    def _serve(self) -> None:
        """Accept connections; runs on the hub that is to serve them."""
        if self._listener is None or self._application is None:
            return
        self._hub_context = context_of(gevent.get_hub())
        self._http = HttpServer(
            self._listener, self._application, name=self.host, max_body=self.settings.max_body
        )
        self._http.start()
        self._application.start()
        forget_in_child(self)

    def after_fork_in_child(self, is_here: bool) -> None:
        """Accept nothing in a forked child: what comes is for the process that serves already."""
        listener, http = self._listener, self._http
        self._listener = self._hub_context = self._http = self._application = None
        if http is not None and is_here:
            http.close()
        if listener is not None:
            listener.close()


def _end(
    listener: socket.socket, http: HttpServer, application: WebhookApplication, timeout: float
) -> None:
    """Close the port, and end what runs; on the hub that serves."""
    http.stop(timeout)
    deadline = Deadline(timeout)
    while (others := _others(application.greenlets)) and deadline.left():
        gevent.joinall(others, timeout=deadline.left())  # which may start more
    application.stop()
    gevent.killall(others, timeout=timeout)
    listener.close()


def _others(greenlets: Group) -> list[gevent.Greenlet[..., object]]:
    return [greenlet for greenlet in greenlets if greenlet is not gevent.getcurrent()]

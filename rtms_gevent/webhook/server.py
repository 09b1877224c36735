"""An HTTP server of our own for webhooks, for scripts that have no web framework.

The port is open from the start; webhooks are served as soon as the hub runs on which streams of the
starting thread live: in ``rtms_gevent.run()``, ``run_async()``, or a loop that runs there. For the
public internet put a reverse proxy with TLS before it: Zoom
delivers webhooks over https only.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Protocol, TypeVar, cast, overload

import gevent
from gevent.pool import Group

from .._interrupts import is_ctrl_c
from ..config import (
    DEFAULT_WEBHOOK_PATH,
    FORGEABLE,
    WebhookSettings,
    lacks_webhook_secret,
    webhook_port,
)
from ..errors import ConfigurationError
from ..loop import call_at_stop, call_before_run, forget_before_run
from ..protocol.webhook_events import WebhookEvent
from ..runtime.fork import forget_in_child
from ..runtime.hub_context import HubContext, context_of, current_context
from ..runtime.threads import current_hub, is_current
from ..wsgi.body import RequestRefused, read_body
from ..wsgi.server import HEARD, HttpServer, open_listener
from .handlers import FullHandler, Handler, SimpleHandler, decides_answer
from .http_messages import Headers, WebhookPayload, WebhookRequest, WebhookResponse
from .receiver import WebhookReceiver
from .refusals import RefusalLog

__all__ = ["WebhookServer", "on_webhook_event", "stop_all"]

logger = logging.getLogger(__name__)

#: Seconds that a handler may take to decide the answer: Zoom waits 3.
_ANSWER_WITHIN = 2.5

#: Seconds within which a request must be complete.
_PATIENCE = 10.0

_HEALTH_PATH = "/healthz"


class _StartResponse(Protocol):
    def __call__(self, status: str, headers: list[tuple[str, str]], /) -> object: ...


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
    ) -> None:
        """Prepare a server; it listens from the first :meth:`start` on.

        Args:
            port: The port; 0 takes any that is free. By default ``ZM_RTMS_PORT`` or 8080.
            path: The path of handlers that name none. By default ``ZM_RTMS_PATH``, else
                ``/rtms/webhook``; what is served there is served at ``/``, too.
            host: The address to bind. By default all addresses where signatures are checked, and
                127.0.0.1 where they are not.
            settings: What to check; by default from the environment.

        Raises:
            ConfigurationError: a value is not allowed, or there is no webhook secret, though
                nothing says that signatures are not to be checked.
        """
        self.settings = WebhookSettings.from_environment() if settings is None else settings
        self.path = _checked_path(self.settings.path if path is None else path)
        if host is None:
            host = "0.0.0.0" if self.settings.verify else "127.0.0.1"  # noqa: S104 (Zoom calls)
        self.host = host
        self._wanted_port = _checked_port(self.settings.port if port is None else port)
        self._routes: dict[str, _Route] = {}
        self._refusals = RefusalLog(logger)
        self._listener: socket.socket | None = None
        self._hub_context: HubContext | None = None  # where it serves, or is going to
        self._http: HttpServer | None = None  # once it serves
        self._greenlets = Group()

    @property
    def port(self) -> int:
        """The port that the server listens on, or is going to."""
        return self._wanted_port if self._listener is None else self._listener.getsockname()[1]

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
            ConfigurationError: the callback or the path is not usable, or the port is not free.
        """
        path = self.path if path is None else _checked_path(path)
        decides = decides_answer(callback)
        self._listen()
        route = self._routes.get(path)
        if route is None:
            route = self._routes[path] = _Route(self.settings, self._spawn)
        if decides:
            route.deciding.append(cast(FullHandler, callback))
        else:
            route.simple.append(cast(SimpleHandler, callback))

    def stop(self, timeout: float = 1.0) -> None:
        """Close the port; handlers that run get ``timeout`` seconds to finish, then are killed.

        May be called from inside a handler, which then goes on. From another thread than that of
        the hub that serves it does not wait: the port is closed when that hub has its next turn.
        Does nothing where it was stopped before. The server may be started again.
        """
        listener, hub_context, http, greenlets = (
            self._listener,
            self._hub_context,
            self._http,
            self._greenlets,
        )
        if listener is None or hub_context is None:
            return
        self._listener = self._hub_context = self._http = None
        self._routes = {}
        hub_context.withdraw(self)
        if http is None or hub_context.hub is None:  # it never served, or its hub took all with it
            listener.close()
        elif is_current(hub_context.hub):
            _end(listener, http, greenlets, timeout)
        else:  # whose thread may be waiting for us, or do something else than drive its hub
            hub_context.submit(http, lambda: _end(listener, http, greenlets, timeout))

    def _listen(self) -> None:
        if self._listener is not None:
            return
        try:
            self._listener = open_listener(self.host, self._wanted_port)
        except OSError as problem:
            raise ConfigurationError(
                f"cannot listen on {self.host} port {self._wanted_port}: {problem}. Choose another "
                "with port= or ZM_RTMS_PORT"
            ) from None
        # Served is where streams of this thread live, which run_async() may yet decide.
        self._hub_context = current_context()
        self._hub_context.submit(self, self._serve)
        logger.info("listening for webhooks at %s", self.url)

    def _serve(self) -> None:
        """Accept connections; runs on the hub that is to serve them."""
        if self._listener is None:
            return
        self._hub_context, self._greenlets = context_of(current_hub()), Group()
        self._http = HttpServer(
            self._listener,
            self._application,
            name=self.host,
            patience=_PATIENCE,
            max_body=self.settings.max_body,
        )
        self._http.start()
        forget_in_child(self)

    def forget(self, is_here: bool) -> None:
        """Accept nothing in a forked child: what comes is for the process that serves already."""
        listener, http = self._listener, self._http
        self._listener = self._hub_context = self._http = None
        self._routes = {}
        if http is not None and is_here:
            http.close()
        if listener is not None:
            listener.close()

    def _spawn(self, function: Callable[..., object], *arguments: Any) -> None:
        self._greenlets.spawn(function, *arguments)

    def _application(
        self, environ: dict[str, Any], start_response: _StartResponse
    ) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == _HEALTH_PATH and method in ("GET", "HEAD"):
            return _reply(start_response, 200)
        try:
            route = self._find_route(path)
            headers = _headers(environ)
            if not self.settings.verify and _is_local(self.host):
                _refuse_foreign_host(headers.get("host", ""))
            body = _read_body(environ, self.settings.max_body)
        except RequestRefused as refusal:
            if method == "POST":  # others are no webhooks
                self._refusals.warning("webhook refused with %d: %s", refusal.status, refusal)
            return _reply(start_response, refusal.status)
        environ[HEARD]()
        return route.answer(WebhookRequest(method, path, headers, body), start_response)

    def _find_route(self, path: str) -> _Route:
        route = self._routes.get(path)
        if route is None and path == "/":  # the official SDK's default
            route = self._routes.get(DEFAULT_WEBHOOK_PATH)
        if route is None:
            served = ", ".join(sorted(self._routes))
            raise RequestRefused(404, f"{path!r:.80} is not served; {served} is")
        return route


def _end(listener: socket.socket, http: HttpServer, greenlets: Group, timeout: float) -> None:
    """Close the port, and end what runs; on the hub that serves."""
    http.stop(timeout)
    others = [greenlet for greenlet in greenlets if greenlet is not gevent.getcurrent()]
    gevent.joinall(others, timeout=timeout)
    gevent.killall([greenlet for greenlet in others if not greenlet.dead], timeout=timeout)
    listener.close()


class _Route:
    """What happens with requests for one path."""

    def __init__(self, settings: WebhookSettings, spawn: Callable[..., None]) -> None:
        self.simple: list[SimpleHandler] = []
        self.deciding: list[FullHandler] = []
        self._receiver = WebhookReceiver(settings)
        self._spawn = spawn

    def answer(self, request: WebhookRequest, start_response: _StartResponse) -> Iterable[bytes]:
        """WebhookReply a request; what is to be done afterwards waits until the answer was sent."""
        answer = self._receiver.handle(request.method, request.body, request.headers)
        headers = {"Content-Type": answer.content_type}
        if answer.status == 405:
            headers["Allow"] = "POST"
        if answer.event is None:
            return _reply(start_response, answer.status, answer.body, headers)
        payload = WebhookPayload(answer.event.raw, request.body)
        response = WebhookResponse(answer.status, answer.body)
        if self.deciding:
            response = WebhookResponse(200, answer.body)  # they may well send a body
            self._decide(payload, request, response)
            headers = {"Content-Type": "application/json", **response.headers}
        if not 200 <= response.status < 300:
            self._receiver.forget(answer)
            return _reply(start_response, response.status, response.body, headers)
        event = answer.event
        return _reply(
            start_response,
            response.status,
            response.body,
            headers,
            afterwards=lambda: self._work(event, payload),
        )

    def _decide(
        self, payload: WebhookPayload, request: WebhookRequest, response: WebhookResponse
    ) -> None:
        """Let handlers decide the answer: the first that sends it counts, or the time is up."""
        running = len(self.deciding)

        def run(handler: FullHandler) -> None:
            nonlocal running
            try:
                handler(payload, request, response)
            except BaseException as problem:
                if is_ctrl_c(problem):
                    raise
                logger.exception("webhook handler %r failed", handler)
                response.reset()
            finally:
                running -= 1
                if running == 0:
                    response.finish()

        for handler in self.deciding:
            self._spawn(run, handler)
        if not response.wait(_ANSWER_WITHIN):
            logger.warning(
                "no webhook handler has answered within %g s; Zoom is told that all is well",
                _ANSWER_WITHIN,
            )
            response.reset()
            response.finish()

    def _work(self, event: WebhookEvent, payload: WebhookPayload) -> None:
        self._spawn(self._receiver.accept, event)
        for handler in self.simple:
            self._spawn(_call, handler, payload)


def _call(handler: SimpleHandler, payload: WebhookPayload) -> None:
    try:
        handler(payload)
    except BaseException as problem:
        if is_ctrl_c(problem):
            raise
        logger.exception("webhook handler %r failed", handler)


class _Reply:
    """The body of an answer; the WSGI server closes it when the answer was sent."""

    def __init__(self, body: bytes, afterwards: Callable[[], None] | None) -> None:
        self._body = body
        self._afterwards = afterwards

    def __iter__(self) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None:
        if self._afterwards is not None:
            self._afterwards()


def _reply(
    start_response: _StartResponse,
    status: int,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    afterwards: Callable[[], None] | None = None,
) -> _Reply:
    """Begin an answer, and call ``afterwards`` when it was sent."""
    if status in (204, 304):
        body = b""
    fields = {"Content-Type": "text/plain; charset=utf-8", **(headers or {})}
    fields |= {"Content-Length": str(len(body)), "Connection": "close"}
    start_response(f"{status} {_phrase(status)}", list(fields.items()))
    return _Reply(body, afterwards)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _read_body(environ: Mapping[str, Any], limit: int) -> bytes:
    """Return the body; its length may be announced or not.

    Raises:
        RequestRefused: it is too long, breaks off, or is no proper chunked body.
    """
    if int(environ.get("CONTENT_LENGTH") or 0) > limit:
        raise RequestRefused(413, f"the body is longer than {limit} bytes")
    try:
        return read_body(environ["wsgi.input"], limit, _PATIENCE)
    except RequestRefused:
        raise
    except (OSError, ValueError) as problem:
        raise RequestRefused(
            400, f"the body broke off, or is malformed ({type(problem).__name__})"
        ) from None


def _headers(environ: Mapping[str, Any]) -> Headers:
    fields = [
        (name.removeprefix("HTTP_").replace("_", "-"), text)
        for name, text in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    ]
    return Headers(fields)


def _checked_path(path: str) -> str:
    if not isinstance(path, str) or not path.startswith("/") or path == _HEALTH_PATH:
        raise ConfigurationError(
            f"a webhook path begins with / and is not {_HEALTH_PATH}, unlike {path!r:.80}"
        )
    return path


def _checked_port(port: int) -> int:
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
        raise ConfigurationError(f"a port is a number from 0 to 65535, not {port!r:.40}")
    return port


def _refuse_foreign_host(host: str) -> None:
    """Raise where a local server is called by another name than this machine's own.

    A site may let its name point to 127.0.0.1, so that for a browser its pages come from here.
    """
    try:
        name = urllib.parse.urlsplit(f"//{host}").hostname
    except ValueError:
        name = host
    if name and not _is_local(name):
        raise RequestRefused(403, f"Host is {host!r:.80}, and this server is for this machine only")


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# -- the servers of this process -------------------------------------------------------------------

_servers: dict[int, WebhookServer] = {}

_Simple = TypeVar("_Simple", bound=SimpleHandler)
_Full = TypeVar("_Full", bound=FullHandler)


class _Register(Protocol):
    @overload
    def __call__(self, handler: _Simple, /) -> _Simple: ...
    @overload
    def __call__(self, handler: _Full, /) -> _Full: ...


@overload
def on_webhook_event(
    callback: _Simple,
    port: int | None = None,
    path: str | None = None,
    *,
    host: str | None = None,
    settings: WebhookSettings | None = None,
) -> _Simple: ...


@overload
def on_webhook_event(
    callback: _Full,
    port: int | None = None,
    path: str | None = None,
    *,
    host: str | None = None,
    settings: WebhookSettings | None = None,
) -> _Full: ...


@overload
def on_webhook_event(
    callback: None = None,
    port: int | None = None,
    path: str | None = None,
    *,
    host: str | None = None,
    settings: WebhookSettings | None = None,
) -> _Register: ...


def on_webhook_event(
    callback: Handler | None = None,
    port: int | None = None,
    path: str | None = None,
    *,
    host: str | None = None,
    settings: WebhookSettings | None = None,
) -> Any:
    """Receive webhooks with a server of our own, as ``rtms.on_webhook_event`` does.

    Use it as ``@on_webhook_event``, as ``@on_webhook_event(port=8080, path="/zoom")``, or call it
    with the function. The port is opened at once, so that a wrong one shows at once; webhooks are
    served while ``rtms_gevent.run()`` or ``run_async()`` runs, whose end closes the port. Functions
    on the same port share one server.

    Where the environment has no webhook secret, as programs for the official SDK have none, nothing
    is opened: that is logged, and ``run()`` raises it, unless there is a secret by then.

    Args:
        callback: Takes ``payload``, and is called after Zoom was answered; or takes ``payload,
            request, response`` and decides the answer. Each call is in a greenlet of its own.
        port: The port; by default ``ZM_RTMS_PORT`` or 8080.
        path: The path; by default ``ZM_RTMS_PATH``, else both ``/rtms/webhook`` and ``/``.
        host: The address to bind; see :class:`WebhookServer`.
        settings: What to check; by default from the environment.

    Returns:
        The function, unchanged; without one, a decorator.

    Raises:
        ConfigurationError: an argument is not usable, the port is not free, it is served already
            with another host or other settings.
    """
    if callback is None:
        return lambda handler: on_webhook_event(handler, port, path, host=host, settings=settings)
    decides_answer(callback)  # before a port is opened for it
    is_served = (webhook_port() if port is None else port) in _servers
    if settings is None and not is_served and lacks_webhook_secret():
        logger.error("webhooks are not received yet: %s", FORGEABLE)
        call_before_run(lambda: _serve(callback, port, path, host, None))
    else:
        _serve(callback, port, path, host, settings)
    return callback


def _serve(
    callback: Handler,
    port: int | None,
    path: str | None,
    host: str | None,
    settings: WebhookSettings | None,
) -> None:
    if port is None:
        port = webhook_port() if settings is None else settings.port
    server = _servers.get(port)
    if server is None:
        server = WebhookServer(port, path, host=host, settings=settings)
        server.start(callback)
        _servers[port] = server
        call_at_stop(stop_all)
        return
    if host not in (None, server.host) or settings not in (None, server.settings):
        raise ConfigurationError(
            f"port {server.port} is served already, with another host or other settings"
        )
    server.start(callback, path)


def stop_all(timeout: float = 1.0) -> None:
    """Stop every server of :func:`~rtms_gevent.on_webhook_event`.

    See :meth:`rtms_gevent.WebhookServer.stop`; greenlet-safety is as there.
    """
    forget_before_run()
    while _servers:
        _, server = _servers.popitem()
        server.stop(timeout)

"""The WSGI application of ``on_webhook_event``: paths, their handlers, and what they answer."""

from __future__ import annotations

import dataclasses
import ipaddress
import logging
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Protocol, cast

from gevent.pool import Group

from .._interrupts import is_ctrl_c
from ..cluster.cluster import Cluster
from ..cluster.opening import make_store
from ..config import DEFAULT_WEBHOOK_PATH, ClusterSettings, WebhookSettings
from ..errors import ConfigurationError
from ..wsgi.body import RequestRefused, read_body
from .after_answer import AfterAnswer
from .handler_host import HandlerHost
from .handlers import FullHandler, Handler, SimpleHandler, decides_answer
from .http_messages import Headers, WebhookPayload, WebhookRequest, WebhookResponse
from .receiver import WebhookReceiver, WebhookReply
from .refusals import RefusalLog

__all__ = ["HANDLER_TIMEOUT", "WebhookApplication", "is_local", "with_path"]

logger = logging.getLogger(__name__)

#: Seconds that a handler may take to decide the answer: Zoom waits 3.
HANDLER_TIMEOUT = 2.5

#: Seconds before that for the store to say whether another process has got the webhook already.
_STORE_TIMEOUT = 0.4

_HEALTH_PATH = "/healthz"


class _StartResponse(Protocol):
    def __call__(self, status: str, headers: list[tuple[str, str]], /) -> object: ...


def with_path(settings: WebhookSettings, path: str | None) -> WebhookSettings:
    """Return settings with another path; ``None`` leaves theirs.

    Raises:
        ConfigurationError: that is no path, or the one of the health check.
    """
    chosen = settings if path is None else dataclasses.replace(settings, path=path)
    if chosen.path == _HEALTH_PATH:
        raise ConfigurationError(
            f"a webhook path cannot be {_HEALTH_PATH}: the server's health check is there"
        )
    return chosen


class WebhookApplication:
    """Answers requests, and lets handlers run when it was answered.

    Greenlet-safety: the hub that serves it; :meth:`add` also before it is served.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        *,
        is_local: bool,
        cluster_settings: ClusterSettings | None = None,
    ) -> None:
        """Make an application without handlers.

        Args:
            settings: What to check.
            is_local: Whether it is served to this machine only.
            cluster_settings: How processes share the streams of one path; by default from the
                environment.
        """
        self.settings = settings
        self.cluster_settings = cluster_settings or ClusterSettings.from_environment(
            name="webhooks"
        )
        self.greenlets = Group()  #: where handlers run
        self._is_local = is_local
        self._routes: dict[str, _Route] = {}
        self._is_served = False
        self._refusals = RefusalLog(logger)

    def add(self, handler: Handler, path: str | None = None) -> None:
        """Add a handler for a path, which is that of the settings by default.

        Raises:
            ConfigurationError: the handler, the path or the store is not usable.
            MissingExtra: the store needs a package that is not installed.
        """
        settings = with_path(self.settings, path)
        decides = decides_answer(handler)
        route = self._routes.get(settings.path)
        if route is None:
            route = _Route(settings, self.cluster_settings, self.greenlets)
            self._routes[settings.path] = route
        if decides:
            route.deciding.append(cast(FullHandler, handler))
        else:
            route.host.handlers.append(cast(SimpleHandler, handler))
        if self._is_served:
            route.cluster.start()

    def start(self) -> None:
        """Let streams live in this process, which begins to serve; on the hub that does."""
        self._is_served = True
        for route in self._routes.values():
            route.cluster.start()

    def stop(self) -> None:
        """Call no handler for what comes from now on."""
        for route in self._routes.values():
            route.host.stop()

    def __call__(
        self, environ: Mapping[str, Any], start_response: _StartResponse
    ) -> Iterable[bytes]:
        """Answer a request, as WSGI says."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == _HEALTH_PATH and method in ("GET", "HEAD"):
            return _reply(start_response, 200)
        try:
            route = self._find_route(path)
            headers = _headers(environ)
            if self._is_local and not self.settings.verify:
                _refuse_foreign_host(headers.get("host", ""))
            if int(environ.get("CONTENT_LENGTH") or 0) > self.settings.max_body:
                raise RequestRefused(413, f"the body is longer than {self.settings.max_body} bytes")
            body = read_body(environ["wsgi.input"], self.settings.max_body)
        except RequestRefused as refusal:
            if method == "POST":  # others are no webhooks
                self._refusals.warning("webhook refused with %d: %s", refusal.status, refusal)
            return _reply(start_response, refusal.status)
        return route.answer(WebhookRequest(method, path, headers, body), start_response)

    def _find_route(self, path: str) -> _Route:
        route = self._routes.get(path)
        if route is None and path == "/":  # the official SDK's default
            route = self._routes.get(DEFAULT_WEBHOOK_PATH)
        if route is None:
            served = ", ".join(sorted(self._routes))
            raise RequestRefused(404, f"{path!r:.80} is not served; {served} is")
        return route


class _Route:
    """What happens with requests for one path."""

    def __init__(
        self, settings: WebhookSettings, cluster_settings: ClusterSettings, greenlets: Group
    ) -> None:
        self.deciding: list[FullHandler] = []  # which run where the webhook comes
        self.host = HandlerHost(greenlets)  # the others, which run where the stream lives
        # Each path has its own handlers, and so its own streams.
        cluster_settings = dataclasses.replace(
            cluster_settings, namespace=cluster_settings.namespace + settings.path
        )
        store = make_store(cluster_settings, has_siblings=False)  # here a mistake shows at once
        self.cluster = Cluster(self.host, cluster_settings, store=store)
        self._receiver = WebhookReceiver(settings)
        self._greenlets = greenlets

    def answer(self, request: WebhookRequest, start_response: _StartResponse) -> Iterable[bytes]:
        """Answer a request; what follows waits until the answer was sent."""
        reply = self._receiver.handle(request.method, request.body, request.headers)
        headers = {"Content-Type": reply.content_type}
        if reply.status == 405:
            headers["Allow"] = "POST"
        if reply.event is None or (self.deciding and self._is_known(reply)):
            return _reply(start_response, reply.status, reply.body, headers)
        response = WebhookResponse(reply.status, reply.body)
        if self.deciding:
            response = WebhookResponse(200, reply.body)  # they may send a body
            self._decide(WebhookPayload.of(reply.event), request, response)
            headers = {"Content-Type": "application/json", **response.headers}
        is_taken = 200 <= response.status < 300
        if not is_taken:
            self._receiver.discard(reply)  # at once: Zoom may send it again
        follow = self._accept if is_taken else self._discard
        after = [AfterAnswer(follow, reply, spawn=self._greenlets.spawn)]
        return _reply(start_response, response.status, response.body, headers, after)

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
            self._greenlets.spawn(run, handler)
        if not response.wait(HANDLER_TIMEOUT):
            logger.warning(
                "no webhook handler has answered within %g s; Zoom gets the answer 200",
                HANDLER_TIMEOUT,
            )
            response.reset()
            response.finish()

    def _accept(self, reply: WebhookReply) -> None:
        """Send the signal, and let handlers be called, here or where the stream lives."""
        event = reply.event
        if event is None or (not self.deciding and not self._is_first(reply)):
            return
        self._greenlets.spawn(self._receiver.accept, event)  # whose receivers may block
        self.cluster.handle_event(event)

    def _discard(self, reply: WebhookReply) -> None:
        """Let all processes take Zoom's next attempt as new."""
        if reply.delivery is not None:
            self.cluster.deliveries.discard(reply.delivery)

    def _is_known(self, reply: WebhookReply) -> bool:
        """Whether another process has got this webhook before, if that can be known soon."""
        asking = self._greenlets.spawn(self._is_first, reply)
        asking.join(_STORE_TIMEOUT)
        return asking.value is False

    def _is_first(self, reply: WebhookReply) -> bool:
        """Whether no other process has got this webhook before, as far as can be known."""
        return reply.delivery is None or self.cluster.deliveries.add(reply.delivery, time.time())


class _Body(list[bytes]):
    """The body of an answer; the server closes it when the answer was sent."""

    def __init__(self, body: bytes, after: Iterable[AfterAnswer]) -> None:
        super().__init__([body])
        self._after = after

    def close(self) -> None:
        for each in self._after:
            each.sent()


def _reply(
    start_response: _StartResponse,
    status: int,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    after: Iterable[AfterAnswer] = (),
) -> _Body:
    """Begin an answer; all of ``after`` run when it was sent."""
    if status in (204, 304):
        body = b""
    fields = {"Content-Type": "text/plain; charset=utf-8", **(headers or {})}
    fields |= {"Content-Length": str(len(body)), "Connection": "close"}
    start_response(f"{status} {_phrase(status)}", list(fields.items()))
    return _Body(body, after)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _headers(environ: Mapping[str, Any]) -> Headers:
    fields = [
        (name.removeprefix("HTTP_").replace("_", "-"), text)
        for name, text in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    ]
    return Headers(fields)


def _refuse_foreign_host(host: str) -> None:
    """Raise where a local server is called by another name than this machine's own.

    A site may let its name point to 127.0.0.1, so that for a browser its pages come from here.
    """
    try:
        name = urllib.parse.urlsplit(f"//{host}").hostname
    except ValueError:
        name = host
    if name and not is_local(name):
        raise RequestRefused(403, f"Host is {host!r:.80}, and this server is for this machine only")


def is_local(host: str) -> bool:
    """Return whether a name or an address is this machine's own, which no other can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""The WSGI application of ``on_webhook_event``: paths, their handlers, and what they answer."""

from __future__ import annotations

import dataclasses
import ipaddress
import logging
import urllib.parse
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Protocol, cast

from gevent.pool import Group

from .._interrupts import is_ctrl_c
from ..config import DEFAULT_WEBHOOK_PATH, WebhookSettings
from ..errors import ConfigurationError
from ..protocol.webhook_events import WebhookEvent
from ..wsgi.body import RequestRefused, read_body
from .after_answer import AfterAnswer
from .handlers import FullHandler, Handler, SimpleHandler, decides_answer
from .http_messages import Headers, WebhookPayload, WebhookRequest, WebhookResponse
from .receiver import WebhookReceiver
from .refusals import RefusalLog

__all__ = ["HANDLER_TIMEOUT", "WebhookApplication", "is_local", "with_path"]

logger = logging.getLogger(__name__)

#: Seconds that a handler may take to decide the answer: Zoom waits 3.
HANDLER_TIMEOUT = 2.5

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

    def __init__(self, settings: WebhookSettings, *, is_local: bool) -> None:
        """Make an application without handlers.

        Args:
            settings: What to check.
            is_local: Whether it is served to this machine only.
        """
        self.settings = settings
        self.greenlets = Group()  #: where handlers run
        self._is_local = is_local
        self._routes: dict[str, _Route] = {}
        self._refusals = RefusalLog(logger)

    def add(self, handler: Handler, path: str | None = None) -> None:
        """Add a handler for a path, which is that of the settings by default.

        Raises:
            ConfigurationError: the handler or the path is not usable.
        """
        settings = with_path(self.settings, path)
        decides = decides_answer(handler)
        route = self._routes.get(settings.path)
        if route is None:
            route = self._routes[settings.path] = _Route(settings, self.greenlets)
        if decides:
            route.deciding.append(cast(FullHandler, handler))
        else:
            route.simple.append(cast(SimpleHandler, handler))

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

    def __init__(self, settings: WebhookSettings, greenlets: Group) -> None:
        self.simple: list[SimpleHandler] = []
        self.deciding: list[FullHandler] = []
        self._receiver = WebhookReceiver(settings)
        self._greenlets = greenlets

    def answer(self, request: WebhookRequest, start_response: _StartResponse) -> Iterable[bytes]:
        """Answer a request; what follows waits until the answer was sent."""
        reply = self._receiver.handle(request.method, request.body, request.headers)
        headers = {"Content-Type": reply.content_type}
        if reply.status == 405:
            headers["Allow"] = "POST"
        if reply.event is None:
            return _reply(start_response, reply.status, reply.body, headers)
        response = WebhookResponse(reply.status, reply.body)
        if self.deciding:
            response = WebhookResponse(200, reply.body)  # they may send a body
            self._decide(WebhookPayload(reply.event.raw, request.body), request, response)
            headers = {"Content-Type": "application/json", **response.headers}
        after: list[AfterAnswer] = []
        if 200 <= response.status < 300:
            after = self._accept(reply.event)
        else:
            self._receiver.discard(reply)
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

    def _accept(self, event: WebhookEvent) -> list[AfterAnswer]:
        """Let the signal be sent and each handler be called, all in greenlets of their own."""
        spawn = self._greenlets.spawn
        payload = WebhookPayload(event.raw, event.body)
        return [
            AfterAnswer(self._receiver.accept, event, spawn=spawn),
            *(AfterAnswer(_call, handler, payload, spawn=spawn) for handler in self.simple),
        ]


def _call(handler: SimpleHandler, payload: WebhookPayload) -> None:
    try:
        handler(payload)
    except BaseException as problem:
        if is_ctrl_c(problem):
            raise
        logger.exception("webhook handler %r failed", handler)


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

"""The decorator ``on_webhook_event``, which receives webhooks in scripts, and its servers."""

from __future__ import annotations

import logging
from typing import Any, Protocol, TypeVar, overload

from .._environment import lacks_webhook_secret, webhook_port
from ..config import FORGEABLE, WebhookSettings
from ..errors import ConfigurationError
from ..loop import call_at_stop, call_before_run, forget_before_run
from .handlers import FullHandler, Handler, SimpleHandler, decides_answer
from .server import WebhookServer

__all__ = ["on_webhook_event", "stop_all"]

logger = logging.getLogger(__name__)

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

    Where ``ZM_RTMS_STORE`` names a store that several processes share, a start calls the function
    in one of them, and so does what comes later for that stream. Where it has not joined when it
    returns, nobody has the stream. A function with three arguments is called where the webhook
    comes, once in all processes; what it joins is not taken over when its process dies.

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
        ConfigurationError: an argument or the store is not usable, the port is not free, it is
            served already with another host or other settings.
        MissingExtra: the store needs a package that is not installed.
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

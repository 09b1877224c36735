"""Flask: an extension that joins streams as webhooks come, and the blueprint that receives them.

::

    rtms = RTMS()

    @rtms.on_stream_started
    def started(client, event):
        client.on_transcript_data(save)

    def create_app():
        app = Flask(__name__)
        rtms.init_app(app)
        return app

A webhook is answered first. Then your functions run: in greenlets of the streams' hub, each inside
an app context. That holds under any WSGI server; ``docs/concurrency.md`` says which hub it is.
"""

from __future__ import annotations

import dataclasses
import errno
import io
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from gevent import pywsgi

from .client import Client
from .cluster.cluster import Cluster
from .cluster.overview import StreamInfo, streams_of
from .cluster.records import Worker
from .config import ClusterSettings, WebhookSettings
from .errors import ConfigurationError, MissingExtra
from .protocol.webhook_events import WebhookEvent
from .runtime.deadline import Deadline
from .webhook.after_answer import AfterAnswer
from .webhook.deduplication import DeliveryStore
from .webhook.receiver import WebhookReceiver
from .webhook.signature import SIGNATURE_HEADER
from .webhook.stream_manager import JoinOptions, StreamHandlers, StreamManager
from .wsgi.body import (
    REQUEST_TIMEOUT,
    BoundedFile,
    RequestRefused,
    bytes_on_the_wire,
    read_body,
)

try:
    from flask import Blueprint, Flask, Response, current_app, request
    from werkzeug.exceptions import HTTPException
except ImportError as problem:
    raise MissingExtra("rtms_gevent.flask", "flask") from problem

__all__ = ["RTMS", "create_blueprint"]

#: Key in the WSGI environ that is set once a webhook has come through to us.
_REACHED = "rtms_gevent.reached"


class RTMS(StreamHandlers):
    """The extension: functions for stream events, and the clients of the streams that are live.

    One object may serve several apps; each has its own settings, clients and app context. The
    object is ``app.extensions["rtms"]``.
    """

    def __init__(self, app: Flask | None = None, *, name: str = "rtms") -> None:
        """Make an extension, and set up ``app`` if it is given.

        Args:
            app: The app; leave it out and call :meth:`init_app` where there is a factory.
            name: The name in ``app.extensions`` and of the blueprint. It also makes the prefix of
                the config keys and the default path, so that one app can take the webhooks of two
                Zoom apps: ``RTMS(app, name="rtms_video")`` reads ``RTMS_VIDEO_WEBHOOK_SECRET``.
        """
        super().__init__()
        self.name = name
        #: Of each app; its blueprint keeps them.
        self._managers: weakref.WeakSet[StreamManager] = weakref.WeakSet()
        self._clusters: weakref.WeakSet[Cluster] = weakref.WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the config of ``app`` and register the blueprint.

        ``docs/webhook.md`` lists the config keys. Flask-WTF's ``CSRFProtect`` does not check this
        blueprint, whichever of the two is set up first: Zoom has no CSRF token, and signs instead.

        Raises:
            ConfigurationError: no webhook secret is set and ``RTMS_WEBHOOK_VERIFY`` is not False,
                a value has the wrong type, or the app has this extension already.
        """
        if self.name in app.extensions:
            raise ConfigurationError(
                f"this app has an extension {self.name!r} already; for a second Zoom app give "
                "RTMS another name="
            )
        config = _Config(app.config, self.name.upper() + "_")
        settings = config.webhook_settings(f"/{self.name}/webhook")
        manager = StreamManager(self, config.join_options(), app.app_context)
        cluster = Cluster(manager, config.cluster_settings(self.name))
        blueprint = create_blueprint(
            cluster.handle_event, settings, name=self.name, shared_store=cluster.deliveries
        )

        @blueprint.before_request
        def note_siblings() -> None:
            cluster.has_siblings = bool(request.environ.get("wsgi.multiprocess"))

        app.register_blueprint(blueprint)
        app.extensions[self.name] = self
        self._managers.add(manager)
        self._clusters.add(cluster)

    @property
    def clients(self) -> dict[str, Client]:
        """The clients of the streams that are live now in this process, by stream id; a copy.

        May be read from any thread.
        """
        return {
            stream_id: client
            for manager in self._managers
            for stream_id, client in manager.clients.items()
        }

    @property
    def clusters(self) -> list[Cluster]:
        """What this process's workers share, of each app."""
        return list(self._clusters)

    def streams(self) -> list[StreamInfo]:
        """Return the streams of all workers; those of this process where nothing is shared.

        What other workers have is about a second old. May be called from any thread.

        Raises:
            StoreError: the store that the workers share does not answer.
        """
        return streams_of(self._clusters, self.clients.values())

    def workers(self) -> list[Worker]:
        """Return the workers that live; none where this process is alone.

        May be called from any thread.

        Raises:
            StoreError: the store does not answer.
        """
        return [worker for cluster in self._clusters for worker in cluster.workers()]


def create_blueprint(
    handle_event: Callable[[WebhookEvent], object],
    settings: WebhookSettings | None = None,
    *,
    name: str = "rtms",
    store: DeliveryStore | None = None,
    shared_store: DeliveryStore | None = None,
) -> Blueprint:
    """Return a blueprint with one route that receives webhooks; for use without the extension.

    Args:
        handle_event: Called with every event that is new, after the answer was sent, in a greenlet
            of its own and inside an app context. It may block.
        settings: What to check, and the path. By default read from ``ZM_RTMS_WEBHOOK_SECRET`` and
            ``ZM_RTMS_PATH``, with the path ``/rtms/webhook``.
        name: The name of the blueprint.
        store: Where deliveries are noted, to know a repetition; by default in this process.
        shared_store: One that other processes use, too; see :class:`.WebhookReceiver`.

    Raises:
        ConfigurationError: there are no settings, and no secret in the environment.
    """
    if settings is None:
        settings = WebhookSettings.from_environment(path=f"/{name}/webhook")
    receiver = WebhookReceiver(settings, handle_event, store=store, shared_store=shared_store)
    blueprint = Blueprint(name, __name__)

    @blueprint.post(settings.path, endpoint="webhook")
    def receive() -> Response:
        request.environ[_REACHED] = True
        try:
            body = _read_body(settings.max_body)
        except RequestRefused as refusal:
            return _break_off(receiver.refuse(refusal).status)
        reply = receiver.handle(request.method, body, dict(request.headers))
        response = Response(reply.body, reply.status, content_type=reply.content_type)
        if reply.event is not None:
            # Looked up here: this is the app's own method, good outside of the request too.
            context = current_app.app_context
            response.call_on_close(AfterAnswer(_accept, context, receiver, reply.event).sent)
        return response

    @blueprint.url_value_preprocessor
    def exempt_from_csrf(endpoint: str | None, values: dict[str, Any] | None) -> None:
        # Runs before all functions that may refuse a request, whoever was set up first.
        flask_wtf: Any = sys.modules.get("flask_wtf.csrf")
        protection = current_app.extensions.get("csrf")
        if flask_wtf is not None and isinstance(protection, flask_wtf.CSRFProtect):
            protection.exempt(blueprint)
            protection.exempt(receive)  # 1.0.0 does not know a blueprint within another

    @blueprint.after_app_request
    def log_unreached(response: Response) -> Response:
        if SIGNATURE_HEADER in request.headers and _REACHED not in request.environ:
            if (request.blueprint or "").rpartition(".")[2] == name:
                receiver.refusals.warning(
                    "a webhook at %.80r was answered with %d before it reached the blueprint %r: "
                    "exempt that from what did so, such as a CSRF protection or a login",
                    request.path,
                    response.status_code,
                    name,
                )
            elif response.status_code in (404, 405):
                receiver.refusals.warning(
                    "webhook refused with %d: %.10s %.80r is not served; POST %s is",
                    response.status_code,
                    request.method,
                    request.path,
                    settings.path,
                )
        return response

    return blueprint


def _read_body(limit: int) -> bytes:
    """Return the raw body.

    Raises:
        RequestRefused: it is too long, takes too long, breaks off, or is malformed.
    """
    if request.max_content_length is not None:  # Werkzeug before 2.3 keeps it for forms only
        limit = min(limit, request.max_content_length)
    if (request.content_length or 0) > limit:
        raise RequestRefused(413, f"the body is longer than {limit} bytes")
    file: Any = request.environ["wsgi.input"]
    if isinstance(file, pywsgi.Input):
        bounded: Any = BoundedFile(file.rfile, bytes_on_the_wire(limit), Deadline(REQUEST_TIMEOUT))
        file.rfile = bounded
    body = read_body(_Body(), limit)
    if not body:
        return request.get_data()  # cached, where the app has read it before us
    request.stream = io.BytesIO(body)  # for those who ask after us
    return body


class _Body:
    """The body of the request, as Flask gives it."""

    def read(self, size: int, /) -> bytes:
        try:
            piece: bytes = request.stream.read(size)
        except HTTPException as refusal:  # the app's own limits
            raise RequestRefused(refusal.code or 400, refusal.name) from None
        return piece


def _break_off(status: int) -> Response:
    """Answer and end the connection: else the server would read the body on, perhaps for ever."""
    headers = {"Content-Length": "0"}
    file: Any = request.environ["wsgi.input"]
    if isinstance(file, pywsgi.Input):
        headers["Connection"] = "close"
        nothing_more: Any = BoundedFile(file.rfile, 0, Deadline(None))
        file.rfile = nothing_more
    # gunicorn decides by itself, but for responses that fail as if the client were gone.
    body = _fail_once_sent() if "gunicorn.socket" in request.environ else b""
    return Response(body, status, headers)


def _fail_once_sent() -> Iterator[bytes]:
    yield b""
    raise ConnectionResetError(errno.ECONNRESET, "ended, since it was refused")


def _accept(
    context: Callable[[], AbstractContextManager[object]],
    receiver: WebhookReceiver,
    event: WebhookEvent,
) -> None:
    with context():
        receiver.accept(event)


#: Fields of WebhookSettings, by the key of an app's config.
_SETTINGS = {
    "WEBHOOK_TOLERANCE": "tolerance",
    "WEBHOOK_MAX_BODY": "max_body",
    "WEBHOOK_PATH": "path",
    "DEBUG_SIGNATURES": "debug_signatures",
}


@dataclasses.dataclass(frozen=True)
class _Config:
    """Reads the keys of one extension from an app's config."""

    values: Mapping[str, Any] = dataclasses.field(repr=False)
    prefix: str

    def webhook_settings(self, path: str) -> WebhookSettings:
        """Return how to receive webhooks; what the config lacks comes from the environment."""
        settings = WebhookSettings.from_environment(
            path=path,
            secret=self._read("WEBHOOK_SECRET", str, None),
            verify=self._read("WEBHOOK_VERIFY", bool, None),
        )
        for key, name in _SETTINGS.items():
            value = self.values.get(self.prefix + key)
            if value is not None:
                change: Any = {name: value}
                try:
                    settings = dataclasses.replace(settings, **change)
                except ConfigurationError as problem:
                    raise ConfigurationError(f"{self.prefix}{key}: {problem}") from None
        return settings

    def join_options(self) -> JoinOptions:
        """Return what clients join with; what is ``None`` comes from the environment later."""
        return JoinOptions(
            client_id=self._read("CLIENT_ID", str, None),
            client_secret=self._read("CLIENT_SECRET", str, None),
            allowed_hosts=self._read("ALLOWED_HOSTS", (str, list, tuple), None),
        )

    def cluster_settings(self, name: str) -> ClusterSettings:
        """Return how workers share streams; what the config lacks comes from the environment."""
        return ClusterSettings.from_environment(
            store=self._read("STORE", str, None),
            limit=self._read("MAX_STREAMS", int, None),
            name=name,
            client_id=self._read("CLIENT_ID", str, None),
        )

    def _read(self, key: str, kinds: type | tuple[type, ...], default: Any) -> Any:
        value = self.values.get(self.prefix + key)
        if value is None:
            return default
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise ConfigurationError(
                f"{self.prefix}{key} must be {wanted}, not {type(value).__name__}"
            )
        return value

"""The live page as a Flask extension: three routes and a guard before all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

try:
    from flask import Blueprint, Flask, Response, current_app, render_template, request
except ImportError as missing:
    from ..errors import MissingExtra

    raise MissingExtra("rtms_gevent.live", "demo") from missing

from .._version import __version__
from .access import foreign_origin, is_local
from .browser import BrowserSocket
from .feed import Feed
from .viewer import Viewer

__all__ = ["WORKER_CLASS", "LivePage"]

#: The gunicorn worker that the page needs.
WORKER_CLASS = "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"

#: Browsers that may look at the same time, per process.
MAX_VIEWERS = 100

#: No inline script or style, nothing from elsewhere, in nobody's frame. Pictures are blobs. Not
#: every browser takes 'self' for the WebSocket of the same host, so that is named.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'{websocket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HOST = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]+)?|\[[0-9A-Fa-f:]+\](:[0-9]+)?")

_HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_REFUSED = (
    "The live page is closed: it shows what people say in meetings.\n"
    "It opens for requests from this machine itself, without a proxy between.\n"
    "To open it for others, let the app decide with LivePage(authorize=function),\n"
    "or set RTMS_LIVE_PUBLIC = True where everybody may look.\n"
)
_FOREIGN = (
    "The live page does not answer pages of other sites.\n"
    "Where a proxy changes the Host header, name the site's own address in\n"
    'RTMS_LIVE_ORIGINS, such as ["https://www.example.com"].\n'
)
_NO_WEBSOCKET = (
    "This server does not speak WebSocket, which the live page needs.\n"
    f"Run the app with: gunicorn -k {WORKER_CLASS} ...\n"
)

Stats = Callable[[str], dict[str, Any]]


class LivePage:
    """Shows the running streams of this process on a web page.

    Routes below ``RTMS_LIVE_PATH`` ("/rtms/live"): the page, its WebSocket and ``stats`` (JSON with
    numbers per stream). Every one of them answers 403, unless

    - ``authorize`` is given and returns true, or
    - ``authorize`` is not given, and the request comes from this machine itself, or
    - ``app.config["RTMS_LIVE_PUBLIC"]`` is true;

    and never answers pages of other sites, but for origins in ``RTMS_LIVE_ORIGINS`` (a list, or a
    string with commas between).

    Args:
        app: The app to mount it on at once; otherwise call :meth:`init_app`.
        authorize: Called without arguments in the request's context; returns whether the request
            may see the streams. It may raise, for example with ``flask.abort(401)``.
        shows: Called with a client, returns whether its stream is shown; asked once per stream.
        stats: Called with a stream id, returns what else ``/stats`` tells of that stream.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        authorize: Callable[[], object] | None = None,
        shows: Callable[[Any], bool] | None = None,
        stats: Stats | None = None,
    ) -> None:
        self.feed = Feed(shows)
        self._authorize = authorize
        self._stats = stats
        self._viewers = 0
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Mount the page on ``app`` and begin to listen. Starts no greenlet and no thread."""
        app.config.setdefault("RTMS_LIVE_PATH", "/rtms/live")
        app.config.setdefault("RTMS_LIVE_PUBLIC", False)
        app.config.setdefault("RTMS_LIVE_ORIGINS", ())
        app.extensions["rtms_live"] = self  # also keeps the feed alive: blinker holds weakly
        app.register_blueprint(self._blueprint(), url_prefix=app.config["RTMS_LIVE_PATH"])
        self.feed.connect()

    def _blueprint(self) -> Blueprint:
        blueprint = Blueprint(
            "rtms_live", __name__, template_folder="templates", static_folder="static"
        )
        blueprint.before_request(self._guard)
        blueprint.after_request(_add_headers)
        blueprint.add_url_rule("/", "page", self._page)
        blueprint.add_url_rule("/stats", "stats", self._numbers)
        # Werkzeug never matches a WebSocket request with a route that does not say so.
        blueprint.add_url_rule("/socket", "socket", self._socket, websocket=True)
        return blueprint

    # -- who may look ------------------------------------------------------------------------------

    def _guard(self) -> Response | None:
        """Refuse the request, or return ``None`` to let it pass."""
        refusal = self._refusal()
        if refusal is None:
            return None
        websocket = request.environ.get("wsgi.websocket")
        if websocket is not None:
            # The upgrade was answered before the app was asked: all that is left is to close.
            BrowserSocket(websocket).close(1008, refusal.partition("\n")[0])
        return _plain(refusal, 403)

    def _refusal(self) -> str | None:
        is_upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        trusted = tuple(_listed(current_app.config["RTMS_LIVE_ORIGINS"]))
        if foreign_origin(request.environ, required=is_upgrade, trusted=trusted):
            return _FOREIGN
        if current_app.config["RTMS_LIVE_PUBLIC"]:
            return None
        if self._authorize is not None:
            return None if self._authorize() else _REFUSED
        return None if is_local(request.environ) else _REFUSED

    # -- routes ------------------------------------------------------------------------------------

    def _page(self) -> str:
        return render_template("rtms_live.html", version=__version__, worker_class=WORKER_CLASS)

    def _numbers(self) -> dict[str, Any]:
        streams = self.feed.stats()
        for numbers in streams:
            if self._stats is not None:
                numbers.update(self._stats(numbers["stream_id"]))
        return {"version": __version__, "viewers": self._viewers, "streams": streams}

    def _socket(self) -> Response:
        websocket = request.environ.get("wsgi.websocket")
        if websocket is None:
            return _plain(_NO_WEBSOCKET, 501)
        # The viewer runs while the server iterates over the answer, when the request's context is
        # gone and with it what the app holds in it, such as a connection of its database's pool.
        return Response(self._serve(BrowserSocket(websocket)), mimetype="text/plain")

    def _serve(self, browser: BrowserSocket) -> Iterator[bytes]:
        """Serve a viewer until it leaves, and yield nothing."""
        if self._viewers >= MAX_VIEWERS:
            browser.close(1013, "too many viewers")
            return
        self._viewers += 1
        try:
            Viewer(self.feed, browser).run()
        finally:
            self._viewers -= 1
        yield from ()


def _plain(text: str, status: int) -> Response:
    return Response(text, status=status, mimetype="text/plain")


def _listed(origins: str | Iterable[str]) -> Iterable[str]:
    items = origins.split(",") if isinstance(origins, str) else origins
    return (item.strip().rstrip("/") for item in items)


def _add_headers(response: Response) -> Response:
    host = request.host
    websocket = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    response.headers["Content-Security-Policy"] = _POLICY.format(websocket=websocket)
    response.headers.update(_HEADERS)
    if request.endpoint != "rtms_live.static":
        response.headers["Cache-Control"] = "no-store"
    return response

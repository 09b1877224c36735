"""The live page as a Flask extension: three routes and a guard before all of them."""

from __future__ import annotations

import functools
import logging
import os
import re
import secrets
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

try:
    from flask import (
        Blueprint,
        Flask,
        Response,
        after_this_request,
        current_app,
        render_template,
        request,
    )

    from ..wsgi.websocket import VERSION, BadUpgrade, WebSocketClosed
except ImportError as missing:
    from ..errors import MissingExtra

    raise MissingExtra("rtms_gevent.live", "flask") from missing

from .. import signals
from .._environment import live_token
from .._version import __version__
from ..loop import streams_context
from .access import bearer, derive_token, foreign_origin, is_same
from .browser import BrowserSocket, websocket_of
from .feed import Feed
from .recorder import Recorder
from .sharing import SharedPage, share_soon
from .siblings import numbers_of, siblings
from .viewer import Viewer

__all__ = ["WORKER_CLASS", "LivePage"]

logger = logging.getLogger(__name__)

#: The gunicorn worker that the page needs.
WORKER_CLASS = "gevent"

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
    "The app's function LivePage(authorize=...) decides who may look.\n"
)
_LOCKED = (
    "The live page is closed: it shows what people say in meetings.\n"
    "Open it with the link that stands in the log of the server, or let the app decide with\n"
    "LivePage(authorize=function), or set RTMS_LIVE_PUBLIC = True where everybody may look.\n"
)
_SEVERAL = (
    "The live page is closed: there are several worker processes, and each would want another\n"
    "token. Set RTMS_LIVE_TOKEN (or ZM_RTMS_LIVE_TOKEN in the environment), or the app's\n"
    "SECRET_KEY, of which a token is made; or let the app decide with\n"
    "LivePage(authorize=function).\n"
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
    """Shows the running streams of all workers of this machine on a web page.

    Routes below ``RTMS_LIVE_PATH`` ("/rtms/live"): the page, its WebSocket and ``stats`` (JSON with
    numbers per stream). Every one of them answers 403, unless

    - ``authorize`` is given and returns true, or
    - ``authorize`` is not given, and the viewer has the page's token, or
    - ``app.config["RTMS_LIVE_PUBLIC"]`` is true;

    and never answers pages of other sites, but for origins in ``RTMS_LIVE_ORIGINS`` (a list, or a
    string with commas between).

    The token is ``RTMS_LIVE_TOKEN``; else ``ZM_RTMS_LIVE_TOKEN`` of the environment; else it is
    made of the app's ``SECRET_KEY``; else it is random, and good until the process ends. Where
    there are several worker processes the page stays closed instead. The link that has the token
    is logged, unless the app has chosen the token itself, when the page is first asked for without
    it. The token stands behind the ``#`` of the link, which browsers keep to themselves; the page
    asks for a cookie with it. Scripts send ``Authorization: Bearer TOKEN``.

    Args:
        app: The app to mount it on at once; otherwise call :meth:`init_app`.
        authorize: Called without arguments in the request's context; returns whether the request
            may see the streams. It may raise, for example with ``flask.abort(401)``.
        shows: Called with a client, returns whether its stream is shown; asked once per stream.
        stats: Called with a stream id, returns what else ``/stats`` shows of that stream. It is
            called in the worker that has the stream, inside an app context.

    Raises:
        ConfigurationError: the token that was set is too short, or has other characters than links
            and headers may have.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        authorize: Callable[[], object] | None = None,
        shows: Callable[[Any], bool] | None = None,
        stats: Stats | None = None,
    ) -> None:
        self.feed = Feed()
        self.recorder = Recorder(self.feed, shows)
        self._authorize = authorize
        self._stats = stats
        self._viewers = 0
        self._random_token = secrets.token_hex(16)
        self._warned: set[str] = set()
        self._shared: weakref.WeakKeyDictionary[Flask, SharedPage] = weakref.WeakKeyDictionary()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Mount the page on ``app`` and begin to listen. Starts no greenlet and no thread.

        Raises:
            ConfigurationError: as the class.
        """
        app.config["RTMS_LIVE_TOKEN"] = live_token(app.config.get("RTMS_LIVE_TOKEN"))
        app.config.setdefault("RTMS_LIVE_PATH", "/rtms/live")
        app.config.setdefault("RTMS_LIVE_PUBLIC", False)
        app.config.setdefault("RTMS_LIVE_ORIGINS", ())
        app.extensions["rtms_live"] = self  # also keeps the recorder alive: blinker holds weakly
        app.register_blueprint(self._blueprint(), url_prefix=app.config["RTMS_LIVE_PATH"])
        self.recorder.connect()
        self._shared[app] = SharedPage(
            f"{app.import_name} {app.config['RTMS_LIVE_PATH']}",
            self.feed,
            functools.partial(self._numbers_in, weakref.ref(app)),
        )
        signals.joining.connect(_share)

    def _blueprint(self) -> Blueprint:
        blueprint = Blueprint(
            "rtms_live", __name__, template_folder="templates", static_folder="static"
        )
        blueprint.before_request(self._guard_routes)
        blueprint.after_request(_add_headers)
        blueprint.add_url_rule("/", "page", self._page)
        blueprint.add_url_rule("/stats", "stats", self._numbers)
        # Werkzeug never matches a WebSocket request with a route that does not say so.
        blueprint.add_url_rule("/socket", "socket", self._socket, websocket=True)
        return blueprint

    # -- who may look ------------------------------------------------------------------------------

    def guard(self) -> Response | None:
        """Refuse the current request, or return ``None`` where its sender may see the live page.

        For pages of the app that are as private: call it in their ``before_request``. A browser
        without the token gets a page that asks for it.
        """
        refusal = self._refusal()
        if refusal is None:
            return None
        if refusal == _LOCKED and "text/html" in request.headers.get("Accept", ""):
            asking = Response(render_template("rtms_live_token.html"), 403)
            return _add_headers(asking)
        return _add_headers(_plain(refusal, 403))

    def _guard_routes(self) -> Response | None:
        if request.endpoint == "rtms_live.static":
            return None  # the same for everybody who has installed this package
        answer = self.guard()
        if answer is not None and request.environ.get("wsgi.websocket") is not None:
            # The upgrade was answered before the app was asked: all that is left is to close.
            browser = websocket_of(request.environ)
            assert browser is not None
            browser.close(1008, answer.get_data(as_text=True).partition("\n")[0])
            browser.end()
        return answer

    def _refusal(self) -> str | None:
        """Return why the request is refused, ``None`` where it is not."""
        is_upgrade = "websocket" in request.headers.get("Upgrade", "").lower()
        trusted = tuple(_listed(current_app.config["RTMS_LIVE_ORIGINS"]))
        if foreign_origin(request.environ, required=is_upgrade, trusted=trusted):
            return _FOREIGN
        if current_app.config["RTMS_LIVE_PUBLIC"]:
            return None
        if self._authorize is not None:
            return None if self._authorize() else _REFUSED
        token = self._token()
        if token is None:
            self._warn_once("the live page stays closed: set RTMS_LIVE_TOKEN or SECRET_KEY")
            return _SEVERAL
        if is_same(request.cookies.get(_cookie_name(), ""), token):
            return None
        if is_same(bearer(request.environ), token):
            after_this_request(lambda response: _keep(response, token))
            return None
        if current_app.config["RTMS_LIVE_TOKEN"] is None:
            # Without a host: whoever asks first could have chosen it.
            path = current_app.config["RTMS_LIVE_PATH"]
            self._warn_once(f"the live page opens with this link of the app: {path}/#token={token}")
        return _LOCKED

    def _token(self) -> str | None:
        """Return the token that the app has in all its processes; ``None`` where it has none."""
        chosen: str | None = current_app.config["RTMS_LIVE_TOKEN"]
        if chosen is not None:
            return chosen
        if current_app.secret_key:
            return derive_token(current_app.secret_key)
        return None if request.environ.get("wsgi.multiprocess") else self._random_token

    def _key(self) -> str:
        """Return what names the page of the current app in all its workers."""
        app: Any = current_app
        return self._shared[app._get_current_object()].key

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            logger.warning("%s", text)

    # -- routes ------------------------------------------------------------------------------------

    def _page(self) -> str:
        return render_template("rtms_live.html", version=__version__, worker_class=WORKER_CLASS)

    def _numbers(self) -> dict[str, Any]:
        share_soon()
        all_numbers = [(os.getpid(), self._own_numbers())]
        if others := siblings():
            # On the streams' hub: this server's threads may have none that runs.
            answers = streams_context().call(numbers_of, others, self._key())
            all_numbers += [(worker.pid, numbers) for worker, numbers in answers]
        streams: dict[str, dict[str, Any]] = {}
        for pid, numbers in all_numbers:
            for stream in numbers["streams"]:
                stream["worker"] = pid
                # One that went to another worker has ended here, if it is known here at all.
                if stream["stream_id"] not in streams or stream["state"] != "ended":
                    streams[stream["stream_id"]] = stream
        return {
            "version": __version__,
            "viewers": sum(numbers["viewers"] for _, numbers in all_numbers),
            "workers": [pid for pid, _ in all_numbers],
            "streams": list(streams.values()),
        }

    def _own_numbers(self) -> dict[str, Any]:
        streams = self.feed.stats()
        for numbers in streams:
            if self._stats is not None:
                numbers.update(self._stats(numbers["stream_id"]))
        return {"viewers": self._viewers, "streams": streams}

    def _numbers_in(self, app: weakref.ref[Flask]) -> dict[str, Any]:
        """Return the numbers of this process, outside of a request."""
        found = app()
        if found is None:
            return {"viewers": 0, "streams": []}
        with found.app_context():
            return self._own_numbers()

    def _socket(self) -> Response:
        try:
            browser = websocket_of(request.environ)
        except BadUpgrade as problem:
            answer = _plain(f"{problem}\n", 400)
            answer.headers["Sec-WebSocket-Version"] = VERSION
            return answer
        if browser is None:
            return _plain(_NO_WEBSOCKET, 501)
        share_soon()
        # The viewer runs while the server iterates over the answer, when the request's context is
        # gone and with it what the app holds in it, such as a connection of its database's pool.
        return Response(self._serve(browser, self._key()), mimetype="text/plain")

    def _serve(self, browser: BrowserSocket, key: str) -> Iterator[bytes]:
        """Serve a viewer until it leaves, and yield nothing."""
        try:
            browser.open()
            if self._viewers >= MAX_VIEWERS:
                browser.close(1013, "too many viewers")
                return
            self._viewers += 1
            try:
                Viewer(self.feed, browser, key).run()
            finally:
                self._viewers -= 1
        except WebSocketClosed as gone:
            logger.debug("viewer left before the first message: %s", gone)
        finally:
            browser.end()
        yield from ()


def _share(client: Any, **_: object) -> None:
    share_soon()


def _cookie_name() -> str:
    # Browsers send a host's cookies to all its ports, so that two apps would take each other's.
    port = str(request.environ.get("SERVER_PORT", ""))
    return f"rtms_live_{port if port.isdecimal() else ''}"  # on a Unix socket the viewer chooses it


def _keep(response: Response, token: str) -> Response:
    """Let the browser send the token by itself from now on, until it is closed."""
    response.set_cookie(
        _cookie_name(), token, secure=request.is_secure, httponly=True, samesite="Strict"
    )
    return response


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

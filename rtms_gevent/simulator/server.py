"""``Simulator``: one WSGI server for signaling and media sockets, and the meetings behind it."""

from __future__ import annotations

import collections
import itertools
import logging
import pathlib
import re
import secrets
import ssl
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from gevent.pool import Pool
from gevent.pywsgi import WSGIServer

from ..enums import Product
from ..errors import ConfigurationError
from ..wsgi.listening import open_listener
from .meeting.meeting import Meeting
from .meeting.player import Player
from .meeting.webhook_sender import WebhookSender
from .options import Options
from .scenario.loader import load_scenario
from .scenario.model import Scenario
from .wire.connection import AnyConnection
from .wire.media import MediaConnection
from .wire.negotiation import MEDIA_KEYS
from .wire.rejections import Rejection
from .wire.signaling import SignalingConnection
from .wire.websocket import Handler

__all__ = ["Simulator"]

logger = logging.getLogger(__name__)

_MEDIA_PATH = re.compile(r"/media/(?P<role>[a-z]+)/(?P<key>[0-9a-z]+)/?")

_ROLES = frozenset({*MEDIA_KEYS.values(), "all"})

#: Addresses to listen on that no client can connect to.
_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 (compared with, never a default)

#: Sockets at a time; far above what one process can feed.
MAX_SOCKETS = 10_000

#: Client messages that are kept for tests.
KEPT_REQUESTS = 10_000


class Simulator:
    """A Zoom of our own, on the current hub. A context manager; works patched and un-patched.

    Args:
        scenario: name of a shipped scenario, path of a JSON file, or a :class:`Scenario`.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        tls: serve ``wss`` with a certificate of our own authority, see :attr:`ca`.
        client_id: what clients must use.
        client_secret: what clients must use; random if not given.
        webhook_url: where webhooks are posted; None posts none.
        webhook_secret: what signs webhooks; random if not given.
        speed: scenario seconds per real second.
        keep_alive: real seconds between two keep-alives.
        record: keep every payload in ``meeting.sent``.
        stamp: add ``"simulator": {"sequence": n, "sent_ns": ns}`` to all media.
        binary: send JSON in binary frames, as Zoom may: True or "all", "media" for media only,
            "messages" for all others only.
        lenient: take what clients were seen to send, though Zoom's documents forbid it, and note it
            in :attr:`Meeting.tolerated`.
        fragment: split messages into frames of so many bytes.
        signaling_window: real seconds that a lost signaling socket may take to come back.
        media_window: real seconds that a lost media socket may take to come back.

    Raises:
        ConfigurationError: an argument or the scenario is not valid.
        MissingExtra: ``tls`` is asked for, and trustme is not installed.
    """

    def __init__(
        self,
        scenario: str | pathlib.Path | Scenario = "standup",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
        client_id: str = "simulated-client",
        client_secret: str | None = None,
        webhook_url: str | None = None,
        webhook_secret: str | None = None,
        speed: float = 1.0,
        keep_alive: float = 10.0,
        record: bool = False,
        stamp: bool = False,
        binary: bool | str = False,
        lenient: bool = False,
        fragment: int | None = None,
        signaling_window: float = 60.0,
        media_window: float = 65.0,
    ) -> None:
        self._scenario = load_scenario(scenario)
        #: what holds for every meeting
        self.options = Options(
            client_id=client_id,
            client_secret=secrets.token_hex(16) if client_secret is None else client_secret,
            webhook_url=webhook_url,
            webhook_secret=webhook_secret or secrets.token_hex(16),
            speed=speed,
            keep_alive=keep_alive,
            record=record,
            stamp=stamp,
            binary=binary,
            lenient=lenient,
            fragment=fragment,
            signaling_window=signaling_window,
            media_window=media_window,
        )
        if webhook_url is not None:
            WebhookSender(webhook_url, "")  # so that a wrong URL is an error now
        self._host, self._port, self._tls = host, port, tls
        self._certificates: Any = None
        self._server: WSGIServer | None = None
        self._base_url = ""
        self._keys = itertools.count(1)
        self._meetings: dict[str, Meeting] = {}
        self._first: Meeting | None = None
        #: the latest messages from clients: {"socket": "signaling" or media type, "message": ...}
        self.requests: collections.deque[dict[str, Any]] = collections.deque(maxlen=KEPT_REQUESTS)

    # -- life --------------------------------------------------------------------------------------

    def __enter__(self) -> Simulator:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, and make the first meeting. Does not start it: see :meth:`Meeting.start`.

        Raises:
            ConfigurationError: started already, or the address cannot be listened on.
        """
        if self._server is not None:
            raise ConfigurationError("the simulator is started already")
        tls: dict[str, Any] = {}
        if self._tls:
            from .wire.tls import Certificates

            self._certificates = Certificates(*([] if self._host in _WILDCARDS else [self._host]))
            tls["ssl_context"] = self._certificates.context
        try:
            listener = open_listener(self._host, self._port)
        except OSError as error:
            self._remove_certificates()
            raise ConfigurationError(
                f"cannot listen on {self._host}:{self._port}: {error.strerror or error}"
            ) from error
        server = _Server(
            listener,
            self._serve,
            handler_class=Handler,
            spawn=Pool(MAX_SOCKETS),
            log=None,
            error_log=logger,
            **tls,
        )
        server.gate = self._gate
        server.start()
        self._server = server
        self._base_url = self._make_base_url(listener.getsockname()[1])
        self._first = self.add_meeting()

    def stop(self) -> None:
        """Close every socket and stop listening. Later calls do nothing."""
        server, self._server = self._server, None
        if server is None:
            return
        server.stop_accepting()
        for meeting in self._meetings.values():
            meeting.shut_down()
        server.stop(timeout=0.5)
        self._remove_certificates()

    def _remove_certificates(self) -> None:
        if self._certificates is not None:
            self._certificates.remove()
            self._certificates = None

    def _make_base_url(self, port: int) -> str:
        host = self._host
        if self._tls and host in ("127.0.0.1", "::1"):
            host = "localhost"  # the official SDK accepts certificates for names only
        elif host in _WILDCARDS:
            host = "localhost"
        elif ":" in host:
            host = f"[{host}]"
        return f"{'wss' if self._tls else 'ws'}://{host}:{port}"

    # -- what a client needs -----------------------------------------------------------------------

    @property
    def client_id(self) -> str:
        """What clients sign their handshakes with."""
        return self.options.client_id

    @property
    def client_secret(self) -> str:
        """What clients sign their handshakes with."""
        return self.options.client_secret

    @property
    def webhook_secret(self) -> str:
        """What webhooks are signed with."""
        return self.options.webhook_secret

    @property
    def ca(self) -> str | None:
        """Path of the PEM file that clients must trust; None without TLS."""
        return None if self._certificates is None else str(self._certificates.ca)

    @property
    def signaling_url(self) -> str:
        """Where clients of any meeting open their signaling socket."""
        return f"{self._base_url}/signaling"

    # -- meetings ----------------------------------------------------------------------------------

    @property
    def meeting(self) -> Meeting:
        """The meeting that was made from the scenario at the start."""
        if self._first is None:
            raise ConfigurationError("start the simulator first, or use it in a with statement")
        return self._first

    def add_meeting(
        self,
        scenario: str | pathlib.Path | Scenario | None = None,
        *,
        product: Product | str | None = None,
        same_as: Meeting | None = None,
    ) -> Meeting:
        """Make one more meeting, with ids of its own.

        Args:
            scenario: as for the simulator, whose own is used if not given.
            product: instead of the scenario's: a :class:`~rtms_gevent.enums.Product`, or
                "meeting", "webinar", "video_sdk", "contact_center", "phone".
            same_as: a meeting of which this is another stream, as when its host changes: its
                ``uuid`` and its number are the same.
        """
        if self._server is None:
            raise ConfigurationError("start the simulator first, or use it in a with statement")
        chosen = self._scenario if scenario is None else load_scenario(scenario)
        if product is not None:
            chosen = chosen.for_product(product)
        meeting = Meeting(
            str(next(self._keys)),
            chosen,
            self.options,
            self._base_url,
            same_as=same_as,
            make_playback=self._make_playback,
            present_certificate=self.present_certificate,
        )
        # Those that are over refuse clients anyway, and a process may play on for days.
        self._meetings = {
            stream_id: known
            for stream_id, known in self._meetings.items()
            if not known.finished.is_set()
        }
        self._meetings[meeting.stream_id] = meeting
        return meeting

    def present_certificate(self, kind: str) -> None:
        """Present another certificate to clients from now on.

        Args:
            kind: "good"; "self_signed", "expired", or "other_host", whose name is not ours.

        Raises:
            ConfigurationError: there is no TLS, or no such certificate.
        """
        if self._certificates is None:
            raise ConfigurationError("certificates need a simulator with tls")
        self._certificates.present(kind)

    def find_meeting(self, stream_id: str) -> Meeting | None:
        """Return the meeting that has this stream; None where there is none, or none any more."""
        return self._meetings.get(stream_id)

    def _make_playback(self, meeting: Meeting) -> Player:
        return Player(meeting, self.options.speed)

    def validate_webhook(self) -> bool:
        """Send Zoom's URL validation to the webhook URL; return whether the answer is right."""
        url = self.options.webhook_url
        if url is None:
            raise ConfigurationError("no webhook_url is set")
        return WebhookSender(url, self.options.webhook_secret).validate()

    # -- the WSGI application ----------------------------------------------------------------------

    def _serve(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        route = _route(environ["PATH_INFO"])
        websocket = environ.get("wsgi.websocket")
        if route is None or websocket is None:
            status = "404 Not Found" if route is None else "426 Upgrade Required"
            start_response(status, [("Content-Type", "text/plain")])
            return [b"this is a WebSocket server\n"]
        role, address = route
        kind = SignalingConnection if role == "signaling" else MediaConnection
        connection: AnyConnection = kind(role, address, websocket, self)
        connection.serve()
        return []

    def _gate(self, path: str) -> Rejection | None:
        """Return what a fault has put in the way of a WebSocket that is about to be opened.

        The signaling sockets of all meetings may have one address, so that a fault of one meeting
        can meet the client of another there.
        """
        route = _route(path)
        if route is None:
            return None
        role, address = route
        for meeting in self._meetings.values():
            if role == "signaling" or address in meeting.addresses.keys:
                rejection = meeting.faults.upgrades.next_for(role)
                if rejection is not None:
                    return rejection
        return None


def _route(path: str) -> tuple[str, str] | None:
    """Return the role of a socket with this path, and the rest of it; None where there is none."""
    if path == "/signaling" or path.startswith("/signaling/"):
        return "signaling", path.removeprefix("/signaling").strip("/")
    match = _MEDIA_PATH.fullmatch(path)
    if match is not None and match["role"] in _ROLES:
        return match["role"], match["key"]
    return None


class _Server(WSGIServer):
    """Logs a client's broken TLS handshake instead of printing a traceback."""

    #: Asked before each upgrade, with the path.
    gate: Callable[[str], Rejection | None]

    @staticmethod
    def has(path: str) -> bool:
        """Return whether there is a WebSocket at this path."""
        return _route(path) is not None

    def wrap_socket_and_handle(self, client_socket: Any, address: Any) -> Any:
        try:
            return super().wrap_socket_and_handle(client_socket, address)
        except (ssl.SSLError, OSError) as error:
            logger.info("TLS handshake failed: %s", error)
            return None

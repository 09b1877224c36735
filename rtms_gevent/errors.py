"""The exceptions of this package, as one tree, by what the caller can do about them.

::

    RtmsError
    ├── UsageError                  the call was wrong: fix the program
    │   ├── ConfigurationError      a setting or argument is missing or not allowed (ValueError)
    │   │   └── ServerUrlError      server_urls names a host or scheme that is not allowed
    │   ├── LocalProtocolError      not allowed in this state of the connection
    │   └── NotJoinedError          needs a joined stream
    ├── RemoteProtocolError         the server broke the rules; that message was skipped
    │   └── FrameError              it broke WebSocket's rules; the socket is closed
    ├── JoinError                   the stream could not be joined
    │   ├── ConnectError            no WebSocket could be opened (DNS, TCP, proxy, HTTP)
    │   │   └── TlsError            the certificate was not accepted
    │   ├── HandshakeRejected       the server answered a handshake with a status other than OK
    │   ├── HandshakeClosed         the server closed a socket before joining was done
    │   ├── HandshakeMalformed      the answer lacks what is needed to go on
    │   ├── MediaNotOffered         the server has no address for the media that was asked for
    │   ├── JoinTimeout             it took longer than allowed
    │   └── EndedBeforeJoined       somebody ended the stream meanwhile
    ├── StreamLost                  a joined stream broke off
    │   ├── ConnectionLost          a socket closed, broke or fell silent
    │   ├── GaveUp                  it could not be joined again in time
    │   └── InboxOverflow           callbacks are too slow: an inbox is full
    ├── StoreError                  the store of who owns which stream does not work
    ├── WebhookError                a webhook request was refused; has the HTTP status to answer
    └── MissingExtra                an optional dependency is not installed (ImportError)

Calls raise UsageError, and ``client.wait_joined()`` JoinError. What goes wrong in a running stream
is reported: by the ``error`` signal, by ``on_interrupted`` and ``on_gave_up``, or as
``client.wait().error``.

Errors carry their data as attributes, pickle, and say in ``str()`` what happened and what to do.
"""

from __future__ import annotations

from .enums import StatusCode
from .explanations import explain_status, status_meant

__all__ = [
    "ConfigurationError",
    "ConnectError",
    "ConnectionLost",
    "EndedBeforeJoined",
    "FrameError",
    "GaveUp",
    "HandshakeClosed",
    "HandshakeMalformed",
    "HandshakeRejected",
    "InboxOverflow",
    "JoinError",
    "JoinTimeout",
    "LocalProtocolError",
    "MediaNotOffered",
    "MissingExtra",
    "NotJoinedError",
    "RemoteProtocolError",
    "RtmsError",
    "ServerUrlError",
    "StoreError",
    "StreamLost",
    "TlsError",
    "UsageError",
    "WebhookError",
]


class RtmsError(Exception):
    """Root of everything this package raises on purpose."""


class UsageError(RtmsError):
    """The call was wrong; the same call will fail again."""


class ConfigurationError(UsageError, ValueError):
    """A setting or an argument is missing or not allowed."""


class ServerUrlError(ConfigurationError):
    """``server_urls`` names no address that may be connected to."""


class LocalProtocolError(UsageError):
    """We, or the caller, tried something that the connection's state does not allow."""


class NotJoinedError(UsageError):
    """The call needs a stream that is joined."""


class StoreError(RtmsError):
    """The store of who owns which stream cannot be reached, or does not work.

    Streams that are joined go on.
    """

    def __init__(self, message: str, *, is_lasting: bool = False) -> None:
        super().__init__(message)
        #: Whether trying again is useless: a broken file, a full disk, a server that is too old.
        self.is_lasting = is_lasting

    def __reduce__(self) -> tuple[object, ...]:
        return _store_error, (str(self), self.is_lasting)


def _store_error(message: str, is_lasting: bool) -> StoreError:
    return StoreError(message, is_lasting=is_lasting)


class RemoteProtocolError(RtmsError):
    """The server sent what the protocol does not allow. That message was skipped."""


class FrameError(RemoteProtocolError):
    """The server broke the rules of WebSocket; the socket is closed with ``close_code``."""

    def __init__(self, message: str, close_code: int = 1002) -> None:
        super().__init__(message, close_code)
        self.message = message
        self.close_code = close_code  #: RFC 6455 section 7.4.1

    def __str__(self) -> str:
        return self.message


class JoinError(RtmsError):
    """The stream could not be joined.

    Raised by ``client.wait_joined()``; also ``client.wait().error``, and the ``error`` signal's
    argument. ``reason`` is the number that ``on_join_confirm`` gets for it: Zoom's status code
    where the server gave one, else the number that the official SDK uses for the same failure.
    """

    reason: int = 1


class ConnectError(JoinError):
    """No WebSocket could be opened to ``url``; ``step`` says how far it came."""

    reason = 1

    def __init__(self, url: str, step: str, problem: str) -> None:
        super().__init__(url, step, problem)
        self.url = url  #: without query, so that it is fit for a log
        self.step = step  #: "dns", "tcp", "proxy", "tls" or "http"
        self.problem = problem

    def __str__(self) -> str:
        return f"cannot open a WebSocket to {self.url} ({self.step}): {self.problem}"


class TlsError(ConnectError):
    """The TLS handshake failed, mostly because the certificate was not accepted."""

    reason = 610


class HandshakeRejected(JoinError):
    """The server answered a handshake with a status other than OK."""

    def __init__(self, phase: str, status: int, reason_text: str = "") -> None:
        super().__init__(phase, status, reason_text)
        self.phase = phase  #: "signaling", or "audio media" and so on
        #: The status that was meant. Some servers send another number with it: if ``reason_text``
        #: names a status, that counts, else the number.
        self.status = status_meant(status, reason_text)
        self.reason_text = reason_text  #: the server's own words, if any
        self.sent_status = int(status)  #: the number that the server has sent
        self.reason = int(self.status)

    def __str__(self) -> str:
        name = self.status.name if isinstance(self.status, StatusCode) else "not known here"
        if self.sent_status != self.status:
            name += f", sent as {self.sent_status}"
        said = f", server says {self.reason_text[:200]!r}" if self.reason_text else ""
        explained = explain_status(self.status)
        return (
            f"{self.phase} handshake rejected with status {int(self.status)} ({name}){said}. "
            f"Likely cause: {explained.cause} What to do: {explained.remedy}"
        )


class HandshakeClosed(JoinError):
    """The server closed a socket before joining was done."""

    reason = 960

    def __init__(self, phase: str, close_code: int | None, close_reason: str = "") -> None:
        super().__init__(phase, close_code, close_reason)
        self.phase = phase  #: "signaling", or "audio media" and so on
        self.close_code = close_code  #: None where the connection broke without a close frame
        self.close_reason = close_reason

    def __str__(self) -> str:
        how = (
            "without a close frame"
            if self.close_code is None
            else f"with code {self.close_code} {self.close_reason[:123]!r}"
        )
        return (
            f"the server closed the {self.phase} socket {how} while we were joining. "
            "Check, in this order: is the client secret the one of this app and this environment "
            "(development or production)? Is the id passed on exactly as the webhook gave it? "
            "Is the webhook younger than 60 seconds? Is another process joined to this stream?"
        )


class HandshakeMalformed(JoinError):
    """The server's answer to a handshake lacks what is needed to go on."""

    reason = 6

    def __init__(self, phase: str, problem: str) -> None:
        super().__init__(phase, problem)
        self.phase = phase  #: "signaling", or "audio media" and so on
        self.problem = problem

    def __str__(self) -> str:
        return f"unusable answer to the {self.phase} handshake: {self.problem}"


class MediaNotOffered(JoinError):
    """The server named no address for the media that was asked for."""

    reason = int(StatusCode.MEDIA_TYPE_INVALID_VALUE)

    def __init__(self, wanted: tuple[str, ...], offered: tuple[str, ...]) -> None:
        super().__init__(wanted, offered)
        self.wanted = wanted
        self.offered = offered

    def __str__(self) -> str:
        return (
            f"asked for {', '.join(self.wanted)}, but the server offers "
            f"{', '.join(self.offered) or 'nothing'}. Add the missing RTMS scopes to the app in "
            "Zoom's Marketplace (meeting:read:meeting_audio and so on) and install it again."
        )


class JoinTimeout(JoinError):
    """Joining took longer than allowed."""

    reason = 1

    def __init__(self, seconds: float, waiting_for: str) -> None:
        super().__init__(seconds, waiting_for)
        self.seconds = seconds
        self.waiting_for = waiting_for

    def __str__(self) -> str:
        return (
            f"not joined after {self.seconds:g} s, still waiting for {self.waiting_for}. "
            "Zoom holds a started stream for about 60 s: join as soon as the webhook arrives."
        )


class EndedBeforeJoined(JoinError):
    """The stream ended, or we left it, before it was joined."""

    reason = 2

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"the stream was over before it was joined: {self.why}"


class StreamLost(RtmsError):
    """A joined stream broke off."""


class ConnectionLost(StreamLost):
    """A socket of a joined stream closed, broke or fell silent."""

    def __init__(self, socket: str, problem: str, close_code: int | None = None) -> None:
        super().__init__(socket, problem, close_code)
        self.socket = socket  #: "signaling", or the media type
        self.problem = problem
        self.close_code = close_code  #: None where there was no close frame

    def __str__(self) -> str:
        return f"the {self.socket} socket was lost: {self.problem}"


class GaveUp(StreamLost):
    """A stream that broke could not be joined again before Zoom's window closed."""

    def __init__(self, outage: float, attempts: int) -> None:
        super().__init__(outage, attempts)
        self.outage = outage  #: seconds since the loss
        self.attempts = attempts

    def __str__(self) -> str:
        return (
            f"the stream broke and could not be joined again: {self.attempts} attempts in "
            f"{self.outage:.0f} s. Zoom has ended it by now; start RTMS again, or wait for the "
            "next start webhook."
        )


class InboxOverflow(StreamLost):
    """A callback is so slow that its inbox is full; :class:`OverflowPolicy` says what follows."""

    def __init__(self, media_type: str, dropped: int, stream: str = "") -> None:
        super().__init__(media_type, dropped, stream)
        self.media_type = media_type
        self.dropped = dropped  #: packets dropped so far in this inbox
        self.stream = stream  #: the stream, as logs name it

    def __str__(self) -> str:
        what = f"{self.dropped} packets were dropped" if self.dropped else "nothing was dropped"
        where = f"stream {self.stream}: " if self.stream else ""
        return (
            f"{where}the inbox for {self.media_type} is full, because the callback is slower than "
            f"the stream; {what} so far. Make it faster, hand its work to a pool, or set "
            "Client(inboxes=...)"
        )


class WebhookError(RtmsError):
    """A webhook request was refused; answer it with ``status``, and with no detail."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(status, problem)
        self.status = status  #: HTTP status to answer with
        self.problem = problem  #: for our own log only, holds no secret and no payload

    def __str__(self) -> str:
        return f"webhook refused with {self.status}: {self.problem}"


class MissingExtra(RtmsError, ImportError):
    """A part of this package needs an optional dependency that is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(what, extra)
        self.what = what  #: the part that needs it, such as "rtms_gevent.flask"
        self.extra = extra  #: the name of the extra, such as "flask"

    def __str__(self) -> str:
        return f"{self.what} needs more packages: pip install 'rtms-gevent[{self.extra}]'"

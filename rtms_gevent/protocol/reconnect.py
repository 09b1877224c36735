"""What to rebuild after which loss, inside which window, after which delay. Pure.

Zoom holds a stream for 60 s after its signaling socket broke and for 65 s after a media socket did;
then the stream ends. Only what broke is rebuilt: a lost media socket never costs the signaling
socket, and a lost signaling socket costs all of them.

Source: https://developers.zoom.us/docs/rtms/meetings/failover-reconnection/ for scenarios and
windows. Its first delay of 3 s is slow for a window of 60 s; here the first try comes at once. Its
delays start anew after each success; here only after one that held, since a server that takes us
and drops us would be run down by tries that come at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from ..enums import MediaDataType, StatusCode
from ..errors import ConnectError, HandshakeRejected, JoinError, MediaNotOffered, TlsError

__all__ = ["Backoff", "ReconnectAttempt", "ReconnectPolicy", "WindowExpired", "is_transient"]

#: Refusals that pass: the server has not noticed that our old socket is gone, or it failed itself.
_PASSING = frozenset(
    {
        StatusCode.DUPLICATE_SIGNAL_REQUEST,
        StatusCode.MEDIA_DATA_ALL_CONNECTION_EXIST,
        StatusCode.DUPLICATE_MEDIA_DATA_CONNECTION,
        StatusCode.INTERNAL_EXCEPTION,
    }
)


def is_transient(problem: JoinError) -> bool:
    """Tell whether another try may succeed where this one failed."""
    if isinstance(problem, HandshakeRejected):
        return problem.status in _PASSING
    if isinstance(problem, ConnectError):
        return not isinstance(problem, TlsError)
    return not isinstance(problem, MediaNotOffered)


@dataclasses.dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double: nearly none at first, ``base`` then, ``cap`` at last.

    Each is made a little shorter at random, so that thousands of streams that broke together do not
    come back together.
    """

    base: float = 1.0  #: seconds
    cap: float = 10.0  #: seconds

    def delay(self, attempt: int, jitter: float) -> float:
        """Return the seconds before an attempt.

        Args:
            attempt: Counts from 1.
            jitter: A random number from 0 to 1.
        """
        if attempt == 1:
            return self.base * jitter / 4
        full = min(self.cap, self.base * 2.0 ** min(attempt - 2, 30))
        return full * (1 - jitter / 4)


@dataclasses.dataclass(frozen=True, slots=True)
class ReconnectAttempt:
    """What to do next."""

    number: int  #: counts from 1 in each outage
    delay: float  #: seconds to wait before
    #: Media sockets to rebuild; None means everything, signaling included.
    media: frozenset[MediaDataType] | None
    #: Seconds that are left of the window, before the delay.
    left: float


@dataclasses.dataclass(frozen=True, slots=True)
class WindowExpired:
    """The window has passed: Zoom has ended the stream by now."""

    outage: float  #: seconds since the loss
    attempts: int


class ReconnectPolicy:
    """Knows what is broken, since when, and how often its repair was tried.

    What breaks while a repair is under way is kept apart from what it repairs, so that its success
    does not hide a new loss. All times are monotonic seconds that the caller passes in.
    """

    def __init__(
        self,
        *,
        signaling_window: float,
        media_window: float,
        backoff: Backoff,
        jitter: Callable[[], float],
    ) -> None:
        """Begin with everything whole.

        Args:
            signaling_window: Seconds that Zoom waits for us after the signaling socket broke.
            media_window: The same for a media socket.
            backoff: How long to wait before attempts.
            jitter: Returns random numbers from 0 to 1.
        """
        self._signaling_window = signaling_window
        self._media_window = media_window
        self._backoff = backoff
        self._jitter = jitter
        self._since: float | None = None  # when the outage began
        self._signaling_since: float | None = None  # when it began to be one of signaling
        self._signaling = False  # broken, and not under repair
        self._media: set[MediaDataType] = set()  # broken, and not under repair
        self._attempts = 0  # in this outage
        self._idle_since = 0.0  # what the next delay counts from: a loss, or the end of an attempt
        self._relapses = 0  # how many repairs in a row did not hold
        self._restored: float | None = None  # when all was whole again last

    @property
    def is_broken(self) -> bool:
        """Whether anything is to be rebuilt, or being rebuilt."""
        return self._since is not None

    @property
    def is_signaling_broken(self) -> bool:
        """Whether everything is to be rebuilt, or being rebuilt."""
        return self._signaling_since is not None

    # -- losses: each returns whether it was news --------------------------------------------------

    def lost_signaling(self, now: float) -> bool:
        """The signaling socket broke, or Zoom says so."""
        if self._signaling:
            return False
        self._signaling = True
        self._begin(now)
        if self._signaling_since is None:
            self._signaling_since = now
        return True

    def lost_media(self, kinds: Iterable[MediaDataType], now: float) -> bool:
        """Media sockets broke, or Zoom says so."""
        news = set(kinds) - self._media
        if not news or self._signaling:
            return False
        self._media |= news
        self._begin(now)
        return True

    def relocated(self, now: float) -> None:
        """Zoom named new addresses: all is to be rebuilt there, with a window of its own."""
        self._signaling = True
        self._begin(now)
        self._signaling_since = self._idle_since = now
        self._attempts = self._relapses = 0

    def _begin(self, now: float) -> None:
        if self._since is not None:
            return
        self._since = self._idle_since = now
        self._attempts = 0
        # A repair has held when it lasted for as long as the second delay. So attempts are never
        # closer than that, and those at a server that drops us at once become rare.
        if self._restored is None or now - self._restored >= self._backoff.delay(2, 0.0):
            self._relapses = 0
        else:
            self._relapses += 1

    # -- repair ------------------------------------------------------------------------------------

    def next(self, now: float) -> ReconnectAttempt | WindowExpired | None:
        """Return what to do next; ``None`` where nothing is broken. Changes nothing."""
        if self._since is None:
            return None
        if self._signaling_since is None:
            left, media = self._since + self._media_window - now, frozenset(self._media)
        else:
            left, media = self._signaling_since + self._signaling_window - now, None
        if left <= 0:
            return WindowExpired(now - self._since, self._attempts)
        number = self._attempts + 1
        delay = self._backoff.delay(number + self._relapses, self._jitter())
        # What else breaks while we wait postpones nothing.
        delay = min(max(0.0, self._idle_since + delay - now), left)
        return ReconnectAttempt(number, delay, media, left)

    def began(self, attempt: ReconnectAttempt) -> None:
        """Note that an attempt is made, before its first step."""
        self._attempts += 1
        if attempt.media is None:
            self._signaling = False
            self._media.clear()
        else:
            self._media -= attempt.media

    def failed(
        self, attempt: ReconnectAttempt, now: float, mended: Iterable[MediaDataType] = ()
    ) -> None:
        """Note that it failed: what it was to repair is broken still.

        Args:
            attempt: Which.
            now: When.
            mended: Media sockets that it could repair all the same.
        """
        self._idle_since = now
        if attempt.media is None:
            self._signaling = True
        else:
            self._media |= attempt.media - set(mended)

    def succeeded(self, attempt: ReconnectAttempt, now: float) -> float | None:
        """Note that it succeeded.

        Returns:
            Seconds of the outage, if all is whole again; ``None`` where more broke meanwhile.
        """
        if attempt.media is None and not self._signaling:
            self._signaling_since = None
        self._idle_since = now
        if self._since is None or self._signaling or self._media:
            return None
        outage, self._since, self._restored = now - self._since, None, now
        return outage

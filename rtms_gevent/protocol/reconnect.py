"""Decides what to reconnect after a loss, after which delay, and when to give up. Pure.

Zoom holds a stream for 60 s after its signaling socket broke and for 65 s after a media socket did;
then the stream ends. Only what broke is reconnected: a lost media socket never costs the signaling
socket, and a lost signaling socket costs all of them.

Source: https://developers.zoom.us/docs/rtms/meetings/failover-reconnection/ for scenarios and
windows. Its first delay of 3 s is slow for a window of 60 s; here the first attempt comes within a
quarter of a second. Its delays start again after each success; here only after one that lasted.
Else a server that accepts and drops us would be flooded with attempts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from ..enums import MediaDataType, StatusCode
from ..errors import ConnectError, HandshakeRejected, JoinError, MediaNotOffered, TlsError

__all__ = ["Backoff", "ReconnectAttempt", "ReconnectPolicy", "WindowExpired", "is_transient"]

#: Refusals that pass: the server has not noticed that our old socket is gone, or failed itself.
_TRANSIENT = frozenset(
    {
        StatusCode.DUPLICATE_SIGNAL_REQUEST,
        StatusCode.MEDIA_DATA_ALL_CONNECTION_EXIST,
        StatusCode.DUPLICATE_MEDIA_DATA_CONNECTION,
        StatusCode.INTERNAL_EXCEPTION,
    }
)


def is_transient(problem: JoinError) -> bool:
    """Return whether another try may succeed where this one failed."""
    if isinstance(problem, HandshakeRejected):
        return problem.status in _TRANSIENT
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
    #: Media sockets to reconnect; None means everything, signaling included.
    media: frozenset[MediaDataType] | None
    #: Seconds that are left of the window, before the delay.
    left: float


@dataclasses.dataclass(frozen=True, slots=True)
class WindowExpired:
    """The window has passed: Zoom has ended the stream by now."""

    outage: float  #: seconds since the loss
    attempts: int


class ReconnectPolicy:
    """Knows what is broken, since when, and how often it was tried to reconnect it.

    What breaks during an attempt is kept apart from what the attempt is about, so that its success
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
        """Begin with everything connected.

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
        self._broken_since: float | None = None  # anything
        self._signaling_broken_since: float | None = None
        # What is broken, and not being reconnected.
        self._is_signaling_lost = False
        self._lost_media: set[MediaDataType] = set()
        self._attempts = 0  # in this outage
        self._waiting_since = 0.0  # what the next delay counts from: a loss, or an attempt's end
        self._short_lived = 0  # how many connections in a row did not last
        self._connected_since: float | None = None  # after the latest outage

    @property
    def is_broken(self) -> bool:
        """Whether anything is to be reconnected, or being reconnected."""
        return self._broken_since is not None

    @property
    def is_signaling_broken(self) -> bool:
        """Whether everything is to be reconnected, or being reconnected."""
        return self._signaling_broken_since is not None

    # -- losses: each returns whether it was not known yet -----------------------------------------

    def lost_signaling(self, now: float) -> bool:
        """The signaling socket broke, or Zoom says so."""
        if self._is_signaling_lost:
            return False
        self._is_signaling_lost = True
        self._breaks(now)
        if self._signaling_broken_since is None:
            self._signaling_broken_since = now
        return True

    def lost_media(self, kinds: Iterable[MediaDataType], now: float) -> bool:
        """Media sockets broke, or Zoom says so."""
        new = set(kinds) - self._lost_media
        if not new or self._is_signaling_lost:
            return False
        self._lost_media |= new
        self._breaks(now)
        return True

    def relocated(self, now: float) -> None:
        """Zoom named new addresses: connect to them, with a window of its own."""
        self._is_signaling_lost = True
        self._breaks(now)
        self._signaling_broken_since = self._waiting_since = now
        self._attempts = self._short_lived = 0

    def _breaks(self, now: float) -> None:
        if self._broken_since is not None:
            return
        self._broken_since = self._waiting_since = now
        self._attempts = 0
        # A connection has lasted when it did for as long as the second delay. So attempts are never
        # closer than that, and those at a server that drops us at once become rare.
        lasted = self._connected_since is None or (
            now - self._connected_since >= self._backoff.delay(2, 0.0)
        )
        self._short_lived = 0 if lasted else self._short_lived + 1

    # -- attempts ----------------------------------------------------------------------------------

    def next(self, now: float) -> ReconnectAttempt | WindowExpired | None:
        """Return what to do next; ``None`` where nothing is broken. Changes nothing."""
        if self._broken_since is None:
            return None
        if self._signaling_broken_since is None:
            left, media = self._broken_since + self._media_window - now, frozenset(self._lost_media)
        else:
            left, media = self._signaling_broken_since + self._signaling_window - now, None
        if left <= 0:
            return WindowExpired(now - self._broken_since, self._attempts)
        number = self._attempts + 1
        delay = self._backoff.delay(number + self._short_lived, self._jitter())
        # What else breaks while we wait postpones nothing.
        delay = min(max(0.0, self._waiting_since + delay - now), left)
        return ReconnectAttempt(number, delay, media, left)

    def began(self, attempt: ReconnectAttempt) -> None:
        """Note that an attempt is made, before its first step."""
        self._attempts += 1
        if attempt.media is None:
            self._is_signaling_lost = False
            self._lost_media.clear()
        else:
            self._lost_media -= attempt.media

    def failed(
        self, attempt: ReconnectAttempt, now: float, connected: Iterable[MediaDataType] = ()
    ) -> None:
        """Note that it failed: what it was about is broken still.

        Args:
            attempt: Which.
            now: When.
            connected: Media sockets that it could connect all the same.
        """
        self._waiting_since = now
        if attempt.media is None:
            self._is_signaling_lost = True
        else:
            self._lost_media |= attempt.media - set(connected)

    def succeeded(self, attempt: ReconnectAttempt, now: float) -> float | None:
        """Note that it succeeded.

        Returns:
            Seconds of the outage, if all is connected again; ``None`` where more broke meanwhile.
        """
        if attempt.media is None and not self._is_signaling_lost:
            self._signaling_broken_since = None
        self._waiting_since = now
        if self._broken_since is None or self._is_signaling_lost or self._lost_media:
            return None
        outage, self._broken_since, self._connected_since = now - self._broken_since, None, now
        return outage

"""One simulated meeting: who is connected, what was sent, and how it starts and ends."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any, Protocol

from gevent.event import Event
from gevent.pool import Group

from ...enums import (
    EventType,
    MediaDataType,
    Product,
    SessionState,
    StopReason,
    StreamState,
)
from ..clock import move_on_after
from ..options import Options
from ..scenario.model import Scenario
from ..wire.connection import AnyConnection
from ..wire.media import MediaConnection
from ..wire.negotiation import MEDIA_KEYS
from ..wire.rejections import Rejection
from ..wire.signaling import SignalingConnection
from .addresses import ServerAddresses
from .announcer import StateAnnouncer
from .faults import Faults
from .identity import Identity
from .sender import MediaSender
from .sockets import OpenSockets
from .state import MeetingState
from .webhook_events import WebhookEvents
from .windows import ReconnectWindows

__all__ = ["Meeting", "Playback"]

#: Real seconds that clients have to read their media and close their sockets at the end.
CLOSE_TIMEOUT = 2.0

#: Client messages that are kept for tests.
KEPT_MESSAGES = 10_000

#: All that phone calls and Contact Center's engagements have.
_VOICE_MEDIA = frozenset({MediaDataType.AUDIO, MediaDataType.TRANSCRIPT})


class Playback(Protocol):
    """Plays a meeting's scenario to one client."""

    def start(self) -> None:
        """Begin; does not wait."""

    def stop(self) -> None:
        """End, without a message to the client."""


class Meeting(MediaSender):
    """One meeting (webinar, session, engagement, call) with one stream.

    Made by :class:`~rtms_gevent.simulator.Simulator`. All methods may be called from any greenlet
    of the simulator's hub, and block only that greenlet.
    """

    def __init__(
        self,
        key: str,
        scenario: Scenario,
        options: Options,
        base_url: str,
        *,
        same_as: Meeting | None,
        make_playback: Callable[[Meeting], Playback],
        present_certificate: Callable[[str], None],
    ) -> None:
        self._identity: Identity = Identity.new(
            scenario.product, None if same_as is None else same_as._identity
        )
        self.product: Product = scenario.product
        self.uuid = self._identity.uuid
        self.stream_id = self._identity.stream_id
        self.session_id = self._identity.session_id
        self.operator_id = self._identity.operator_id
        #: the meeting's (webinar's) number, as people know it
        self.meeting_id = self._identity.meeting_id
        #: media types that the app's scopes allow
        self.offered: frozenset[MediaDataType] = scenario.media
        if self.product in (Product.PHONE, Product.CONTACT_CENTER):
            self.offered &= _VOICE_MEDIA
        #: whether a client that joins replaces one that is there
        self.evicts = scenario.second_client == "evicts"
        #: the latest messages from clients, in order
        self.received: collections.deque[dict[str, Any]] = collections.deque(maxlen=KEPT_MESSAGES)
        #: what was taken only because the simulator is lenient, and how often
        self.tolerated: collections.Counter[str] = collections.Counter()
        #: who is there, and what they do
        self.state = MeetingState()
        self.stop_reason: int | None = None
        #: set when the stream has ended and its sockets are closed
        self.finished = Event()
        self._options = options
        self._ready = Event()
        self._greenlets = Group()
        self._wants_start = True
        self._make_playback = make_playback
        #: from when a client is ready, until it leaves or the stream ends
        self.playback: Playback | None = None
        #: where its servers are
        self.addresses = ServerAddresses(base_url, key, self.product, self.offered)
        sockets = OpenSockets()
        self._announcer = StateAnnouncer(self._identity, sockets)
        super().__init__(scenario, options, sockets, self._announcer, self._greenlets)
        self._windows = ReconnectWindows(
            lambda: self.end_later(StopReason.AWAIT_RECONNECTION_TIMEOUT)
        )
        self._webhooks = WebhookEvents(self._identity, self.addresses, options, self._greenlets)
        self.faults = Faults(
            sockets,
            self.queues,
            self.addresses,
            self._webhooks,
            speed=options.speed,
            present_certificate=present_certificate,
        )
        for step in scenario.faults:
            self.faults.apply(step)

    # -- what is so now ----------------------------------------------------------------------------

    @property
    def payload(self) -> dict[str, Any]:
        """What names the stream in the start webhook, as ``client.join`` takes it: flat."""
        return self._webhooks.payload

    @property
    def started_event(self) -> dict[str, Any]:
        """The whole start webhook."""
        return self._webhooks.started

    @property
    def server_urls(self) -> str:
        """Where clients open their signaling socket; a failover changes it."""
        return self.addresses.server_urls

    @property
    def media_urls(self) -> dict[str, str]:
        """Where clients open media sockets, by media type, and "all"."""
        return self.addresses.media_urls

    @property
    def signaling(self) -> SignalingConnection | None:
        """The open signaling socket."""
        return self.sockets.signaling

    @property
    def media(self) -> list[MediaConnection]:
        """The open media sockets."""
        return self.sockets.media

    @property
    def session_state(self) -> int:
        """The session's state that was sent last."""
        return self._announcer.session_state

    @property
    def stream_state(self) -> int:
        """The stream's state that was sent last."""
        return self._announcer.stream_state

    @property
    def events_sent(self) -> list[dict[str, Any]]:
        """Every event object that was sent, in order."""
        return self._announcer.events_sent

    @property
    def is_over(self) -> bool:
        """Whether the stream has been stopped."""
        return self.stop_reason is not None

    # -- life --------------------------------------------------------------------------------------

    def start(self) -> int | None:
        """Begin: post the start webhook, if there is a URL for it, and wait for its answer.

        The scenario begins to play when a client says that it is ready. Without a webhook URL a
        client may join before and without this call.

        Returns:
            The HTTP status of the answer; None without a URL, and where there was no answer.
        """
        return self._webhooks.post_started()

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until a client has said that media may flow; return whether it has."""
        return bool(self._ready.wait(timeout))

    def stop(self, reason: int = StopReason.MEETING_ENDED) -> None:
        """End the stream: send the client the reason, close its sockets, post the stop webhook.

        Returns when the sockets are closed. Later calls do nothing but wait for that.
        """
        if self.is_over:
            self.finished.wait()
            return
        self.stop_reason = int(reason)
        try:
            self._end(int(reason))
        finally:
            self.finished.set()

    def end_later(self, reason: int) -> None:
        """Stop in a greenlet of the meeting's own: for those whom :meth:`stop` would wait for."""
        self._greenlets.spawn(self.stop, reason)

    def _end(self, reason: int) -> None:
        self._stop_playback()
        self._windows.close_all()
        with move_on_after(CLOSE_TIMEOUT):
            for queue in self.queues.values():
                queue.finish()
            for media in list(self.media):
                media.drain()
        self._announcer.set_session_state(SessionState.STOPPED, reason)
        self._announcer.set_stream_state(StreamState.TERMINATED, reason)
        connections = self.connections("all_sockets")
        with move_on_after(CLOSE_TIMEOUT):
            for connection in connections:
                connection.ended.wait()
        for connection in connections:
            connection.close(1000, "stream ended")
        for connection in connections:
            connection.ended.wait()
        self._webhooks.post_stopped(reason)

    def shut_down(self) -> None:
        """Close everything immediately, without a reason; the simulator ends."""
        if self.stop_reason is None:
            self.stop_reason = int(StopReason.EXIT_SIGNAL)
        self._stop_playback()
        self._windows.close_all()
        self.sockets.close("all_sockets", 1001, "simulator stops")
        self._greenlets.kill()
        self.finished.set()

    def _stop_playback(self) -> None:
        playback, self.playback = self.playback, None
        if playback is not None:
            playback.stop()
        self.state = MeetingState()

    # -- by hand -----------------------------------------------------------------------------------

    def connections(self, which: str) -> list[AnyConnection]:
        """Return the open sockets that ``which`` names.

        Args:
            which: "signaling", "media" for all media sockets, the name of a media type (also
                finds the unified socket), "all" for the unified socket, or "all_sockets".
        """
        return self.sockets.find(which)

    def close_sockets(self, which: str = "all_sockets", code: int = 1000, reason: str = "") -> int:
        """Send close frames with ``code``; return to how many sockets."""
        return self.sockets.close(which, code, reason)

    def reset_sockets(self, which: str = "all_sockets") -> int:
        """Break TCP connections without a close frame (RST); return how many."""
        return self.sockets.reset(which)

    def send_message(self, which: str, message: dict[str, Any] | bytes) -> int:
        """Send anything at all, as JSON or as it is: for tests of what servers should not do.

        Args:
            which: as for :meth:`connections`.
            message: is not counted as media, whatever it is.

        Returns:
            To how many sockets it went.
        """
        return self.sockets.send(which, message)

    def send_event(self, event: dict[str, Any], *, to_all: bool = False) -> bool:
        """Send one event update, if the client has subscribed to its number.

        Args:
            event: with ``event_type``; a time is added where there is none. Phone calls have
                ``event_code`` instead of ``event_type``, which is done here.
            to_all: send it to a client that has not subscribed, too.
        """
        return self._announcer.send_event(event, to_all=to_all)

    def set_session_state(self, state: int, reason: int | None = None) -> bool:
        """Send the client a new state of the session; pausing also pauses the scenario's media.

        Args:
            state: a :class:`~rtms_gevent.enums.SessionState`, or any other number.
            reason: a :class:`~rtms_gevent.enums.StopReason`; None sends one with a stop only.
        """
        return self._announcer.set_session_state(state, reason)

    def set_stream_state(self, state: int, reason: int = StopReason.UNDEFINED) -> bool:
        """Send the client a new state of the stream, and nothing more; see :meth:`stop`."""
        return self._announcer.set_stream_state(state, reason)

    # -- called by connections ---------------------------------------------------------------------

    def is_dead(self, address: str) -> bool:
        """Whether a server of this address has failed."""
        return self.addresses.is_dead(address)

    def handshake_rejection(self, role: str) -> Rejection | None:
        """Return what a fault has in store for this handshake, and count it."""
        return self.faults.handshakes.next_for(role)

    def has_signaling_for(self, address: str) -> bool:
        """Whether a client is there, and this is an address of its meeting."""
        return address in self.addresses.keys and self.signaling is not None

    @property
    def has_individual_video(self) -> bool:
        """Whether a client has negotiated video per participant."""
        return any(connection.has_individual_video for connection in self.media)

    def attach_signaling(self, connection: SignalingConnection, *, buffer_data: bool) -> None:
        """A client has opened the signaling socket.

        Args:
            connection: its socket.
            buffer_data: whether it wants what was kept before anyone was ready.
        """
        self._wants_start = buffer_data
        self._attach(connection)
        sockets = self.sockets
        evicted, sockets.signaling = sockets.signaling, connection
        stale, sockets.media = sockets.media, []
        if evicted is not None:
            self._ready.clear()
            old_ones: list[AnyConnection] = [evicted, *stale]
            for old in old_ones:  # apart from us: a client may read nothing for long
                self._greenlets.spawn(old.close, 1000, "another client has joined")
        else:
            for media in stale:
                media.reset()  # of a client that was lost
        self._windows.close("signaling")

    def _attach(self, connection: AnyConnection) -> None:
        self.sockets.number(connection)
        self.faults.opened(connection)

    def detach_signaling(self, connection: SignalingConnection) -> None:
        """The signaling socket is gone; a client that was lost may come back within a window."""
        sockets = self.sockets
        if sockets.signaling is not connection:
            return  # another client has replaced it
        sockets.signaling = None
        self._ready.clear()
        if self.is_over:
            return
        is_coming_back = sockets.has_been_interrupted or (
            self.playback is not None and not connection.is_ready
        )
        if connection.was_closed_by_client and not is_coming_back:
            self._client_left()
            return
        sockets.has_been_interrupted = True
        # Its media sockets stay until it comes back with new ones, but nothing flows on them.
        for media in sockets.media:
            media.is_ready = False
        self._webhooks.post_interrupted()
        self._windows.open("signaling", self._options.signaling_window)

    def _client_left(self) -> None:
        """The client has left: who joins next gets everything from the start."""
        self._stop_playback()
        self._windows.close_all()
        for queue in self.queues.values():
            queue.reset()
        self.sockets.close("media", 1000, "signaling socket gone")

    def attach_media(self, connection: MediaConnection) -> None:
        """A client has opened a media socket."""
        if self.signaling is not None:
            self.signaling.had_media = True
        self._attach(connection)
        self.media.append(connection)

    def detach_media(self, connection: MediaConnection) -> None:
        """A media socket is gone; unless the client closed it, the loss is announced to it."""
        if connection not in self.media:
            return
        self.media.remove(connection)
        if self.is_over or self.signaling is None or connection.was_closed_by_client:
            return
        self.send_event({"event_type": int(EventType.MEDIA_CONNECTION_INTERRUPTED)})
        self.set_stream_state(StreamState.INTERRUPTED, StopReason.DATA_CONNECTION_INTERRUPTED)
        self._windows.open(connection.role, self._options.media_window)

    def client_ready(self) -> None:
        """The client says that media may flow on the sockets it has opened so far."""
        if self.is_over:
            return
        for connection in self.media:
            connection.is_ready = True
            self._windows.close(connection.role)
            for kind in connection.media_types:
                params = connection.params[MEDIA_KEYS[kind]]
                self.queues[kind].opened(params, wants_start=self._wants_start)
        assert self.signaling is not None
        if not self.signaling.is_ready:
            self.signaling.is_ready = True
            self.set_session_state(SessionState.STARTED)
        if self.stream_state != StreamState.ACTIVE:
            self.set_stream_state(StreamState.ACTIVE)
        if self.playback is None:
            self._announcer.expect_first_packet()
            self.playback = self._make_playback(self)
            self.playback.start()
        self._ready.set()

    def subscribed(self, number: int) -> None:
        """The client has subscribed to an event: send it those that describe the present state."""
        if self.product is Product.CONTACT_CENTER:
            events = self.state.engagement_so_far(number, self.scenario.first_person)
        else:
            events = self.state.events_so_far(number)
        for event in events:
            self.send_event(event)

    def client_closed_stream(self) -> None:
        """The client asked to close the stream."""
        self.end_later(StopReason.RECEIVER_REQUEST_CLOSE)

    def keep_alive_failed(self, connection: AnyConnection) -> None:
        """The client does not answer keep-alives on ``connection``; it counts as lost."""
        is_signaling = connection is self.signaling
        for lost in self.connections("all_sockets") if is_signaling else [connection]:
            lost.close(1008, "keep-alive timeout")

"""One simulated meeting: who is connected, what was sent, and how it starts and ends."""

from __future__ import annotations

import base64
import collections
import itertools
import logging
import secrets
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gevent.pool import Group

from ...enums import (
    DataOption,
    EventType,
    MediaDataType,
    MessageType,
    Product,
    SessionState,
    StopReason,
    StreamState,
    known,
)
from ..options import Options
from ..scenario.model import Scenario
from ..wire.connection import (
    Connection,
    MediaConnection,
    SignalingConnection,
    milliseconds,
    patience,
)
from ..wire.negotiation import MEDIA_KEYS
from ..wire.rejections import Door
from .faults import Faults
from .media_queue import Lane
from .participants import Room
from .sent_log import Sent
from .webhooks import TRY_FOR, WEBHOOK_NAMES, WebhookSender

if TYPE_CHECKING:
    from .player import Player

__all__ = ["Meeting", "Sent"]

logger = logging.getLogger(__name__)

#: Real seconds that clients have to close their sockets after the stream has ended.
END_PATIENCE = 2.0

#: The account that all meetings belong to.
ACCOUNT_ID = "simulated-account"

#: Client messages that are kept for tests.
KEPT_MESSAGES = 10_000

_MESSAGES = {
    MediaDataType.AUDIO: MessageType.MEDIA_DATA_AUDIO,
    MediaDataType.VIDEO: MessageType.MEDIA_DATA_VIDEO,
    MediaDataType.DESKSHARE: MessageType.MEDIA_DATA_SHARE,
    MediaDataType.TRANSCRIPT: MessageType.MEDIA_DATA_TRANSCRIPT,
    MediaDataType.CHAT: MessageType.MEDIA_DATA_CHAT,
}

#: All that phone calls and Contact Center's engagements have.
_VOICE_MEDIA = frozenset({MediaDataType.AUDIO, MediaDataType.TRANSCRIPT})

#: Sent without a subscription.
_AUTOMATIC = frozenset({EventType.FIRST_PACKET_TIMESTAMP, EventType.MEDIA_CONNECTION_INTERRUPTED})


class Meeting:
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
        make_player: Callable[[Meeting], Player],
        present_certificate: Callable[[str], None],
    ) -> None:
        self.keys = [key]  #: name the meeting in its URLs; the latest is the one that is told
        self.scenario = scenario
        self.product: Product = scenario.product
        self.uuid = base64.b64encode(uuid.uuid4().bytes).decode()
        self.stream_id = secrets.token_hex(16)
        self.session_id = str(uuid.uuid4())
        self.operator_id = secrets.token_urlsafe(12)
        #: the meeting's (webinar's) number, as people know it
        self.meeting_id = str(secrets.randbelow(9 * 10**10) + 10**10)
        self.server_urls = f"{base_url}/signaling"
        #: media types that the app's scopes allow
        self.offered: frozenset[MediaDataType] = scenario.media
        if self.product in (Product.PHONE, Product.CONTACT_CENTER):
            self.offered &= _VOICE_MEDIA
        #: every event object that was sent, in order
        self.events_sent: list[dict[str, Any]] = []
        #: the latest messages from clients, in order
        self.received: collections.deque[dict[str, Any]] = collections.deque(maxlen=KEPT_MESSAGES)
        #: what was taken only because the simulator is lenient, and how often
        self.tolerated: collections.Counter[str] = collections.Counter()
        self.room = Room()
        self.session_state: int = SessionState.INITIALIZE
        self.stream_state: int = StreamState.INACTIVE
        self.stop_reason: int | None = None
        #: set when the stream has ended and its sockets are closed
        self.finished = Event()
        self.signaling: SignalingConnection | None = None
        self.media: list[MediaConnection] = []
        self.handshakes, self.upgrades = Door(), Door()
        self.faults = Faults(self, options.speed, present_certificate)
        self._options = options
        self._base_url = base_url
        #: where media sockets are opened, by media type, and "all"
        self.media_urls = self._make_media_urls()
        self._dead: set[str] = set()
        self._socket_numbers = itertools.count(1)
        self._wants_start = True
        #: A client that closes its socket may have heard of a loss that it has mended already.
        self._has_been_interrupted = False
        self._make_player = make_player
        self._player: Player | None = None
        self._started_ts = milliseconds()
        self._ready = Event()
        self._had_first_packet = False
        self._greenlets = Group()
        self._windows: dict[str, gevent.Greenlet[..., None]] = {}
        self.lanes = {kind: self._make_lane(kind) for kind in MEDIA_KEYS}
        self.buffer_audio(scenario.buffer_audio / options.speed)
        for step in scenario.faults:
            self.faults.apply(step)

    def _make_lane(self, kind: MediaDataType) -> Lane:
        return Lane(
            _MESSAGES[kind],
            lambda: self.media_socket(kind),
            self._note_first_packet,
            self._greenlets,
            stamp=self._options.stamp,
            record=self._options.record,
        )

    @property
    def sent(self) -> dict[MediaDataType, Sent]:
        """What was sent, per media type."""
        return {kind: lane.sent for kind, lane in self.lanes.items()}

    def _make_media_urls(self) -> dict[str, str]:
        named = self.offered
        if self.product is Product.CONTACT_CENTER:
            named &= {MediaDataType.AUDIO}  # as in its event reference; "all" serves the rest, too
        names = (*(MEDIA_KEYS[kind] for kind in sorted(named)), "all")
        return {name: f"{self._base_url}/media/{name}/{self.keys[-1]}" for name in names}

    # -- what webhooks say -------------------------------------------------------------------------

    @property
    def payload(self) -> dict[str, Any]:
        """What names the stream in the start webhook, as ``client.join`` takes it: flat."""
        payload = {
            self.product.value: self.uuid,
            "operator_id": self.operator_id,
            "rtms_stream_id": self.stream_id,
            "server_urls": self.server_urls,
        }
        if self.product is Product.VIDEO_SDK:
            payload["session_key"] = "simulated"
        return payload

    @property
    def started_event(self) -> dict[str, Any]:
        """The whole start webhook.

        Source of what it has since May 2026 (``account_id``, ``object``): zoom/skills, their
        reference of webhooks. There all lies in ``object``, while real traffic is flat. Clients
        look in either place, so that all is in both.
        """
        payload: dict[str, Any] = self.payload
        if self.product is Product.VIDEO_SDK:
            payload["account_id"] = ACCOUNT_ID
        elif self.product in (Product.MEETING, Product.WEBINAR):
            numbers = {"meeting_id": self.meeting_id}
            if self.product is Product.WEBINAR:
                numbers["webinar_id"] = self.meeting_id
            inner = {**payload, **numbers, "is_original_host": True}
            payload |= {"account_id": ACCOUNT_ID, "object": inner}
        return self._webhook("started", self._started_ts, payload)

    def _webhook(self, what: str, event_ts: int, payload: dict[str, Any]) -> dict[str, Any]:
        name = f"{WEBHOOK_NAMES[self.product]}_{what}"
        return {"event": name, "event_ts": event_ts, "payload": payload}

    def _post(self, what: str, **more: Any) -> int | None:
        payload = {self.product.value: self.uuid, "rtms_stream_id": self.stream_id, **more}
        return self._deliver(self._webhook(what, milliseconds(), payload))

    def _post_later(self, what: str) -> None:
        """Post a webhook that says ``what`` is so now; does not wait."""
        payload = {self.product.value: self.uuid, "rtms_stream_id": self.stream_id}
        # Made now: clients tell by the time what they have mended since.
        self._greenlets.spawn(self._deliver, self._webhook(what, milliseconds(), payload))

    def _deliver(self, event: dict[str, Any], try_for: float = 0.0) -> int | None:
        if self._options.webhook_url is None:
            return None
        sender = WebhookSender(self._options.webhook_url, self._options.webhook_secret)
        return sender.post(event, try_for=try_for)

    # -- life --------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether the stream has been stopped."""
        return self.stop_reason is not None

    def start(self) -> int | None:
        """Begin: post the start webhook, if there is a URL for it, and wait for its answer.

        The scenario begins to play when a client says that it is ready. Without a webhook URL a
        client may join before and without this call.

        Returns:
            The HTTP status of the answer; None without a URL, and where there was no answer.
        """
        self._started_ts = milliseconds()
        return self._deliver(self.started_event, TRY_FOR)

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until a client has said that media may flow; return whether it has."""
        return bool(self._ready.wait(timeout))

    def stop(self, reason: int = StopReason.MEETING_ENDED) -> None:
        """End the stream: tell the client why, close its sockets, post the stop webhook.

        Returns when the sockets are closed. Later calls do nothing but wait for that.
        """
        if self.is_over:
            self.finished.wait()
            return
        self.stop_reason = int(reason)
        try:
            self._say_goodbye(int(reason))
        finally:
            self.finished.set()

    def _say_goodbye(self, reason: int) -> None:
        self._stop_playing()
        self._forget_windows()
        with patience(END_PATIENCE):
            for lane in self.lanes.values():
                lane.finish()
            for media in list(self.media):
                media.drain()
        self._change_session_state(SessionState.STOPPED, reason)
        self._change_stream_state(StreamState.TERMINATED, reason)
        connections = self.connections("all_sockets")
        with patience(END_PATIENCE):
            for connection in connections:
                connection.ended.wait()
        for connection in connections:
            connection.close(1000, "stream ended")
        for connection in connections:
            connection.ended.wait()
        self._post("stopped", stop_reason=reason)

    def shut_down(self) -> None:
        """Take everything away at once, without goodbyes; the simulator ends."""
        if self.stop_reason is None:
            self.stop_reason = int(StopReason.EXIT_SIGNAL)
        self._stop_playing()
        self._forget_windows()
        for connection in self.connections("all_sockets"):
            connection.close(1001, "simulator stops")
        self._greenlets.kill()
        self.finished.set()

    # -- faults ------------------------------------------------------------------------------------

    def connections(self, which: str) -> list[Connection]:
        """Return the open sockets that ``which`` names.

        Args:
            which: "signaling", "media" for all media sockets, the name of a media type (also
                finds the unified socket), "all" for the unified socket, or "all_sockets".
        """
        found: list[Connection] = []
        if self.signaling is not None and which in ("signaling", "all_sockets"):
            found.append(self.signaling)
        for connection in self.media:
            carried = {MEDIA_KEYS[kind] for kind in connection.media_types}
            if which in ("media", "all_sockets", connection.role) or which in carried:
                found.append(connection)
        return found

    def close_sockets(self, which: str = "all_sockets", code: int = 1000, reason: str = "") -> int:
        """Send close frames with ``code``; return to how many sockets."""
        found = self.connections(which)
        for connection in found:
            connection.close(code, reason)
        return len(found)

    def reset_sockets(self, which: str = "all_sockets") -> int:
        """Break TCP connections without a close frame (RST); return how many."""
        found = self.connections(which)
        for connection in found:
            connection.reset()
        return len(found)

    def announce_interruption(self) -> None:
        """Post the webhook that says that the signaling socket was lost; see ``faults.py``."""
        self._disturb()
        self._post_later("interrupted")

    def move(self, *, dies: bool) -> None:
        """Go to new addresses, and post a start webhook with them; see ``faults.py``.

        Args:
            dies: the old addresses break all sockets from now on.
        """
        moves = len(self.keys)
        if dies:
            self._dead.update(self.keys)
            self._dead.add("")  # where every signaling socket is opened at first
        self.keys.append(f"{self.keys[0]}m{moves}")
        self.server_urls = f"{self._base_url}/signaling/{self.keys[-1]}"
        self.media_urls = self._make_media_urls()
        self._started_ts = max(milliseconds(), self._started_ts + 1)
        self._disturb()
        if dies:
            self.reset_sockets("all_sockets")
        self._greenlets.spawn(self._deliver, self.started_event)

    def is_dead(self, address: str) -> bool:
        """Whether a server of this address has failed."""
        return address in self._dead

    def _disturb(self) -> None:
        self._has_been_interrupted = True
        for connection in self.connections("all_sockets"):
            connection.is_disturbed = True

    def buffer_audio(self, seconds: float) -> None:
        """Keep audio while there is no socket for it, and send it when there is, as Zoom does.

        Args:
            seconds: of audio at most; 0 keeps none. What was kept before any client was ready is
                not sent to one whose first message says ``"buffer_data": false``.
        """
        self.lanes[MediaDataType.AUDIO].keeps = seconds

    # -- sending by hand ---------------------------------------------------------------------------

    def send_audio(
        self,
        data: bytes,
        user_id: int | None = None,
        user_name: str | None = None,
        *,
        timestamp: int | None = None,
        channel_id: str | None = None,
    ) -> bool:
        """Send one packet of audio as it is, in whatever codec.

        Args:
            data: the packet; base64 is added here.
            user_id: who speaks; 0 where voices are mixed; the scenario's first participant if
                not given.
            user_name: looked up in the scenario if not given.
            timestamp: ms since the epoch; now if not given.
            channel_id: for Contact Center and phone, instead of ``user_id``.

        Returns:
            Whether a client that is ready has a socket for it.
        """
        content = {
            **self._speaker(user_id, user_name, channel_id),
            "data": base64.b64encode(data).decode(),
            "length": len(data),
            "timestamp": milliseconds() if timestamp is None else timestamp,
        }
        return self._send_media(MediaDataType.AUDIO, content, data)

    def send_video(
        self,
        data: bytes,
        user_id: int | None = None,
        user_name: str | None = None,
        *,
        timestamp: int | None = None,
    ) -> bool:
        """Send one video frame; where video is per participant, only if that one is subscribed."""
        content = self._picture(data, user_id, user_name, timestamp)
        return self._send_media(MediaDataType.VIDEO, content, data)

    def send_deskshare(
        self,
        data: bytes,
        user_id: int | None = None,
        user_name: str | None = None,
        *,
        timestamp: int | None = None,
    ) -> bool:
        """Send one frame of the shared screen."""
        content = self._picture(data, user_id, user_name, timestamp)
        return self._send_media(MediaDataType.DESKSHARE, content, data)

    def send_transcript(
        self,
        text: str,
        user_id: int | None = None,
        user_name: str | None = None,
        *,
        start_time: int | None = None,
        end_time: int | None = None,
        timestamp: int | None = None,
        language: int = 9,
        attribute: int | None = None,
    ) -> bool:
        """Send one piece of transcript; times are ms since the epoch, now if not given."""
        now = milliseconds()
        start_time = now if start_time is None else start_time
        content = {
            **self._speaker(user_id, user_name, None),
            "data": text,
            "start_time": start_time,
            "end_time": now if end_time is None else end_time,
            "timestamp": start_time if timestamp is None else timestamp,
            "language": language,
        }
        if attribute is not None:
            content["attribute"] = attribute
        return self._send_media(MediaDataType.TRANSCRIPT, content, text.encode())

    def send_chat(
        self,
        text: str,
        user_id: int | None = None,
        user_name: str | None = None,
        *,
        timestamp: int | None = None,
        **fields: Any,
    ) -> bool:
        """Send one chat message to everyone; ``fields`` are added to the content as they are."""
        content: dict[str, Any] = {
            "timestamp": milliseconds() if timestamp is None else timestamp,
            "data": text,
            "message_id": str(uuid.uuid4()),
            "operation_type": 1,
            "chat_session": {"type": 1},
            "sender": self._speaker(user_id, user_name, None),
            **fields,
        }
        return self._send_media(MediaDataType.CHAT, content, text.encode())

    def send_event(self, event: dict[str, Any], *, to_all: bool = False) -> bool:
        """Send one event update, if the client has subscribed to its number.

        Args:
            event: with ``event_type``; a time is added where there is none. Phone calls have
                ``event_code`` instead of ``event_type``, which is done here.
            to_all: send it to a client that has not subscribed, too.
        """
        event = dict(event)
        number = event.get("event_type", event.get("event_code"))
        of_engagement = self.product is Product.CONTACT_CENTER and number not in range(8)
        event.setdefault("event_ts" if of_engagement else "timestamp", milliseconds())
        if self.product is Product.PHONE and "event_type" in event:
            event["event_code"] = event.pop("event_type")
        signaling = self.signaling
        if signaling is None or not (
            to_all or number in _AUTOMATIC or number in signaling.subscriptions
        ):
            return False
        if not signaling.send({"msg_type": MessageType.EVENT_UPDATE, "event": event}):
            return False
        self.events_sent.append(event)
        return True

    def set_session_state(self, state: int, reason: int | None = None) -> bool:
        """Tell the client a new state of the session; pausing also pauses the scenario's media.

        Args:
            state: a :class:`~rtms_gevent.enums.SessionState`, or any other number.
            reason: a :class:`~rtms_gevent.enums.StopReason`; None sends one with a stop only.
        """
        return self._change_session_state(state, reason)

    def set_stream_state(self, state: int, reason: int = StopReason.UNDEFINED) -> bool:
        """Tell the client a new state of the stream, and nothing more; see :meth:`stop`."""
        return self._change_stream_state(state, reason)

    def send_message(self, which: str, message: dict[str, Any] | bytes) -> int:
        """Send anything at all, as JSON or as it is: for tests of what servers should not do.

        Args:
            which: as for :meth:`connections`.
            message: is not counted as media, whatever it is.

        Returns:
            To how many sockets it went.
        """
        return sum(connection.send(message) for connection in self.connections(which))

    # -- how it is sent ----------------------------------------------------------------------------

    def _speaker(
        self, user_id: int | None, user_name: str | None, channel_id: str | None
    ) -> dict[str, Any]:
        if user_id is None:
            user_id = self.scenario.first_person.user_id
        person = self.scenario.person_of(user_id)
        if self.product in (Product.CONTACT_CENTER, Product.PHONE):
            if channel_id is None:
                channel_id = person.channel_id if person is not None else str(user_id)
            return {"channel_id": channel_id}
        if user_name is None:
            user_name = person.name if person is not None else ""
        return {"user_id": user_id, "user_name": user_name}

    def _picture(
        self, data: bytes, user_id: int | None, user_name: str | None, timestamp: int | None
    ) -> dict[str, Any]:
        return {
            **self._speaker(user_id, user_name, None),
            "data": base64.b64encode(data).decode(),
            "length": len(data),
            "timestamp": milliseconds() if timestamp is None else timestamp,
        }

    def media_socket(self, kind: MediaDataType) -> MediaConnection | None:
        """Return the socket of a ready client that carries ``kind``, if there is one."""
        for connection in self.media:
            if connection.is_ready and kind in connection.media_types:
                return connection
        return None

    def wants_video_of(self, user_id: int) -> bool:
        """Whether video is asked for of whoever speaks, or of ``user_id``."""
        params = self.lanes[MediaDataType.VIDEO].params
        if params is None:
            return False
        if params["data_opt"] != DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM:
            return True
        return self.signaling is not None and self.signaling.video_of == user_id

    def _send_media(self, kind: MediaDataType, content: dict[str, Any], payload: bytes) -> bool:
        if (
            kind is MediaDataType.VIDEO
            and self.lanes[kind].params is not None
            and not self.wants_video_of(content.get("user_id", 0))
        ):
            return False
        return self.lanes[kind].send(content, payload)

    def _note_first_packet(self, timestamp: int) -> None:
        if not self._had_first_packet:
            self._had_first_packet = True
            self.send_event(
                {"event_type": int(EventType.FIRST_PACKET_TIMESTAMP), "timestamp": timestamp}
            )

    def _change_session_state(self, state: int, reason: int | None = None) -> bool:
        self.session_state = known(SessionState, state)
        message = {
            "msg_type": MessageType.SESSION_STATE_UPDATE,
            "rtms_session_id": self.session_id,
            "state": int(state),
            "timestamp": milliseconds(),
        }
        if reason is None and state == SessionState.STOPPED:
            reason = StopReason.UNDEFINED
        if reason is not None:
            message["stop_reason"] = int(reason)
        return self._tell(message)

    def _change_stream_state(self, state: int, reason: int) -> bool:
        self.stream_state = known(StreamState, state)
        return self._tell(
            {
                "msg_type": MessageType.STREAM_STATE_UPDATE,
                "state": int(state),
                "reason": int(reason),
                "timestamp": milliseconds(),
            }
        )

    def _tell(self, message: dict[str, Any]) -> bool:
        return self.signaling is not None and self.signaling.send(message)

    # -- called by connections ---------------------------------------------------------------------

    def attach_signaling(self, connection: SignalingConnection, *, buffer_data: bool) -> None:
        """A client has opened the signaling socket.

        Args:
            connection: its socket.
            buffer_data: whether it wants what was kept before anyone was ready.
        """
        self._wants_start = buffer_data
        self._attach(connection)
        evicted, self.signaling = self.signaling, connection
        stale, self.media = self.media, []
        if evicted is not None:
            self._ready.clear()
            for old in (evicted, *stale):  # apart from us: a client may read nothing for long
                self._greenlets.spawn(old.close, 1000, "another client has joined")
        else:
            for media in stale:
                media.reset()  # of a client that was lost
        self._close_window("signaling")

    def _attach(self, connection: Connection) -> None:
        connection.number = next(self._socket_numbers)
        self.faults.opened(connection)

    def detach_signaling(self, connection: SignalingConnection) -> None:
        """The signaling socket is gone; a client that was lost may come back within a window."""
        if self.signaling is not connection:
            return  # another client has its place
        self.signaling = None
        self._ready.clear()
        if self.is_over:
            return
        is_coming_back = self._has_been_interrupted or (
            self._player is not None and not connection.is_ready
        )
        if connection.was_closed_by_client and not is_coming_back:
            self._stop_playing()  # it left; whoever joins next hears everything from the start
            self._forget_windows()
            for lane in self.lanes.values():
                lane.forget()
            for media in self.media:
                media.close(1000, "signaling socket gone")
            return
        self._has_been_interrupted = True
        # Its media sockets stay until it comes back with new ones, but nothing flows on them.
        for media in self.media:
            media.is_ready = False
        self._post_later("interrupted")
        self._open_window("signaling", self._options.signaling_window)

    def attach_media(self, connection: MediaConnection) -> None:
        """A client has opened a media socket."""
        if self.signaling is not None:
            self.signaling.had_media = True
        self._attach(connection)
        self.media.append(connection)

    def detach_media(self, connection: MediaConnection) -> None:
        """A media socket is gone; where the client did not say goodbye, it is told so."""
        if connection not in self.media:
            return
        self.media.remove(connection)
        if self.is_over or self.signaling is None or connection.was_closed_by_client:
            return
        self.send_event({"event_type": int(EventType.MEDIA_CONNECTION_INTERRUPTED)})
        self._change_stream_state(StreamState.INTERRUPTED, StopReason.DATA_CONNECTION_INTERRUPTED)
        self._open_window(connection.role, self._options.media_window)

    def client_ready(self) -> None:
        """The client says that media may flow on the sockets it has opened so far."""
        if self.is_over:
            return
        for connection in self.media:
            connection.is_ready = True
            self._close_window(connection.role)
            for kind in connection.media_types:
                params = connection.params[MEDIA_KEYS[kind]]
                self.lanes[kind].opened(params, wants_start=self._wants_start)
        assert self.signaling is not None
        if not self.signaling.is_ready:
            self.signaling.is_ready = True
            self._change_session_state(SessionState.STARTED)
        if self.stream_state != StreamState.ACTIVE:
            self._change_stream_state(StreamState.ACTIVE, StopReason.UNDEFINED)
        if self._player is None:
            self._had_first_packet = False
            self._player = self._make_player(self)
            self._player.start()
        self._ready.set()

    def subscribed(self, number: int) -> None:
        """The client has subscribed to an event: tell it what is so already."""
        room = self.room
        if self.product is Product.CONTACT_CENTER:
            events = room.engagement_so_far(number, self.scenario.first_person)
        else:
            events = room.state_so_far(number)
        for event in events:
            self.send_event(event)

    def client_closed_stream(self) -> None:
        """The client asked to close the stream."""
        self.end_later(StopReason.RECEIVER_REQUEST_CLOSE)

    def end_later(self, reason: int) -> None:
        """Stop in a greenlet of the meeting's own: for those whom :meth:`stop` would wait for."""
        self._greenlets.spawn(self.stop, reason)

    def keep_alive_failed(self, connection: Connection) -> None:
        """The client does not answer keep-alives on ``connection``; it counts as lost."""
        is_signaling = connection is self.signaling
        for lost in self.connections("all_sockets") if is_signaling else [connection]:
            lost.close(1008, "keep-alive timeout")

    # -- windows for coming back -------------------------------------------------------------------

    def _open_window(self, role: str, seconds: float) -> None:
        self._close_window(role)
        self._windows[role] = gevent.spawn_later(seconds, self._window_passed, role)

    def _close_window(self, role: str) -> None:
        timer = self._windows.pop(role, None)
        if timer is not None:
            timer.kill(block=False)

    def _window_passed(self, role: str) -> None:
        del self._windows[role]
        self.end_later(StopReason.AWAIT_RECONNECTION_TIMEOUT)

    def _forget_windows(self) -> None:
        for role in list(self._windows):
            self._close_window(role)

    def _stop_playing(self) -> None:
        player, self._player = self._player, None
        if player is not None:
            player.stop()
        self.room = Room()

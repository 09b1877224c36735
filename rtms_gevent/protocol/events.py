"""Translates messages of the signaling socket to events for the user, and names speakers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from sys import getsizeof
from typing import Any, NamedTuple

from ..enums import ContactCenterEventType, EventType, MediaDataType, SessionState
from .bounded import BoundedTable, footprint
from .messages import EventUpdate, SessionStateUpdate
from .metadata import Metadata
from .packets import MediaPacket
from .people import ChannelParticipant, Participant

__all__ = [
    "SESSION_EVENT_ADD",
    "SESSION_EVENT_PAUSE",
    "SESSION_EVENT_RESUME",
    "SESSION_EVENT_STOP",
    "SESS_STATUS_ACTIVE",
    "SESS_STATUS_PAUSED",
    "USER_JOIN",
    "USER_LEAVE",
    "ClientEvent",
    "EventTranslator",
    "Session",
]

# The official SDK's numbers for callbacks; they do not travel.
SESSION_EVENT_ADD, SESSION_EVENT_STOP, SESSION_EVENT_PAUSE, SESSION_EVENT_RESUME = 1, 2, 3, 4
SESS_STATUS_ACTIVE, SESS_STATUS_PAUSED = 0, 1
USER_JOIN, USER_LEAVE = 0, 1

_SESSION_OPS = {
    SessionState.STARTED: SESSION_EVENT_ADD,
    SessionState.PAUSED: SESSION_EVENT_PAUSE,
    SessionState.RESUMED: SESSION_EVENT_RESUME,
    SessionState.STOPPED: SESSION_EVENT_STOP,
}


class ClientEvent(NamedTuple):
    """Something to report to the user."""

    name: str  #: of a signal and, with ``on_`` before it, of a callback
    arguments: tuple[Any, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """A session, as ``on_session_update`` gets it."""

    sessionId: str
    streamId: str
    meetingId: str
    statTime: int  #: ms since the epoch
    status: int  #: SESS_STATUS_ACTIVE or SESS_STATUS_PAUSED
    isActive: bool
    isPaused: bool


class EventTranslator:
    """Turns messages into events for the user, and remembers who is there. Pure."""

    def __init__(self, stream_id: str, uuid: str) -> None:
        self._stream_id = stream_id
        self._uuid = uuid
        self._names: BoundedTable[int, str] = BoundedTable()
        self._channels: BoundedTable[str, ChannelParticipant] = BoundedTable()
        self._sessions: BoundedTable[str, None] = BoundedTable()
        self._speaker = ""
        #: Metadata of mixed audio, and the same with the speaker's name.
        self._named: tuple[Metadata, Metadata] | None = None

    @property
    def forgotten(self) -> int:
        """How many participants, channels and sessions are not known any more: too many came."""
        return self._names.forgotten + self._channels.forgotten + self._sessions.forgotten

    def from_event_update(self, update: EventUpdate) -> Iterator[ClientEvent]:
        """Yield what an event update means; ``event_ex`` comes last, and always."""
        if update.channel is not None:
            self._remember_channel(update.channel)
        # The two enums overlap in value, so the kind has to be looked at before the number.
        if isinstance(update.event_type, EventType):
            yield from self._meeting_event(update)
        elif isinstance(update.event_type, ContactCenterEventType):
            self._forget_channel(update)
        text = json.dumps(update.event, sort_keys=True, separators=(",", ":"))
        yield ClientEvent("event_ex", (text, update))

    def _meeting_event(self, update: EventUpdate) -> Iterator[ClientEvent]:
        kind, timestamp = update.event_type, update.timestamp or 0
        if kind is EventType.PARTICIPANT_JOIN or kind is EventType.PARTICIPANT_LEAVE:
            yield from self._coming_or_going(update, timestamp)
        elif kind is EventType.ACTIVE_SPEAKER_CHANGE:
            user_id = update.user_id or 0
            name = update.user_name or self._names.get(user_id, "")
            self._speaker, self._named = name, None
            yield ClientEvent("active_speaker_event", (timestamp, user_id, name))
        elif kind is EventType.SHARING_START:
            yield ClientEvent(
                "sharing_event", ("start", timestamp, update.user_id, update.user_name or None)
            )
        elif kind is EventType.SHARING_STOP:
            yield ClientEvent("sharing_event", ("stop", timestamp, None, None))
        elif kind is EventType.MEDIA_CONNECTION_INTERRUPTED:
            yield ClientEvent("media_connection_interrupted", (timestamp,))
        elif kind is EventType.PARTICIPANT_VIDEO_ON or kind is EventType.PARTICIPANT_VIDEO_OFF:
            people = [person.id for person in update.participants if person.id]
            yield ClientEvent("participant_video", (people, kind is EventType.PARTICIPANT_VIDEO_ON))

    def _coming_or_going(self, update: EventUpdate, timestamp: int) -> Iterator[ClientEvent]:
        joins = update.event_type is EventType.PARTICIPANT_JOIN
        people = []
        for person in update.participants:
            # Zoom sends no names with those who leave.
            name = person.name or self._names.get(person.id, "")
            people.append({"user_id": person.id, "user_name": name})
            if joins and person.id:  # ids that are no numbers cannot be distinguished
                self._names.remember(person.id, name, getsizeof(name))
            elif not joins:
                self._names.forget(person.id)
            op = USER_JOIN if joins else USER_LEAVE
            yield ClientEvent("user_update", (op, Participant(person.id, name)))
        yield ClientEvent("participant_event", ("join" if joins else "leave", timestamp, people))

    def from_session_state(self, update: SessionStateUpdate) -> Iterator[ClientEvent]:
        """Yield ``session_state``, and ``session_update`` where the state is a change."""
        yield ClientEvent(
            "session_state", (update.state, update.session_id, update.reason, update.timestamp)
        )
        op = _SESSION_OPS.get(update.state) if isinstance(update.state, SessionState) else None
        known = update.session_id in self._sessions
        if op is None or (op == SESSION_EVENT_ADD) is known:
            return
        if op == SESSION_EVENT_ADD:
            self._sessions.remember(update.session_id, None, getsizeof(update.session_id))
        elif op == SESSION_EVENT_STOP:
            self._sessions.forget(update.session_id)
        paused = op == SESSION_EVENT_PAUSE
        session = Session(
            sessionId=update.session_id,
            streamId=self._stream_id,
            meetingId=self._uuid,
            statTime=update.timestamp or 0,
            status=SESS_STATUS_PAUSED if paused else SESS_STATUS_ACTIVE,
            isActive=op in (SESSION_EVENT_ADD, SESSION_EVENT_RESUME),
            isPaused=paused,
        )
        yield ClientEvent("session_update", (op, session))

    def with_speaker(self, packet: MediaPacket) -> MediaPacket:
        """Return the packet with who it is from, where it does not say so itself.

        That is who is on the channel that a Contact Center or phone packet came from, and the
        active speaker for mixed audio, marked as such.
        """
        metadata = packet.metadata
        if metadata.channelId:
            who = self._channels.get(metadata.channelId)
            if who is None:
                return packet
            name = metadata.userName or who.display_name
            metadata = dataclasses.replace(metadata, channel=who, userName=name)
        elif (
            packet.media_type is MediaDataType.AUDIO
            and not metadata.userName
            and metadata.userId <= 0
            and self._speaker
        ):
            metadata = self._with_active_speaker(metadata)
        else:
            return packet
        return packet._replace(metadata=metadata)

    def _with_active_speaker(self, metadata: Metadata) -> Metadata:
        """Return ``metadata`` of mixed audio with the active speaker's name."""
        # Packets share theirs, so that one is nearly always the same as before.
        if self._named is None or self._named[0] is not metadata:
            named = dataclasses.replace(metadata, userName=self._speaker, isActiveSpeaker=True)
            self._named = metadata, named
        return self._named[1]

    def _remember_channel(self, who: ChannelParticipant) -> None:
        known = self._channels.get(who.channel_id)
        # An event that names nobody, such as a hold, must not make us forget who it is.
        if who.channel_id and (who.display_name or known is None):
            size = footprint(dataclasses.asdict(who))
            self._channels.remember(who.channel_id, who, size)

    def _forget_channel(self, update: EventUpdate) -> None:
        if update.channel is not None and update.event_type in (
            ContactCenterEventType.CONSUMER_END,
            ContactCenterEventType.USER_END,
        ):
            self._channels.forget(update.channel.channel_id)

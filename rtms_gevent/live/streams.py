"""What the live page knows of one stream: bounded, plain data, no I/O.

By the revisions of :mod:`rtms_gevent.live.model` a viewer that comes late and one that was too slow
are served by the same few lines as one that is up to date.

Not safe for threads: :class:`~rtms_gevent.live.feed.Feed` holds its lock around every call.
"""

from __future__ import annotations

import collections
from typing import Any

from ..enums import MediaDataType
from . import meter
from .model import MAX_NAME, Lines, NextRevision, Participant, Picture

__all__ = ["MEDIA_NAMES", "LiveStream"]

#: Participants that are kept per stream; those who left go first.
MAX_PARTICIPANTS = 500
#: Problems that are kept per stream.
MAX_PROBLEMS = 20
#: Seconds between two looks at how loud a participant is.
LEVEL_INTERVAL = 0.1
#: Seconds after which a level counts no more.
LEVEL_LIFE = 1.0
#: Bytes of a picture that is kept; one of a whole screen has far fewer.
MAX_PICTURE = 4_000_000

#: Media types as the page calls them.
MEDIA_NAMES = {
    MediaDataType.AUDIO: "audio",
    MediaDataType.VIDEO: "video",
    MediaDataType.DESKSHARE: "deskshare",
    MediaDataType.TRANSCRIPT: "transcript",
    MediaDataType.CHAT: "chat",
}


class LiveStream:
    """One stream as the page shows it."""

    def __init__(self, stream_id: str, uuid: str, next_revision: NextRevision, now: float) -> None:
        self.id = stream_id
        self.ended: float | None = None  #: seconds since the epoch
        self.watchers = 0  #: viewers that look at this stream; nothing is measured for none
        self.transcript = Lines(next_revision)
        self.chat = Lines(next_revision)
        self.messages = dict.fromkeys(MEDIA_NAMES.values(), 0)
        self.bytes = dict.fromkeys(MEDIA_NAMES.values(), 0)
        self.dropped = dict.fromkeys(MEDIA_NAMES.values(), 0)
        self._next_revision = next_revision
        self._uuid = uuid[:MAX_NAME]
        self._product = "meeting"
        self._state = "joining"
        self._reason = ""
        self._began = now
        self._formats: dict[str, str] = {}
        self._participants: dict[str, Participant] = {}
        self._forgotten = 0  # participants, since there were too many
        self._forgotten_revision = 0
        self._speaker: Participant | None = None
        self._pictures: dict[str, Picture] = {}
        self._cleared: dict[str, int] = {}
        self._problems: collections.deque[tuple[int, dict[str, Any]]] = collections.deque(
            maxlen=MAX_PROBLEMS
        )
        self._problem_count = 0
        self._revision = next_revision()

    # -- what happens ------------------------------------------------------------------------------

    def describe(self, *, uuid: str | None = None, product: str | None = None) -> None:
        """Note which meeting it is."""
        self._uuid = (uuid or self._uuid)[:MAX_NAME]
        self._product = product or self._product
        self._revision = self._next_revision()

    def set_state(self, state: str, reason: str = "") -> None:
        """Go to a state: joining, live, interrupted, paused, ending or ended."""
        if (state, reason) != (self._state, self._reason):
            self._state, self._reason = state, reason
            self._revision = self._next_revision()

    def end(self, reason: str, now: float) -> None:
        """Note that the stream is over; what was seen of it stays."""
        self.ended = now
        self.set_state("ended", reason)
        for kind in list(self._pictures):
            self.clear_picture(kind)
        for participant in self._participants.values():
            self._change(participant, speaking=False, sharing=False, video=False)

    def resume(self) -> None:
        """Note that the stream goes on: it was joined once more after its end."""
        self.ended = None
        self.set_state("joining")

    def count(self, media: str, size: int) -> None:
        """Count one packet of ``size`` bytes; media flows, so an interruption is over."""
        self.messages[media] += 1
        self.bytes[media] += size
        if self._state == "interrupted" or self._state == "joining":
            self.set_state("live")

    def add_problem(self, text: str, now: float) -> None:
        """Note what went wrong."""
        self._problem_count += 1
        item = {"id": self._problem_count, "text": text[:500], "at": round(now * 1000)}
        self._problems.append((self._next_revision(), item))

    def is_level_due(self, user: str, name: str, now: float) -> bool:
        """Return whether to measure how loud a participant is: somebody looks, and it is time.

        Args:
            user: Id of the participant; "0" for mixed audio.
            name: Name of the participant, empty where it is not known.
            now: Monotonic seconds.
        """
        participant = self._participants.get(user) or self._add_participant(user, name)
        return bool(self.watchers) and now - participant.level_at >= LEVEL_INTERVAL

    def set_level(self, user: str, level: int | None, now: float) -> None:
        """Note how loud a participant is, from 0 to 100; ``None`` where it cannot be measured."""
        participant = self._participants.get(user)
        if participant is not None:
            participant.level = level
            participant.level_at = now
            participant.level_revision = self._next_revision()

    def keep_picture(self, kind: str, user: str, name: str, data: bytes) -> None:
        """Keep a frame of video or screen share as the latest one, if a browser can show it.

        One of more than :data:`MAX_PICTURE` bytes is not kept, nor the one before it.

        Args:
            kind: "video" or "deskshare".
            user: Id of the participant.
            name: Name of the participant.
            data: The packet.
        """
        mime = meter.picture_type(data) or "unknown"
        if len(data) > MAX_PICTURE and mime.startswith("image/"):
            mime = "too large"
            self.clear_picture(kind)
        if self._formats.get(kind) != mime:
            self._formats[kind] = mime
            self._revision = self._next_revision()
        if mime.startswith("image/"):
            self._pictures[kind] = Picture(
                stream_id=self.id,
                kind=kind,
                user=user,
                name=name[:MAX_NAME],
                mime=mime,
                data=data,
                number=self.messages[kind],
                revision=self._next_revision(),
            )

    def clear_picture(self, kind: str) -> None:
        """Forget the latest frame, since the camera or the share was switched off."""
        if self._pictures.pop(kind, None) is not None:
            self._cleared[kind] = self._next_revision()

    def participant_joined(self, user: str, name: str) -> None:
        """Note that a participant is there."""
        participant = self._participants.get(user)
        if participant is None:
            self._add_participant(user, name)
        else:
            self._change(participant, name=name[:MAX_NAME] or participant.name, present=True)

    def participant_left(self, user: str) -> None:
        """Note that a participant left."""
        participant = self._participants.get(user)
        if participant is not None:
            self._change(participant, present=False, speaking=False, sharing=False, video=False)

    def set_speaker(self, user: str, name: str) -> None:
        """Note who speaks now; nobody else does."""
        if self._speaker is not None and self._speaker.id != user:
            self._change(self._speaker, speaking=False)
        self.participant_joined(user, name)
        self._speaker = self._participants[user]
        self._change(self._speaker, speaking=True)
        self._revision = self._next_revision()

    def set_sharing(self, user: str | None, name: str, *, starts: bool) -> None:
        """Note that a participant shares the screen, or that the share is over."""
        if starts and user is not None:
            self.participant_joined(user, name)
        for participant in self._participants.values():
            self._change(participant, sharing=starts and participant.id == user)
        if not starts:
            self.clear_picture("deskshare")

    def set_video(self, user: str, *, is_on: bool) -> None:
        """Note that a participant switched the camera on or off."""
        participant = self._participants.get(user) or self._add_participant(user, "")
        self._change(participant, video=is_on)
        picture = self._pictures.get("video")
        if not is_on and picture is not None and picture.user == user:
            self.clear_picture("video")

    def _add_participant(self, user: str, name: str) -> Participant:
        while len(self._participants) >= MAX_PARTICIPANTS:
            gone = next((p for p in self._participants.values() if not p.present), None)
            del self._participants[gone.id if gone else next(iter(self._participants))]
            self._forgotten += 1
            self._forgotten_revision = self._next_revision()
        participant = Participant(user, name[:MAX_NAME], self._next_revision())
        self._participants[user] = participant
        return participant

    def _change(self, participant: Participant, **fields: Any) -> None:
        for field, value in fields.items():
            if getattr(participant, field) != value:
                setattr(participant, field, value)
                participant.revision = self._next_revision()

    # -- what viewers get --------------------------------------------------------------------------

    def about(self, since: int) -> dict[str, Any] | None:
        """Return what the list of streams shows of this one, ``None`` if nothing is new."""
        if self._revision <= since:
            return None
        return {
            "id": self.id,
            "uuid": self._uuid,
            "product": self._product,
            "state": self._state,
            "reason": self._reason,
            "began": round(self._began * 1000),
            "ended": None if self.ended is None else round(self.ended * 1000),
            "speaker": self._speaker.name if self._speaker and self._speaker.speaking else "",
            "formats": dict(self._formats),
        }

    def detail(self, since: int, now: float) -> dict[str, Any]:
        """Return all else that is newer than ``since``, without empty parts and the counters.

        Args:
            since: Revision up to which the viewer knows everything.
            now: Monotonic seconds.
        """
        parts = {
            "participants": [
                participant.shown()
                for participant in self._participants.values()
                if participant.revision > since
            ],
            "levels": {
                participant.id: participant.level
                for participant in self._participants.values()
                if participant.level_revision > since and now - participant.level_at < LEVEL_LIFE
            },
            "forgotten": self._forgotten if self._forgotten_revision > since else 0,
            "transcript": self.transcript.since(since),
            "chat": self.chat.since(since),
            "problems": [item for revision, item in self._problems if revision > since],
            "clear": [kind for kind, revision in self._cleared.items() if revision > since],
        }
        return {name: part for name, part in parts.items() if part}

    def pictures(self, since: int) -> list[Picture]:
        """Return the frames that are newer than ``since``."""
        return [picture for picture in self._pictures.values() if picture.revision > since]

    def counters(self) -> dict[str, list[int]]:
        """Return per media type: messages, bytes, dropped messages."""
        return {
            media: [self.messages[media], self.bytes[media], self.dropped[media]]
            for media in MEDIA_NAMES.values()
        }

    def stats(self) -> dict[str, Any]:
        """Return what ``/stats`` shows of this stream: numbers, and no word that anybody said."""
        return {
            "stream_id": self.id,
            "state": self._state,
            "participants": sum(1 for p in self._participants.values() if p.present),
            "participants_forgotten": self._forgotten,
            "transcript_lines": self.transcript.count,
            "media": {
                media: {"messages": messages, "bytes": size, "dropped": dropped}
                for media, (messages, size, dropped) in self.counters().items()
            },
        }

"""What the live page knows of one stream: bounded, plain data, no I/O.

Everything that changes gets a *revision* from one counter. Whoever remembers the revision up to
which it has seen everything can ask for what is newer; zero gives all. So a viewer that comes late
and one that was too slow are served by the same few lines as one that is up to date.

Not safe for threads: :class:`~rtms_gevent.live.feed.Feed` holds its lock around every call.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
from collections.abc import Callable
from typing import Any

from ..enums import MediaDataType, MessageAttribute
from . import meter

__all__ = ["Lines", "LiveStream", "Picture"]

#: Transcript and chat lines that are kept per stream.
HISTORY = 200
#: Participants that are kept per stream; those who left go first.
MAX_PARTICIPANTS = 500
#: Problems that are kept per stream.
MAX_PROBLEMS = 20
#: Seconds between two looks at how loud a participant is.
LEVEL_INTERVAL = 0.1
#: Seconds after which a level is old news.
LEVEL_LIFE = 1.0
#: Characters of one line and of one name; what is longer is cut.
MAX_TEXT = 4000
MAX_NAME = 200
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

Stamp = Callable[[], int]


class Lines:
    """The last lines of a transcript or chat, which later messages may revise or delete."""

    def __init__(self, stamp: Stamp, limit: int = HISTORY) -> None:
        self._stamp = stamp
        self._limit = limit
        self._lines: collections.OrderedDict[int, dict[str, Any]] = collections.OrderedDict()
        self._revisions: dict[int, int] = {}
        self._ids: dict[object, int] = {}  # by key
        self._keys: dict[int, object] = {}  # by id
        self._last_id = 0
        self._newest = 0
        self.count = 0  #: messages seen, revisions and deletions included

    def apply(
        self, attribute: int, key: object, user: str, name: str, text: str, at: int | None
    ) -> None:
        """Add a line, or revise or delete the one with the same ``key``.

        Args:
            attribute: A MessageAttribute. An update of a line that is not known becomes a line; a
                deletion of one is ignored.
            key: What identifies the line in later messages; a later line may take it over.
            user: Id of who said or wrote it.
            name: Name of that participant, as they typed it.
            text: The words, as they were said or typed.
            at: Milliseconds since the epoch.
        """
        self.count += 1
        known = self._ids.get(key)
        if attribute == MessageAttribute.DELETE:
            if known is not None:
                self._change(known, text="", deleted=True)
        elif attribute == MessageAttribute.UPDATE and known is not None:
            self._change(known, text=text[:MAX_TEXT], edited=True)
        else:
            self._add(key, user=user, name=name[:MAX_NAME], text=text[:MAX_TEXT], at=at)

    def since(self, revision: int) -> list[dict[str, Any]]:
        """Return the lines that are newer than ``revision``, oldest first."""
        if self._newest <= revision:
            return []
        return [line for id_, line in self._lines.items() if self._revisions[id_] > revision]

    def _add(self, key: object, **fields: Any) -> None:
        self._last_id += 1
        self._ids[key] = self._last_id
        self._keys[self._last_id] = key
        self._lines[self._last_id] = {"id": self._last_id, **fields}
        self._touch(self._last_id)
        while len(self._lines) > self._limit:
            oldest, _ = self._lines.popitem(last=False)
            del self._revisions[oldest]
            key = self._keys.pop(oldest)
            if self._ids.get(key) == oldest:
                del self._ids[key]

    def _change(self, id_: int, **fields: Any) -> None:
        # A new dict, since the old one may be on its way to a viewer.
        self._lines[id_] = {**self._lines[id_], **fields}
        self._touch(id_)

    def _touch(self, id_: int) -> None:
        self._newest = self._revisions[id_] = self._stamp()


@dataclasses.dataclass(slots=True)
class Participant:
    """Somebody in the meeting, or a channel of an engagement."""

    id: str
    name: str
    revision: int
    present: bool = True
    speaking: bool = False
    video: bool = False
    sharing: bool = False
    level: int | None = 0  #: 0 to 100; None where there is audio that we cannot measure
    level_revision: int = 0
    level_at: float = 0.0  #: monotonic seconds

    def shown(self) -> dict[str, Any]:
        """Return what the page shows of it."""
        return {
            "id": self.id,
            "name": self.name,
            "present": self.present,
            "speaking": self.speaking,
            "video": self.video,
            "sharing": self.sharing,
        }


@dataclasses.dataclass(frozen=True)
class Picture:
    """The latest frame of a kind. Encoded when the first viewer asks, and once for all of them."""

    stream_id: str
    kind: str  #: "video" or "deskshare"
    user: str
    name: str
    mime: str
    data: bytes
    number: int  #: how many packets of this kind came so far, this one included
    revision: int

    @functools.cached_property
    def message(self) -> bytes:
        """The binary message for the browser: length of the header (2 bytes), header, picture."""
        header = json.dumps(
            {
                "stream": self.stream_id,
                "kind": self.kind,
                "user": self.user,
                "name": self.name,
                "mime": self.mime,
                "number": self.number,
            }
        ).encode()
        return len(header).to_bytes(2, "big") + header + self.data


class LiveStream:
    """One stream as the page shows it."""

    def __init__(self, stream_id: str, uuid: str, stamp: Stamp, now: float) -> None:
        self.id = stream_id
        self.ended: float | None = None  #: seconds since the epoch
        self.watchers = 0  #: viewers that look at this stream; nothing is measured for none
        self.transcript = Lines(stamp)
        self.chat = Lines(stamp)
        self.messages = dict.fromkeys(MEDIA_NAMES.values(), 0)
        self.bytes = dict.fromkeys(MEDIA_NAMES.values(), 0)
        self.dropped = dict.fromkeys(MEDIA_NAMES.values(), 0)
        self._stamp = stamp
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
        self._revision = stamp()

    # -- what happens ------------------------------------------------------------------------------

    def describe(self, *, uuid: str | None = None, product: str | None = None) -> None:
        """Note which meeting it is."""
        self._uuid = (uuid or self._uuid)[:MAX_NAME]
        self._product = product or self._product
        self._revision = self._stamp()

    def enter(self, state: str, reason: str = "") -> None:
        """Go to a state: joining, live, interrupted, paused, ending or ended."""
        if (state, reason) != (self._state, self._reason):
            self._state, self._reason = state, reason
            self._revision = self._stamp()

    def end(self, reason: str, now: float) -> None:
        """Note that the stream is over; what was seen of it stays."""
        self.ended = now
        self.enter("ended", reason)
        for kind in list(self._pictures):
            self.clear_picture(kind)
        for participant in self._participants.values():
            self._change(participant, speaking=False, sharing=False, video=False)

    def resume(self) -> None:
        """Note that the stream goes on: it was joined once more after its end."""
        self.ended = None
        self.enter("joining")

    def count(self, media: str, size: int) -> None:
        """Count one packet of ``size`` bytes; media flows, so an interruption is over."""
        self.messages[media] += 1
        self.bytes[media] += size
        if self._state == "interrupted" or self._state == "joining":
            self.enter("live")

    def problem(self, text: str, now: float) -> None:
        """Note what went wrong."""
        self._problem_count += 1
        item = {"id": self._problem_count, "text": text[:500], "at": round(now * 1000)}
        self._problems.append((self._stamp(), item))

    def is_level_due(self, user: str, name: str, now: float) -> bool:
        """Tell whether to measure how loud a participant is: somebody looks, and it is time.

        Args:
            user: Id of the participant; "0" for mixed audio.
            name: Name of the participant, empty where it is not known.
            now: Monotonic seconds.
        """
        participant = self._participants.get(user) or self._enrol(user, name)
        return bool(self.watchers) and now - participant.level_at >= LEVEL_INTERVAL

    def hear(self, user: str, level: int | None, now: float) -> None:
        """Note how loud a participant is, from 0 to 100; ``None`` where it cannot be measured."""
        participant = self._participants.get(user)
        if participant is not None:
            participant.level = level
            participant.level_at = now
            participant.level_revision = self._stamp()

    def see(self, kind: str, user: str, name: str, data: bytes) -> None:
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
            self._revision = self._stamp()
        if mime.startswith("image/"):
            self._pictures[kind] = Picture(
                stream_id=self.id,
                kind=kind,
                user=user,
                name=name[:MAX_NAME],
                mime=mime,
                data=data,
                number=self.messages[kind],
                revision=self._stamp(),
            )

    def clear_picture(self, kind: str) -> None:
        """Forget the latest frame, since the camera or the share was switched off."""
        if self._pictures.pop(kind, None) is not None:
            self._cleared[kind] = self._stamp()

    def arrive(self, user: str, name: str) -> None:
        """Note that a participant is there."""
        participant = self._participants.get(user)
        if participant is None:
            self._enrol(user, name)
        else:
            self._change(participant, name=name[:MAX_NAME] or participant.name, present=True)

    def depart(self, user: str) -> None:
        """Note that a participant left."""
        participant = self._participants.get(user)
        if participant is not None:
            self._change(participant, present=False, speaking=False, sharing=False, video=False)

    def speak(self, user: str, name: str) -> None:
        """Note who speaks now; nobody else does."""
        if self._speaker is not None and self._speaker.id != user:
            self._change(self._speaker, speaking=False)
        self.arrive(user, name)
        self._speaker = self._participants[user]
        self._change(self._speaker, speaking=True)
        self._revision = self._stamp()

    def share(self, user: str | None, name: str, *, starts: bool) -> None:
        """Note that a participant shares the screen, or that the share is over."""
        if starts and user is not None:
            self.arrive(user, name)
        for participant in self._participants.values():
            self._change(participant, sharing=starts and participant.id == user)
        if not starts:
            self.clear_picture("deskshare")

    def switch_video(self, user: str, *, is_on: bool) -> None:
        """Note that a participant switched the camera on or off."""
        participant = self._participants.get(user) or self._enrol(user, "")
        self._change(participant, video=is_on)
        picture = self._pictures.get("video")
        if not is_on and picture is not None and picture.user == user:
            self.clear_picture("video")

    def _enrol(self, user: str, name: str) -> Participant:
        while len(self._participants) >= MAX_PARTICIPANTS:
            gone = next((p for p in self._participants.values() if not p.present), None)
            del self._participants[gone.id if gone else next(iter(self._participants))]
            self._forgotten += 1
            self._forgotten_revision = self._stamp()
        participant = Participant(user, name[:MAX_NAME], self._stamp())
        self._participants[user] = participant
        return participant

    def _change(self, participant: Participant, **fields: Any) -> None:
        for field, value in fields.items():
            if getattr(participant, field) != value:
                setattr(participant, field, value)
                participant.revision = self._stamp()

    # -- what viewers get --------------------------------------------------------------------------

    def about(self, since: int) -> dict[str, Any] | None:
        """Return what the list of streams shows of this one, ``None`` if that is not news."""
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
        """Return what ``/stats`` tells of this stream: numbers, and no word that anybody said."""
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

"""The data of one stream on the live page: lines of text, participants, pictures.

Everything that changes gets a *revision* from one counter. Whoever remembers the revision up to
which it has seen everything can ask for what is newer; zero gives all.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
from collections.abc import Callable
from typing import Any

from ..enums import MessageAttribute

__all__ = ["MAX_NAME", "Lines", "NextRevision", "Participant", "Picture"]

#: Transcript and chat lines that are kept per stream.
HISTORY = 200
#: Characters of one line and of one name; what is longer is cut.
MAX_TEXT = 4000
MAX_NAME = 200

NextRevision = Callable[[], int]


class Lines:
    """The last lines of a transcript or chat, which later messages may revise or delete."""

    def __init__(self, next_revision: NextRevision, limit: int = HISTORY) -> None:
        self._next_revision = next_revision
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
        self._newest = self._revisions[id_] = self._next_revision()


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

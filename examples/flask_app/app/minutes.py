"""The minutes of meetings, in memory. A real app has a database here."""

from __future__ import annotations

import dataclasses
import datetime

MAX_MEETINGS = 100


@dataclasses.dataclass
class Line:
    name: str
    text: str
    at: datetime.datetime


@dataclasses.dataclass
class Meeting:
    id: str
    lines: list[Line] = dataclasses.field(default_factory=list)
    is_over: bool = False

    def add(self, name: str, text: str, timestamp: int) -> None:
        at = datetime.datetime.fromtimestamp(timestamp / 1000, datetime.timezone.utc)
        self.lines.append(Line(name, text, at))

    @property
    def speakers(self) -> list[str]:
        return list(dict.fromkeys(line.name for line in self.lines))


class Minutes:
    """Keeps the newest meetings."""

    def __init__(self) -> None:
        self._meetings: dict[str, Meeting] = {}

    def begin(self, stream_id: str) -> Meeting:
        meeting = self._meetings.setdefault(stream_id, Meeting(stream_id))
        while len(self._meetings) > MAX_MEETINGS:
            del self._meetings[next(iter(self._meetings))]
        return meeting

    def end(self, stream_id: str) -> None:
        meeting = self.get(stream_id)
        if meeting is not None:
            meeting.is_over = True

    def get(self, stream_id: str) -> Meeting | None:
        return self._meetings.get(stream_id)

    def newest_first(self) -> list[Meeting]:
        return list(reversed(self._meetings.values()))

"""The present state of a meeting: who is in it, who speaks, whose camera is on, who shares."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...enums import EventType
from ..scenario.model import Person
from . import events

__all__ = ["MeetingState"]


@dataclasses.dataclass(slots=True)
class MeetingState:
    """The state that events change. Holds no I/O."""

    #: in order of joining, by user id
    present: dict[int, Person] = dataclasses.field(default_factory=dict)
    cameras: set[int] = dataclasses.field(default_factory=set)
    speaker: Person | None = None
    sharer: Person | None = None

    def events_so_far(self, number: int) -> list[dict[str, Any]]:
        """Return the events that a client needs which subscribes to ``number`` only now.

        Zoom documents this for the list of participants; the simulator does it for speaker,
        share and cameras too, so that a client that comes late knows as much as one that is early.
        """
        if number == EventType.PARTICIPANT_JOIN and self.present:
            return [events.joined(*self.present.values())]
        if number == EventType.ACTIVE_SPEAKER_CHANGE and self.speaker is not None:
            return [events.speaks(self.speaker)]
        if number == EventType.SHARING_START and self.sharer is not None:
            return [events.shares(self.sharer)]
        if number == EventType.PARTICIPANT_VIDEO_ON and self.cameras:
            return [events.camera(True, *sorted(self.cameras))]
        return []

    def engagement_so_far(self, number: int, consumer: Person) -> list[dict[str, Any]]:
        """Return the same for Contact Center: who has answered already."""
        answers = [events.answered(person, consumer) for person in self.present.values()]
        return [event for event in answers if event["event_type"] == number]

"""What a contender is told on its command line."""

from __future__ import annotations

import dataclasses
import json
import sys

from ..workload import Workload

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "LateStreams", "Task"]

#: Nobody checks them.
CLIENT_ID = "benchmark-client"
CLIENT_SECRET = "benchmark-secret"


@dataclasses.dataclass(frozen=True)
class LateStreams:
    """StreamManager to join all at once while the others are running."""

    url: str
    count: int
    after: float  #: seconds since the first message that counts


@dataclasses.dataclass(frozen=True)
class Task:
    """StreamManager to join, and how."""

    url: str  #: of the load generator
    workload: Workload
    ca: str = ""  #: file of the authority to trust
    late: LateStreams | None = None
    options: dict[str, float] = dataclasses.field(default_factory=dict)  #: of this contender

    def to_json(self) -> str:
        """Return what :meth:`from_command_line` reads."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_command_line(cls) -> Task:
        """Return the task that is the only argument."""
        fields = json.loads(sys.argv[1])
        fields["workload"] = Workload(**fields["workload"])
        fields["late"] = LateStreams(**fields["late"]) if fields["late"] else None
        return cls(**fields)

    def ids(self) -> list[str]:
        """Return the ids of the streams."""
        return [f"stream-{number}" for number in range(self.workload.streams)]

    def late_ids(self) -> list[str]:
        """Return the ids of the late streams."""
        return [f"late-{number}" for number in range(self.late.count if self.late else 0)]

"""A client that joins nothing and records its calls, for tests about who is called when."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable
from typing import Any

from rtms_gevent import LeaveReason, signals


class StandInClient:
    """Notes calls in ``journal``, which the test's thread reads; :meth:`end` ends its stream."""

    journal: queue.Queue[tuple[Any, ...]]
    join_error: Exception | None = None

    def __init__(self, *, context: Callable[[], contextlib.AbstractContextManager[object]]) -> None:
        self.context = context
        self.event: Any = None
        self.options: dict[str, Any] = {}

    def stream_id(self) -> str:
        return self.event.stream_id if self.event else ""

    def join(self, event: Any, **options: Any) -> bool:
        if self.join_error is not None:
            raise self.join_error
        self.event, self.options = event, options
        self.journal.put(("join", self, event.server_urls))
        return True

    def leave(self) -> None:
        self.journal.put(("leave", self))
        self.end()

    def notify(self, event: Any) -> None:
        self.journal.put(("notify", self, event.kind))

    def end(self) -> None:
        self.journal.put(("ended", self))
        signals.emit(signals.left, self, stream_id=self.stream_id(), reason=LeaveReason.left())

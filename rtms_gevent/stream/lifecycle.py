"""Whether a stream is joined, or ends, and why: what all parts of a session know."""

from __future__ import annotations

import dataclasses

from gevent.event import AsyncResult, Event

from ..errors import EndedBeforeJoined, JoinError
from .leave_reason import LeaveReason

__all__ = ["Lifecycle"]


class Lifecycle:
    """One stream's way from joining to its end. Nothing here waits."""

    def __init__(self) -> None:
        self.joined: AsyncResult[bool] = AsyncResult()  #: set, or has the error, once known
        self.ending = Event()  #: set when the end is known
        self.end: LeaveReason | None = None  #: why the stream ends, once that is known
        self.is_leaving = False  #: whether ``leave()`` was called
        self.wakeup = Event()  #: set when the supervising greenlet has something to do

    @property
    def was_joined(self) -> bool:
        """Whether joining has succeeded."""
        return self.joined.ready() and self.joined.successful()

    def finish(self, reason: LeaveReason) -> None:
        """Note why the stream ends; the first reason counts."""
        if self.ending.is_set():
            return
        if self.is_leaving and not (reason.by_us or reason.is_handover):
            reason = LeaveReason.left()  # such as the stop that we have asked for
        if not self.joined.ready():
            error = reason.error
            if not isinstance(error, JoinError):
                error = EndedBeforeJoined(str(reason))
                if reason.by_us or reason.is_handover:
                    reason = dataclasses.replace(reason, was_joined=False)
                else:
                    # A stop reason is no reason why joining failed; 0 would even mean that it did.
                    code = error.reason if reason.error is None else reason.code
                    reason = dataclasses.replace(reason, code=code, error=error, was_joined=False)
            self.joined.set_exception(error)
        self.end = reason
        self.ending.set()
        self.wakeup.set()

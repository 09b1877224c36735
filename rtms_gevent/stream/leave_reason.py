"""Why a stream is over for us."""

from __future__ import annotations

import dataclasses

from ..enums import StopReason, known
from ..errors import ConnectionLost, JoinError, RtmsError
from ..explanations import explain_stop

__all__ = ["LeaveReason"]

#: Numbers of the official SDK for ends that have no stop reason of Zoom's.
_CLOSED_BY_SERVER = 960
_CONNECTION_LOST = 502
_NO_REASON = -1


@dataclasses.dataclass(frozen=True, slots=True)
class LeaveReason:
    """Why a stream is over: ``str()`` says it in words."""

    #: What ``on_leave`` gets: Zoom's stop reason, or the official SDK's number for a failure.
    code: int
    #: Zoom's stop reason, where Zoom ended the stream and said why.
    stop_reason: StopReason | int | None = None
    #: What failed, where something did.
    error: RtmsError | None = None
    #: Whether we left of our own accord.
    by_us: bool = False
    #: Whether media could flow before.
    was_joined: bool = True
    #: Whether the stream goes on with another worker: nothing is complete yet.
    is_handover: bool = False

    @classmethod
    def left(cls) -> LeaveReason:
        """We called ``leave()``."""
        return cls(int(StopReason.RECEIVER_REQUEST_CLOSE), by_us=True)

    @classmethod
    def handed_over(cls) -> LeaveReason:
        """We called ``hand_over()``."""
        return dataclasses.replace(cls.left(), is_handover=True)

    @classmethod
    def taken_over(cls) -> LeaveReason:
        """Another worker has taken the stream, since this one was not heard of for too long."""
        return dataclasses.replace(cls.handed_over(), by_us=False)

    @classmethod
    def stopped(cls, stop_reason: int | None) -> LeaveReason:
        """Zoom ended the stream."""
        if stop_reason is None:
            return cls(_NO_REASON)
        return cls(int(stop_reason), known(StopReason, stop_reason))

    @classmethod
    def failed(cls, error: RtmsError, *, was_joined: bool = True) -> LeaveReason:
        """Joining failed, or a joined stream broke off and could not be joined again."""
        if isinstance(error, JoinError):
            return cls(error.reason, error=error, was_joined=was_joined)
        if isinstance(error, ConnectionLost) and error.close_code is not None:
            return cls(_CLOSED_BY_SERVER, error=error)
        return cls(_CONNECTION_LOST, error=error)

    def __str__(self) -> str:
        if self.is_handover:
            verb = "goes on with the stream" if self.by_us else "has taken the stream over"
            return f"another worker {verb}"
        if self.by_us:
            return "we left"
        if self.error is not None:
            return str(self.error)
        if self.stop_reason is None:
            return "Zoom ended the stream without a reason"
        name = self.stop_reason.name if isinstance(self.stop_reason, StopReason) else "unknown"
        explained = explain_stop(self.stop_reason)
        return (
            f"Zoom ended the stream, reason {int(self.stop_reason)} ({name}): {explained.cause} "
            f"What to do: {explained.remedy}"
        )

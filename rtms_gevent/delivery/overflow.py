"""What happens when callbacks are too slow and an inbox is full: pause, drop, or end the stream."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from ..config import OverflowPolicy
from ..enums import MediaDataType
from ..errors import InboxOverflow
from ..protocol.events import ClientEvent
from .callbacks import MEDIA_NAMES

__all__ = ["BackPressure", "OverflowHandler"]

logger = logging.getLogger(__name__)


class BackPressure(Protocol):
    """What slow callbacks do to the stream. Called by the hub or its greenlets; must not wait."""

    def pause(self, kind: MediaDataType) -> None:
        """Read nothing of this media type until :meth:`resume`."""

    def resume(self, kind: MediaDataType) -> None:
        """Read on."""

    def fail(self, error: InboxOverflow) -> None:
        """End the stream, after what waits was delivered."""


class OverflowHandler:
    """Reports that one inbox is full, and does what its policy demands."""

    def __init__(
        self,
        kind: MediaDataType | None,
        when_full: OverflowPolicy,
        *,
        stream: str,
        back_pressure: BackPressure,
        report: Callable[[ClientEvent], object],
    ) -> None:
        """Prepare for an inbox.

        Args:
            kind: The media type whose packets wait in it; ``None`` for events.
            when_full: Its policy. Of events nothing may be dropped or held up, so theirs can only
                be ``FAIL``.
            stream: The stream, as logs name it.
            back_pressure: What to do to the stream.
            report: Takes the ``error`` event: about media only, since a full inbox of events
                could not take it.
        """
        self._kind = kind
        self._when_full = when_full
        self._stream = stream
        self._back_pressure = back_pressure
        self._report = report

    def on_dropping(self, dropped: int) -> None:
        """Report a burst of drops, with the count of all so far. Called once per burst."""
        self._report_overflow(dropped)

    def on_full(self, dropped: int) -> None:
        """Act where the inbox rose above its high-water mark, and drops nothing."""
        error = self._report_overflow(dropped)
        if self._kind is None or self._when_full is OverflowPolicy.FAIL:
            self._back_pressure.fail(error)
        else:
            self._back_pressure.pause(self._kind)

    def on_drained(self) -> None:
        """Act where it fell below its low-water mark, after :meth:`on_full`."""
        if self._kind is not None:
            self._back_pressure.resume(self._kind)

    def _report_overflow(self, dropped: int) -> InboxOverflow:
        what = "events" if self._kind is None else self._kind.name.lower()
        error = InboxOverflow(what, dropped, self._stream)
        logger.warning("%s", error)
        if self._kind is not None:
            self._report(ClientEvent("error", (error, MEDIA_NAMES[self._kind])))
        return error

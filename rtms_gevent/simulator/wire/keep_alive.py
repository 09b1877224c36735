"""Keeps which keep-alives a client has not answered. Does no I/O."""

from __future__ import annotations

from typing import Any

from ...enums import MessageType

__all__ = ["PendingKeepAlives"]


class PendingKeepAlives:
    """The keep-alives of one socket that were not answered yet, oldest first."""

    def __init__(self) -> None:
        self.sent = 0  #: how many there were so far; the number of the latest
        self._pending: list[tuple[int, int]] = []

    def __len__(self) -> int:
        """Return how many were not answered."""
        return len(self._pending)

    def request(self, timestamp: int) -> dict[str, Any]:
        """Return the next keep-alive, which is pending from now on."""
        self.sent += 1
        self._pending.append((timestamp, self.sent))
        return {
            "msg_type": MessageType.KEEP_ALIVE_REQ,
            "timestamp": timestamp,
            "sequence": self.sent,
        }

    def answered(self, message: dict[str, Any]) -> None:
        """Take an answer, which counts only if it echoes what was asked.

        It answers all that was asked before, too.
        """
        echo = message.get("timestamp"), message.get("sequence")
        for position, (timestamp, sequence) in enumerate(self._pending):
            if echo in ((timestamp, sequence), (timestamp, None)):
                del self._pending[: position + 1]
                return

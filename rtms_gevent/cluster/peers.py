"""The other workers, as one of them knows them: who has how many streams, who is just starting."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable

from .records import Worker

__all__ = ["Peers"]

#: Seconds before a claim for each stream that we own more than the worker with the fewest, the
#: most that it comes to, and a random part: workers with as many do not all ask at once.
_CLAIM_STEP, _CLAIM_DELAY, _CLAIM_JITTER = 0.02, 0.2, 0.01

#: How many workers look for lost streams as often as one would; from when on more do not matter.
_LOOKERS, _MAX_SHARE = 8, 6.0


class Peers:
    """The workers that take part beside this one. Does no I/O."""

    def __init__(self, worker: Worker, siblings: Callable[[], Collection[int]]) -> None:
        """Know nobody.

        Args:
            worker: This one.
            siblings: Returns the processes of the same server on this machine, those included that
                take no part yet.
        """
        self._worker = worker
        self._siblings = siblings
        self.others: list[Worker] = []  #: those that live, as noted last
        self._seen: set[int] = {worker.pid}  # processes of this machine that take part, or did so
        self._noted_at = float("-inf")

    def note(self, workers: Iterable[Worker]) -> None:
        """Note what the store knows of all workers now."""
        self.others = [worker for worker in workers if worker.id != self._worker.id]
        self._seen |= {other.pid for other in self.others if other.host == self._worker.host}
        self._noted_at = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since that was noted; endless before."""
        return time.monotonic() - self._noted_at

    @property
    def are_starting(self) -> bool:
        """Whether the same server has started workers that take no part yet."""
        return not self._seen.issuperset(self._siblings())

    @property
    def share(self) -> float:
        """How many times as seldom to look for lost streams as a worker that is nearly alone does.

        The more workers look, the less often each needs to.
        """
        return min(_MAX_SHARE, max(1.0, len(self.others) / _LOOKERS))

    def claim_delay(self, streams: int) -> float:
        """Return how long to leave a stream to others: whoever has the fewest comes first.

        Args:
            streams: How many streams this worker owns.
        """
        counts = [
            other.streams for other in self.others if not other.is_draining and not other.is_full
        ]
        ahead = streams - min(counts, default=streams)
        jitter = random.uniform(0.0, _CLAIM_JITTER) if counts else 0.0  # noqa: S311 - no secret
        return min(_CLAIM_DELAY, max(0, ahead) * _CLAIM_STEP) + jitter

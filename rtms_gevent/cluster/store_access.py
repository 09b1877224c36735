"""A worker's way to its store: opens it, notes when it fails, replaces what is broken."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from gevent.lock import RLock

from ..errors import StoreError
from .memory import MemoryStore
from .records import Wakeup, Worker
from .store import Store

__all__ = ["StoreAccess"]

logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")


class StoreAccess:
    """Asks one store, for all greenlets of a worker."""

    def __init__(
        self,
        store: Store,
        describe: Callable[[], Worker],
        on_back: Callable[[], object],
        on_replaced: Callable[[Store], object],
    ) -> None:
        """Open nothing yet.

        Args:
            store: Opened by the first question.
            describe: Returns the worker, as it is now.
            on_back: Called when the store works again.
            on_replaced: Called with the store that takes the place of one that is broken for good.
        """
        self.store = store
        self._describe = describe
        self._on_back = on_back
        self._on_replaced = on_replaced
        self._is_open = False
        self._is_closed = False
        self._opening = RLock()
        self._away_since: float | None = None  # when it failed first
        self._answered = time.monotonic()  # when it has answered last
        self._in_touch_since = self._answered

    @property
    def in_touch(self) -> float:
        """Seconds for which the store has answered without a break.

        A break is a failure, or half a lease without an answer: this process may have stood still,
        and others with it.
        """
        now = time.monotonic()
        return 0.0 if now - self._answered > self.store.lease / 2 else now - self._in_touch_since

    def ask(self, question: Callable[[Store], _Answer]) -> _Answer:
        """Return the store's answer; note since when it does not answer.

        Raises:
            StoreError: it does not.
        """
        answer = self._try(question)
        self._note_answer()
        return answer

    def wait(self, timeout: float) -> Wakeup:
        """Return what is new, as :meth:`.Store.wait`.

        That nothing is new is no answer: a store in Redis waits here, and its server may be gone.

        Raises:
            StoreError: the store does not work.
        """
        return self._try(lambda store: store.wait(timeout))

    def _try(self, question: Callable[[Store], _Answer]) -> _Answer:
        store = self.store
        try:
            self._open()
            return question(store)
        except StoreError as problem:
            if problem.is_lasting and store.may_fall_back and not self._is_closed:
                if self.store is store:  # else another greenlet was first
                    self._replace(problem)
                return self._try(question)
            self._note_failure(problem)
            raise

    def close(self) -> None:
        """Give the store up. Never raises."""
        self._is_closed = True
        self.store.close()

    def _open(self) -> None:
        if not self._is_open:
            with self._opening:
                if not self._is_open:
                    self.store.open(self._describe())
                    self._is_open = True

    def _note_failure(self, problem: StoreError) -> None:
        self._in_touch_since = time.monotonic()
        if self._away_since is None:
            self._away_since = self._in_touch_since
            logger.error(
                "the store does not work; streams go on, and starts wait for it. Look whether it "
                "runs, and whether RTMS_STORE names it. %s",
                problem,
            )

    def _note_answer(self) -> None:
        if not self.in_touch:
            self._in_touch_since = time.monotonic()
        self._answered = time.monotonic()
        if self._away_since is not None:
            seconds = self._answered - self._away_since
            self._away_since = None
            logger.warning("the store %s works again, after %.1f s", self.store.name, seconds)
            self._on_back()

    def _replace(self, problem: StoreError) -> None:
        """Let the worker be alone from now on."""
        logger.warning(
            "this worker goes on alone: it joins all streams whose webhooks it gets. %s", problem
        )
        broken, self.store = self.store, MemoryStore()  # at once: others notice it, too
        self.store.open(self._describe())
        self._on_replaced(self.store)
        broken.close()

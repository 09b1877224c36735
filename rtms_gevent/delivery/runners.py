"""Where the user's functions run: in the inbox's greenlet, in an executor, or on an asyncio loop.

An inbox's greenlet hands a :class:`CallbackBatch` to a runner and waits for its end. So whatever
runs it, the order per inbox is kept, one batch per inbox is under way at a time, and what does not
fit waits in the inbox, where it is bounded and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Protocol

from ..errors import ConfigurationError
from ..runtime.threads import wait_done
from .callback_batch import BatchResult, CallbackBatch

__all__ = ["BATCH_SIZE", "AsyncioRunner", "CallbackRunner", "ExecutorRunner", "InlineRunner"]

#: How many packets go to another thread at once: crossing costs more than most callbacks.
BATCH_SIZE = 100


class CallbackRunner(Protocol):
    """Runs batches. Used by greenlets of one hub."""

    batch_size: int  #: how many calls a batch should have at most

    def start(self, batch: CallbackBatch) -> Callable[[], BatchResult]:
        """Begin to run a batch; return what waits for its end, cooperatively, and has its result.

        Raises:
            ConfigurationError: it cannot be run here any more.
        """


class InlineRunner:
    """The inbox's own greenlet: the batch runs when its end is waited for."""

    batch_size = 1

    def start(self, batch: CallbackBatch) -> Callable[[], BatchResult]:
        """Return the batch itself."""
        return batch


class ExecutorRunner:
    """Any ``concurrent.futures.Executor``."""

    def __init__(self, executor: Executor) -> None:
        """Use ``executor``, which stays the user's to shut down.

        Raises:
            ConfigurationError: it is no executor.
        """
        if not isinstance(executor, Executor):
            raise ConfigurationError(
                f"executor must be a concurrent.futures.Executor, not {type(executor).__name__}"
            )
        self._executor = executor
        # Only in this process can a batch see that it should stop in the middle.
        self.batch_size = 1 if isinstance(executor, ProcessPoolExecutor) else BATCH_SIZE

    def start(self, batch: CallbackBatch) -> Callable[[], BatchResult]:
        """Submit the batch."""
        try:
            future = self._executor.submit(batch.run_in_thread)
        # RuntimeError from the standard library's, anything from others.
        except Exception as problem:
            raise ConfigurationError(
                f"the executor takes no more work ({problem}), so callbacks cannot run: shut it "
                "down after leaving, not before"
            ) from problem
        return _waiter(future)


class AsyncioRunner:
    """An asyncio loop, which runs in another thread than the hub."""

    batch_size = BATCH_SIZE

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use ``loop``, which is running."""
        self._loop = loop

    def start(self, batch: CallbackBatch) -> Callable[[], BatchResult]:
        """Schedule the batch as a task."""
        coroutine = batch.run_async()
        try:
            return _waiter(asyncio.run_coroutine_threadsafe(coroutine, self._loop))
        except RuntimeError as problem:
            coroutine.close()  # else Python warns, for each batch, that nobody awaits it
            raise ConfigurationError(
                f"the asyncio loop takes no more work ({problem}), so callbacks cannot run"
            ) from problem


def _waiter(future: Future[BatchResult]) -> Callable[[], BatchResult]:
    """Return what waits for ``future`` without blocking the hub."""

    def wait() -> BatchResult:
        wait_done(future)
        try:
            return future.result()
        except BaseException as problem:  # noqa: BLE001 - of the executor itself, such as pickling
            return BatchResult(0, [problem])

    return wait

"""Where the user's functions run: in the inbox's greenlet, in an executor, or on an asyncio loop.

An inbox's greenlet hands a :class:`CallbackBatch` to a runner and waits for its end. So whatever
runs it, the order per inbox is kept, one batch per inbox is under way at a time, and what does not
fit waits in the inbox, where it is bounded and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Any, Protocol, TypeVar

import gevent

from .._interrupts import is_ctrl_c
from ..errors import ConfigurationError, UsageError
from ..runtime.threads import HubThread, wait_done

__all__ = [
    "ASYNC_OUTSIDE",
    "BATCH",
    "AsyncioRunner",
    "BatchResult",
    "CallbackBatch",
    "CallbackRunner",
    "ExecutorRunner",
    "InlineRunner",
    "RunnerChoice",
    "is_async",
]

_Function = Callable[..., object]
Context = Callable[[], contextlib.AbstractContextManager[object]]
_Result = TypeVar("_Result")

#: How many packets go to another thread at once: crossing costs more than most callbacks.
BATCH = 100

ASYNC_OUTSIDE = "the callback is a coroutine function: these run only under run_async()"

#: Attribute of a greenlet: the closing flags of what it is calling.
_JOBS = "_rtms_gevent_jobs"


def is_async(function: _Function) -> bool:
    """Whether calling ``function`` makes a coroutine, as far as can be seen from outside."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - a callable object may be async
    )


@dataclasses.dataclass(slots=True)
class BatchResult:
    """What became of a job."""

    made: int = 0  #: calls that were made, whether or not they raised
    problems: list[BaseException] = dataclasses.field(default_factory=list)  #: what they raised


def _jobs_here() -> list[CloseFlag]:
    """Return the list of the calling greenlet; a thread that has no others has one, too."""
    jobs: list[CloseFlag] = vars(gevent.getcurrent()).setdefault(_JOBS, [])
    return jobs


class CloseFlag:
    """Whether functions must be called no more. Shared by all jobs of a session."""

    def __init__(self) -> None:
        self.is_set = False

    def is_running_here(self) -> bool:
        """Whether we are inside a callback of this session that runs elsewhere than its hub."""
        return self in _jobs_here()

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note that the calling greenlet, or thread without greenlets, is inside a callback."""
        jobs = _jobs_here()
        jobs.append(self)
        try:
            yield
        finally:
            jobs.remove(self)


class CallbackBatch:
    """Calls of one function, in order. Pickles, if the function and its arguments do."""

    def __init__(
        self,
        function: _Function,
        calls: Sequence[tuple[object, ...]],
        context: Context | None,
        close_flag: CloseFlag,
    ) -> None:
        self.function = function
        self.calls = calls
        self.context = context
        self.close_flag = close_flag

    def __call__(self) -> BatchResult:
        """Make the calls, until closing."""
        result = BatchResult()
        for arguments in self.calls:
            if self.close_flag.is_set:
                break
            result.made += 1
            try:
                with self._surroundings():
                    returned = self.function(*arguments)
                if inspect.iscoroutine(returned):
                    returned.close()
                    raise UsageError(ASYNC_OUTSIDE)
            # A time limit that the user set and did not catch, a kill of the greenlet, which is
            # ours and goes on, or a stray sys.exit() is the callback's error, too.
            except BaseException as problem:
                if is_ctrl_c(problem):
                    raise
                result.problems.append(problem)
        return result

    def in_thread(self) -> BatchResult:
        """Make the calls in a thread that is not the hub's."""
        with self.close_flag.noted():
            return self()

    async def run(self) -> BatchResult:
        """Make the calls on an asyncio loop, and await what is awaitable."""
        result = BatchResult()
        for arguments in self.calls:
            if self.close_flag.is_set:
                break
            result.made += 1
            try:
                with self.close_flag.noted(), self._surroundings():
                    returned = self.function(*arguments)
                if isinstance(returned, Awaitable):
                    await returned
            # What the callback awaited may have been cancelled; the other calls are not.
            except BaseException as problem:
                if is_ctrl_c(problem):
                    raise
                result.problems.append(problem)
        return result

    def _surroundings(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext() if self.context is None else self.context()


class CallbackRunner(Protocol):
    """Runs jobs. Used by greenlets of one hub."""

    batch: int  #: how many calls a job should have at most

    def start(self, job: CallbackBatch) -> Callable[[], BatchResult]:
        """Begin to run a job; return what waits for its end, cooperatively, and has its outcome.

        Raises:
            ConfigurationError: it cannot be run here any more.
        """


class RunnerChoice(Protocol):
    """Chooses an outlet for each job, since that may change while a stream lives."""

    @property
    def stage(self) -> HubThread | None:
        """The thread to deliver in; ``None`` means here."""

    def is_direct(self) -> bool:
        """Return whether plain functions are called in the inbox's own greenlet."""

    def batch(self) -> int:
        """Return how many packets to take at once."""

    def choose(self, function: _Function) -> CallbackRunner:
        """Return the outlet for calls of ``function``."""


class InlineRunner:
    """The inbox's own greenlet: the job runs when its end is waited for."""

    batch = 1

    def start(self, job: CallbackBatch) -> Callable[[], BatchResult]:
        """Return the job itself."""
        return job


class ExecutorRunner:
    """Any ``concurrent.futures.Executor``."""

    def __init__(self, executor: Executor) -> None:
        """Use ``executor``, which stays the user's to shut down."""
        if not isinstance(executor, Executor):
            raise ConfigurationError(
                f"executor must be a concurrent.futures.Executor, not {type(executor).__name__}"
            )
        self._executor = executor
        # Whether to stop in the middle of a job is seen only in this process.
        self.batch = 1 if isinstance(executor, ProcessPoolExecutor) else BATCH

    def start(self, job: CallbackBatch) -> Callable[[], BatchResult]:
        """Submit the job."""
        try:
            future = self._executor.submit(job.in_thread)
        except (
            Exception
        ) as problem:  # RuntimeError from the standard library's, anything from others
            raise ConfigurationError(
                f"the executor takes no more work ({problem}), so callbacks cannot run: shut it "
                "down after leaving, not before"
            ) from problem
        return _waiter(future)


class AsyncioRunner:
    """An asyncio loop, which runs in another thread than the hub."""

    batch = BATCH

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use ``loop``, which is running."""
        self._loop = loop

    def start(self, job: CallbackBatch) -> Callable[[], BatchResult]:
        """Schedule the job as a task."""
        coroutine = _as_coroutine(job)
        try:
            return _waiter(asyncio.run_coroutine_threadsafe(coroutine, self._loop))
        except RuntimeError as problem:
            coroutine.close()  # else Python warns, for each job, that nobody awaits it
            raise ConfigurationError(
                f"the asyncio loop takes no more work ({problem}), so callbacks cannot run"
            ) from problem


def _as_coroutine(job: CallbackBatch) -> Coroutine[Any, Any, BatchResult]:
    return job.run()


def _waiter(future: Future[BatchResult]) -> Callable[[], BatchResult]:
    """Return what waits for ``future`` without blocking the hub."""

    def wait() -> BatchResult:
        wait_done(future)
        try:
            return future.result()
        except BaseException as problem:  # noqa: BLE001 - of the executor itself, such as pickling
            return BatchResult(0, [problem])

    return wait

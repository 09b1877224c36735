"""Calls of one function of the user that are made together: here, in a thread, or by asyncio."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence

from gevent.local import local

from .._interrupts import is_ctrl_c
from ..errors import UsageError

__all__ = ["ASYNC_OUTSIDE", "BatchResult", "CallbackBatch", "CallbackContext", "CloseFlag"]

#: Makes what is entered around each call of a user's function, such as an app context.
CallbackContext = Callable[[], contextlib.AbstractContextManager[object]]

#: What is wrong with a coroutine function where no asyncio loop is there to await it.
ASYNC_OUTSIDE = "the callback is a coroutine function: these run only under run_async()"


class _Entered(local):
    """The flags of the callbacks that the calling greenlet, or native thread, is inside of."""

    def __init__(self) -> None:
        self.flags: list[CloseFlag] = []


_entered = _Entered()


class CloseFlag:
    """Whether functions must be called no more. Shared by all batches of a stream."""

    def __init__(self) -> None:
        self.is_set = False

    def is_entered_here(self) -> bool:
        """Whether the caller is inside a callback of this stream that runs beside its hub."""
        return self in _entered.flags

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Note that the calling greenlet, or native thread, is inside a callback."""
        flags = _entered.flags
        flags.append(self)
        try:
            yield
        finally:
            flags.remove(self)


@dataclasses.dataclass(slots=True)
class BatchResult:
    """What became of a batch."""

    made: int = 0  #: calls that were made, whether or not they raised
    problems: list[BaseException] = dataclasses.field(default_factory=list)  #: what they raised


class CallbackBatch:
    """Calls of one function, in order. Pickles, if the function and its arguments do."""

    def __init__(
        self,
        function: Callable[..., object],
        calls: Sequence[tuple[object, ...]],
        context: CallbackContext | None,
        close_flag: CloseFlag,
    ) -> None:
        """Prepare the calls.

        Args:
            function: What to call.
            calls: The arguments of each call, by position.
            context: Entered around each call.
            close_flag: Ends the batch before the next call.
        """
        self.function = function
        self.calls = calls
        self.context = context
        self.close_flag = close_flag

    def __call__(self) -> BatchResult:
        """Make the calls in the calling greenlet. Raises nothing but a Ctrl-C."""
        result = BatchResult()
        for arguments in self.calls:
            if self.close_flag.is_set:
                break
            result.made += 1
            try:
                with self._make_context():
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

    def run_in_thread(self) -> BatchResult:
        """Make the calls in a native thread that is not the hub's, or in another process."""
        with self.close_flag.entered():
            return self()

    async def run_async(self) -> BatchResult:
        """Make the calls on an asyncio loop, and await what is awaitable."""
        result = BatchResult()
        for arguments in self.calls:
            if self.close_flag.is_set:
                break
            result.made += 1
            try:
                with self.close_flag.entered(), self._make_context():
                    returned = self.function(*arguments)
                if isinstance(returned, Awaitable):
                    await returned
            # What the callback awaited may have been cancelled; the other calls are not.
            except BaseException as problem:
                if is_ctrl_c(problem):
                    raise
                result.problems.append(problem)
        return result

    def _make_context(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext() if self.context is None else self.context()

"""Calls the user's functions and sends the signals; counts, logs and reports what fails."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from blinker import NamedSignal

from .. import signals
from .._interrupts import is_ctrl_c
from ..errors import ConfigurationError
from ..protocol.events import ClientEvent
from .callback_batch import BatchResult, CallbackBatch, CallbackContext, CloseFlag
from .callbacks import EVENTS, Callbacks
from .runner_selector import RunnerSelector

__all__ = ["CallbackInvoker", "report_end"]

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

#: How many failures of a callback are logged with their tracebacks; after that every how many-th
#: failure is logged: a callback that always fails must not fill the disk.
_LOGGED_FAILURES, _FAILURES_APART = 5, 1000


class CallbackInvoker:
    """Calls the functions of one client for one stream.

    Greenlet-safety: the greenlets of the stream's inboxes.
    """

    __slots__ = (
        "_runner_failed",
        "_sender",
        "_stream",
        "callback_errors",
        "callbacks",
        "close_flag",
        "context",
        "runners",
    )

    def __init__(
        self,
        sender: object,
        callbacks: Callbacks,
        runners: RunnerSelector,
        context: CallbackContext | None,
        *,
        stream: str,
    ) -> None:
        """Call nothing yet.

        Args:
            sender: Sender of the signals: the client.
            callbacks: Looked up at each call, so that they can be changed at any time.
            runners: Where callbacks run. Signals are sent from the inbox's greenlet.
            context: Makes what is entered around each call and each signal.
            stream: The stream, as logs name it.
        """
        #: How often each callback raised.
        self.callback_errors: dict[str, int] = {}
        self.callbacks = callbacks
        self.runners = runners
        self.context = context
        self.close_flag = CloseFlag()
        self._sender = sender
        self._stream = stream
        self._runner_failed = False

    @property
    def is_closed(self) -> bool:
        """Whether functions are called no more."""
        return self.close_flag.is_set

    def close(self) -> None:
        """Call no function any more; one that runs now is left to finish."""
        self.close_flag.is_set = True

    def reopen(self) -> None:
        """Call functions again: for the last event of all. What was closed stays so."""
        self.close_flag = CloseFlag()

    def run(self, deliver: Callable[..., _Result], *arguments: object) -> _Result:
        """Run ``deliver`` where the user's functions run, and return what it does.

        That is here, or on the callback thread, which is waited for.
        """
        thread = self.runners.callback_thread
        if thread is None:
            return deliver(*arguments)

        def run_there() -> _Result:
            with self.close_flag.entered():
                return deliver(*arguments)

        return thread.call(run_there)

    def call(
        self,
        name: str,
        calls: Sequence[tuple[object, ...]],
        on_begun: Callable[[], None] | None = None,
    ) -> BatchResult:
        """Call the function of that name, if there is one, and wait for the end of it.

        Args:
            name: The callback's, without ``on_``.
            calls: The arguments of each call, by position.
            on_begun: Called once the calls are under way; where they run in this greenlet, right
                before the first. Also where there is no function.

        Returns:
            What became of the calls; all count as made, where there is no function.
        """
        function = self.callbacks.get(name)
        finish: Callable[[], BatchResult] | None = None
        result = BatchResult(len(calls))
        try:
            if function is not None:
                batch = CallbackBatch(function, calls, self.context, self.close_flag)
                finish = self.runners.choose(function).start(batch)
        except ConfigurationError as problem:
            self._report_runner(name, problem, len(calls))
            result = BatchResult(0)
            if name == "end":  # the one that must never be missing runs here
                finish = batch
        if on_begun is not None:
            on_begun()
        if finish is not None:
            result = finish()
            for failure in result.problems:
                # A batch that an executor lost counts as so many calls that failed.
                self.report_failure(name, failure, 1 if result.made else len(calls))
        return result

    # -- signals -----------------------------------------------------------------------------------

    def send_event(self, event: ClientEvent) -> None:
        """Send an event's signal here and now, also when closed. Raises only a Ctrl-C."""
        name, arguments = event
        signal: NamedSignal = getattr(signals, name)
        if signal.receivers:
            self.send(signal, **dict(zip(EVENTS[name], arguments, strict=True)))

    def send(self, signal: NamedSignal, /, **arguments: object) -> None:
        """Send a signal here and now, also when closed. Raises only a Ctrl-C."""
        try:
            with contextlib.nullcontext() if self.context is None else self.context():
                signals.emit(signal, self._sender, **arguments)
        except BaseException as problem:
            if is_ctrl_c(problem):
                raise
            logger.exception("the context around receivers of signals failed")

    # -- failures ----------------------------------------------------------------------------------

    def report_failure(self, name: str, problem: BaseException, calls: int = 1) -> None:
        """Count what a callback raised in so many calls, log it and send the ``error`` signal."""
        count = self._count_errors(name, calls)
        if count <= _LOGGED_FAILURES:
            logger.error("stream %s: callback on_%s failed", self._stream, name, exc_info=problem)
        elif count // _FAILURES_APART != (count - calls) // _FAILURES_APART:
            logger.error(
                "stream %s: callback on_%s has failed %d times; %s was the last error",
                self._stream,
                name,
                count,
                type(problem).__name__,
            )
        self._send_error(name, problem)

    def _report_runner(self, name: str, problem: ConfigurationError, calls: int) -> None:
        """Say once that callbacks cannot run; what they would have got counts as failed."""
        self._count_errors(name, calls)
        if not self._runner_failed:
            self._runner_failed = True
            logger.error("stream %s: callback on_%s: %s", self._stream, name, problem)
            self._send_error(name, problem)

    def _count_errors(self, name: str, count: int) -> int:
        total = self.callback_errors[name] = self.callback_errors.get(name, 0) + count
        return total

    def _send_error(self, name: str, problem: BaseException) -> None:
        if not self.is_closed:
            self.send_event(ClientEvent("error", (problem, f"on_{name}")))


def report_end(
    sender: object,
    callbacks: Callbacks,
    context: CallbackContext | None,
    stream_id: str,
    reason: object,
) -> None:
    """Call ``on_end`` and send ``left`` here, where the loop that was to join never ran."""

    def send_left(reason: object) -> None:
        signals.emit(signals.left, sender, stream_id=stream_id, reason=reason)

    for function in filter(None, (callbacks.get("end"), send_left)):
        batch = CallbackBatch(function, [(reason,)], context, CloseFlag())
        for problem in batch().problems:
            logger.error("callback on_end failed", exc_info=problem)

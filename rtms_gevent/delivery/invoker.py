"""Calls the user's functions and sends the signals: all of it in an inbox's greenlet."""

from __future__ import annotations

import contextlib
import inspect
import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from blinker import NamedSignal

from .. import signals
from .._interrupts import is_ctrl_c
from ..errors import ConfigurationError, UsageError
from ..protocol.events import ClientEvent
from ..protocol.packets import MediaPacket
from ..runtime.threads import current_hub, is_current
from .callback_batch import ASYNC_OUTSIDE, BatchResult, CallbackBatch, CallbackContext, CloseFlag
from .callbacks import EVENTS, MEDIA_NAMES, PARAMETERS, SIGNALS_ONLY, Callbacks
from .inbox import TURN, Inbox
from .runner_selector import RunnerSelector

__all__ = ["Delivery"]

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_MEDIA_SIGNALS: dict[str, NamedSignal] = {
    name: getattr(signals, name) for name in MEDIA_NAMES.values()
}

#: How many failures of a callback are logged with their tracebacks, and how many lie between those
#: that are mentioned from then on: one that always fails must not fill the disk.
_TOLD_FAILURES, _FAILURES_APART = 5, 1000


class Delivery:
    """Delivers what waits in the inboxes of one session.

    Greenlet-safety: the greenlets of its inboxes.
    """

    __slots__ = (
        "_callbacks",
        "_context",
        "_hub",
        "_on_joined",
        "_outlet_failed",
        "_runners",
        "_sender",
        "_stream",
        "callback_errors",
        "close_flag",
    )

    def __init__(
        self,
        sender: object,
        callbacks: Callbacks,
        runners: RunnerSelector,
        context: CallbackContext | None,
        on_joined: Callable[[], None],
        *,
        stream: str,
    ) -> None:
        """Deliver nothing yet.

        Args:
            sender: Sender of the signals: the client.
            callbacks: Looked up at each delivery, so that they can be changed at any time.
            runners: Where callbacks run. Signals are sent from the inbox's greenlet.
            context: Makes what is entered around the user's functions, such as an app context.
            on_joined: Called when the callback for having joined has begun.
            stream: The stream, as logs name it.
        """
        #: How often each callback raised.
        self.callback_errors: dict[str, int] = {}
        self.close_flag = CloseFlag()
        self._sender = sender
        self._stream = stream
        self._callbacks = callbacks
        self._runners = runners
        self._context = context
        self._on_joined = on_joined
        self._hub = current_hub()
        self._outlet_failed = False

    # -- notices -----------------------------------------------------------------------------------

    def tell(self, event: ClientEvent) -> None:
        """Send a notice's signal here and now, and nothing else."""
        name, arguments = event
        signal: NamedSignal = getattr(signals, name)
        if signal.receivers:
            with self._surroundings():
                signals.emit(
                    signal, self._sender, **dict(zip(EVENTS[name], arguments, strict=True))
                )

    def client_events(self, inbox: Inbox) -> None:
        """Deliver the notices in ``inbox``, for a turn."""
        until = time.monotonic() + TURN
        while inbox.items:
            event, _ = inbox.take()
            self._on_stage(self._notice, event)
            inbox.delivered += 1
            if time.monotonic() > until:
                return

    def _notice(self, event: ClientEvent) -> None:
        name, arguments = event
        if name == "joined":
            # Media flows once this callback has begun, so that it comes first and yet may wait.
            self._call("join_confirm", [(0,)], begun=self._joined)
        elif name == "left":
            reason = arguments[1]
            self._call("leave" if reason.was_joined else "join_confirm", [(reason.code,)])
            return  # the signal comes at the very end
        elif name not in SIGNALS_ONLY:
            self._call(name, [arguments[: len(PARAMETERS[name])]])  # signals may carry more
        self._guarded(self.tell, event)

    def end(self, event: ClientEvent) -> None:
        """Call ``on_end`` and send the signal of ``event``, which is the last of all.

        To be called when no function runs any more, whether or not deliveries were stopped.
        """
        self.close_flag = CloseFlag()  # what was stopped has the old one
        self._on_stage(self._end, event)

    def _end(self, event: ClientEvent) -> None:
        self._call("end", [event.arguments[1:]])
        self._guarded(self.tell, event)

    def _joined(self) -> None:
        if is_current(self._hub):
            self._on_joined()
        else:
            self._hub.loop.run_callback_threadsafe(self._on_joined)

    def _on_stage(self, function: Callable[..., _Result], *arguments: object) -> _Result:
        """Call ``function`` where the user's functions run: here, or on a hub of their own."""
        stage = self._runners.callback_thread
        if stage is None:
            return function(*arguments)

        def noted() -> _Result:
            with self.close_flag.entered():
                return function(*arguments)

        return stage.call(noted)

    # -- media -------------------------------------------------------------------------------------

    def media(self, inbox: Inbox) -> None:
        """Deliver the packets in ``inbox``, which has some, for a turn."""
        if self._runners.is_direct() and self._context is None:
            self._directly(inbox)
        else:
            self._in_batches(inbox)

    def _directly(self, inbox: Inbox) -> None:
        """Call the function here and now, for each packet."""
        name, items, until = inbox.name, inbox.items, 0.0
        functions, signal = self._callbacks.functions, _MEDIA_SIGNALS[name]
        while True:
            # Nothing between the one callback and the packet: what Job would do besides is written
            # out, since that costs 1.5 us a packet, as much as all the rest.
            packet: MediaPacket = items.popleft()
            _, data, timestamp, metadata = packet
            size = len(data)
            inbox.size -= size
            if name in functions:
                try:
                    result = functions[name](data, size, timestamp, metadata)
                    if result is not None and inspect.iscoroutine(result):
                        result.close()
                        raise UsageError(ASYNC_OUTSIDE)
                except BaseException as problem:
                    inbox.failed += 1
                    if is_ctrl_c(problem):
                        raise
                    self._report_failure(name, problem, 1)
                else:
                    inbox.delivered += 1
            else:
                inbox.delivered += 1
            if signal.receivers:
                self._guarded(self._send_media, signal, packet)
            if not items:  # also where the inbox was closed meanwhile
                return
            now = time.monotonic()
            until = until or now + TURN
            if now > until:
                return

    def _in_batches(self, inbox: Inbox) -> None:
        """Let another thread or process call, for as many packets at once as it likes."""
        name, until = inbox.name, time.monotonic() + TURN
        while inbox.items and time.monotonic() <= until:
            count = min(self._runners.batch_size(), len(inbox.items))
            packets: list[MediaPacket] = [inbox.take() for _ in range(count)]
            result = BatchResult()
            try:
                result = self._on_stage(self._batch, packets, name)
            finally:  # also where this greenlet is killed while it waits
                failed = min(result.made, len(result.problems))
                inbox.delivered += result.made - failed
                inbox.failed += failed
                inbox.undelivered += count - result.made

    def _batch(self, packets: list[MediaPacket], name: str) -> BatchResult:
        signal = _MEDIA_SIGNALS[name]
        result = self._call(name, [(p.data, len(p.data), p.timestamp, p.metadata) for p in packets])
        if signal.receivers:
            for packet in packets:
                self._guarded(self._send_media, signal, packet)
        return result

    def _send_media(self, signal: NamedSignal, packet: MediaPacket) -> None:
        with self._surroundings():
            signals.emit(
                signal,
                self._sender,
                data=packet.data,
                size=len(packet.data),
                timestamp=packet.timestamp,
                metadata=packet.metadata,
            )

    def _surroundings(self) -> contextlib.AbstractContextManager[object]:
        return _NOTHING if self._context is None else self._context()

    def _guarded(self, function: Callable[..., object], *arguments: object) -> None:
        if self.close_flag.is_set:
            return
        try:
            function(*arguments)
        except BaseException as problem:
            if is_ctrl_c(problem):
                raise
            logger.exception("the context around receivers of signals failed")

    def _call(
        self,
        name: str,
        calls: Sequence[tuple[object, ...]],
        begun: Callable[[], None] | None = None,
    ) -> BatchResult:
        """Call the function of that name, if there is one, and wait for the end of it.

        Returns:
            What became of the calls; all count as made, where there is no function.
        """
        function = self._callbacks.get(name)
        finish: Callable[[], BatchResult] | None = None
        result = BatchResult(len(calls))
        try:
            if function is not None:
                job = CallbackBatch(function, calls, self._context, self.close_flag)
                finish = self._runners.choose(function).start(job)
        except ConfigurationError as problem:
            self._report_outlet(name, problem, len(calls))
            result = BatchResult(0)
            if name == "end":  # the one that must never be missing runs here
                finish = job
        if begun is not None:
            begun()
        if finish is not None:
            result = finish()
            for failure in result.problems:
                # What an executor lost as a whole counts as so many calls that failed.
                self._report_failure(name, failure, 1 if result.made else len(calls))
        return result

    def _count_errors(self, name: str, count: int) -> int:
        total = self.callback_errors[name] = self.callback_errors.get(name, 0) + count
        return total

    def _report_failure(self, name: str, problem: BaseException, calls: int) -> None:
        count = self._count_errors(name, calls)
        if count <= _TOLD_FAILURES:
            logger.error("stream %s: callback on_%s failed", self._stream, name, exc_info=problem)
        elif count // _FAILURES_APART != (count - calls) // _FAILURES_APART:
            logger.error(
                "stream %s: callback on_%s has failed %d times; %s was the last error",
                self._stream,
                name,
                count,
                type(problem).__name__,
            )
        if not self.close_flag.is_set:
            self._guarded(self.tell, ClientEvent("error", (problem, f"on_{name}")))

    def _report_outlet(self, name: str, problem: ConfigurationError, calls: int) -> None:
        """Say once that callbacks cannot run; what they would have got counts as failed."""
        self._count_errors(name, calls)
        if not self._outlet_failed:
            self._outlet_failed = True
            logger.error("stream %s: callback on_%s: %s", self._stream, name, problem)
            self._guarded(self.tell, ClientEvent("error", (problem, f"on_{name}")))


_NOTHING = contextlib.nullcontext()

"""Runs a function when the answer to a request was sent, under any WSGI server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent.event import Event

from ..loop import run_soon
from ..runtime.threads import AsyncWaker

__all__ = ["RESPONSE_GRACE", "AfterAnswer"]

#: Seconds after which the function runs although nobody said that the answer was sent: a middleware
#: may lose the call, and Flask's test client does not make it. Zoom waits 3 s for the answer.
RESPONSE_GRACE = 1.0


class AfterAnswer:
    """Runs a function once, in a greenlet of its own, when an answer was sent.

    Make it while the request is handled, and see to it that :meth:`sent` is called afterwards.
    Under WSGI the server says so with ``close()`` of the response: ``call_on_close`` of Flask's
    response, ``close`` of Django's. It does so also where the client has gone, or where what makes
    the body fails. Where nobody calls :meth:`sent` the function runs a second later.

    The greenlet belongs to the hub where this process keeps its streams; the function may block.
    An exception is logged.
    """

    def __init__(
        self,
        function: Callable[..., object],
        *arguments: Any,
        spawn: Callable[[Callable[[], None]], object] = run_soon,
    ) -> None:
        """Prepare a call; returns at once.

        Args:
            function: What to call, with ``arguments``.
            *arguments: What it gets.
            spawn: Starts the greenlet.
        """
        self._function = function
        self._arguments = arguments
        self._is_sent = False
        self._waker: AsyncWaker | None = None  # once the greenlet runs
        spawn(self._run)

    def sent(self) -> None:
        """Let the function run now. Never waits.

        From any thread, and as often as you like: only the first call counts.
        """
        self._is_sent = True
        if self._waker is not None:
            self._waker.wake()

    def _run(self) -> None:
        sent = Event()
        self._waker = waker = AsyncWaker(sent.set)
        try:
            # In this order: sent() may be called at any time, by another thread.
            if not self._is_sent:
                sent.wait(RESPONSE_GRACE)
        finally:
            waker.close()
        self._function(*self._arguments)

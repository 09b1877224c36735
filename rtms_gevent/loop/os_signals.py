"""Handles SIGINT and SIGTERM: all streams are left before the process ends."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator

__all__ = ["stopping_at_signals"]

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def stopping_at_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Stop at SIGINT and SIGTERM, where they would else end the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = {number: old for number, old in defaults.items() if signal.getsignal(number) == old}

    def restore() -> None:
        for number, old in ours.items():
            signal.signal(number, old)

    def handle(number: int, _: object) -> None:
        restore()  # so that a second one ends the process at once
        stop()
        # Last: it may fail where the signal came while something else was being logged, since
        # Python's buffered files cannot be entered twice.
        logger.info("%s: leaving all streams", signal.Signals(number).name)

    for number in ours:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()

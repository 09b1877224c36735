"""``rtms-gevent worker``: keeps streams in processes of its own, beside the servers of webhooks."""

from __future__ import annotations

import argparse

from ..config import ClusterSettings
from .options import Options
from .supervisor import Supervisor

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options to ``parser``."""
    parser.add_argument(
        "app", help="the app, as gunicorn takes it: app:app, or app:create_app() for a factory"
    )
    parser.add_argument(
        "--processes", type=_count, default=1, metavar="N", help="how many (%(default)s)"
    )
    parser.add_argument(
        "--max-streams",
        type=_count,
        metavar="M",
        help="streams per process (RTMS_MAX_STREAMS, or any number)",
    )
    parser.add_argument(
        "--store",
        metavar="URL",
        help="where processes agree on who has which stream: redis://..., or local (RTMS_STORE, "
        "which keeps a password out of the list of processes)",
    )
    parser.add_argument(
        "--graceful-timeout",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="seconds to finish callbacks and to hand streams over (%(default)g)",
    )
    parser.add_argument(
        "--no-patch",
        action="store_true",
        help="do not let gevent patch the standard library: functions of the app run in a thread "
        "of their own, and may block",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the processes until SIGTERM or Ctrl-C; return the exit code.

    Raises:
        ConfigurationError: the store's address cannot be used.
    """
    ClusterSettings.from_environment(store=arguments.store)  # said once, not by each process
    options = Options(
        app=arguments.app,
        store=arguments.store,
        max_streams=arguments.max_streams,
        graceful_timeout=arguments.graceful_timeout,
    )
    return Supervisor(options, arguments.processes, is_patched=not arguments.no_patch).run()


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) < 10**9):
        raise argparse.ArgumentTypeError(f"must be a number from 1 on, not {text!r:.40}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < 10**6:
        raise argparse.ArgumentTypeError(f"must be seconds from 0 on, not {text!r:.40}")
    return seconds

"""The command ``rtms-gevent``: finds the command that was asked for, and runs its module.

A command's module is imported when the command is asked for, and has ``add_arguments(parser)``
and ``run(arguments) -> int``.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from types import ModuleType

from ._version import __version__
from .errors import ConfigurationError, MissingExtra
from .logs import configure_from_environment
from .stream.decoding import describe_decoding

__all__ = ["main"]


def _simulate() -> ModuleType:
    from .simulator import command

    return command


def _demo() -> ModuleType:
    from .demo import command

    return command


def _worker() -> ModuleType:
    from .worker import command

    return command


def _status() -> ModuleType:
    from .status import command

    return command


#: Name, what imports its module, and what it does.
_COMMANDS = (
    ("worker", _worker, "keep an app's streams in processes of their own"),
    ("status", _status, "show the workers that share streams, and their streams"),
    ("simulate", _simulate, "run a simulated Zoom, for tests and for trying things out"),
    ("demo", _demo, "show a simulated meeting on a live page, with no Zoom account"),
)

#: Exit code for arguments that are not valid and for packages that are missing, as argparse's own.
_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: arguments without the program's name; those of the process if not given.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="rtms-gevent",
        description="Zoom Realtime Media Streams for synchronous Python.",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # which keeps the lines of a version
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="with --version: what it runs on, too"
    )
    is_verbose = not {"-v", "--verbose"}.isdisjoint(given)
    version = _version_in_detail() if is_verbose else f"rtms-gevent {__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    try:
        for name, load, summary in _COMMANDS:
            command = commands.add_parser(
                name, help=summary, description=f"{summary}.".capitalize()
            )
            if name in given[:1]:
                chosen = load()
                chosen.add_arguments(command)
                command.set_defaults(run=chosen.run)
        arguments = parser.parse_args(given)
        configure_from_environment()
        return int(arguments.run(arguments))
    except (ConfigurationError, MissingExtra) as error:
        print(f"rtms-gevent: {error}", file=sys.stderr)
        return _USAGE


def _version_in_detail() -> str:
    lines = {
        "rtms-gevent": __version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        **{name: metadata.version(name) for name in ("gevent", "greenlet")},
        "decoding": describe_decoding(),
    }
    return "\n".join(f"{name} {value}" for name, value in lines.items())


if __name__ == "__main__":
    sys.exit(main())

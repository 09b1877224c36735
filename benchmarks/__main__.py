"""The commands: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import importlib
import sys

#: What is run, by name; each is a module with add_arguments() and run().
COMMANDS = {
    "compare": "this package beside the official SDK and others: one table",
    "scale": "cost against the number of meetings, and against the size of packets",
    "workers": "what it costs that workers share streams, by store",
    "charts": "draw what compare and scale wrote",
    "profile": "where the time of a message goes",
}


def main() -> int:
    """Run the command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        module = importlib.import_module(f".{name}", __package__)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    arguments = parser.parse_args()
    return arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())

"""The command itself: its arguments, when to look, and what to print where."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from .._environment import store_url
from ..errors import StoreError
from .look import Look, Reader, readers
from .table import as_document, as_text

__all__ = ["add_arguments", "run"]

#: Seconds between two looks. Workers tell about their streams every second.
INTERVAL = 1.5
#: Lets a terminal begin at its top.
_CLEAR = "\x1b[H\x1b[J"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument(
        "--store",
        metavar="URL",
        help="the store that the workers share: local, local:///path, redis://... or rediss://... "
        "(ZM_RTMS_STORE or RTMS_STORE of the environment, else local)",
    )
    parser.add_argument(
        "--namespace",
        metavar="NAME",
        help="only these workers, such as rtms-CLIENT_ID: the name of the Flask extension and the "
        "client id (all that are found)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.add_argument("--watch", action="store_true", help="go on until Ctrl-C")


def run(arguments: argparse.Namespace) -> int:
    """Print what the workers do; return the exit code: 1 where a store cannot be read."""
    url = arguments.store or store_url()
    known: dict[str, Reader] = {}
    try:
        looks = _look(url, arguments.namespace, known)
        while arguments.watch:
            _print(looks, arguments)
            time.sleep(INTERVAL)
            looks = _look(url, arguments.namespace, known)
        if any(look.streams for look in looks):
            time.sleep(INTERVAL)  # for the rates
            looks = _look(url, arguments.namespace, known)
        _print(looks, arguments)
    except StoreError as problem:
        sys.stderr.write(f"rtms-gevent status: {problem}\n")
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _look(url: str, namespace: str | None, known: dict[str, Reader]) -> list[Look]:
    """Look into all stores; those that are ``known`` tell rates, too."""
    found = [known.setdefault(each.name, each) for each in readers(url, namespace)]
    return [reader.look() for reader in found]


def _print(looks: Sequence[Look], arguments: argparse.Namespace) -> None:
    if arguments.json:
        text = json.dumps(as_document(looks)) + "\n"
    else:
        text = as_text(looks, time.time())
        if arguments.watch and sys.stdout.isatty():
            text = _CLEAR + text
    sys.stdout.write(text)
    sys.stdout.flush()

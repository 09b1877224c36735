"""The command ``rtms-gevent simulate``: runs simulated meetings until a signal ends them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import signal
import sys
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event

from ..errors import ConfigurationError
from .options import BINARY

if TYPE_CHECKING:
    from .scenario.model import Scenario

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (a free one)")
    parser.add_argument("--tls", action="store_true", help="serve wss, see ca in the output")
    parser.add_argument(
        "--scenario",
        default="standup",
        metavar="NAME_OR_FILE",
        help="standup, short, empty, chaos, or a JSON file (%(default)s)",
    )
    parser.add_argument(
        "--streams", type=int, default=1, metavar="N", help="meetings at a time (%(default)s)"
    )
    parser.add_argument(
        "--duration", type=float, metavar="S", help="scenario seconds until streams end"
    )
    parser.add_argument(
        "--seed", default="0", help="of chaos: the same seed, the same faults (%(default)s)"
    )
    parser.add_argument(
        "--stamp", action="store_true", help="number all media, as chaos always does"
    )
    parser.add_argument(
        "--binary",
        nargs="?",
        const="all",
        default=False,
        choices=BINARY,
        help="send binary frames, as Zoom may: for media, for all other messages, or for all (all)",
    )
    parser.add_argument(
        "--lenient",
        action="store_true",
        help="take what clients were seen to send, though Zoom's documents forbid it, and log it",
    )
    parser.add_argument("--webhook", metavar="URL", help="post signed webhooks there")
    parser.add_argument("--webhook-secret", metavar="SECRET", help="what signs them (random)")
    parser.add_argument(
        "--client-id", default="simulated-client", metavar="ID", help="(%(default)s)"
    )
    parser.add_argument("--client-secret", metavar="SECRET", help="(random)")
    parser.add_argument(
        "--speed", type=float, default=1.0, metavar="X", help="times as fast as real time (1)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print one line of JSON when ready, play, and return 0 on SIGTERM or SIGINT."""
    from .server import Simulator

    scenarios = _scenarios(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    over = Event()
    handlers = [gevent.signal_handler(number, over.set) for number in _SIGNALS]
    try:
        with Simulator(
            scenarios[0],
            host=arguments.host,
            port=arguments.port,
            tls=arguments.tls,
            client_id=arguments.client_id,
            client_secret=arguments.client_secret,
            webhook_url=arguments.webhook,
            webhook_secret=arguments.webhook_secret,
            speed=arguments.speed,
            stamp=arguments.stamp or arguments.scenario == "chaos",
            binary=arguments.binary,
            lenient=arguments.lenient,
        ) as simulator:
            meeting = simulator.meeting
            meetings = [meeting, *map(simulator.add_meeting, scenarios[1:])]
            ready: dict[str, Any] = {
                "signaling_url": simulator.signaling_url,
                "meeting_uuid": meeting.uuid,
                "rtms_stream_id": meeting.stream_id,
                "client_id": simulator.client_id,
                "client_secret": simulator.client_secret,
                "webhook_secret": simulator.webhook_secret,
            }
            if simulator.ca is not None:
                ready["ca"] = simulator.ca
            if len(meetings) > 1:
                ready["payloads"] = [one.payload for one in meetings]
            sys.stdout.write(json.dumps(ready) + "\n")
            sys.stdout.flush()
            # Each may wait for a receiver that is not up yet.
            starters = [gevent.spawn(one.start) for one in meetings]
            over.wait()
            gevent.killall(starters)
    finally:
        for handler in handlers:
            handler.cancel()
    return 0


def _scenarios(arguments: argparse.Namespace) -> list[Scenario]:
    """Return the scenario of each stream."""
    from .scenario.loader import load_scenario, make_chaos

    count, duration = arguments.streams, arguments.duration
    if count < 1:
        raise ConfigurationError(f"streams must be at least 1, not {count}")
    if duration is not None and not 0 < duration < 1e6:
        raise ConfigurationError(f"duration must be more than 0 seconds, not {duration:g}")
    if arguments.scenario == "chaos":
        length = 60.0 if duration is None else duration
        return [make_chaos(f"{arguments.seed}/{number}", length) for number in range(count)]
    scenario = load_scenario(arguments.scenario)
    if duration is not None:
        scenario = dataclasses.replace(scenario, duration=duration)
    return [scenario] * count


_SIGNALS = (signal.SIGTERM, signal.SIGINT)

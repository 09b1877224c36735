"""``rtms-gevent simulate``: one simulated meeting, until it is told to end."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys

import gevent
from gevent.event import Event

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
        help="standup, short, empty, or a JSON file (%(default)s)",
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

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    over = Event()
    handlers = [gevent.signal_handler(number, over.set) for number in _SIGNALS]
    try:
        with Simulator(
            arguments.scenario,
            host=arguments.host,
            port=arguments.port,
            tls=arguments.tls,
            client_id=arguments.client_id,
            client_secret=arguments.client_secret,
            webhook_url=arguments.webhook,
            webhook_secret=arguments.webhook_secret,
            speed=arguments.speed,
        ) as simulator:
            meeting = simulator.meeting
            ready = {
                "signaling_url": simulator.signaling_url,
                "meeting_uuid": meeting.uuid,
                "rtms_stream_id": meeting.stream_id,
                "client_id": simulator.client_id,
                "client_secret": simulator.client_secret,
                "webhook_secret": simulator.webhook_secret,
            }
            if simulator.ca is not None:
                ready["ca"] = simulator.ca
            sys.stdout.write(json.dumps(ready) + "\n")
            sys.stdout.flush()
            starter = gevent.spawn(meeting.start)  # may wait for a receiver that is not up yet
            over.wait()
            starter.kill()
    finally:
        for handler in handlers:
            handler.cancel()
    return 0


_SIGNALS = (signal.SIGTERM, signal.SIGINT)

"""``python -m benchmarks profile``: where the time of a message goes, layer by layer.

The layers are measured one upon the other: each line has what the lines above it have. They are fed
in memory; only the whole client has a socket, so its line includes receiving.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from rtms_gevent import Product
from rtms_gevent.protocol.codec import JsonCodec
from rtms_gevent.protocol.frames import FrameReader

from .contender import BARE, OURS
from .load.frames import StampedFrame
from .measure import measure
from .workload import STAMP_ZERO, Workload

__all__ = ["add_arguments", "run"]

_SECONDS = 1.0
_LIMIT = 32 * 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--payload", type=int, default=160, help="bytes (%(default)s)")
    parser.add_argument("--media", choices=("audio", "video"), default="audio")
    parser.add_argument(
        "--functions",
        metavar="FILE",
        default="",
        help="also run the whole client under cProfile, which writes this file for pstats",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the table; return the exit status."""
    packet = bytes(StampedFrame(arguments.media, arguments.payload).stamp(STAMP_ZERO))
    workload = Workload(
        "flood", payload=arguments.payload, media=arguments.media, seconds=3 * _SECONDS
    )
    codec = JsonCodec(Product.MEETING)
    layers = [
        ("receive (system calls)", measure(BARE, workload)["cpu_us"]),
        ("frames (FrameReader)", _cost(packet, lambda buffer, start, stop: None)),
        (
            "+ decoding, the long way (JsonCodec)",
            _cost(packet, lambda buffer, start, stop: codec.decode(memoryview(buffer)[start:stop])),
        ),
    ]
    if codec.usual_media is not None:
        layers.append(("or the short way (usual)", _cost(packet, codec.usual_media)))
    whole = measure(OURS, workload)["cpu_us"]
    print(f"{arguments.media}, {arguments.payload} B, one stream, flooded; µs of CPU per message\n")
    for name, cost in layers:
        print(f"{name:<60}{cost:8.2f}")
    rest = whole - layers[0][1] - layers[-1][1]
    print(f"{'+ the rest: hub, account, inbox, callback':<60}{rest:8.2f}")
    print(f"{'the whole client':<60}{whole:8.2f}")
    if arguments.functions:
        measure(OURS, workload, profile=arguments.functions)
        print(f"\npython -m pstats {arguments.functions}")
    return 0


def _cost(packet: bytes, handle: Callable[[bytearray | bytes, int, int], object]) -> float:
    """Return the microseconds of reading a frame and handling its payload."""
    reader = FrameReader(_LIMIT)
    pending = packet * max(1, 16 * 1024 // len(packet))
    taken, packets = 0, 0
    begin = time.process_time()
    while time.process_time() - begin < _SECONDS:
        space = reader.writable()
        count = min(len(space), len(pending) - taken)
        space[:count] = pending[taken : taken + count]
        taken = (taken + count) % len(pending)
        for _, buffer, start, stop in reader.received(count):
            handle(buffer, start, stop)
            packets += 1
    return 1e6 * (time.process_time() - begin) / packets

"""``python -m benchmarks profile``: where the time of a message goes, layer by layer.

The layers are measured one upon the other: each line has what the lines above it have. In a flood
they are fed in memory; only the whole client has a socket, so its line includes receiving. Paced
streams are received by all of them, in turns.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import time
from collections.abc import Callable

from rtms_gevent import Product
from rtms_gevent.protocol.codec import JsonCodec
from rtms_gevent.protocol.fast_media import fast_media_decoder, missing_accelerators
from rtms_gevent.transport.frames import FrameReader

from .contender import BARE, OURS, SKELETONS
from .load.frames import StampedFrame
from .measure import measure
from .workload import STAMP_ZERO, Workload

__all__ = ["add_arguments", "run"]

_SECONDS = 1.0
_PACED_STREAMS = 100
_ROUNDS = 3
_READS = 50_000
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
    """Print the tables; return the exit status."""
    packet = _packet(arguments.media, arguments.payload)
    what = {"payload": arguments.payload, "media": arguments.media, "seconds": 3 * _SECONDS}
    print(f"{arguments.media}, {arguments.payload} B; µs of CPU per message")
    _print("one stream, flooded", _flooded(packet, Workload("flood", **what)))
    streams = _PACED_STREAMS
    title = f"{streams} streams x 50 msg/s"
    _print(title, _paced(packet, Workload("paced", streams=streams, **what)))
    _print_decoding()
    if arguments.functions:
        measure(OURS, Workload("flood", **what), profile=arguments.functions)
        print(f"\npython -m pstats {arguments.functions}")
    return 0


def _packet(media: str, payload: int) -> bytes:
    return bytes(StampedFrame(media, payload).stamp(STAMP_ZERO))


def _print(title: str, layers: list[tuple[str, float]]) -> None:
    print(f"\n{title}\n")
    for name, cost in layers:
        print(f"{name:<60}{cost:8.2f}")


def _flooded(packet: bytes, workload: Workload) -> list[tuple[str, float]]:
    codec = JsonCodec(Product.MEETING)
    layers = [
        ("receive (system calls)", measure(BARE, workload)["cpu_us"]),
        ("frames (FrameReader)", _cost(packet, lambda buffer, start, stop: None)),
        (
            "+ decoding, all of JSON (JsonCodec)",
            _cost(packet, lambda buffer, start, stop: codec.decode(memoryview(buffer)[start:stop])),
        ),
    ]
    layers.append(("or the fast path (FastMediaDecoder)", _cost(packet, codec.fast_media.decode)))
    whole = measure(OURS, workload)["cpu_us"]
    rest = whole - layers[0][1] - layers[-1][1]
    layers.append(("+ the rest: hub, account, inbox, callback", rest))
    layers.append(("the whole client", whole))
    return layers


_SIZES = (("audio", 160), ("audio", 1920), ("video", 20_000))


def _print_decoding() -> None:
    """Compare all ways to decode, in turns; in brackets how many times the first one's cost."""
    codec = JsonCodec(Product.MEETING)
    ways = {
        "the fast path, without accelerators": fast_media_decoder(plainly=True).decode,
        "all of JSON": lambda buffer, start, stop: codec.decode(memoryview(buffer)[start:stop]),
    }
    if not missing_accelerators():
        ways = {"the fast path": fast_media_decoder(plainly=False).decode, **ways}
    sizes = "".join(f"{size:>7,} B       " for _, size in _SIZES)
    print(f"\ndecoding one message, the best of {_ROUNDS} rounds\n\n{'':<36}{sizes}".rstrip())
    packets = [_packet(media, size) for media, size in _SIZES]
    costs = {name: [float("inf")] * len(packets) for name in ways}
    for _ in range(_ROUNDS):
        for at, packet in enumerate(packets):
            without = _cost(packet, lambda buffer, start, stop: None)
            for name, decode in ways.items():
                costs[name][at] = min(costs[name][at], _cost(packet, decode) - without)
    first = next(iter(costs.values()))
    for name, row in costs.items():
        cells = [f"{c:>9.2f} ({c / base:>4.1f})" for c, base in zip(row, first, strict=True)]
        print(f"{name:<36}{''.join(cells)}")


def _paced(packet: bytes, workload: Workload) -> list[tuple[str, float]]:
    layers = [("one read (system call)", _read_cost(packet))]
    if hasattr(socket, "TCP_QUICKACK"):
        # Over loopback, to send an acknowledgement is to receive it, too.
        layers.append(("the same without TCP's acknowledgement", _read_cost(packet, quickly=False)))
    contenders = {
        "waking up, reading, decoding, calling back (skeleton)": SKELETONS[0],
        "+ a queue and a greenlet for each stream": SKELETONS[1],
        "the whole client": OURS,
    }
    costs: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(_ROUNDS):
        for name, contender in contenders.items():
            costs[name].append(measure(contender, workload)["cpu_us"])
    layers += [(name, statistics.median(found)) for name, found in costs.items()]
    return layers


def _read_cost(packet: bytes, *, quickly: bool = True) -> float:
    """Return the microseconds of one system call that reads one message."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
    with sender, receiver:
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not quickly:
            receiver.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        descriptor, space, spent = receiver.fileno(), (bytearray(len(packet)),), 0.0
        for _ in range(_READS):
            sender.sendall(packet)
            begin = time.perf_counter()
            os.readv(descriptor, space)
            spent += time.perf_counter() - begin
    return 1e6 * spent / _READS


def _cost(packet: bytes, handle: Callable[[bytearray | bytes, int, int], object]) -> float:
    """Return the microseconds of reading a frame and handling its payload."""
    reader = FrameReader(_LIMIT)
    pending = packet * max(1, 16 * 1024 // len(packet))
    taken, packets = 0, 0
    begin = time.process_time()
    while time.process_time() - begin < _SECONDS:
        space = reader.get_buffer()
        count = min(len(space), len(pending) - taken)
        space[:count] = pending[taken : taken + count]
        taken = (taken + count) % len(pending)
        for _, buffer, start, stop in reader.buffer_updated(count):
            handle(buffer, start, stop)
            packets += 1
    return 1e6 * (time.process_time() - begin) / packets

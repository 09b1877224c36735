"""asyncio and websockets, with json."""

from __future__ import annotations

import asyncio

import websockets
import websockets.asyncio.client

from .handshakes import client_ready, media_request, read_packet, signaling_request, tls_context
from .meter import Meter
from .task import Task


async def main() -> None:
    """Do the task."""
    task = Task.from_command_line()
    done = asyncio.Event()
    meter = Meter(task, on_done=done.set)
    context = tls_context(task)

    def connect():
        return websockets.asyncio.client.connect(
            task.url, ssl=context, compression=None, max_size=None, ping_interval=None
        )

    async def receive(stream):
        signaling = await connect()
        await signaling.send(signaling_request(stream))
        await signaling.recv()
        media = await connect()
        await media.send(media_request(stream, task.workload.media))
        await media.recv()
        await signaling.send(client_ready(stream))
        meter.joined()
        async for text in media:
            meter.packet(*read_packet(text))

    meter.joining()
    tasks = [asyncio.ensure_future(receive(stream)) for stream in task.ids()]
    await done.wait()
    for receiving in tasks:
        receiving.cancel()
    meter.report(version=websockets.__version__)


asyncio.run(main())

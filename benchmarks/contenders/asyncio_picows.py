"""asyncio and picows, with json."""

from __future__ import annotations

import asyncio
import importlib.metadata

import picows

from .handshakes import client_ready, media_request, read_packet, signaling_request, tls_context
from .meter import Meter
from .task import Task


class Listener(picows.WSListener):
    """Hands the first message to a future, and the others to a function."""

    def __init__(self, packet) -> None:
        self.answer = asyncio.get_running_loop().create_future()
        self._packet = packet

    def on_ws_frame(self, transport, frame) -> None:
        """Take one frame."""
        if frame.msg_type not in (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY):
            return
        if self.answer.done():
            self._packet(*read_packet(frame.get_payload_as_bytes()))
        else:
            self.answer.set_result(None)


async def main() -> None:
    """Do the task."""
    task = Task.from_command_line()
    done = asyncio.Event()
    meter = Meter(task, on_done=done.set)
    context = tls_context(task)
    open_sockets = []

    async def ask(request):
        transport, listener = await picows.ws_connect(
            lambda: Listener(meter.packet), task.url, ssl_context=context
        )
        open_sockets.append(transport)
        transport.send(picows.WSMsgType.TEXT, request.encode())
        await listener.answer
        return transport

    async def join(stream):
        signaling = await ask(signaling_request(stream))
        await ask(media_request(stream, task.workload.media))
        signaling.send(picows.WSMsgType.TEXT, client_ready(stream).encode())
        meter.joined()

    meter.joining()
    await asyncio.gather(*(join(stream) for stream in task.ids()))
    await done.wait()
    meter.report(version=importlib.metadata.version("picows"))


asyncio.run(main())

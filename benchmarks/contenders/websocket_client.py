"""websocket-client and json, as many begin: one thread for each stream."""

from __future__ import annotations

import threading

import websocket

from .handshakes import client_ready, media_request, read_packet, signaling_request
from .meter import Meter
from .task import Task


def main() -> None:
    """Do the task."""
    task = Task.from_command_line()
    done = threading.Event()
    meter = Meter(task, on_done=done.set)
    options = {"ca_certs": task.ca} if task.ca else None

    def connect():
        return websocket.create_connection(task.url, sslopt=options)

    def receive(stream):
        signaling = connect()
        signaling.send(signaling_request(stream))
        signaling.recv()
        media = connect()
        media.send(media_request(stream, task.workload.media))
        media.recv()
        signaling.send(client_ready(stream))
        meter.joined()
        while True:
            meter.packet(*read_packet(media.recv()))

    meter.joining()
    for stream in task.ids():
        threading.Thread(target=receive, args=[stream], daemon=True).start()
    done.wait()
    meter.report(version=websocket.__version__)


main()

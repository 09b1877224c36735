"""The official SDK, in its own event loop: ``rtms.run()``.

The option ``poll_interval`` is that loop's, in seconds; 0.01 is its default.
"""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import threading

from .meter import Meter
from .task import CLIENT_ID, CLIENT_SECRET, Task


def main() -> None:
    """Do the task."""
    task = Task.from_command_line()
    os.environ["ZM_RTMS_LOG_ENABLED"] = "false"
    if task.ca:
        os.environ["ZM_RTMS_CA"] = task.ca  # join(ca=...) is ignored
    pathlib.Path("logs").mkdir(exist_ok=True)  # else it complains of each line that it cannot log
    import rtms

    clients = []

    def join(url, ids, joined):
        for stream in ids:
            client = rtms.Client()
            register = getattr(client, f"on_{task.workload.media}_data")
            register(meter.packet)
            client.on_join_confirm(joined)
            client.join(
                meeting_uuid=stream,
                rtms_stream_id=stream,
                server_urls=url,
                client=CLIENT_ID,
                secret=CLIENT_SECRET,
                timeout=60_000,
            )
            clients.append(client)

    def join_late():
        meter.joining(late=True)
        join(task.late.url, task.late_ids(), meter.late_joined)

    def plan_late():
        if task.late:
            threading.Timer(task.late.after, join_late).start()

    def join_all():
        # From a thread, so that run() is at work: else each client gets a loop of its own.
        while rtms._default_loop is None:
            pass
        meter.joining()
        join(task.url, task.ids(), meter.joined)

    meter = Meter(task, on_done=rtms.stop, on_begin=plan_late)
    threading.Thread(target=join_all).start()
    rtms.run(poll_interval=task.options["poll_interval"])
    meter.report(version=importlib.metadata.version("rtms"))
    os._exit(0)  # its own way out may crash


main()

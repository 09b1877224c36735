"""This package, as a plain script uses it.

With the option ``tuned``, the garbage collector is as in processes that are ours.
"""

from __future__ import annotations

import urllib.parse

import gevent
from gevent.event import Event

import rtms_gevent as rtms
from rtms_gevent.runtime import garbage

from .meter import Meter
from .task import CLIENT_ID, CLIENT_SECRET, Task

#: Milliseconds that joining may take.
_TIMEOUT = 60_000


def main() -> None:
    """Do the task."""
    task = Task.from_command_line()
    if task.options.get("tuned"):
        garbage.tune()
    done = Event()
    clients = []

    def join(url, ids, joined):
        for stream in ids:
            # As the Flask extension does it for each webhook.
            rtms.run_soon(join_one, url, stream, joined)

    def join_one(url, stream, joined):
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
            ca=task.ca or None,
            allowed_hosts=urllib.parse.urlsplit(url).hostname,
            timeout=_TIMEOUT,
        )
        clients.append(client)

    def join_late():
        meter.joining(late=True)
        join(task.late.url, task.late_ids(), meter.late_joined)

    def plan_late():
        if task.late:
            gevent.spawn_later(task.late.after, join_late)

    meter = Meter(task, on_done=done.set, on_begin=plan_late)
    meter.joining()
    # In a greenlet, as webhooks come.
    gevent.spawn(join, task.url, task.ids(), meter.joined)
    done.wait()
    dropped = sum(sum(client.dropped.values()) for client in clients)
    meter.report(dropped=dropped, version=rtms.__version__)


main()

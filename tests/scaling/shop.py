"""A Flask app as a shop would have it, which keeps a diary: one file for each worker process."""

from __future__ import annotations

import json
import os
import pathlib
import time

from flask import Flask, jsonify

from rtms_gevent import signals
from rtms_gevent.flask import RTMS

DIARY = pathlib.Path(os.environ["DIARY"])
rtms = RTMS()
_files: dict[int, int] = {}


def note(what, **fields):
    """Append one line. A short write to a file that appends is one step, also at a kill -9."""
    pid = os.getpid()
    if pid not in _files:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        _files[pid] = os.open(DIARY / f"{pid}.jsonl", flags, 0o600)
    entry = {"what": what, "pid": pid, "at": time.monotonic(), **fields}
    os.write(_files[pid], json.dumps(entry).encode() + b"\n")


@rtms.on_stream_started
def started(client, event):
    stream = event.stream_id
    note("started", stream=stream, is_takeover=event.is_takeover)
    client.on_audio_data(
        lambda data, size, timestamp, metadata: note("audio", stream=stream, ts=timestamp)
    )
    client.on_media_gap(
        lambda gap: note("gap", stream=stream, start=gap.start, end=gap.end, cause=gap.cause)
    )


@rtms.on_stream_stopped
def stopped(client, event):
    note("stopped", stream=event.stream_id, has_client=client is not None)


@rtms.on_stream_interrupted
def interrupted(client, event):
    note("interrupted", stream=event.stream_id, has_client=client is not None)


@rtms.on_stream_ended
def ended(client, reason):
    note("ended", stream=client.stream_id(), reason=str(reason), is_handover=reason.is_handover)


@signals.missed.connect
def missed(sender, event, reason, **_):
    note("missed", stream=event.stream_id, reason=reason)


def create_app():
    app = Flask(__name__)
    app.config.from_mapping(RTMS_WEBHOOK_SECRET="hook", RTMS_ALLOWED_HOSTS="127.0.0.1")
    rtms.init_app(app)

    @app.get("/")
    def cluster():
        streams = [(row.stream_id, row.owner, row.state) for row in rtms.streams()]
        return jsonify(streams=streams, workers=[worker.pid for worker in rtms.workers()])

    return app

"""A Flask app as an existing shop would have it, for the tests to serve in many ways."""

from __future__ import annotations

import os
import threading

from flask import Flask, current_app, jsonify

from rtms_gevent.flask import RTMS

rtms = RTMS()


@rtms.on_stream_started
def started(client, event):
    seen = current_app.extensions["seen"]
    seen["started"].append(event.stream_id)

    @client.on_transcript_data
    def transcript(data, size, timestamp, metadata):
        # Inside an app context, whatever serves this app.
        current_app.extensions["seen"]["lines"].append(f"{metadata.userName}: {data.decode()}")
        seen["threads"].add(threading.get_ident())

    client.on_leave(lambda reason: seen["left"].append(reason))


@rtms.on_stream_ended
def ended(client, reason):
    current_app.extensions["seen"]["ended"].append(reason.code)
    current_app.logger.warning("%s ended: %s", client.stream_id(), reason)


def create_app():
    app = Flask(__name__)
    app.config.from_mapping(RTMS_WEBHOOK_SECRET="hook", RTMS_ALLOWED_HOSTS="127.0.0.1")
    app.extensions["seen"] = {"started": [], "lines": [], "left": [], "ended": [], "threads": set()}
    rtms.init_app(app)

    @app.get("/seen")
    def show():
        seen = app.extensions["seen"]
        return jsonify({**seen, "threads": len(seen["threads"]), "pid": os.getpid()})

    return app

"""A Flask app made by a factory."""

from __future__ import annotations

from flask import Flask

from rtms_gevent.flask import RTMS

rtms = RTMS()


@rtms.on_stream_started
def started(client, event):
    client.on_transcript_data(lambda data, size, timestamp, metadata: None)


def create_app():
    app = Flask(__name__)
    app.config["RTMS_WEBHOOK_SECRET"] = "hook"
    rtms.init_app(app)
    return app

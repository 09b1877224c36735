"""A Flask app that joins streams, and has a request that takes until somebody lets it end."""

from __future__ import annotations

import os
import pathlib

import gevent
from flask import Flask

from rtms_gevent.flask import RTMS

rtms = RTMS()


@rtms.on_stream_started
def started(client, event):
    client.enable_transcript()


def create_app():
    app = Flask(__name__)
    app.config.from_mapping(
        RTMS_WEBHOOK_SECRET="hook", RTMS_ALLOWED_HOSTS="127.0.0.1", RTMS_MAX_STREAMS=5
    )
    rtms.init_app(app)

    @app.get("/")
    def ready():
        return ""

    @app.get("/long")
    def last():
        diary = pathlib.Path(os.environ["DIARY"])
        diary.write_text("begun")
        while diary.exists():
            gevent.sleep(0.01)
        return ""

    return app

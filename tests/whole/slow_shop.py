"""A Flask app whose functions take until somebody lets them end, and keep a diary."""

from __future__ import annotations

import contextlib
import os

import gevent
from flask import Flask

from rtms_gevent.flask import RTMS

rtms = RTMS()
DIARY = os.environ["DIARY"]


def note(text):
    with open(DIARY, "a") as diary:
        diary.write(text + "\n")


@contextlib.contextmanager
def work(name):
    note(f"{name} begun")
    try:
        while not os.path.exists(f"{DIARY}.go"):
            gevent.sleep(0.01)
        yield
    finally:
        note(f"{name} finally")


@rtms.on_stream_started
def started(client, event):
    @client.on_transcript_data
    def transcript(data, size, timestamp, metadata):
        with work("callback"):
            note("callback done")


@rtms.on_stream_stopped
def stopped(client, event):
    with work("stopped"):
        client.wait()


def create_app():
    app = Flask(__name__)
    app.config.from_mapping(RTMS_WEBHOOK_SECRET="hook", RTMS_ALLOWED_HOSTS="127.0.0.1")
    rtms.init_app(app)

    @app.get("/")
    def ready():
        return ""

    return app

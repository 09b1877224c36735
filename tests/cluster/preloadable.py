"""A Flask app that forks while it is made, as some do for work in the background."""

from __future__ import annotations

import os
import time

from flask import Flask

from rtms_gevent.flask import RTMS


def create_app():
    app = Flask(__name__)
    # With a limit a worker takes part even where it shares nothing.
    app.config.from_mapping(RTMS_WEBHOOK_SECRET="hook", RTMS_STORE="memory", RTMS_MAX_STREAMS=1)
    RTMS(app)
    parent = os.getpid()
    if os.fork() == 0:
        while os.getppid() == parent:
            time.sleep(0.1)
        os._exit(0)
    return app

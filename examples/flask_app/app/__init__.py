"""A small Flask app that keeps the minutes of Zoom meetings."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from flask import Flask

from rtms_gevent.live import LivePage

from .minutes import Minutes
from .pages import pages
from .streams import rtms


def create_app(config: dict[str, Any] | None = None) -> Flask:
    """Return the app. Secrets come from the environment: see the README."""
    app = Flask(__name__)
    if hasattr(app.config, "from_prefixed_env"):  # Flask 2.1 or newer
        app.config.from_prefixed_env()
    app.config.from_mapping(config or {})

    app.config.setdefault("MINUTES", os.path.join(app.instance_path, "minutes.sqlite"))
    app.extensions["minutes"] = Minutes(pathlib.Path(app.config["MINUTES"]))
    app.register_blueprint(pages)

    rtms.init_app(app)  # receives Zoom's webhooks at /rtms/webhook
    LivePage(app)  # shows running meetings at /rtms/live, to those who have its link

    @app.get("/healthz")
    def health() -> str:
        return "ok"

    return app

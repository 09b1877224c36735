"""An app with the live page, whose streams do what a test says.

gunicorn serves it. ``POST /emit`` takes a JSON list; each item names a signal, a stream and the
arguments, and is sent as that stream's client would send it.
"""

from __future__ import annotations

import base64
import collections
import json
import os
from typing import Any

from flask import Flask, Response, jsonify, request

from rtms_gevent import signals
from rtms_gevent.enums import Codec, Product
from rtms_gevent.errors import StoreError
from rtms_gevent.flask import RTMS
from rtms_gevent.live import LivePage, browser, recorder, viewer
from rtms_gevent.protocol.metadata import ChatDetails, Metadata
from rtms_gevent.stream.leave_reason import LeaveReason

TOKEN = "a-token-of-the-tests"


class FakeClient:
    """Sends signals in the place of a client: the page knows no more of one than this."""

    def __init__(self, stream_id: str) -> None:
        self._stream_id = stream_id
        self.negotiated: dict[str, Any] = {"audio": {"codec": Codec.L16}}

    def stream_id(self) -> str:
        return self._stream_id

    def uuid(self) -> str:
        return f"uuid-{self._stream_id}"


def metadata(**fields: Any) -> Metadata:
    chat = fields.pop("chat", None)
    return Metadata(**fields, chat=ChatDetails(**chat) if chat is not None else None)


def emit(emitted: list[dict[str, Any]]) -> None:
    for item in emitted:
        arguments = dict(item.get("arguments", {}))
        if "metadata" in arguments:
            arguments["metadata"] = metadata(**arguments["metadata"])
            data = arguments["data"]
            arguments["data"] = base64.b64decode(data["b64"]) if "b64" in data else data["text"]
            if isinstance(arguments["data"], str):
                arguments["data"] = arguments["data"].encode()
            arguments["size"] = len(arguments["data"])
        if item["signal"] == "left":
            arguments["reason"] = LeaveReason.stopped(arguments["reason"])
        if "product" in arguments:
            arguments["product"] = Product(arguments["product"])
        signals.emit(getattr(signals, item["signal"]), FakeClient(item["stream"]), **arguments)


def create_app(**config: Any) -> Flask:
    # As seldom as it really looks, a test would mostly wait for it.
    viewer.INTERVAL = 0.02
    browser.CLOSE_TIMEOUT = 0.5
    app = Flask(__name__)
    app.config.from_mapping(RTMS_LIVE_TOKEN=TOKEN)
    app.config.update(config)
    LivePage(app)

    @app.post("/emit")
    def post_signals() -> tuple[str, int, dict[str, str]]:
        emit(json.loads(request.get_data()))
        return "", 204, {"Worker": str(os.getpid())}

    requests: collections.deque[str] = collections.deque(maxlen=1000)
    app.before_request(lambda: requests.append(f"{request.url} {request.referrer}"))

    @app.get("/requests")
    def list_requests() -> list[str]:
        return list(requests)

    contexts: list[object] = []
    app.before_request(lambda: contexts.append(None))
    app.teardown_request(lambda error: contexts.pop())

    @app.get("/contexts")
    def count_contexts() -> str:
        return str(len(contexts))

    return app


def create_shared_app() -> Flask:
    """Return an app whose workers know each other."""
    app = create_app(RTMS_WEBHOOK_VERIFY=False)
    extension = RTMS(app)
    extension.clusters[0].start()

    @app.get("/workers")
    def list_workers() -> Response:  # a list alone would do since Flask 2.2
        try:
            return jsonify([worker.pid for worker in extension.workers()])
        except StoreError:  # it is just being opened
            return jsonify([])

    return app


def create_careless_app() -> Flask:
    """Return an app that sends viewers all times, also those that no clock of a browser shows."""
    recorder._displayable_time = lambda at: at
    return create_app()

"""The settings that gunicorn.conf.py may import."""

from __future__ import annotations

import json

from whole.test_servers import Server

APP = """
import gc, json


def application(environ, start_response):
    body = json.dumps([gc.get_freeze_count(), gc.get_threshold()]).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def test_workers_collect_garbage_less_often(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "gunicorn.conf.py").write_text("from rtms_gevent.gunicorn import *\n")
    with Server(["gunicorn", "-k", "gevent", "app"], tmp_path, ready="/") as server:
        frozen, (_, _, rounds) = json.loads(server.get("/")[1])
    assert frozen > 10_000
    assert rounds > 10

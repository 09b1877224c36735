"""Which processes take part, with the real gunicorn."""

from __future__ import annotations

import os
import pathlib
import re
import sys

import pytest
from gevent import subprocess
from support.recorder import wait_until

HERE = pathlib.Path(__file__).parent
WORKERS = (
    "gevent",
    "geventwebsocket.gunicorn.workers.GeventWebSocketWorker",
    "gthread",
    "sync",
)
LOGGING = """
logconfig_dict = {
    "loggers": {"rtms_gevent": {"level": "INFO", "handlers": ["console"], "propagate": False}}
}
control_socket_disable = True
"""


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preloaded"])
@pytest.mark.parametrize("kind", WORKERS)
def test_each_worker_of_gunicorn_takes_part(kind, preload, tmp_path):
    """Also one that never gets a request; but neither the arbiter, nor what else is forked."""
    log, settings = tmp_path / "log", tmp_path / "gunicorn.conf.py"
    settings.write_text(LOGGING)
    options = ["-k", kind, "-w", "2", "-b", "127.0.0.1:0", "-c", str(settings), *preload]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *options, "preloadable:create_app()"],
            cwd=HERE,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )

    def told(pattern):
        return sorted(re.findall(pattern, log.read_text()))

    taking_part = r"worker \S+-(\d+)-\w+ shares streams"
    try:
        wait_until(lambda: len(told(taking_part)) >= 2, 20)
    finally:
        server.terminate()
        wait_until(lambda: server.poll() is not None, 20)
    assert told(taking_part) == sorted(set(told(r"worker with pid: (\d+)")))
    assert "Traceback" not in log.read_text()

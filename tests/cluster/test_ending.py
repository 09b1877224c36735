"""What a gunicorn worker does with its streams when it is told to end."""

from __future__ import annotations

import pathlib

import gevent
from support.recorder import wait_until
from whole.test_servers import Server

from rtms_gevent.simulator import Simulator

HERE = pathlib.Path(__file__).parent


def test_requests_that_run_do_not_hold_up_the_handing_over(tmp_path):
    """gunicorn waits for them until it kills the worker, which would cut its streams off."""
    diary = tmp_path / "diary"
    command = ["gunicorn", "-k", "gevent", "busy_app:create_app()"]
    settings = {
        "DIARY": str(diary),
        "ZM_RTMS_CLIENT": "simulated-client",
        "ZM_RTMS_SECRET": "simulated-secret",
    }
    with (
        Server(command, HERE, ready="/", graceful=30, **settings) as server,
        Simulator(
            "empty",
            client_secret="simulated-secret",
            webhook_url=f"http://127.0.0.1:{server.port}/rtms/webhook",
            webhook_secret="hook",
        ) as simulator,
    ):
        assert simulator.meeting.start() == 200
        assert simulator.meeting.wait_ready(10)
        connections = simulator.meeting.connections("all_sockets")
        request = gevent.spawn(server.get, "/long")
        wait_until(diary.exists)
        server.process.terminate()
        try:
            for connection in connections:
                assert connection.ended.wait(20)
                assert connection.client_close_code == 1000
            assert not request.ready()
        finally:
            diary.unlink()
        assert request.get(timeout=10)[0] == 200

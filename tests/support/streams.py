"""Fixtures for tests against the simulator: its meeting, a client, and joining."""

from __future__ import annotations

import gc

import gevent
import pytest

from rtms_gevent import Client, Reconnect
from rtms_gevent.simulator import Simulator
from support.recorder import wait_until


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("ZM_RTMS_CLIENT", "ZM_RTMS_SECRET", "ZM_RTMS_CA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZM_RTMS_ALLOWED_HOSTS", "127.0.0.1,localhost")


def streams_greenlets():
    return [
        item.name
        for item in gc.get_objects()
        # Not isinstance(), which runs code of lazy objects, such as Django's.
        if issubclass(type(item), gevent.Greenlet)
        and not item.dead
        and getattr(item, "name", "").startswith("rtms ")
    ]


@pytest.fixture(autouse=True)
def no_greenlet_left_behind():
    yield
    # A callback that ran when its client left may still come to its own end.
    wait_until(lambda: not streams_greenlets())


@pytest.fixture
def simulator():
    with Simulator("empty") as running:
        yield running


@pytest.fixture
def meeting(simulator):
    return simulator.meeting


#: Retries as ever, but without the waiting between them.
QUICK = Reconnect(base_delay=0.01, max_delay=0.05)


@pytest.fixture
def client():
    with Client(reconnect=QUICK) as made:
        yield made


@pytest.fixture
def join(simulator, client):
    """Join ``client`` to the meeting and wait until the simulator knows that it is ready."""

    def run(other=None, meeting=None, **options):
        joining = other or client
        target = meeting or simulator.meeting
        options = {"client": simulator.client_id, "secret": simulator.client_secret, **options}
        joining.join(target.started_event, **options)
        joining.wait_joined(10)
        if joining._subscription.media:
            assert target.wait_ready(5)
        return joining

    return run

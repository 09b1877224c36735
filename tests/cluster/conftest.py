"""Places for the suite of all stores."""

from __future__ import annotations

import pytest

from .backends import PLACES
from .redis_server import stop_shared_server
from .redis_steps import OwnPlace


def pytest_sessionfinish():
    stop_shared_server()


@pytest.fixture(params=PLACES)
def place(request):
    with PLACES[request.param]() as place:
        yield place


@pytest.fixture
def own(monkeypatch):
    """A Redis that a test may stop; commands there may take half a second."""
    monkeypatch.setattr("rtms_gevent.cluster.redis_connection._COMMAND_TIMEOUT", 0.5)
    with OwnPlace() as place:
        yield place

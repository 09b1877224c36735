"""Places for the suite of all stores."""

from __future__ import annotations

import pytest

from .backends import PLACES
from .redis_server import stop_shared_server


def pytest_sessionfinish():
    stop_shared_server()


@pytest.fixture(params=PLACES)
def place(request):
    with PLACES[request.param]() as place:
        yield place

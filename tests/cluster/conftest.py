"""Places for the suite of all stores."""

from __future__ import annotations

import pytest

from .backends import PLACES


@pytest.fixture(params=PLACES)
def place(request):
    with PLACES[request.param]() as place:
        yield place

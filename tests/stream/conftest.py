from __future__ import annotations

from support.connect_options import dialled, hasty, patient  # noqa: F401 - fixtures
from support.sessions import make_stage  # noqa: F401 - a fixture
from support.streams import (  # noqa: F401 - fixtures
    client,
    environment,
    join,
    meeting,
    no_greenlet_left_behind,
    simulator,
)

"""Fixtures of ``tests/support``, for this folder."""

from __future__ import annotations

from support.connect_options import dialled, hasty, patient  # noqa: F401 - fixtures
from support.streams import (  # noqa: F401 - fixtures
    client,
    environment,
    join,
    meeting,
    no_greenlet_left_behind,
    simulator,
)

"""Fixtures of ``tests/support``, for this folder."""

from __future__ import annotations

from support.webhooks import inbox, make_inbox  # noqa: F401 - fixtures

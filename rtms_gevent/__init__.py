"""Zoom Realtime Media Streams for synchronous Python."""

from __future__ import annotations

from ._version import __version__

__all__ = ["__version__"]

"""Names that the official SDK has beside ours: constants, split enums, a few functions.

A client's names are in :mod:`rtms_gevent.official.client_names`, those of parameters on the
parameter classes.

Source of names and values: the official Python package ``rtms`` 1.1.0.
"""

from __future__ import annotations

from . import constants
from .constants import *  # noqa: F403 - all that the official SDK has beside its client
from .functions import find_ca_certificate, generate_signature, initialize, uninitialize

__all__ = ["find_ca_certificate", "generate_signature", "initialize", "uninitialize"]
__all__ += constants.__all__

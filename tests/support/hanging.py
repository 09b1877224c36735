"""Ends a test that hangs.

pytest-timeout raises in the main thread. Where that is in the hub just then, the hub would print it
and go on; and once a test has failed, pytest-timeout does not watch how its fixtures end.
"""

from __future__ import annotations

import faulthandler
import os

import pytest
from gevent.hub import Hub

#: Seconds that pytest-timeout gets to fail a test, before its process is ended.
MARGIN = 30.0

# What fails in the hub, or in a greenlet that nobody joins, fails the test.
Hub.SYSTEM_ERROR = (*Hub.SYSTEM_ERROR, pytest.fail.Exception)

_stderr = 2


def pytest_configure():
    global _stderr
    _stderr = os.dup(2)  # while tests run, 2 is what pytest captures


def _watch(item):
    """Begin to wait anew; at the end every thread's stack is printed, and the process ends."""
    own = item.get_closest_marker("timeout")
    limit = float(own.args[0] if own else item.config.getini("timeout"))
    faulthandler.dump_traceback_later(limit + MARGIN, exit=True, file=_stderr)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    _watch(item)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    _watch(item)  # a failure has cancelled the one above
    return (yield)

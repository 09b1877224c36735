"""Ends a test that hangs.

pytest-timeout raises in the main thread. Where that is in the hub just then, the hub would print it
and go on; and once a test has failed, pytest-timeout does not watch how its fixtures end.
"""

from __future__ import annotations

import faulthandler
import os

import pytest
from gevent.hub import Hub

#: Seconds, above pytest-timeout's, after which the process of a test that hangs is ended.
LIMIT = 90.0

# What fails in the hub, or in a greenlet that nobody joins, fails the test.
Hub.SYSTEM_ERROR = (*Hub.SYSTEM_ERROR, pytest.fail.Exception)

_stderr = 2


def pytest_configure():
    global _stderr
    _stderr = os.dup(2)  # while tests run, 2 is what pytest captures


def _watch():
    """Begin anew to wait: then every thread's stack is printed, and the process ends."""
    faulthandler.dump_traceback_later(LIMIT, exit=True, file=_stderr)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol():
    _watch()
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown():
    _watch()  # a failure has cancelled the one above
    return (yield)

"""Options and hooks of the whole suite: no test may hang, and garbage is collected in time."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import given, settings
from hypothesis.strategies import none
from support.hanging import (  # noqa: F401 - hooks
    pytest_configure,
    pytest_runtest_protocol,
    pytest_runtest_teardown,
)

# The same examples on every run, and none refused for being slow on a busy machine. All floats are
# made with allow_subnormal=False: gevent 21.12 is compiled so that there are no subnormal ones, and
# hypothesis then refuses to make any.
settings.register_profile("rtms", derandomize=True, deadline=None)
settings.load_profile("rtms")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish():
    """Leave thousands of collected tests out of every later garbage collection.

    Many tests collect garbage or look through all objects, for leaks.
    """
    # Old hypothesis asks the collector who refers to its random numbers, at its first test. The
    # collector does not know that of what is left out.
    given(none())(lambda _: None)()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Where everything is installed that tests can need, nothing may be skipped."""
    report = yield
    if report.skipped and os.environ.get("RTMS_SKIP_NOTHING"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {reason}"
    return report

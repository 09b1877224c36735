"""Autobahn|Testsuite finds nothing wrong, over TCP and over TLS."""

from __future__ import annotations

import os

import pytest

from .suite import fuzzing_server
from .verdict import complaints, read_report


@pytest.mark.timeout(300)
@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_conformance(tls, tmp_path):
    with fuzzing_server(os.environ["RTMS_AUTOBAHN"], tmp_path, ["*"], tls=tls) as server:
        count = server.run_cases()
    assert count > 300
    assert complaints(read_report(tmp_path), count) == []

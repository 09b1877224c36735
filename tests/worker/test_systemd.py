"""What systemd hears."""

from __future__ import annotations

import os

import pytest

from rtms_gevent.worker.systemd import notify

from .notifications import Notifications


@pytest.mark.parametrize("is_abstract", [False, True])
def test_states_are_sent(tmp_path, monkeypatch, is_abstract):
    path = f"@rtms-gevent-{os.getpid()}" if is_abstract else tmp_path / "notify"
    with Notifications(path) as systemd:
        monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
        notify("READY=1")
        assert systemd.read() == b"READY=1"


@pytest.mark.parametrize("path", [None, "/nowhere/at/all"])
def test_nobody_need_listen(monkeypatch, path):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if path is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", path)
    notify("READY=1")

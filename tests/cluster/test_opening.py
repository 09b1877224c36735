"""Which store the settings name."""

from __future__ import annotations

import pathlib
import sys

import pytest

from rtms_gevent import ConfigurationError
from rtms_gevent.cluster.local import LocalStore
from rtms_gevent.cluster.local_directory import default_directory, directory_below
from rtms_gevent.cluster.memory import MemoryStore
from rtms_gevent.cluster.opening import make_store
from rtms_gevent.config import ClusterSettings


def opened(store, *, has_siblings=False):
    settings = ClusterSettings(store=store, namespace="shop", lease=5.0)
    return make_store(settings, has_siblings=has_siblings)


@pytest.mark.parametrize(
    ("store", "has_siblings", "kind"),
    [
        ("auto", False, MemoryStore),
        ("auto", True, LocalStore),
        ("memory", True, MemoryStore),
        ("local", False, LocalStore),
        ("local:///run/shop", False, LocalStore),
    ],
)
def test_the_settings_name_the_store(store, has_siblings, kind):
    found = opened(store, has_siblings=has_siblings)
    assert type(found) is kind
    assert found.lease == 5.0
    assert found.is_shared is (kind is LocalStore)


@pytest.mark.parametrize(
    ("store", "directory"),
    [
        ("local", default_directory("shop")),
        ("local://", default_directory("shop")),
        ("local:///run/shop", directory_below("/run/shop", "shop")),
        ("local:///run/my%20shop/", directory_below("/run/my shop", "shop")),
    ],
)
def test_the_settings_name_the_directory(store, directory):
    assert pathlib.Path(opened(store).name.removeprefix("local:")) == directory


@pytest.mark.parametrize("store", ["local://relative/path", "local://~/x", "local:///x%00y"])
def test_other_paths_are_refused(store):
    with pytest.raises(ConfigurationError, match="absolute path"):
        opened(store)


@pytest.mark.parametrize("store", ["auto", "local"])
def test_a_python_without_sqlite_is_told(monkeypatch, store):
    for name in ("local", "local_database"):
        monkeypatch.delitem(sys.modules, f"rtms_gevent.cluster.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    with pytest.raises(ConfigurationError, match="lacks SQLite"):
        opened(store, has_siblings=True)
    assert type(opened("auto")) is MemoryStore

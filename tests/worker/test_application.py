"""Names of apps, as gunicorn takes them."""

from __future__ import annotations

import sys

import pytest

from rtms_gevent.errors import ConfigurationError
from rtms_gevent.worker.application import load_app

SOURCE = """
application = "the app"


def create_app(*settings):
    return ["made", *settings]


def broken():
    raise RuntimeError("no database")
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "small_app.py").write_text(SOURCE)
    (tmp_path / "needy_app.py").write_text("import not_installed_anywhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("small_app", None)


@pytest.mark.parametrize(
    ("name", "app"),
    [
        ("small_app", "the app"),
        ("small_app:application", "the app"),
        ("small_app:create_app()", ["made"]),
        ("small_app:create_app('test', 2)", ["made", "test", 2]),
    ],
)
def test_apps_and_factories(name, app):
    assert load_app(name) == app


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no_such_app:app", "there is no module 'no_such_app'"),
        ("no_such.package:app", "there is no module 'no_such.package'"),
        ("small_app:app", "the module 'small_app' has no 'app'"),
        ("small_app:create_app(debug)", "must be written as"),
        ("small_app:1 + 1", "must be written as"),
        ("small_app:create_app(settings='x')", "must be written as"),
        (":app", "must be written as"),
    ],
)
def test_names_that_lead_nowhere(name, problem):
    with pytest.raises(ConfigurationError, match=problem):
        load_app(name)


def test_what_the_app_raises_is_not_hidden():
    with pytest.raises(RuntimeError, match="no database"):
        load_app("small_app:broken()")
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        load_app("needy_app:app")

"""The examples stay what they are meant to be: programs for the official package."""

from __future__ import annotations

import ast
import json
import pathlib

import pytest

from .program import EXAMPLES

NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))
API = json.loads((pathlib.Path(__file__).parents[1] / "official" / "api.json").read_text())


def used(name):
    """Yield (object, attribute) for every attribute of a plain name in an example."""
    for node in ast.walk(ast.parse((EXAMPLES / f"{name}.py").read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.value.id, node.attr


@pytest.mark.parametrize("name", NAMES)
def test_only_the_import_tells_which_package_it_is(name):
    text = (EXAMPLES / f"{name}.py").read_text()
    assert text.count("rtms_gevent") == 1
    assert "import rtms_gevent as rtms\n" in text


@pytest.mark.parametrize("name", NAMES)
def test_it_uses_what_the_official_package_has(name):
    known = {
        "rtms": {"run", "stop", "run_async", "on_webhook_event", *API["all"]},
        "client": set(API["classes"]["Client"]["members"]),
        "loop": set(API["classes"]["EventLoop"]["members"]),
        "pool": set(API["classes"]["EventLoopPool"]["members"]),
    }
    assert [(owner, at) for owner, at in used(name) if at not in known.get(owner, {at})] == []


def test_every_example_is_run():
    tests = "".join(path.read_text() for path in pathlib.Path(__file__).parent.glob("test_*.py"))
    assert [name for name in NAMES if f'"{name}"' not in tests] == []

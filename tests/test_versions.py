"""Versions of other packages: what setup.cfg allows, ``tox -e oldest`` tests and README tells."""

from __future__ import annotations

import configparser
import pathlib
import re

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = pathlib.Path(__file__).parents[1]
#: Extras that only developers install.
OURS = ("test", "benchmarks")


def read(text: str) -> list[Requirement]:
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return [Requirement(line) for line in lines if line]


def version(requirement: Requirement, operator: str) -> Version | None:
    return next(
        (Version(each.version) for each in requirement.specifier if each.operator == operator), None
    )


def sections() -> dict[str, list[Requirement]]:
    """Return what setup.cfg requires, by extra; under "" what is always required."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    texts = {"": config["options"]["install_requires"], **config["options.extras_require"]}
    return {extra: read(text) for extra, text in texts.items()}


def constraints() -> dict[str, Version | None]:
    lines = read((ROOT / ".ci" / "oldest.txt").read_text())
    return {line.name: version(line, "==") for line in lines}


def table() -> dict[str, Version]:
    """Return the oldest versions in README, by package."""
    rows = re.findall(
        r"^\| ([\w-]+) \| ([\d.]+) \| [\d.]+ \|", (ROOT / "README.md").read_text(), re.M
    )
    return {package.lower(): Version(oldest) for package, oldest in rows}


@pytest.mark.parametrize("extra", [extra for extra in sections() if extra != "benchmarks"])
def test_the_oldest_that_is_allowed_is_the_one_that_is_tested(extra):
    allowed = {line.name: version(line, ">=") for line in sections()[extra]}
    allowed = {name: oldest for name, oldest in allowed.items() if oldest}
    assert allowed == {name: constraints().get(name) for name in allowed}


def test_readme_tells_the_oldest_that_is_tested():
    assert table() == {name: constraints().get(name) for name in table()}
    needed = {
        line.name
        for extra, lines in sections().items()
        for line in lines
        if extra not in OURS and version(line, ">=")
    }
    assert needed <= set(table())

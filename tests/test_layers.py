"""Imports point down: a module imports from its own layer or a lower one."""

import ast
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import pytest

import rtms_gevent

PACKAGE = pathlib.Path(rtms_gevent.__file__).parent

#: Modules and subpackages from the ground up; each may import from its own row and those above it.
LAYERS = (
    {
        "_version",
        "aliases",
        "config",
        "enums",
        "errors",
        "explanations",
        "hosts",
        "interrupts",
        "logs",
        "signals",
        "upgrade",
    },
    {"protocol"},
    {"transport"},
    {
        "accounting",
        "backlog",
        "bounded",
        "callbacks",
        "channel",
        "decoding",
        "delivery",
        "dispatch",
        "inbox",
        "outlets",
        "reasons",
        "replay",
        "reports",
        "wishes",
    },
    {"sockets"},
    {"session"},
    {"homes"},
    {"client", "official_names"},
    {"loop"},
    {"webhook"},
    {"flask", "official"},
    {"live"},
    {"cli", "demo"},
)
#: Stands beside the layers: a Zoom of our own must not share what it checks.
SIMULATOR = "simulator"
#: ``upgrade`` is a server's side, which no client of ours has.
SIMULATOR_SHARES = {"_version", "enums", "errors", "upgrade"}
MAY_IMPORT_SIMULATOR = {"cli", "demo", SIMULATOR}

#: Upward imports that exist for type checkers only, and never happen.
UPWARD_FOR_TYPES = {("homes", "client")}

#: All that a pure layer needs: nothing here does I/O, reads a clock or knows of greenlets.
PURE = {
    "__future__",
    "base64",
    "binascii",
    "codecs",
    "collections.abc",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "ipaddress",
    "json",
    "math",
    "msgspec",
    "pybase64",
    "re",
    "struct",
    "typing",
    "urllib.parse",
}

#: Optional dependencies, and who may need them.
EXTRAS = {
    "flask": {"flask", "live"},
    "werkzeug": {"flask", "live"},
    "geventwebsocket": {SIMULATOR},
    "trustme": {SIMULATOR},
    "gunicorn": set(),
    "pytest": {SIMULATOR},
}


class Import(NamedTuple):
    """One import statement's target, as an absolute name."""

    path: str
    unit: str  #: module or subpackage of ours that imports, "" for the package itself
    module: str  #: what is imported; with the name, where it is a module of ours
    for_types: bool  #: under ``if TYPE_CHECKING``

    @property
    def target(self) -> str | None:
        """Our module or subpackage that is imported; None for other people's."""
        root, _, rest = self.module.partition(".")
        return rest.partition(".")[0] if root == "rtms_gevent" else None


def imports_of(path: pathlib.Path, root: pathlib.Path) -> Iterator[Import]:
    """Yield all imports of a file, wherever in it they stand."""
    parts = ("rtms_gevent", *path.relative_to(root).with_suffix("").parts)
    unit = "" if parts[1] == "__init__" else parts[1]
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*(parts[: -node.level] if node.level else ()), *filter(None, [node.module])]
            names = [".".join(base)]
            if names == ["rtms_gevent"]:
                names = [f"rtms_gevent.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield Import(str(path.relative_to(root)), unit, name, id(node) in typing_only)


def all_imports(root: pathlib.Path) -> list[Import]:
    return [found for path in sorted(root.rglob("*.py")) for found in imports_of(path, root)]


def may_import(unit: str, target: str) -> bool:
    level = {name: height for height, names in enumerate(LAYERS) for name in names}
    return unit in level and target in level and level[target] <= level[unit]


def violations(root: pathlib.Path) -> Iterator[str]:
    """Yield what breaks the order of layers."""
    for found in all_imports(root):
        target = found.target
        if target is None or found.unit == "":
            continue
        if target == SIMULATOR or found.unit == SIMULATOR:
            allowed = (
                found.unit in MAY_IMPORT_SIMULATOR
                if target == SIMULATOR
                else target in SIMULATOR_SHARES
            )
        elif found.for_types and (found.unit, target) in UPWARD_FOR_TYPES:
            allowed = True
        else:
            allowed = may_import(found.unit, target)
        if not allowed:
            yield f"{found.path} must not import {found.module}"


def units_in(root: pathlib.Path) -> set[str]:
    return {
        path.stem if path.is_file() else path.name
        for path in root.iterdir()
        if (path.suffix == ".py" and path.name != "__init__.py") or (path / "__init__.py").exists()
    }


def test_every_module_has_a_layer():
    assert units_in(PACKAGE) == set().union(*LAYERS) | {SIMULATOR}
    assert sum(map(len, LAYERS)) == len(set().union(*LAYERS))


def test_imports_point_down():
    assert list(violations(PACKAGE)) == []


def test_upward_imports_for_types_are_still_needed():
    found = {(found.unit, found.target) for found in all_imports(PACKAGE) if found.for_types}
    assert found >= UPWARD_FOR_TYPES


def test_protocol_is_pure():
    impure = {
        (found.path, found.module)
        for found in all_imports(PACKAGE)
        if found.unit == "protocol"
        and found.target not in {"protocol", "aliases", "enums", "errors"}
        and found.module not in PURE
    }
    # The names of Zoom's own hosts, a constant.
    assert impure == {("protocol/urls.py", "rtms_gevent.config")}


def test_the_foundation_needs_nothing_but_blinker():
    others = {
        found.module.partition(".")[0]
        for found in all_imports(PACKAGE)
        if found.unit in LAYERS[0] and found.target is None
    }
    assert others & {"gevent", "websocket", "certifi", *EXTRAS} == set()
    assert "blinker" in others


@pytest.mark.parametrize("extra", EXTRAS)
def test_extras_are_imported_only_where_they_are_declared(extra):
    users = {
        found.unit for found in all_imports(PACKAGE) if found.module.partition(".")[0] == extra
    }
    assert users <= EXTRAS[extra]


def test_only_config_reads_the_environment():
    readers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("os", "environ"), ("os", "getenv")}
    }
    # The demo hands its own environment on to the process that it starts.
    assert readers <= {"config.py", "demo.py"}
    assert "config.py" in readers


@pytest.mark.parametrize(
    ("path", "source", "broken"),
    [
        ("protocol/x.py", "from ..enums import Codec\nfrom .y import z", 0),
        ("protocol/x.py", "from ..transport import connect", 1),
        ("protocol/x.py", "from ..session import Session", 1),
        ("protocol/x.py", "import rtms_gevent.client", 1),
        ("protocol/x.py", "from rtms_gevent import client", 1),
        ("protocol/x.py", "from .. import client, enums", 1),
        ("protocol/x.py", "def f():\n    from ..client import Client", 1),
        ("protocol/x.py", "import rtms_gevent", 1),
        ("session.py", "from .wishes import Wishes\nfrom . import reports", 0),
        ("session.py", "from .client import Client", 1),
        ("homes.py", "if TYPE_CHECKING:\n    from .client import Client", 0),
        ("homes.py", "from .client import Client", 1),
        ("session.py", "if TYPE_CHECKING:\n    from .client import Client", 1),
        ("session.py", "from .simulator import Simulator", 1),
        ("webhook/x.py", "from ..simulator.server import Simulator", 1),
        ("cli.py", "from .simulator import Simulator", 0),
        ("demo.py", "from .simulator.server import Simulator", 0),
        ("simulator/x.py", "from ..enums import Codec\nfrom ..errors import RtmsError", 0),
        ("simulator/x.py", "from ..protocol.messages import EventUpdate", 1),
        ("simulator/x.py", "from ..config import Limits", 1),
        ("__init__.py", "from .client import Client", 0),
        ("unheard_of.py", "from .enums import Codec", 1),
        ("client.py", "from .unheard_of import thing", 1),
    ],
)
def test_the_rule_finds_what_it_should(tmp_path, path, source, broken):
    file = tmp_path / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(source)
    assert len(list(violations(tmp_path))) == broken

"""Imports point down: a module imports from its own layer or a lower one."""

import ast
import functools
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import pytest

import rtms_gevent

PACKAGE = pathlib.Path(rtms_gevent.__file__).parent

#: What everything else may use: numbers, errors, settings, the names of signals. Root modules.
VOCABULARY = {
    "_alias",
    "_environment",
    "_interrupts",
    "_version",
    "config",
    "enums",
    "errors",
    "explanations",
    "logs",
    "signals",
}

#: From the ground up; each imports from those above it in this list.
LAYERS = (
    "protocol",
    "runtime",
    "transport",
    "delivery",
    "stream",
    "official",
    "typing",
    "callbacks",
    "client",
    "loop",
    "cluster",
    "gunicorn",
    "wsgi",
    "webhook",
    "flask",
    "live",
    "worker",
    "simulator",
    "demo",
    "status",
    "cli",
)
#: A Zoom of our own must not share what it checks.
SIMULATOR_SHARES = VOCABULARY | {"wsgi"}

#: All that a pure layer needs: nothing here does I/O, reads a clock or knows of greenlets.
PURE = {
    "__future__",
    "base64",
    "binascii",
    "codecs",
    "collections",
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
    "sys",
    "typing",
    "urllib.parse",
}

#: Optional dependencies, and who may need them.
EXTRAS = {
    "flask": {"flask", "live", "demo"},
    "werkzeug": {"flask", "live", "demo"},
    "geventwebsocket": {"wsgi"},
    "trustme": {"simulator"},
    "gunicorn": set(),
    "redis": {"cluster"},
    "pytest": {"simulator"},
}


class Import(NamedTuple):
    """One import statement's target, as an absolute name."""

    path: str
    unit: str  #: root module or folder of ours that imports, "" for the package itself
    importer: str  #: dotted name of the module that imports
    module: str  #: what is imported; with the name, where it is a module of ours

    @property
    def target(self) -> str | None:
        """Our root module or folder that is imported; None for other people's."""
        root, _, rest = self.module.partition(".")
        return rest.partition(".")[0] if root == "rtms_gevent" else None


def modules_of(root: pathlib.Path) -> set[str]:
    """Return the dotted names of all modules and packages below ``root``."""
    names = set()
    for path in root.rglob("*.py"):
        parts = ("rtms_gevent", *path.relative_to(root).with_suffix("").parts)
        names.add(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def imports_of(path: pathlib.Path, root: pathlib.Path, modules: set[str]) -> Iterator[Import]:
    """Yield all imports of a file, wherever in it they stand, for type checkers, too."""
    parts = ("rtms_gevent", *path.relative_to(root).with_suffix("").parts)
    unit = "" if parts[1] == "__init__" else parts[1]
    importer = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*(parts[: -node.level] if node.level else ()), *filter(None, [node.module])]
            names = []
            for alias in node.names:
                full = ".".join((*base, alias.name))
                is_module = full in modules or base == ["rtms_gevent"]
                names.append(full if is_module else ".".join(base))
        else:
            continue
        for name in dict.fromkeys(names):
            yield Import(str(path.relative_to(root)), unit, importer, name)


@functools.cache
def all_imports(root: pathlib.Path) -> list[Import]:
    modules = modules_of(root)
    return [
        found for path in sorted(root.rglob("*.py")) for found in imports_of(path, root, modules)
    ]


def may_import(unit: str, target: str) -> bool:
    if target == unit or target in VOCABULARY:
        return unit in VOCABULARY or unit in LAYERS
    if unit == "simulator":
        return target in SIMULATOR_SHARES
    return unit in LAYERS and target in LAYERS[: LAYERS.index(unit)]


def violations(root: pathlib.Path) -> Iterator[str]:
    """Yield what breaks the order of layers."""
    for found in all_imports(root):
        if found.target is not None and found.unit and not may_import(found.unit, found.target):
            yield f"{found.path} must not import {found.module}"


def circles(root: pathlib.Path) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others."""
    modules = modules_of(root)
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for found in all_imports(root):
        if found.module in modules:
            graph[found.importer].add(found.module)
    reach = {name: _reachable(graph, name) for name in modules}
    groups = {
        tuple(sorted(other for other in reach[name] if name in reach[other]))
        for name in modules
        if name in reach[name]
    }
    return sorted(map(list, groups))


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(graph[name])
    return found


def units_in(root: pathlib.Path) -> set[str]:
    return {
        path.stem if path.is_file() else path.name
        for path in root.iterdir()
        if (path.suffix == ".py" and path.name != "__init__.py") or (path / "__init__.py").exists()
    }


def test_every_module_has_a_layer():
    assert units_in(PACKAGE) == VOCABULARY | set(LAYERS)


def test_the_root_is_small():
    assert len(list(PACKAGE.glob("*.py"))) <= 18


def test_imports_point_down():
    assert list(violations(PACKAGE)) == []


def test_no_modules_import_each_other():
    assert circles(PACKAGE) == []


#: Knows no RTMS, and does no I/O either, though it lies among what does.
PURE_FILES = {"transport/frames.py", "delivery/bounded_queue.py"}


def test_what_is_pure():
    impure = {
        (found.path, found.module)
        for found in all_imports(PACKAGE)
        if (found.unit == "protocol" or found.path in PURE_FILES)
        and found.target not in {"protocol", *VOCABULARY}
        and found.module not in PURE
    }
    assert impure == set()


def test_the_vocabulary_needs_nothing_but_blinker():
    others = {
        found.module.partition(".")[0]
        for found in all_imports(PACKAGE)
        if found.unit in VOCABULARY and found.target is None
    }
    assert others & {"gevent", "websocket", "certifi", *EXTRAS} == set()
    assert "blinker" in others


@pytest.mark.parametrize("extra", EXTRAS)
def test_extras_are_imported_only_where_they_are_declared(extra):
    users = {
        found.unit for found in all_imports(PACKAGE) if found.module.partition(".")[0] == extra
    }
    assert users <= EXTRAS[extra]


def test_only_one_module_reads_the_environment():
    readers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("os", "environ"), ("os", "getenv")}
    }
    # The demo hands its own environment on to the process that it starts.
    assert readers == {"_environment.py", "demo/command.py"}


@pytest.mark.parametrize(
    ("path", "source", "broken"),
    [
        ("protocol/x.py", "from ..enums import Codec\nfrom .y import z", 0),
        ("protocol/x.py", "from ..transport import connect", 1),
        ("protocol/x.py", "from ..stream.session import Session", 1),
        ("protocol/x.py", "import rtms_gevent.client", 1),
        ("protocol/x.py", "from rtms_gevent import client", 1),
        ("protocol/x.py", "from .. import client, enums", 1),
        ("protocol/x.py", "def f():\n    from ..client import Client", 1),
        ("protocol/x.py", "import rtms_gevent", 1),
        ("stream/x.py", "from ..protocol.subscription import Subscription", 0),
        ("stream/x.py", "from ..client import Client", 1),
        ("runtime/x.py", "if TYPE_CHECKING:\n    from ..client import Client", 1),
        ("stream/x.py", "from ..simulator import Simulator", 1),
        ("webhook/x.py", "from ..simulator.server import Simulator", 1),
        ("cli.py", "from .simulator import Simulator", 0),
        ("demo/x.py", "from ..simulator.server import Simulator", 0),
        ("simulator/x.py", "from ..enums import Codec\nfrom ..errors import RtmsError", 0),
        ("simulator/x.py", "from ..wsgi.websocket import WebSocket", 0),
        ("simulator/x.py", "from ..protocol.messages import EventUpdate", 1),
        ("errors.py", "from .enums import StatusCode", 0),
        ("errors.py", "from .protocol.urls import Endpoint", 1),
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


def test_circles_are_found(tmp_path):
    for name, source in {
        "a.py": "from .b import x",
        "b.py": "if TYPE_CHECKING:\n    from . import c",
        "c.py": "def f():\n    from . import a",
        "d.py": "from . import a",
    }.items():
        (tmp_path / name).write_text(source)
    assert circles(tmp_path) == [["rtms_gevent.a", "rtms_gevent.b", "rtms_gevent.c"]]

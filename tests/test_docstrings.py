"""What is public is documented, and what documents name exists."""

from __future__ import annotations

import inspect
import pathlib
import pkgutil
import re

import pytest
from blinker import NamedSignal
from official.differences import LEFT_OUT

import rtms_gevent
from rtms_gevent import cluster, signals, webhook
from rtms_gevent._alias import Alias
from rtms_gevent.transport import memory

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = sorted((ROOT / "docs" / "api").glob("*.rst"))
PUBLIC = {name: getattr(rtms_gevent, name) for name in rtms_gevent.__all__}
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}

#: What documents call an object, and where its attributes are looked up.
KINDS = {
    "rtms_gevent": ("rtms_gevent",),
    "rtms": ("rtms_gevent", "rtms_gevent.flask:RTMS"),
    "signals": ("rtms_gevent.signals",),
    "client": ("rtms_gevent:Client",),
    "loop": ("rtms_gevent:EventLoop",),
    "pool": ("rtms_gevent:EventLoopPool",),
    "metadata": ("rtms_gevent:Metadata",),
    "simulator": ("rtms_gevent.simulator:Simulator",),
    "meeting": ("rtms_gevent.simulator:Meeting",),
}
#: What the official SDK calls things that have another name here.
SECOND_NAMES = {"WebhookHandler", "onWebhookEvent"}
#: What looks like ours, and is not.
OTHERS = {
    ("client", "post"),  # Flask's test client
    ("rtms", "concurrency_limited"),  # a webhook event
}
_NAME = re.compile(rf"(?<![\w./-])({'|'.join(KINDS)})\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_a_docstring(name):
    value = PUBLIC[name]
    if not isinstance(value, (int, str)):  # constants have comments
        assert inspect.getdoc(value)
    if inspect.isclass(value):
        assert value.__doc__ != value.__mro__[1].__doc__, "that is its base's"


@pytest.mark.parametrize("name", CLASSES)
def test_a_public_method_has_a_docstring(name):
    bare = [
        member
        for base in CLASSES[name].__mro__
        if base.__module__.startswith("rtms_gevent")
        for member, value in vars(base).items()
        if not member.startswith("_") and not isinstance(value, Alias)
        if inspect.isroutine(value) or isinstance(value, property)
        if not inspect.getdoc(getattr(CLASSES[name], member))
    ]
    assert bare == []


def test_every_signal_says_what_it_carries():
    sent = {name: getattr(signals, name) for name in signals.__all__}
    reported = {name for name, one in sent.items() if isinstance(one, NamedSignal)}
    assert [name for name in reported if "Arguments: ``" not in sent[name].__doc__] == []
    assert len(reported) == len(sent) - 1  # all but emit()


def test_every_public_name_has_one_place_in_the_reference():
    entry = re.compile(r"^(?:\.\. (?:auto)?\w+:: | {11})(?:rtms_gevent\.)?(\w+)$", re.MULTILINE)
    found = [
        name for page in PAGES if page.stem != "signals" for name in entry.findall(page.read_text())
    ]
    missing = set(PUBLIC) - set(found) - {"__version__", "signals"}
    assert missing == set()
    assert [name for name in PUBLIC if found.count(name) > 1] == []


@pytest.mark.parametrize(
    "module", [cluster, memory, signals, webhook], ids=lambda module: module.__name__
)
def test_the_reference_names_what_a_module_exports(module):
    text = "\n".join(page.read_text() for page in PAGES)
    entries = set(re.findall(r"^\.\. auto\w+:: (?:[\w.]+\.)?(\w+)$", text, re.MULTILINE))
    assert set(module.__all__) - entries == SECOND_NAMES & set(module.__all__)


def exists(owner, path):
    for kind in KINDS[owner]:
        try:
            pkgutil.resolve_name(f"{kind}.{path}")
        except (ImportError, AttributeError):
            source = inspect.getsource(pkgutil.resolve_name(kind))
            if ":" in kind and re.search(rf"self\.{path}\b", source):
                return True  # an attribute that objects have, and the class has not
        else:
            return True
    return False


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_names_in_documents_exist(document):
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    named = {match for code in re.findall(r"`([^`\n]+)`", text) for match in _NAME.findall(code)}
    left_out = {("client", name.removeprefix("Client.")) for name in LEFT_OUT}
    assert sorted(".".join(one) for one in named - left_out - OTHERS if not exists(*one)) == []

"""Every name of the official package is here, with its values, parameters and defaults.

``api.json`` was read from the official package ``rtms`` 1.1.0. What is left out, or differs, is
listed with its reason in ``differences.py``.
"""

from __future__ import annotations

import enum
import inspect
import json
import pathlib
import re
from unittest import mock

import pytest

import rtms_gevent as rtms
from official.differences import DIFFERENT, LEFT_OUT
from rtms_gevent import Client
from rtms_gevent.errors import ConfigurationError
from rtms_gevent.official.client_names import OfficialNames

API = json.loads(pathlib.Path(__file__).with_name("api.json").read_text())
CLASSES = API["classes"]
MEMBERS = [(owner, name) for owner, api in CLASSES.items() for name in api["members"]]
CONSTRUCTIBLE = [owner for owner, api in CLASSES.items() if isinstance(api["defaults"], dict)]
FIELDS = [
    (owner, name, default)
    for owner in CONSTRUCTIBLE
    for name, default in CLASSES[owner]["defaults"].items()
]
#: Classes whose objects the package hands out; a user reads their attributes.
HANDED_OUT = {
    "Session": rtms.Session("id", "stream", "meeting", 0, 0, True, False),
    "Participant": rtms.Participant(1, "name"),
    "Metadata": rtms.Metadata(),
    "AiInterpreter": rtms.Metadata().aiInterpreter,
    "AiTargetLanguage": None,
}


def left_out(*names):
    return ".".join(names) in LEFT_OUT


def snake_case(camel):
    return re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", camel)


def parameters(text):
    """Return name and default (as text; None where there is none) of each parameter but self."""
    inside = re.sub(r"->.*$", "", text).strip()[1:-1]
    # Annotations may hold commas within brackets; names and defaults here do not.
    while re.search(r"\[[^\[\]]*\]", inside):
        inside = re.sub(r"\[[^\[\]]*\]", "", inside)
    found = {}
    for part in inside.split(","):
        name, _, default = (piece.strip() for piece in part.partition("="))
        name = name.partition(":")[0].strip()
        if name not in ("self", "", "/"):
            found[name] = default or None
    return found


def assert_takes(function, text, differing=()):
    """Assert that ``function`` can be called as the official signature ``text`` says."""
    ours = [one for name, one in inspect.signature(function).parameters.items() if name != "self"]
    theirs = parameters(text)
    positional = {name: default for name, default in theirs.items() if not name.startswith("*")}
    assert len(ours) >= len(positional)
    for one, (name, default) in zip(ours, positional.items(), strict=False):
        assert one.name == name
        assert one.kind is one.POSITIONAL_OR_KEYWORD
        if default is not None and name not in differing:
            assert repr(one.default) == default
    rest = ours[len(positional) :]
    needed = [
        one.name
        for one in rest
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    assert not needed
    if any(name.startswith("**") for name in theirs):
        assert any(one.kind is one.VAR_KEYWORD for one in ours)


@pytest.mark.parametrize("name", API["all"])
def test_a_public_name_is_public_here(name):
    assert hasattr(rtms, name)
    assert name in rtms.__all__


@pytest.mark.parametrize("name", [*CLASSES, *API["functions"], *API["enums"]])
def test_a_name_that_is_not_in_its_all_is_here_too(name):
    assert hasattr(rtms, name)


@pytest.mark.parametrize(("name", "value"), API["constants"].items())
def test_constant(name, value):
    found = getattr(rtms, name)
    assert found == value
    assert type(found) is int


@pytest.mark.parametrize(
    ("name", "member", "value"),
    [
        (name, member, value)
        for name, all_ in API["enums"].items()
        for member, value in all_.items()
    ],
)
def test_enum_member(name, member, value):
    kind = getattr(rtms, name)
    found = kind[member]
    assert found.value == value
    assert found == value
    assert type(found.value) is type(value)
    assert getattr(kind, member) is found
    assert issubclass(kind, enum.IntEnum) is isinstance(value, int)


@pytest.mark.parametrize(("name", "api"), API["functions"].items())
def test_function(name, api):
    function = getattr(rtms, name)
    assert_takes(function, api["signature"])
    assert inspect.iscoroutinefunction(function) is api["coroutine"]


@pytest.mark.parametrize(("owner", "name"), MEMBERS)
def test_member(owner, name):
    if left_out(owner, name):
        assert not hasattr(getattr(rtms, owner), name), "it is not left out any more"
        return
    kind, api = getattr(rtms, owner), CLASSES[owner]["members"][name]
    if api["kind"] == "method":
        function = getattr(kind, name)
        assert callable(function)
        if api["signature"] is not None:
            assert_takes(function, api["signature"])
    elif owner in HANDED_OUT:
        sample = HANDED_OUT[owner] or rtms.AiTargetLanguage()
        assert getattr(sample, name) is not None
    else:
        assert not callable(getattr(kind, name))


@pytest.mark.parametrize("owner", [name for name, api in CLASSES.items() if api["init"]])
def test_constructor(owner):
    init = CLASSES[owner]["init"]
    if init == "(self, /, *args, **kwargs)" or left_out(owner, "__init__"):
        return  # made by the package, never by its users
    differing = [name.partition(".")[2] for name in DIFFERENT if name.startswith(owner)]
    assert_takes(getattr(rtms, owner).__init__, init, differing)


@pytest.mark.parametrize("owner", CONSTRUCTIBLE)
def test_it_can_be_made_without_arguments(owner, monkeypatch):
    monkeypatch.setenv("ZM_RTMS_WEBHOOK_SECRET", "hook")  # a server needs it
    assert getattr(rtms, owner)() is not None


@pytest.mark.parametrize(("owner", "name", "default"), FIELDS)
def test_default(owner, name, default):
    assert getattr(getattr(rtms, owner)(), name) == default


@pytest.mark.parametrize(
    ("owner", "name"), [(owner, name) for owner, name, _ in FIELDS if owner.endswith("Params")]
)
def test_a_field_of_parameters_can_be_set_under_both_names(owner, name):
    snake = snake_case(name)
    other = {
        "content_type": rtms.AudioContentType.RTP,
        "codec": rtms.AudioCodec.L16,
        "sample_rate": rtms.AudioSampleRate.SR_16K,
        "channel": rtms.AudioChannel.MONO,
        "data_opt": rtms.DataOption.AUDIO_MIXED_STREAM,
        "duration": 40,
        "frame_size": 320,
        "fps": 25,
        "resolution": rtms.VideoResolution.SD,
        "src_language": rtms.TranscriptLanguage.GERMAN,
        "enable_lid": False,
    }[snake]
    if owner in ("VideoParams", "DeskshareParams"):
        other = {
            "codec": rtms.VideoCodec.JPG,
            "data_opt": rtms.DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM,
        }.get(snake, other)
    if (owner, snake) == ("TranscriptParams", "content_type"):
        other = rtms.AudioContentType.TEXT  # the only one
    params = getattr(rtms, owner)()
    setattr(params, name, other)
    assert getattr(params, name) == getattr(params, snake) == other
    assert params == getattr(rtms, owner)(**{name: other})
    with pytest.raises(ConfigurationError, match=f"{owner}.{snake} cannot be 'nonsense'"):
        setattr(params, name, "nonsense")


@pytest.mark.parametrize("table", [LEFT_OUT, DIFFERENT])
def test_tables_name_what_the_official_package_has(table):
    for entry, reason in table.items():
        owner, _, name = entry.partition(".")
        api = CLASSES[owner]
        assert name in api["members"] or name == "__init__" or name in parameters(api["init"])
        assert reason


ALIASES = [name for name in vars(OfficialNames) if re.search("[A-Z]", name)]


def test_every_second_spelling_is_in_the_table():
    theirs = {name for name in CLASSES["Client"]["members"] if re.search("[A-Z]", name)}
    assert theirs <= set(ALIASES)


@pytest.mark.parametrize("name", ALIASES)
def test_both_spellings_are_one_method_also_in_subclasses(name):
    class Loud(Client):
        pass

    assert getattr(Client, name) is getattr(Client, snake_case(name))
    setattr(Loud, snake_case(name), lambda self: "overridden")
    assert getattr(Loud(), name)() == "overridden"


@pytest.mark.parametrize("name", [*ALIASES, "release"])
@pytest.mark.parametrize("whose", [Client, Client()], ids=["class", "object"])
def test_a_second_spelling_can_be_patched_like_any_attribute(whose, name):
    """Tests of programs for the official package do so."""
    first = "leave" if name == "release" else snake_case(name)
    before = dict(vars(whose))
    with mock.patch.object(whose, name) as patched:
        assert getattr(whose, name) is patched
        with mock.patch.object(whose, first) as other:
            assert getattr(whose, name) is patched
            assert getattr(whose, first) is other
        assert getattr(whose, name) is patched
    assert getattr(whose, name) == getattr(whose, first)
    assert dict(vars(whose)) == before


def test_a_second_spelling_follows_the_first():
    client = Client()
    with mock.patch.object(client, "subscribe_event") as patched:
        client.subscribeEvent([2])
    patched.assert_called_once_with([2])


def test_a_second_spelling_can_be_deleted_like_any_attribute():
    client = Client()
    client.subscribeEvent = "mine"
    del client.subscribeEvent
    assert client.subscribeEvent == client.subscribe_event
    for name in ("subscribeEvent", "subscribe_event"):
        with pytest.raises(AttributeError, match=name):
            delattr(client, name)

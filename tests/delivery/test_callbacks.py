"""What can be registered as a callback, and what is refused at once."""

from __future__ import annotations

import functools
import inspect
import queue
import re
from unittest import mock

import pytest

from rtms_gevent import Client, ConfigurationError
from rtms_gevent._alias import Alias
from rtms_gevent.delivery.callbacks import EVENTS, MEDIA_NAMES, PARAMETERS, check_function
from rtms_gevent.official.client_names import OfficialNames

MEDIA = ("data", "size", "timestamp", "metadata")


def good(data, size, timestamp, metadata): ...


def of_two(data, size): ...


async def in_asyncio(data, size, timestamp, metadata): ...


async def of_two_in_asyncio(data, size): ...


class Listener:
    def on_audio(self, data, size, timestamp, metadata): ...

    def of_two(self, data, size): ...

    @staticmethod
    def static(data, size, timestamp, metadata): ...

    @classmethod
    def of_class(cls, data, size, timestamp, metadata): ...

    def __call__(self, data, size, timestamp, metadata): ...


class OfTwo:
    def __call__(self, data, size): ...


class Packet:
    def __init__(self, data, size, timestamp, metadata): ...


class Untold:
    """As some functions in C."""

    __signature__ = "none"

    def __call__(self, *arguments): ...


def passing_on(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def with_database(function):
    """Fill in an argument, as decorators do for database sessions."""

    @functools.wraps(function)
    def wrapper(data, size, timestamp, metadata):
        return function("database", data, size, timestamp, metadata)

    return wrapper


def without_metadata(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args[:2])

    return wrapper


@pytest.mark.parametrize(
    "function",
    [
        good,
        in_asyncio,
        lambda data, size, timestamp, metadata: None,
        lambda *_: None,
        lambda data, *_: None,
        lambda a, b, c, d, e=5, *, f=6, **others: None,
        lambda data, size=0, timestamp=0, metadata=None: None,
        Listener().on_audio,
        Listener.static,
        Listener.of_class,
        Listener(),
        Packet,
        print,
        mock.Mock(),
        mock.MagicMock(),
        mock.create_autospec(good),
        mock.Mock(spec=of_two),  # takes any number of arguments all the same
        functools.partial(good),
        functools.partial(lambda client, *media: None, "client"),
        functools.partial(lambda data, size, timestamp, metadata, *, to: None, to="file"),
        functools.partial(Listener().on_audio),
        passing_on(good),
        passing_on(in_asyncio),
        functools.lru_cache(good),
        with_database(lambda database, data, size, timestamp, metadata: None),
        without_metadata(of_two),
        Untold(),
    ],
)
def test_what_can_be_called(function):
    check_function("on_audio_data", function, MEDIA)
    client = Client()
    assert client.on_audio_data(function) is function
    assert client.onVideoData(function) is function


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (of_two, "of_two() cannot be called so: too many positional arguments"),
        (of_two_in_asyncio, "too many positional arguments"),
        (lambda: None, "too many positional arguments"),
        (lambda data, size, timestamp, metadata, user: None, "'user'"),
        (lambda data, size, timestamp, metadata, *, user: None, "'user'"),
        (lambda *, data: None, "too many positional arguments"),
        (lambda **fields: None, "too many positional arguments"),
        (Listener.on_audio, "Listener.on_audio() cannot be called so: missing"),
        (Listener().of_two, "Listener.of_two() cannot be called so: too many"),
        (OfTwo(), "OfTwo() cannot be called so: too many"),
        (functools.partial(good, b""), "partial() cannot be called so: too many"),
        (mock.create_autospec(of_two), "too many positional arguments"),
        (with_database, "too many positional arguments"),
        (queue.Queue().get, "Queue.get() cannot be called so: too many"),
        (None, "not NoneType"),
        ("good", "not str"),
        (7, "not int"),
    ],
)
@pytest.mark.parametrize("register", ["on_audio_data", "onAudioData"])
def test_what_cannot(function, problem, register):
    client = Client()
    wanted = re.escape("(data, size, timestamp, metadata)")
    with pytest.raises(ConfigurationError, match=f"on_audio_data .*{wanted}.*") as caught:
        getattr(client, register)(function)
    assert problem in str(caught.value)
    assert client._callbacks.functions == {}


def registering_methods():
    return {
        name.removeprefix("on_")
        for name, method in inspect.getmembers(Client, inspect.isfunction)
        if name.startswith("on_") and list(inspect.signature(method).parameters)[1:] == ["callback"]
    }


def test_every_callback_has_a_row():
    assert set(PARAMETERS) == registering_methods()


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_callback_takes_what_its_row_says_and_nothing_else(name):
    wanted = ", ".join(PARAMETERS[name])
    right = eval(f"lambda {wanted}: None")
    register = getattr(Client(), f"on_{name}")
    assert register(right) is right
    for wrong in (f"lambda {wanted}, more: None", f"lambda {wanted.rpartition(',')[0]}: None"):
        with pytest.raises(ConfigurationError, match=rf"on_{name} calls .*\({wanted}\)"):
            register(eval(wrong))


@pytest.mark.parametrize("name", sorted(PARAMETERS.keys() & EVENTS.keys()))
def test_a_callback_gets_what_its_signal_carries(name):
    assert EVENTS[name][: len(PARAMETERS[name])] == PARAMETERS[name]


def test_only_joining_and_ending_have_no_signal_of_their_name():
    others = PARAMETERS.keys() - EVENTS.keys() - set(MEDIA_NAMES.values())
    assert others == {"join_confirm", "leave", "end"}


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, alias in vars(OfficialNames).items()
        if isinstance(alias, Alias) and alias._target.startswith("on_")
    ],
)
def test_the_official_spelling_is_checked_as_well(name):
    with pytest.raises(ConfigurationError, match="cannot be called so"):
        getattr(Client(), name)(lambda a, b, c, d, e: None)

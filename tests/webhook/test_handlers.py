"""Which functions may be webhook handlers, and which of them decide the answer."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from rtms_gevent.errors import ConfigurationError
from rtms_gevent.webhook.handlers import decides_answer


class Handlers:
    def one(self, payload: Any) -> None: ...

    def three(self, payload: Any, request: Any, response: Any) -> None: ...

    @staticmethod
    def static(payload: Any) -> None: ...

    @classmethod
    def of_class(cls, payload: Any, request: Any, response: Any) -> None: ...


class One:
    def __call__(self, payload: Any) -> None: ...


class Three:
    def __call__(self, payload: Any, request: Any, response: Any) -> None: ...


def three(payload: Any, request: Any, response: Any) -> None: ...


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("handler", "decides"),
    [
        (lambda payload: None, False),
        (lambda payload, /: None, False),
        (lambda payload, database="default": None, False),
        (lambda payload, a=1, b=2: None, False),
        (lambda payload=None: None, False),
        (lambda *args: None, False),
        (lambda *args, **kwargs: None, False),
        (lambda payload, *args: None, False),
        (lambda payload, *, option=1: None, False),
        (Handlers().one, False),
        (Handlers.static, False),
        (One(), False),
        (print, False),
        ([].append, False),
        ({}.update, False),
        (dict, False),
        (functools.partial(three, response=1, request=2), False),
        (decorated(One()), False),
        (three, True),
        (lambda a, b, c: None, True),
        (lambda a, b, c, d=1: None, True),
        (lambda payload, request, response=None: None, True),
        (lambda payload, request, *rest: None, True),
        (lambda a, b, c, *, d=1: None, True),
        (Handlers().three, True),
        (Handlers.of_class, True),
        (Three(), True),
        (functools.partial(lambda z, a, b, c: None, 1), True),
        (decorated(three), True),
    ],
)
def test_shape(handler: Any, decides: bool) -> None:
    assert decides_answer(handler) is decides


@pytest.mark.parametrize(
    "handler",
    [
        lambda: None,
        lambda *, payload: None,
        lambda **kwargs: None,
        lambda payload, *, needed: None,
        lambda a, b: None,
        lambda a, b, c, d: None,
        Handlers.three,
        None,
        7,
        "handle",
    ],
)
def test_what_is_no_handler(handler: Any) -> None:
    with pytest.raises(ConfigurationError, match="handler"):
        decides_answer(handler)


def with_database(function: Any) -> Any:
    """Fill in the first argument."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function("database", *args)

    return wrapper


def with_database_before_one(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(payload: Any) -> Any:
        return function("database", "more", payload)

    return wrapper


@pytest.mark.parametrize(
    ("handler", "decides"),
    [
        (with_database(lambda database, payload: None), False),
        (with_database_before_one(three), False),
    ],
)
def test_a_decorator_may_fill_in_arguments(handler: Any, decides: bool) -> None:
    assert decides_answer(handler) is decides

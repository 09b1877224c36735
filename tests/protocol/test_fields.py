"""Fields of JSON documents: numbers as text, text as numbers, what is missing."""

import pytest

from rtms_gevent.protocol.fields import (
    LATEST_MS,
    code,
    integer,
    mapping,
    milliseconds,
    string,
    text,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7),
        (-1, -1),
        (0, 0),
        (2**64 - 1, 2**64 - 1),
        (2**64, None),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, None),
        (10**400, None),
        (2.0**63, 2**63),
        (1e300, None),
        (7.0, 7),
        (-0.0, 0),
        ("7", 7),
        (" 7 ", 7),
        ("-7", -7),
        ("9" * 19, int("9" * 19)),
        ("9" * 20, None),
        (7.5, None),
        (float("inf"), None),
        (float("nan"), None),
        (True, None),
        (None, None),
        ("", None),
        ("-", None),
        ("--7", None),
        ("7-", None),
        ("+7", None),
        ("7.0", None),
        ("1_000", None),
        ("\u0667", None),  # a digit, but not ASCII
        ("0x7", None),
        ("9" * 21, None),
        ([7], None),
        ({}, None),
    ],
)
def test_integer(value, expected):
    found = integer({"a": value}, "a")
    assert found == expected
    assert type(found) is type(expected)


def test_the_first_usable_name_counts():
    document = {"a": "?", "b": "--1", "c": 10**30, "d": 3, "e": 4}
    assert integer(document, "x", "a", "b", "c", "d", "e") == 3
    assert milliseconds({"a": 10**17, "b": -1, "c": 1738392033699}, "a", "b", "c") == 1738392033699
    assert text({"a": 1, "b": "two", "c": "three"}, "x", "a", "b", "c") == "two"
    assert mapping({"a": [], "b": {"c": 1}}, "x", "a", "b") == {"c": 1}


def test_nothing_usable():
    assert integer({}, "a") is None
    assert milliseconds({}, "a") is None
    assert text({"a": None}, "a", "b") == ""
    assert mapping({"a": "x"}, "a", "b") == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1738392033699, 1738392033699),
        (1694204592, 1694204592000),
        ("1694204592", 1694204592000),
        (10**11, 10**11),
        (10**11 - 1, (10**11 - 1) * 1000),
        (0, 0),
        (-5, None),
        (LATEST_MS, LATEST_MS),
        (LATEST_MS + 1, None),
        (10**17, None),
        (10**400, None),
        (1e400, None),
        (True, None),
        ("soon", None),
    ],
)
def test_milliseconds(value, expected):
    assert milliseconds({"a": value}, "a") == expected


def test_microseconds_of_today_are_no_reason_to_skip_a_packet():
    assert milliseconds({"a": 1_738_392_033_699_000}, "a") == 1_738_392_033_699_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", "a"), ("12", "12"), (12, 12), (2**64, None), (True, None), (None, None), ([1], None)],
)
def test_code(value, expected):
    assert code({"a": value}, "a") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", "a"), (5, "5"), ("", ""), (None, ""), (True, ""), (1.5, ""), ({}, "")],
)
def test_string(value, expected):
    assert string(value) == expected

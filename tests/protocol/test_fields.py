import pytest

from rtms_gevent.protocol.fields import integer, mapping, milliseconds, string, text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7),
        (-1, -1),
        (0, 0),
        (2**70, 2**70),
        (7.0, 7),
        (-0.0, 0),
        ("7", 7),
        (" 7 ", 7),
        ("-7", -7),
        ("9" * 20, int("9" * 20)),
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
    document = {"a": "?", "b": "--1", "c": 3, "d": 4}
    assert integer(document, "x", "a", "b", "c", "d") == 3
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
        (-5, -5),
        ("soon", None),
    ],
)
def test_milliseconds(value, expected):
    assert milliseconds({"a": value}, "a") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", "a"), (5, "5"), ("", ""), (None, ""), (True, ""), (1.5, ""), ({}, "")],
)
def test_string(value, expected):
    assert string(value) == expected

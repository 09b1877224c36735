"""The enums have the values of Zoom's documents and of the official SDK."""

import enum
import json
import pathlib

import pytest

from rtms_gevent import enums

WIRE_NUMBERS = json.loads(
    (pathlib.Path(__file__).parent / "protocol" / "wire_numbers.json").read_text()
)
#: Zoom's names begin with these; ours do not, like those of the official SDK.
PREFIXES = {
    "StatusCode": "STATUS_",
    "StopReason": "STOP_BC_",
    "TranscriptLanguage": "LANGUAGE_ID_",
}
#: Names that only the official SDK has, and zeros that it adds to Zoom's lists.
OURS = {
    "EventType": {
        "CONSUMER_ANSWERED": 8,
        "CONSUMER_END": 9,
        "USER_ANSWERED": 10,
        "USER_END": 11,
        "USER_HOLD": 12,
        "USER_UNHOLD": 13,
    },
    "DataOption": {"VIDEO_MIXED_GALLERY_VIEW": 5, "VIDEO_MIXED_SPEAKER_VIEW": 4},
    "MediaDataType": {"UNDEFINED": 0},
}


@pytest.mark.parametrize("kind", WIRE_NUMBERS)
def test_numbers_are_zooms(kind):
    numbers = {
        name.removeprefix(PREFIXES.get(kind, "")): number
        for name, number in WIRE_NUMBERS[kind].items()
    }
    members = {name: member.value for name, member in getattr(enums, kind).__members__.items()}
    assert members == {**numbers, **OURS.get(kind, {})}


def test_every_enum_of_numbers_is_compared():
    kinds = {
        name
        for name in enums.__all__
        if isinstance(getattr(enums, name), type) and issubclass(getattr(enums, name), enum.IntEnum)
    }
    assert kinds == set(WIRE_NUMBERS)


def test_products_are_named_by_their_ids():
    assert {product.name: product.value for product in enums.Product} == {
        "MEETING": "meeting_uuid",
        "WEBINAR": "webinar_uuid",
        "VIDEO_SDK": "session_id",
        "CONTACT_CENTER": "engagement_id",
        "PHONE": "call_id",
    }


@pytest.mark.parametrize(
    ("name", "number"),
    [("PARTICIPANT_VIDEO_ON", 8), ("PARTICIPANT_VIDEO_OFF", 9), ("CHAT_GROUP_CREATE", 10)],
)
def test_a_meetings_name_wins_over_the_official_sdks_alias(name, number):
    assert enums.EventType(number).name == name


@pytest.mark.parametrize(
    ("number", "expected"), [(3, enums.StatusCode.INVALID_SIGNATURE), (48, 48), (-1, -1)]
)
def test_known_keeps_numbers_that_are_newer(number, expected):
    found = enums.known(enums.StatusCode, number)
    assert found == expected
    assert type(found) is type(expected)

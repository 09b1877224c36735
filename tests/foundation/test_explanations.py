import pytest

from rtms_gevent.enums import StatusCode, StopReason
from rtms_gevent.explanations import Explanation, explain_status, explain_stop

NEWER = explain_status(10**6)


@pytest.mark.parametrize("code", StatusCode)
def test_every_status_is_explained(code):
    explained = explain_status(code)
    assert explained != NEWER
    assert explained == explain_status(int(code))


@pytest.mark.parametrize("reason", StopReason)
def test_every_stop_reason_is_explained(reason):
    explained = explain_stop(reason)
    assert explained != NEWER
    assert explained == explain_stop(int(reason))


@pytest.mark.parametrize(
    "explained", [*map(explain_status, StatusCode), *map(explain_stop, StopReason), NEWER]
)
def test_cause_and_remedy_are_clauses_that_can_be_put_together(explained):
    for text in (explained.cause, explained.remedy):
        assert text.endswith(".")
        assert text.strip() == text
        assert len(text) > 4


def test_causes_tell_numbers_apart():
    causes = [explain_status(code).cause for code in StatusCode]
    assert len(set(causes)) == len(causes)


@pytest.mark.parametrize("number", [48, 777, -1])
def test_newer_numbers(number):
    assert explain_status(number) == explain_stop(number) == NEWER
    assert "newer" in NEWER.cause


@pytest.mark.parametrize(
    ("explained", "words"),
    [
        (explain_status(StatusCode.INVALID_SIGNATURE), "ZM_RTMS_SECRET"),
        (explain_status(StatusCode.INVALID_RTMS_STREAM_ID), "60 seconds"),
        (explain_status(StatusCode.DUPLICATE_SIGNAL_REQUEST), "one process"),
        (explain_status(StatusCode.MEDIA_TYPE_CHAT_NOT_SUPPORT), "chat scope"),
        (explain_stop(StopReason.KEEP_ALIVE_TIMEOUT), "callbacks that block"),
        (explain_stop(StopReason.AUTHENTICATION_FAILURE), "client id and secret"),
    ],
)
def test_remedies_say_what_to_do(explained, words):
    assert isinstance(explained, Explanation)
    assert words in explained.remedy

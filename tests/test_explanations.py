"""Each status code and stop reason has a cause and a remedy."""

import pytest

from rtms_gevent.enums import StatusCode, StopReason
from rtms_gevent.explanations import (
    Explanation,
    explain_connect,
    explain_status,
    explain_stop,
    status_meant,
)

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


#: Why no connection could be made.
KINDS = [
    "dns",
    "refused",
    "unanswered",
    "unreachable",
    "silent",
    "proxy",
    "proxy refuses",
    "proxy wants password",
]


@pytest.mark.parametrize(
    "explained",
    [
        *map(explain_status, StatusCode),
        *map(explain_stop, StopReason),
        *map(explain_connect, KINDS),
        NEWER,
    ],
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
        (explain_connect("dns"), "getent hosts"),
        (explain_connect("refused"), "newest webhook"),
        (explain_connect("unanswered"), "port 443"),
        (explain_connect("unreachable"), "set_proxy()"),
        (explain_connect("proxy"), "ZM_RTMS_PROXY"),
        (explain_connect("proxy wants password"), "http://user:password@host:port"),
    ],
)
def test_remedies_say_what_to_do(explained, words):
    assert isinstance(explained, Explanation)
    assert words in explained.remedy


S = StatusCode


@pytest.mark.parametrize(
    ("status", "text", "meant"),
    [
        # The older numbering: what it means says the text.
        (17, "duplicate signal request", S.DUPLICATE_SIGNAL_REQUEST),
        (15, "invalid signature", S.INVALID_SIGNATURE),
        (16, "invalid meeting or stream id", S.INVALID_RTMS_STREAM_ID),
        (16, "INVALID_MEETING_OR_STREAM_ID", S.INVALID_RTMS_STREAM_ID),
        (75, "internal exception", S.INTERNAL_EXCEPTION),
        # Today's, where both say the same.
        (8, "duplicate signal request", S.DUPLICATE_SIGNAL_REQUEST),
        (3, "INVALID_SIGNATURE", S.INVALID_SIGNATURE),
        (45, "Internal exception.", S.INTERNAL_EXCEPTION),
        # However it is written, and whatever stands around it.
        (17, "DUPLICATE_SIGNAL_REQUEST", S.DUPLICATE_SIGNAL_REQUEST),
        (17, "Duplicate  signal-request!", S.DUPLICATE_SIGNAL_REQUEST),
        (17, "error: duplicate signal request (10.0.0.1)", S.DUPLICATE_SIGNAL_REQUEST),
        # The longest name counts: shorter ones may be a part of it.
        (1, "invalid media audio params", S.INVALID_MEDIA_AUDIO_PARAMS),
        (1, "invalid media params", S.INVALID_MEDIA_PARAMS),
        (1, "invalid event type", S.INVALID_EVENT_TYPE),
        (1, "invalid events", S.INVALID_EVENTS),
        (1, "media type invalid value", S.MEDIA_TYPE_INVALID_VALUE),
        # Words that name no status: the number counts.
        (17, "", S.INVALID_MEDIA_PARAMS),
        (15, "", S.MEDIA_DATA_ALL_CONNECTION_EXIST),
        (15, "signature", S.MEDIA_DATA_ALL_CONNECTION_EXIST),
        (15, "invalid signatures", S.MEDIA_DATA_ALL_CONNECTION_EXIST),
        (3, "ok", S.INVALID_SIGNATURE),
        (3, "ung\u00fcltige Signatur \ud800", S.INVALID_SIGNATURE),
        (777, "something new", 777),
        (777, "x" * 10_000 + " invalid signature", 777),
    ],
)
def test_what_a_status_means(status, text, meant):
    assert status_meant(status, text) == meant
    assert type(status_meant(status, text)) is type(meant)


@pytest.mark.parametrize("code", [code for code in StatusCode if code is not StatusCode.OK])
@pytest.mark.parametrize("form", [str.lower, str.upper, lambda name: name.replace("_", " ")])
def test_the_name_of_each_status_is_believed(code, form):
    assert status_meant(99, form(code.name)) is code

"""The ids of a stream, from webhooks and arguments, and the handshake signature."""

import hashlib
import hmac

import pytest

from rtms_gevent.enums import Product
from rtms_gevent.errors import ConfigurationError
from rtms_gevent.protocol.identity import StreamIdentity, handshake_signature

STREAM = {"rtms_stream_id": "s"}


# Made with: printf 'client,uuid,stream' | openssl dgst -sha256 -hmac secret
OPENSSL = "342b20cf8388767917531e38563f33ca3b057ade4ff7dd8d0f87b7bff42da2fa"


def test_handshake_signature():
    assert handshake_signature("client", "secret", "uuid", "stream") == OPENSSL
    assert handshake_signature("client", "other", "uuid", "stream") != OPENSSL


def test_handshake_signature_is_made_of_utf8():
    expected = hmac.digest("gehëim".encode(), "a,ü==,s".encode(), hashlib.sha256).hex()
    assert handshake_signature("a", "gehëim", "ü==", "s") == expected


@pytest.mark.parametrize(
    ("fields", "event", "product", "uuid", "field"),
    [
        ({"meeting_uuid": "m"}, None, Product.MEETING, "m", "meeting_uuid"),
        ({"webinar_uuid": "w"}, None, Product.WEBINAR, "w", "webinar_uuid"),
        ({"session_id": "v"}, None, Product.VIDEO_SDK, "v", "session_id"),
        ({"engagement_id": "e"}, None, Product.CONTACT_CENTER, "e", "engagement_id"),
        ({"call_id": "c"}, None, Product.PHONE, "c", "call_id"),
        # The first of several counts, empty ones do not.
        (
            {"call_id": "c", "session_id": "v", "webinar_uuid": "w", "meeting_uuid": "m"},
            None,
            Product.MEETING,
            "m",
            "meeting_uuid",
        ),
        (
            {"meeting_uuid": "", "webinar_uuid": None, "session_id": "v"},
            None,
            Product.VIDEO_SDK,
            "v",
            "session_id",
        ),
        # The event tells webinars that carry a meeting_uuid.
        ({"meeting_uuid": "m"}, "webinar.rtms_started", Product.WEBINAR, "m", "meeting_uuid"),
        ({"meeting_uuid": "m"}, "meeting.rtms_started", Product.MEETING, "m", "meeting_uuid"),
        ({"session_id": "v"}, "session.rtms_started", Product.VIDEO_SDK, "v", "session_id"),
        (
            {"engagement_id": "e"},
            "contact_center.voice_rtms_started",
            Product.CONTACT_CENTER,
            "e",
            "engagement_id",
        ),
        (
            {"engagement_id": "e"},
            "contactcenter.rtms_started",
            Product.CONTACT_CENTER,
            "e",
            "engagement_id",
        ),
        ({"call_id": "c"}, "phone.call_rtms_started", Product.PHONE, "c", "call_id"),
        ({"meeting_uuid": "m"}, "phone.rtms_started", Product.PHONE, "m", "meeting_uuid"),
        ({"meeting_uuid": "m"}, "rtms.start_failed", Product.MEETING, "m", "meeting_uuid"),
        ({"meeting_uuid": "m"}, "", Product.MEETING, "m", "meeting_uuid"),
    ],
)
def test_from_fields(fields, event, product, uuid, field):
    identity = StreamIdentity.from_fields({**fields, **STREAM}, event=event)
    assert identity == StreamIdentity(product, uuid, "s", field)
    assert identity.fields == {field: uuid, "rtms_stream_id": "s"}


def test_the_name_in_handshakes_can_be_chosen():
    identity = StreamIdentity.from_fields({"session_id": "v", **STREAM}, id_field="meeting_uuid")
    assert identity == StreamIdentity(Product.VIDEO_SDK, "v", "s", "meeting_uuid")
    assert identity.fields == {"meeting_uuid": "v", "rtms_stream_id": "s"}


@pytest.mark.parametrize("uuid", ["abc/def+0==", "//x==", "a b", "é", "1" * 500])
def test_ids_pass_unchanged(uuid):
    assert StreamIdentity.from_fields({"meeting_uuid": uuid, **STREAM}).uuid == uuid


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "pass one of meeting_uuid, webinar_uuid, session_id, engagement_id, call_id"),
        (STREAM, "no id of the meeting given"),
        ({"meeting_uuid": "", **STREAM}, "no id of the meeting given"),
        ({"meeting_uuid": 7, **STREAM}, "meeting_uuid must be a string"),
        ({"call_id": ["c"], **STREAM}, "call_id must be a string"),
        ({"meeting_uuid": "m"}, "rtms_stream_id must be a string"),
        ({"meeting_uuid": "m", "rtms_stream_id": ""}, "rtms_stream_id must be a string"),
        ({"meeting_uuid": "m", "rtms_stream_id": 5}, "rtms_stream_id must be .* int was given"),
        ({"meeting_uuid": "m\n", **STREAM}, "meeting_uuid must be a string of printable"),
        ({"meeting_uuid": "\ud83d", **STREAM}, "meeting_uuid must be a string of printable"),
        ({"meeting_uuid": "m", "rtms_stream_id": "s\x1b[2J"}, "rtms_stream_id must be a string"),
    ],
)
def test_bad_ids(fields, problem):
    with pytest.raises(ConfigurationError, match=problem):
        StreamIdentity.from_fields(fields)

"""Every message of the protocol: what we send, and what we make of what comes."""

import pytest

from rtms_gevent.enums import (
    ContactCenterEventType,
    EventType,
    MediaDataType,
    MessageType,
    Product,
    SessionState,
    StatusCode,
    StopReason,
    StreamState,
)
from rtms_gevent.errors import RemoteProtocolError
from rtms_gevent.protocol import messages
from rtms_gevent.protocol.identity import StreamIdentity
from rtms_gevent.protocol.messages import (
    ClientReady,
    EventSubscription,
    EventUpdate,
    KeepAliveRequest,
    KeepAliveResponse,
    MediaHandshakeRequest,
    MediaHandshakeResponse,
    SessionStateUpdate,
    SignalingHandshakeRequest,
    SignalingHandshakeResponse,
    StreamCloseRequest,
    StreamCloseResponse,
    StreamStateUpdate,
    UnknownMessage,
    VideoSubscriptionRequest,
    VideoSubscriptionResponse,
)
from rtms_gevent.protocol.people import ChannelParticipant, Participant

from .helpers import decode, encode
from .test_packets import PACKETS

T = 1738392033699
IDENTITY = StreamIdentity(Product.MEETING, "MEETuuid==", "STREAMid", "meeting_uuid")
IDS = {"meeting_uuid": "MEETuuid==", "rtms_stream_id": "STREAMid"}
AUDIO = {
    "channel": 2,
    "codec": 4,
    "content_type": 2,
    "data_opt": 2,
    "sample_rate": 3,
    "send_rate": 20,
}

#: What we send, and the document that Zoom's pages show for it.
SENT = [
    (
        {
            "msg_type": 1,
            "protocol_version": 1,
            "sequence": 1,
            **IDS,
            "signature": "abc",
            "buffer_data": False,
            "rtms_client_agent": "us/1",
        },
        SignalingHandshakeRequest(
            identity=IDENTITY, signature="abc", buffer_data=False, agent="us/1"
        ),
    ),
    (
        {"msg_type": 1, "protocol_version": 1, "sequence": 1, **IDS, "signature": "abc"},
        SignalingHandshakeRequest(identity=IDENTITY, signature="abc"),
    ),
    (
        {
            "msg_type": 3,
            "protocol_version": 1,
            "sequence": 1,
            **IDS,
            "signature": "abc",
            "media_type": 1,
            "payload_encryption": False,
            "media_params": {"audio": AUDIO},
        },
        MediaHandshakeRequest(
            identity=IDENTITY,
            signature="abc",
            media_type=MediaDataType.AUDIO,
            media_params={"audio": AUDIO},
        ),
    ),
    (
        {
            "msg_type": 3,
            "protocol_version": 1,
            "sequence": 1,
            **IDS,
            "signature": "abc",
            "media_type": 8,
            "payload_encryption": False,
        },
        MediaHandshakeRequest(
            identity=IDENTITY, signature="abc", media_type=MediaDataType.TRANSCRIPT
        ),
    ),
    (
        {
            "msg_type": 5,
            "events": [
                {"event_type": 2, "subscribe": True},
                {"event_type": 99, "subscribe": True},
            ],
        },
        EventSubscription(events=(EventType.ACTIVE_SPEAKER_CHANGE, 99)),
    ),
    (
        {"msg_type": 5, "events": [{"event_type": 5, "subscribe": False}]},
        EventSubscription(events=(EventType.SHARING_START,), subscribe=False),
    ),
    ({"msg_type": 7, "rtms_stream_id": "s"}, ClientReady(stream_id="s")),
    (
        {"msg_type": 13, "timestamp": T, "sequence": 3},
        KeepAliveResponse(echo={"timestamp": T, "sequence": 3}),
    ),
    ({"msg_type": 21, "rtms_stream_id": "s"}, StreamCloseRequest(stream_id="s")),
    (
        {"msg_type": 28, "user_id": 7, "subscribe": True, "timestamp": T},
        VideoSubscriptionRequest(user_id=7, subscribe=True, timestamp=T),
    ),
]

#: Documents as Zoom's pages have them, and what they mean.
RECEIVED = [
    (
        {
            "msg_type": 2,
            "protocol_version": 1,
            "status_code": 0,
            "reason": "",
            "media_server": {
                "server_urls": {
                    "audio": "wss://a",
                    "video": "wss://v",
                    "deskshare": "wss://d",
                    "transcript": "wss://t",
                    "chat": "wss://c",
                    "all": "wss://x",
                }
            },
        },
        SignalingHandshakeResponse(
            status=StatusCode.OK,
            media_urls={
                MediaDataType.AUDIO: "wss://a",
                MediaDataType.VIDEO: "wss://v",
                MediaDataType.DESKSHARE: "wss://d",
                MediaDataType.TRANSCRIPT: "wss://t",
                MediaDataType.CHAT: "wss://c",
                MediaDataType.ALL: "wss://x",
            },
        ),
    ),
    (
        {
            "msg_type": 4,
            "protocol_version": 1,
            "status_code": 0,
            "reason": "fine",
            "payload_encrypted": True,
            "media_params": {"audio": AUDIO},
        },
        MediaHandshakeResponse(
            status=StatusCode.OK,
            reason="fine",
            media_params={"audio": AUDIO},
            payload_encrypted=True,
        ),
    ),
    (
        {
            "msg_type": 6,
            "event": {"event_type": 2, "timestamp": T, "user_id": 7, "user_name": "Ann"},
        },
        EventUpdate(
            event_type=EventType.ACTIVE_SPEAKER_CHANGE,
            timestamp=T,
            user_id=7,
            user_name="Ann",
            event={"event_type": 2, "timestamp": T, "user_id": 7, "user_name": "Ann"},
        ),
    ),
    (
        {"msg_type": 8, "state": 4, "reason": 6, "timestamp": T, "rtms_stream_id": "s"},
        StreamStateUpdate(
            state=StreamState.TERMINATED,
            reason=StopReason.MEETING_ENDED,
            timestamp=T,
            stream_id="s",
        ),
    ),
    (
        {"msg_type": 8, "state": 1, "timestamp": T},
        StreamStateUpdate(state=StreamState.ACTIVE, timestamp=T),
    ),
    (
        {
            "msg_type": 9,
            "state": 5,
            "stop_reason": 6,
            "timestamp": T,
            "rtms_session_id": "x",
        },
        SessionStateUpdate(
            state=SessionState.STOPPED,
            session_id="x",
            reason=StopReason.MEETING_ENDED,
            timestamp=T,
        ),
    ),
    (
        {"msg_type": 12, "timestamp": T, "sequence": 3},
        KeepAliveRequest(fields={"timestamp": T, "sequence": 3}),
    ),
    (
        {
            "msg_type": 22,
            "rtms_stream_id": "s",
            "status_code": 2,
            "reason": "no",
            "timestamp": T,
        },
        StreamCloseResponse(
            status=StatusCode.INVALID_RTMS_STREAM_ID, reason="no", stream_id="s", timestamp=T
        ),
    ),
    (
        {"msg_type": 29, "user_id": 7, "status_code": 44, "reason": "", "timestamp": T},
        VideoSubscriptionResponse(
            user_id=7, status=StatusCode.DUPLICATE_VIDEO_SUBSCRIPTION, timestamp=T
        ),
    ),
]

#: Named by Zoom, but nobody sends them to us, or their shape is published nowhere.
PASSED_ON = (10, 11, 19, 20, 23, 24, 25, 26, 27)


def names(rows):
    return [f"{document['msg_type']}-{type(message).__name__}" for document, message in rows]


@pytest.mark.parametrize(("document", "message"), RECEIVED, ids=names(RECEIVED))
def test_decodes_to_its_class(document, message):
    decoded = decode(document)
    assert decoded == message
    assert decoded.msg_type == document["msg_type"]


@pytest.mark.parametrize(("document", "message"), SENT, ids=names(SENT))
def test_encodes_to_its_document(document, message):
    assert encode(message) == document


@pytest.mark.parametrize("document", [document for document, _ in SENT])
def test_what_only_we_send_is_passed_on_as_it_is(document):
    """The tables of the conversations refuse it."""
    message = decode(document)
    assert type(message) is UnknownMessage
    assert (message.msg_type, message.raw) == (document["msg_type"], document)


def test_every_number_and_every_class_has_a_row():
    sent = {document["msg_type"] for document, _ in SENT}
    received = {document["msg_type"] for document, _ in [*RECEIVED, *PACKETS]}
    assert sent.isdisjoint(received)
    known = sent | received | set(PASSED_ON)
    assert known == {int(number) for number in MessageType} - {MessageType.UNDEFINED}
    assert set(messages.RECEIVED) == received
    public = {getattr(messages, name) for name in messages.__all__ if name != "RECEIVED"}
    others = {messages.Message, messages.OutgoingMessage, UnknownMessage}
    assert {type(message) for _, message in SENT + RECEIVED} == public - others


@pytest.mark.parametrize("document", [document for document, _ in RECEIVED])
def test_the_document_stays_visible(document):
    with_more = {**document, "newer": {"than": "us"}}
    assert decode(with_more).raw == with_more


@pytest.mark.parametrize(
    "message", [message for document, message in SENT if "signature" in document]
)
def test_signatures_have_no_repr(message):
    assert message.signature == "abc"
    assert "abc" not in repr(message)


@pytest.mark.parametrize(
    ("document", "number"),
    [
        ({"msg_type": 30, "a": 1}, 30),
        ({"msg_type": 0}, 0),
        ({"msg_type": -1}, -1),
        ({"msg_type": 10**18}, 10**18),
        ({"msg_type": 10**30}, None),
        ({"msg_type": "EVENT_UPDATE"}, None),
        ({"msg_type": True}, None),
        ({"msg_type": 14.5}, None),
        ({"msg_type": None}, None),
        ({"msg_type": [14]}, None),
        ({"a": 1}, None),
        ({}, None),
        *(({"msg_type": number, "anything": [1]}, number) for number in PASSED_ON),
    ],
)
def test_unknown_numbers_survive(document, number):
    message = decode(document)
    assert type(message) is UnknownMessage
    assert message.msg_type == number
    assert message.raw == document


@pytest.mark.parametrize("number", ["12", " 12 ", 12.0])
def test_numbers_may_be_text_or_whole_floats(number):
    assert isinstance(decode({"msg_type": number, "timestamp": 1}), KeepAliveRequest)


@pytest.mark.parametrize(
    ("document", "attribute"),
    [
        ({"msg_type": 2, "status_code": 777}, "status"),
        ({"msg_type": 4, "status_code": 777}, "status"),
        ({"msg_type": 22, "status_code": 777}, "status"),
        ({"msg_type": 29, "status_code": 777}, "status"),
        ({"msg_type": 6, "event": {"event_type": 777}}, "event_type"),
        ({"msg_type": 8, "state": 777}, "state"),
        ({"msg_type": 8, "state": 1, "reason": 777}, "reason"),
        ({"msg_type": 9, "state": 777}, "state"),
        ({"msg_type": 9, "state": 5, "stop_reason": 777}, "reason"),
    ],
)
def test_unknown_values_survive(document, attribute):
    value = getattr(decode(document), attribute)
    assert value == 777
    assert type(value) is int


# -- events ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("product", "number", "expected"),
    [
        (Product.MEETING, 8, EventType.PARTICIPANT_VIDEO_ON),
        (Product.WEBINAR, 9, EventType.PARTICIPANT_VIDEO_OFF),
        (Product.VIDEO_SDK, 10, EventType.CHAT_GROUP_CREATE),
        (Product.MEETING, 14, EventType.CHAT_GROUP_MEMBER_STATUS_UPDATE),
        (Product.MEETING, 15, 15),
        (Product.CONTACT_CENTER, 8, ContactCenterEventType.CONSUMER_ANSWERED),
        (Product.CONTACT_CENTER, 10, ContactCenterEventType.USER_ANSWERED),
        (Product.CONTACT_CENTER, 14, ContactCenterEventType.MONITOR_STARTED),
        (Product.CONTACT_CENTER, 29, ContactCenterEventType.CONFERENCE_PARTICIPANT_LEFT),
        (Product.CONTACT_CENTER, 30, 30),
        (Product.CONTACT_CENTER, 34, 34),
        (Product.CONTACT_CENTER, 35, 35),
        (Product.CONTACT_CENTER, 0, ContactCenterEventType.UNDEFINED),
        (Product.CONTACT_CENTER, 1, EventType.FIRST_PACKET_TIMESTAMP),
        (Product.CONTACT_CENTER, 7, EventType.MEDIA_CONNECTION_INTERRUPTED),
        (Product.PHONE, 8, 8),
    ],
)
def test_event_numbers_are_read_per_product(product, number, expected):
    update = decode({"msg_type": 6, "event": {"event_type": number, "timestamp": T}}, product)
    assert update.event_type == expected
    assert type(update.event_type) is type(expected)


@pytest.mark.parametrize("code", [40012, "phone.call_answered"])
def test_phone_events_have_a_code_only(code):
    event = {"event_code": code, "timestamp": T}
    update = decode({"msg_type": 6, "event": event}, Product.PHONE)
    assert (update.event_type, update.event_code, update.timestamp) == (None, code, T)


def test_an_event_may_have_type_and_code():
    update = decode({"msg_type": 6, "event": {"event_type": 3, "event_code": 10003}})
    assert (update.event_type, update.event_code) == (EventType.PARTICIPANT_JOIN, 10003)


def test_contact_center_event():
    info = {
        "channel_id": "ch1",
        "participant_mode": "monitor",
        "queue_id": "q",
        "queue_name": "Sales",
        "account_id": "acc",
        "division_id": "div",
        "phone_number": "+15550100",
        "user_id": "u1",
        "display_name": "Ann",
    }
    event = {"event_type": 8, "event_ts": T, "participant_info": info}
    update = decode({"msg_type": 6, "event": event}, Product.CONTACT_CENTER)
    assert update.timestamp == T
    assert update.channel == ChannelParticipant(
        channel_id="ch1",
        user_id="u1",
        display_name="Ann",
        participant_mode="monitor",
        phone_number="+15550100",
        queue_id="q",
        queue_name="Sales",
    )
    assert update.channel.raw == info
    assert "+15550100" not in repr(update.channel)
    assert update.event == event


def test_participants_without_usable_ids_are_kept():
    event = {
        "event_type": 3,
        "participants": [{"user_id": "x-1", "user_name": "Ann"}, "junk", {"user_id": "12"}],
    }
    update = decode({"msg_type": 6, "event": event})
    assert update.participants == (Participant(0, "Ann"), Participant(12, ""))


# -- what is needed --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"msg_type": 22, "status_code": None}, "without status_code"),
        ({"msg_type": 29, "user_id": 1}, "without status_code"),
        ({"msg_type": 6}, "without an event object"),
        ({"msg_type": 6, "event": []}, "without an event object"),
        ({"msg_type": 6, "event": {}}, "neither event_type nor event_code"),
        ({"msg_type": 6, "event": {"event_code": [1]}}, "neither event_type nor event_code"),
        ({"msg_type": 8}, "without state"),
        ({"msg_type": 8, "state": "?"}, "without state"),
        ({"msg_type": 9}, "without state"),
        ({"msg_type": 9, "state": {}}, "without state"),
    ],
)
def test_what_is_needed(document, problem):
    with pytest.raises(RemoteProtocolError, match=problem):
        decode(document)

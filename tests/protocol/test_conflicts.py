"""Where Zoom's pages, samples and servers disagree: each reading is a row.

A row is what a server sends, and what the decoded message must say. Literal JSON text, so that
nothing of ours stands between the row and the decoder.
"""

import json

import pytest

from rtms_gevent.enums import (
    ChatOperation,
    ChatSessionType,
    ContactCenterEventType,
    EventType,
    MediaDataType,
    MessageAttribute,
    Product,
    StatusCode,
    StopReason,
    StreamState,
    TranscriptLanguage,
)
from rtms_gevent.protocol.codec import JsonCodec
from rtms_gevent.protocol.identity import StreamIdentity
from rtms_gevent.protocol.params import DeskshareParams, TranscriptParams
from rtms_gevent.protocol.people import Participant

from .helpers import decode

T = 1738392033699
ALL, AUDIO, DESKSHARE = MediaDataType.ALL, MediaDataType.AUDIO, MediaDataType.DESKSHARE


def says(text, *, product=Product.MEETING, id, **expected):
    return pytest.param(text, product, expected, id=id)


RESPONSES = [
    says(
        '{"msg_type":2,"status_code":0,"media_server":{"server_urls":{"audio":"wss://a/x?m=1"}}}',
        id="urls-object",
        media_urls={AUDIO: "wss://a/x?m=1"},
    ),
    says(
        '{"msg_type":2,"status_code":0,"media_server":{"server_urls":{"deskshare":"wss://d"}}}',
        id="urls-deskshare",
        media_urls={DESKSHARE: "wss://d"},
    ),
    says(
        '{"msg_type":2,"status_code":0,"media_server":{"server_urls":{"share":"wss://d"}}}',
        id="urls-share",
        media_urls={DESKSHARE: "wss://d"},
    ),
    says(
        '{"msg_type":2,"status_code":0,"media_server":{"server_urls":{"sharescreen":"wss://d"}}}',
        id="urls-sharescreen",
        media_urls={DESKSHARE: "wss://d"},
    ),
    says(
        '{"msg_type":2,"status_code":0,"media_server":{"server_urls":'
        '{"chat":"wss://c","all":"wss://x","hologram":"wss://h","video":"","transcript":7}}}',
        id="urls-unknown-empty-and-wrong-ones-are-left-out",
        media_urls={MediaDataType.CHAT: "wss://c", ALL: "wss://x"},
    ),
    says(
        '{"msg_type":2,"status_code":0,"media_server":{"server_urls":"wss://x"}}',
        id="urls-string",
        media_urls={ALL: "wss://x"},
    ),
    says(
        '{"msg_type":2,"status_code":0,"server_urls":"wss://x"}',
        id="urls-string-at-the-top",
        media_urls={ALL: "wss://x"},
    ),
    says(
        '{"msg_type":2,"status_code":0,"server_urls":{"audio":"wss://a"}}',
        id="urls-object-at-the-top",
        media_urls={AUDIO: "wss://a"},
    ),
    says(
        '{"msg_type":2,"status_code":0,"media_server_url":"wss://x"}',
        id="media_server_url",
        media_urls={ALL: "wss://x"},
    ),
    says(
        '{"msg_type":2,"status_code":0,"media_server":{"server_urls":{"all":"wss://x"},'
        '"datacenter_region":"iad","srtp_keys":{"share":"k"}}}',
        id="more-in-media_server",
        media_urls={ALL: "wss://x"},
    ),
    says('{"msg_type":2,"status_code":0}', id="no-urls", media_urls={}),
    says(
        '{"msg_type":2,"status_code":0,"media_server":{"server_urls":" "}}',
        id="blank-urls",
        media_urls={},
    ),
    says('{"msg_type":2,"status":0}', id="signaling-status", status=StatusCode.OK),
    says(
        '{"msg_type":4,"status":3,"status_code":null}',
        id="media-status",
        status=StatusCode.INVALID_SIGNATURE,
    ),
    says('{"msg_type":22,"status":0}', id="close-status", status=StatusCode.OK),
    says('{"msg_type":29,"status":44,"user_id":7}', id="video-status", status=StatusCode(44)),
    says(
        '{"msg_type":2,"status_code":3,"status":0}',
        id="status_code-wins",
        status=StatusCode.INVALID_SIGNATURE,
    ),
    says('{"msg_type":2,"status_code":"0"}', id="status-as-text", status=StatusCode.OK),
    says(
        '{"msg_type":4,"status_code":0,"payload_encrypted":true}',
        id="payload_encrypted",
        payload_encrypted=True,
    ),
    says(
        '{"msg_type":4,"status_code":0,"payload_encryption":true}',
        id="payload_encryption",
        payload_encrypted=True,
    ),
    says(
        '{"msg_type":4,"status_code":0,"payload_encrypted":null,"payload_encryption":true}',
        id="payload_encrypted-null",
        payload_encrypted=True,
    ),
    says(
        '{"msg_type":4,"status_code":0,"payload_encrypted":false}',
        id="payload_encrypted-false",
        payload_encrypted=False,
    ),
    says('{"msg_type":4,"status_code":0}', id="payload_encrypted-absent", payload_encrypted=False),
    says(
        '{"msg_type":4,"status_code":0,"media_params":{"deskshare":{"codec":5}}}',
        id="media_params-deskshare",
        media_params={"deskshare": {"codec": 5}},
    ),
    says('{"msg_type":4,"status_code":0,"media_params":null}', id="no-params", media_params={}),
]

STATES = [
    says(
        f'{{"msg_type":8,"state":2,"reason":14,"timestamp":{T}}}',
        id="stream-reason",
        state=StreamState.INTERRUPTED,
        reason=StopReason.DATA_CONNECTION_INTERRUPTED,
        timestamp=T,
        stream_id="",
    ),
    says(
        '{"msg_type":8,"state":4,"stop_reason":6}',
        id="stream-stop_reason",
        reason=StopReason.MEETING_ENDED,
        timestamp=None,
    ),
    says('{"msg_type":8,"state":4}', id="stream-no-reason", reason=None),
    says('{"msg_type":8,"state":4,"reason":"by host"}', id="stream-reason-in-words", reason=None),
    says(
        '{"msg_type":9,"state":5,"stop_reason":1}',
        id="session-stop_reason",
        reason=StopReason.HOST_TRIGGERED,
    ),
    says(
        '{"msg_type":9,"state":5,"reason":1}',
        id="session-reason",
        reason=StopReason.HOST_TRIGGERED,
    ),
    says(
        '{"msg_type":9,"state":5,"stop_reason":6,"reason":"ended"}',
        id="session-both",
        reason=StopReason.MEETING_ENDED,
    ),
    says(
        '{"msg_type":8,"state":1,"rtms_stream_id":"s","timestamp":1694204592}',
        id="seconds",
        timestamp=1694204592000,
    ),
    # Names differ between sources; the numbers are the same.
    says('{"msg_type":8,"state":4,"reason":5}', id="reason-5", reason=StopReason.HOST_DISABLED_APP),
    says(
        '{"msg_type":8,"state":4,"reason":12}',
        id="reason-12",
        reason=StopReason.INSTANCE_CONNECTION_INTERRUPTED,
    ),
]

EVENTS = [
    says(
        f'{{"msg_type":6,"event":{{"event_type":2,"timestamp":{T},"user_id":"7"}}}}',
        id="user_id-as-text",
        user_id=7,
        timestamp=T,
    ),
    says(
        f'{{"msg_type":6,"event":{{"event_type":2,"timestamp":"{T}","user_id":7.0}}}}',
        id="timestamp-as-text",
        user_id=7,
        timestamp=T,
    ),
    says(
        '{"msg_type":6,"event":{"event_type":2,"current_id":6,"new_id":7,"new_name":"Ann"}}',
        id="older-active-speaker",
        user_id=7,
        user_name="Ann",
    ),
    says(
        '{"msg_type":6,"event":{"event_type":"3","participants":'
        '[{"user_id":"16778240","user_name":"Ann"},{"user_id":5,"user_name":"Bob"}]}}',
        id="participants-with-either-id",
        event_type=EventType.PARTICIPANT_JOIN,
        participants=(Participant(16778240, "Ann"), Participant(5, "Bob")),
    ),
    says(
        '{"msg_type":6,"event":{"event_type":4,"participants":[{"user_id":"5"}]}}',
        id="leave-without-name",
        participants=(Participant(5, ""),),
    ),
    says(
        '{"msg_type":6,"event":{"event_type":8,"users":[{"user_id":5}]}}',
        id="users",
        participants=(Participant(5, ""),),
    ),
    says(
        '{"msg_type":6,"event":{"event_type":3,"participants":{"user_id":5}}}',
        id="participants-that-are-no-list",
        participants=(),
    ),
    says(
        '{"msg_type":6,"event":{"event_type":3,"timestamp":1694204592}}',
        id="event-in-seconds",
        timestamp=1694204592000,
    ),
    says('{"msg_type":6,"event":{"event_type":6}}', id="event-without-time", timestamp=None),
    says(
        f'{{"msg_type":6,"event":{{"event_type":8,"event_ts":{T},'
        '"participant_info":{"channel_id":"c1","user_id":"u"}}}',
        product=Product.CONTACT_CENTER,
        id="participant_info",
        event_type=ContactCenterEventType.CONSUMER_ANSWERED,
        timestamp=T,
        channel=("c1", "u"),
    ),
    says(
        f'{{"msg_type":6,"event":{{"event_type":8,"timestamp":{T},'
        '"paticipant_info":{"channel_id":1,"user_id":2}}}',
        product=Product.CONTACT_CENTER,
        id="paticipant_info",
        timestamp=T,
        channel=("1", "2"),
    ),
    says(
        '{"msg_type":6,"event":{"event_code":"x","paticipant_info":{"channel_id":"c"}}}',
        product=Product.PHONE,
        id="phone-paticipant_info",
        event_type=None,
        channel=("c", ""),
    ),
]

KEEP_ALIVES = [
    says('{"msg_type":12,"timestamp":1}', id="only-timestamp", fields={"timestamp": 1}),
    says(
        '{"msg_type":12,"timestamp":1,"sequence":9}',
        id="with-sequence",
        fields={"timestamp": 1, "sequence": 9},
    ),
    says('{"msg_type":12}', id="bare", fields={}),
]


@pytest.mark.parametrize(
    ("text", "product", "expected"), [*RESPONSES, *STATES, *EVENTS, *KEEP_ALIVES]
)
def test_message(text, product, expected):
    message = decode(text, product)
    found = {name: getattr(message, name) for name in expected}
    if "channel" in expected:
        found["channel"] = (message.channel.channel_id, message.channel.user_id)
    assert found == expected
    assert message.raw == json.loads(text)


HELLO = "SGVsbG8="
NESTED_CHAT = (
    r"{\"chat_session\":{\"type\":1,\"id\":\"c\"},\"operation_type\":1,\"message_id\":\"m\","
    r"\"sender\":{\"user_id\":\"7\",\"user_name\":\"Ann\"},\"data\":\"hi\"}"
)

PACKETS = [
    says(
        f'{{"msg_type":14,"content":{{"user_id":7,"user_name":"Ann","data":"{HELLO}","length":5,'
        f'"timestamp":{T}}}}}',
        id="audio",
        data=b"Hello",
        timestamp=T,
        userId=7,
        userName="Ann",
        channelId="",
        extra={},
    ),
    says(
        f'{{"msg_type":14,"content":{{"user_id":0,"data":"{HELLO}","timestamp":{T}}}}}',
        id="mixed-audio-without-name",
        userId=0,
        userName="",
    ),
    says(
        f'{{"msg_type":14,"user_id":7,"user_name":"Ann","data":"{HELLO}","timestamp":{T}}}',
        id="flat-content",
        data=b"Hello",
        timestamp=T,
        userId=7,
        extra={},
    ),
    says(
        f'{{"msg_type":14,"content":"{HELLO}","user_id":7,"timestamp":{T}}}',
        id="content-is-the-data",
        data=b"Hello",
        timestamp=T,
        userId=7,
        extra={},
    ),
    says(
        f'{{"msg_type":14,"content":"{{\\"user_id\\":7,\\"data\\":\\"{HELLO}\\",'
        f'\\"timestamp\\":{T}}}"}}',
        id="content-as-json-text",
        data=b"Hello",
        timestamp=T,
        userId=7,
    ),
    says(
        f'{{"msg_type":17,"content":"{{ not json","timestamp":{T}}}',
        id="content-is-text-with-a-brace",
        data=b"{ not json",
    ),
    says(
        f'{{"msg_type":17,"content":"{{}}","timestamp":{T}}}',
        id="content-is-text-that-is-json",
        data=b"{}",
    ),
    says(
        f'{{"msg_type":14,"content":{{"user_id":"7","data":"{HELLO}","timestamp":"{T}"}}}}',
        id="numbers-as-text",
        timestamp=T,
        userId=7,
    ),
    says(
        f'{{"msg_type":15,"content":{{"user_id":7,"data":"{HELLO}","timestamp":1694204592}}}}',
        id="packet-in-seconds",
        timestamp=1694204592000,
    ),
    says(
        f'{{"msg_type":16,"content":{{"user_id":7,"data":"{HELLO}","timestamp":{T}}}}}',
        id="share",
        media_type=DESKSHARE,
    ),
    says(
        f'{{"msg_type":14,"content":{{"channel_id":"ch","data":"{HELLO}","timestamp":{T}}}}}',
        product=Product.CONTACT_CENTER,
        id="channel_id",
        channelId="ch",
        userId=0,
    ),
    says(
        f'{{"msg_type":14,"content":{{"channel_id":12,"data":"{HELLO}","timestamp":{T}}}}}',
        product=Product.PHONE,
        id="channel_id-as-number",
        channelId="12",
    ),
    says(
        f'{{"msg_type":17,"content":{{"user_id":7,"data":"Hi","timestamp":{T},"start_time":{T},'
        f'"end_time":{T + 5},"language":9}}}}',
        id="transcript",
        data=b"Hi",
        startTs=T,
        endTs=T + 5,
        language=TranscriptLanguage.ENGLISH,
        attribute=None,
    ),
    says(
        f'{{"msg_type":17,"content":{{"data":"Hi","timestamp":{T},"attribute":2,'
        '"text":"Hi","is_final":true}}',
        id="transcript-with-more",
        data=b"Hi",
        attribute=MessageAttribute.UPDATE,
        extra={"text": "Hi", "is_final": True},
    ),
    says(
        f'{{"msg_type":17,"content":{{"user_id":7,"timestamp":{T},"attribute":3}}}}',
        id="transcript-deleted-without-data",
        data=b"",
        attribute=MessageAttribute.DELETE,
    ),
    says(
        f'{{"msg_type":17,"content":{{"data":"half \\ud83d","timestamp":{T}}}}}',
        id="half-a-surrogate-pair",
        data=b"half ?",
    ),
    says(
        f'{{"msg_type":18,"content":{{"timestamp":{T},"data":"Chat message"}}}}',
        id="chat-plain",
        data=b"Chat message",
        chat=None,
    ),
    says(
        f'{{"msg_type":18,"content":{{"timestamp":{T},"data":"hi","chat_session":'
        '{"type":1,"id":"c"},"operation_type":1,"message_id":"m",'
        '"sender":{"user_id":"7","user_name":"Ann"}}}',
        id="chat-with-fields",
        data=b"hi",
        userId=7,
        userName="Ann",
        chat=(ChatSessionType.EVERYONE, "c", ChatOperation.NEW, "m"),
    ),
    says(
        f'{{"msg_type":18,"content":{{"timestamp":{T},"data":"{NESTED_CHAT}"}}}}',
        id="chat-json-in-data",
        data=b"hi",
        userId=7,
        userName="Ann",
        chat=(ChatSessionType.EVERYONE, "c", ChatOperation.NEW, "m"),
        extra={},
    ),
    says(
        f'{{"msg_type":18,"timestamp":{T},"content":"{NESTED_CHAT}"}}',
        id="chat-json-in-content",
        data=b"hi",
        userId=7,
        chat=(ChatSessionType.EVERYONE, "c", ChatOperation.NEW, "m"),
    ),
    says(
        f'{{"msg_type":18,"content":{{"timestamp":{T},'
        r'"data":"{\"message_id\":\"m\",\"text\":\"hi\"}"}}',
        id="chat-json-with-text",
        data=b"hi",
    ),
    says(
        f'{{"msg_type":18,"content":{{"timestamp":{T},'
        r'"data":"{\"message_id\":\"m\",\"operation_type\":2}"}}',
        id="chat-json-without-text",
        data=b"",
        chat=(None, "", ChatOperation.DELETE, "m"),
    ),
    says(
        f'{{"msg_type":18,"content":{{"timestamp":{T},"data":"{{\\"a\\":1}}"}}}}',
        id="chat-that-is-json",
        data=b'{"a":1}',
        chat=None,
    ),
    says(
        f'{{"msg_type":18,"content":{{"timestamp":{T},"operation_type":2,"message_id":"m"}}}}',
        id="chat-deletion-without-data",
        data=b"",
        chat=(None, "", ChatOperation.DELETE, "m"),
    ),
]


@pytest.mark.parametrize(("text", "product", "expected"), PACKETS)
@pytest.mark.parametrize("form", [bytes, memoryview, bytearray])
def test_packet(text, product, expected, form):
    packet = JsonCodec(product).decode(form(text.encode()))
    found = {
        name: getattr(packet if hasattr(packet, name) else packet.metadata, name)
        for name in expected
    }
    if expected.get("chat"):
        chat = packet.metadata.chat
        found["chat"] = (chat.session_type, chat.session_id, chat.operation, chat.message_id)
    assert found == expected


@pytest.mark.parametrize(
    "forged",
    [
        {"sender": {"user_id": 1, "user_name": "The boss"}},
        {"user_id": 1, "user_name": "The boss", "message_id": "m", "timestamp": 5},
    ],
)
def test_nobody_can_chat_in_the_name_of_others(forged):
    typed = json.dumps({**forged, "data": "You are fired"})
    document = {
        "msg_type": 18,
        "content": {"user_id": 7, "user_name": "Ann", "timestamp": T, "data": typed},
    }
    packet = decode(document)
    assert (packet.metadata.userId, packet.metadata.userName, packet.timestamp) == (7, "Ann", T)


def test_what_was_typed_is_not_read_where_zoom_sends_fields():
    typed = '{"message_id": "forged", "data": "x"}'
    content = {
        "sender": {"user_id": 7, "user_name": "Ann"},
        "message_id": "m",
        "timestamp": T,
        "data": typed,
    }
    packet = decode({"msg_type": 18, "content": content})
    assert packet.data == typed.encode()
    assert packet.metadata.chat.message_id == "m"


def test_json_in_data_has_the_same_limits():
    deep = '{"message_id":"m","data":"x","a":' + "[" * 200 + "]" * 200 + "}"
    packet = decode({"msg_type": 18, "content": {"timestamp": T, "data": deep}})
    assert packet.data == deep.encode()
    assert packet.metadata.chat is None


def test_what_has_the_wrong_type_is_left_out_of_chat_details():
    content = {
        "timestamp": T,
        "data": "x",
        "chat_session": "all",
        "operation_type": "new",
        "message_id": 5,
        "sender": [],
        "receiver": "Bob",
        "files": ["a", {"file_id": "f"}],
        "delete_file_id_list": "g",
    }
    chat = decode({"msg_type": 18, "content": content}).metadata.chat
    assert (chat.session_type, chat.operation, chat.message_id) == (None, None, "5")
    assert (chat.receiver, chat.files, chat.deleted_files) == (None, ({"file_id": "f"},), ())
    assert chat.raw == {k: v for k, v in content.items() if k not in ("timestamp", "data")}


# -- what we say where sources disagree ------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "product"),
    [
        ("meeting_uuid", Product.MEETING),
        ("webinar_uuid", Product.WEBINAR),
        ("session_id", Product.VIDEO_SDK),
        ("engagement_id", Product.CONTACT_CENTER),
        ("call_id", Product.PHONE),
    ],
)
def test_handshakes_carry_the_products_own_id_unless_told(field, product):
    fields = {field: "x", "rtms_stream_id": "s"}
    assert StreamIdentity.from_fields(fields).fields == fields
    assert StreamIdentity.from_fields(fields).product is product
    reported = StreamIdentity.from_fields(fields, id_field="meeting_uuid")
    assert reported.fields == {"meeting_uuid": "x", "rtms_stream_id": "s"}


def test_transcripts_ask_for_src_language():
    assert "src_language" in TranscriptParams().to_wire()
    assert "language" not in TranscriptParams().to_wire()


def test_share_parameters_are_named_deskshare():
    assert DeskshareParams.key == "deskshare"

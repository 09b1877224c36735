"""Media packets: what we make of audio, pictures, transcripts and chat."""

import pytest

from rtms_gevent.enums import (
    ChatOperation,
    ChatSessionType,
    MediaDataType,
    MessageAttribute,
    TranscriptLanguage,
)
from rtms_gevent.errors import RemoteProtocolError
from rtms_gevent.protocol.metadata import AiInterpreter, ChatDetails, Metadata
from rtms_gevent.protocol.packets import MediaPacket
from rtms_gevent.protocol.people import Participant

from .helpers import decode

T = 1738392033699

#: Documents as Zoom's pages have them, and what they mean.
PACKETS = [
    (
        {
            "msg_type": 14,
            "content": {
                "user_id": 16778240,
                "user_name": "Ann",
                "data": "AQJvcHVzLWJ5dGVz",
                "length": 12,
                "timestamp": T,
            },
        },
        MediaPacket(
            MediaDataType.AUDIO, b"\x01\x02opus-bytes", T, Metadata(userId=16778240, userName="Ann")
        ),
    ),
    (
        {
            "msg_type": 15,
            "content": {
                "user_id": 1,
                "user_name": "",
                "data": "AAAAAWgyNjQ=",
                "length": 8,
                "timestamp": T,
            },
        },
        MediaPacket(MediaDataType.VIDEO, b"\0\0\0\x01h264", T, Metadata(userId=1)),
    ),
    (
        {
            "msg_type": 16,
            "content": {
                "user_id": 1,
                "user_name": "Ann",
                "data": "",
                "length": 0,
                "timestamp": T,
            },
        },
        MediaPacket(MediaDataType.DESKSHARE, b"", T, Metadata(userId=1, userName="Ann")),
    ),
    (
        {
            "msg_type": 17,
            "content": {
                "user_id": 1,
                "user_name": "Ann",
                "data": "hello wörld 👋",
                "start_time": T - 1000,
                "end_time": T,
                "timestamp": T,
                "language": 9,
                "attribute": 2,
            },
        },
        MediaPacket(
            MediaDataType.TRANSCRIPT,
            "hello wörld 👋".encode(),
            T,
            Metadata(
                userId=1,
                userName="Ann",
                startTs=T - 1000,
                endTs=T,
                language=TranscriptLanguage.ENGLISH,
                attribute=MessageAttribute.UPDATE,
            ),
        ),
    ),
    (
        {
            "msg_type": 18,
            "content": {
                "user_id": 1,
                "user_name": "Ann",
                "data": "hi",
                "timestamp": T,
                "attribute": 1,
                "chat_session": {"type": 2, "id": "c1"},
                "operation_type": 3,
                "message_id": "m2",
                "parent_message_id": "m1",
                "receiver": {"user_id": 2, "user_name": "Bob"},
                "files": [{"file_id": "f", "file_name": "a.txt", "file_size": 3}],
                "delete_file_id_list": ["g"],
            },
        },
        MediaPacket(
            MediaDataType.CHAT,
            b"hi",
            T,
            Metadata(
                userId=1,
                userName="Ann",
                attribute=MessageAttribute.NEW,
                chat=ChatDetails(
                    session_type=ChatSessionType.INDIVIDUAL,
                    session_id="c1",
                    operation=ChatOperation.UPDATE,
                    message_id="m2",
                    parent_message_id="m1",
                    receiver=Participant(2, "Bob"),
                    files=({"file_id": "f", "file_name": "a.txt", "file_size": 3},),
                    deleted_files=("g",),
                ),
            ),
        ),
    ),
    (
        {
            "msg_type": 18,
            "content": {
                "user_id": 1,
                "user_name": "",
                "data": "",
                "timestamp": T,
                "message_id": "m",
            },
        },
        MediaPacket(
            MediaDataType.CHAT, b"", T, Metadata(userId=1, chat=ChatDetails(message_id="m"))
        ),
    ),
    (
        {
            "msg_type": 18,
            "content": {
                "user_id": 1,
                "user_name": "",
                "data": "",
                "timestamp": T,
                "operation_type": 2,
                "delete_file_id_list": ["f"],
            },
        },
        MediaPacket(
            MediaDataType.CHAT,
            b"",
            T,
            Metadata(
                userId=1, chat=ChatDetails(operation=ChatOperation.DELETE, deleted_files=("f",))
            ),
        ),
    ),
]


@pytest.mark.parametrize(("document", "packet"), PACKETS)
def test_decodes_to_a_packet(document, packet):
    decoded = decode(document)
    assert decoded == packet
    assert decoded.msg_type == document["msg_type"]


@pytest.mark.parametrize(
    ("content", "attribute"),
    [
        ({"language": 777}, lambda m: m.language),
        ({"attribute": 777}, lambda m: m.attribute),
        ({"operation_type": 777}, lambda m: m.chat.operation),
        ({"chat_session": {"type": 777}}, lambda m: m.chat.session_type),
    ],
)
def test_unknown_values_of_packets_survive(content, attribute):
    packet = decode({"msg_type": 18, "content": {"timestamp": T, "data": "x", **content}})
    assert attribute(packet.metadata) == 777


def test_a_payload_is_not_decoded_twice():
    content = {"user_id": 1, "user_name": "A", "timestamp": T, "data": "SGVsbG8="}
    assert decode({"msg_type": 17, "content": content}).data == b"SGVsbG8="
    assert decode({"msg_type": 14, "content": content}).data == b"Hello"


@pytest.mark.parametrize("number", [14, 15, 16, 17, 18])
@pytest.mark.parametrize(
    ("document", "extra"),
    [
        ({"content": {"newer": [1, {"a": None}]}}, {"newer": [1, {"a": None}]}),
        ({"newer": 1, "content": {}}, {"newer": 1}),
        ({"newer": 1, "content": {"newer": 2}}, {"newer": 2}),
        ({"content": {"user_id": "7b1c-x"}}, {"user_id": "7b1c-x"}),
        ({"content": {"language": "en-US"}}, {"language": "en-US"}),
        ({"content": {"attribute": {"a": 1}}}, {"attribute": {"a": 1}}),
        ({"content": {"user_id": None, "language": None}}, {}),
        ({"content": {"length": 3}}, {}),
    ],
)
def test_fields_of_packets_survive(number, document, extra):
    content = {"timestamp": T, "data": "AAAA", **document["content"]}
    packet = decode({"msg_type": number, **document, "content": content})
    assert packet.metadata.extra == extra


def test_fields_of_chat_details_survive():
    content = {
        "timestamp": T,
        "data": "x",
        "sender": {"user_id": 1, "user_name": "Ann", "role": "host"},
        "chat_session": {"type": 1, "id": "c", "title": "Team"},
    }
    metadata = decode({"msg_type": 18, "content": content}).metadata
    assert metadata.chat.raw == {
        "sender": content["sender"],
        "chat_session": content["chat_session"],
    }
    assert metadata.extra == {"role": "host"}


def test_the_interpreter_is_empty_as_in_the_official_sdk():
    content = {"timestamp": T, "data": "", "ai_interpreter": {"lid": 9}}
    metadata = decode({"msg_type": 14, "content": content}).metadata
    assert metadata.aiInterpreter == AiInterpreter(0, 0, 0, 0, ())
    assert metadata.extra == {"ai_interpreter": {"lid": 9}}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"msg_type": 14}, "audio message without data"),
        ({"msg_type": 15, "content": {"timestamp": T}}, "video message without data"),
        ({"msg_type": 16, "content": {"timestamp": T, "data": 5}}, "deskshare message without"),
        ({"msg_type": 17, "content": {"data": "x"}}, "transcript message without a usable"),
        ({"msg_type": 18, "content": {"timestamp": T}}, "chat message without data"),
        ({"msg_type": 18, "content": {"data": "x", "timestamp": {}}}, "without a usable timestamp"),
        ({"msg_type": 14, "content": {"data": "", "timestamp": 10**17}}, "without a usable"),
        ({"msg_type": 14, "content": [1]}, "neither an object nor text"),
        ({"msg_type": 14, "content": {"timestamp": T, "data": "?!"}}, "data is not base64"),
        ({"msg_type": 14, "content": {"timestamp": T, "data": "AAA"}}, "data is not base64"),
        ({"msg_type": 14, "content": {"timestamp": T, "data": "AA\nAA"}}, "data is not base64"),
        ({"msg_type": 14, "content": {"timestamp": T, "data": "ÄÄÄÄ"}}, "data is not base64"),
    ],
)
def test_what_is_needed(document, problem):
    with pytest.raises(RemoteProtocolError, match=problem):
        decode(document)

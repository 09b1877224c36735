"""What Zoom's messages mean to the user: messages in, events out."""

import json

import pytest

from rtms_gevent.enums import Product, SessionState, StopReason
from rtms_gevent.protocol.codec import JsonCodec
from rtms_gevent.protocol.events import (
    SESS_STATUS_ACTIVE,
    SESS_STATUS_PAUSED,
    SESSION_EVENT_ADD,
    SESSION_EVENT_PAUSE,
    SESSION_EVENT_RESUME,
    SESSION_EVENT_STOP,
    USER_JOIN,
    USER_LEAVE,
    EventTranslator,
    Session,
)
from rtms_gevent.protocol.people import Participant

T = 1738392033699


@pytest.fixture
def translator():
    return EventTranslator("stream", "uuid")


def decode(document, product=Product.MEETING):
    return JsonCodec(product).decode(json.dumps(document).encode())


def client_events(translator, event, product=Product.MEETING):
    """Return what an event object means, without the ``event_ex`` that always comes last."""
    update = decode({"msg_type": 6, "event": event}, product)
    *found, last = translator.from_event_update(update)
    assert last.name == "event_ex"
    assert json.loads(last.arguments[0]) == event
    assert last.arguments[1] is update
    return [tuple(event) for event in found]


def join(translator, *people):
    return client_events(
        translator,
        {
            "event_type": 3,
            "timestamp": T,
            "participants": [{"user_id": id, "user_name": name} for id, name in people],
        },
    )


# -- meetings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"event_type": 1, "timestamp": T}, []),
        (
            {"event_type": 2, "timestamp": T, "user_id": 7, "user_name": "Ann"},
            [("active_speaker_event", (T, 7, "Ann"))],
        ),
        ({"event_type": 2}, [("active_speaker_event", (0, 0, ""))]),
        (
            {
                "event_type": 3,
                "timestamp": T,
                "participants": [
                    {"user_id": 7, "user_name": "Ann"},
                    {"user_id": "8", "user_name": "Bob"},
                ],
            },
            [
                ("user_update", (USER_JOIN, Participant(7, "Ann"))),
                ("user_update", (USER_JOIN, Participant(8, "Bob"))),
                (
                    "participant_event",
                    (
                        "join",
                        T,
                        [{"user_id": 7, "user_name": "Ann"}, {"user_id": 8, "user_name": "Bob"}],
                    ),
                ),
            ],
        ),
        ({"event_type": 3}, [("participant_event", ("join", 0, []))]),
        (
            {"event_type": 4, "timestamp": T, "participants": [{"user_id": 7}]},
            [
                ("user_update", (USER_LEAVE, Participant(7, ""))),
                ("participant_event", ("leave", T, [{"user_id": 7, "user_name": ""}])),
            ],
        ),
        (
            {"event_type": 5, "timestamp": T, "user_id": 7, "user_name": "Ann"},
            [("sharing_event", ("start", T, 7, "Ann"))],
        ),
        ({"event_type": 5, "timestamp": T}, [("sharing_event", ("start", T, None, None))]),
        (
            {"event_type": 6, "timestamp": T, "user_id": 7},
            [("sharing_event", ("stop", T, None, None))],
        ),
        ({"event_type": 7, "timestamp": T}, [("media_connection_interrupted", (T,))]),
        ({"event_type": 7}, [("media_connection_interrupted", (0,))]),
        (
            {"event_type": 8, "participants": [{"user_id": 7}, {"user_id": "8"}]},
            [("participant_video", ([7, 8], True))],
        ),
        (
            {"event_type": 9, "participants": [{"user_id": 7}]},
            [("participant_video", ([7], False))],
        ),
        (
            {"event_type": 8, "participants": [{"user_id": "x-1"}, {"user_name": "Ann"}]},
            [("participant_video", ([], True))],
        ),
        *(({"event_type": number, "timestamp": T}, []) for number in (0, 10, 14, 99, -1)),
        ({"event_code": 10008, "timestamp": T}, []),
    ],
)
def test_events_of_meetings(translator, event, expected):
    assert client_events(translator, event) == expected


def test_event_ex_is_written_as_the_official_sdk_does(translator):
    event = {"user_name": "Jörg", "user_id": 7, "timestamp": T, "event_type": 2, "newer": {"b": 1}}
    *_, last = translator.from_event_update(decode({"msg_type": 6, "event": event}))
    assert last.arguments[0] == (
        '{"event_type":2,"newer":{"b":1},"timestamp":1738392033699,"user_id":7,'
        '"user_name":"J\\u00f6rg"}'
    )


def test_who_leaves_is_named_from_the_roster(translator):
    join(translator, (7, "Ann"), (8, "Bob"))
    left = client_events(
        translator, {"event_type": 4, "timestamp": T, "participants": [{"user_id": 7}]}
    )
    assert left == [
        ("user_update", (USER_LEAVE, Participant(7, "Ann"))),
        ("participant_event", ("leave", T, [{"user_id": 7, "user_name": "Ann"}])),
    ]


def test_who_has_left_is_forgotten(translator):
    join(translator, (7, "Ann"))
    leave = {"event_type": 4, "timestamp": T, "participants": [{"user_id": 7}]}
    client_events(translator, leave)
    assert client_events(translator, leave)[0] == ("user_update", (USER_LEAVE, Participant(7, "")))


def test_who_speaks_is_named_from_the_roster_where_zoom_does_not(translator):
    join(translator, (7, "Ann"))
    assert client_events(translator, {"event_type": 2, "user_id": 7}) == [
        ("active_speaker_event", (0, 7, "Ann"))
    ]
    assert client_events(translator, {"event_type": 2, "user_id": 7, "user_name": "Annie"}) == [
        ("active_speaker_event", (0, 7, "Annie"))
    ]


def test_a_name_may_change_and_is_not_lost(translator):
    join(translator, (7, "Ann"))
    join(translator, (7, "Annie"))
    assert join(translator, (7, ""))[0] == ("user_update", (USER_JOIN, Participant(7, "Annie")))


def test_people_without_usable_ids_are_not_mixed_up(translator):
    join(translator, ("x-1", "Ann"), ("x-2", "Bob"))
    left = client_events(translator, {"event_type": 4, "participants": [{"user_id": "x-1"}]})
    assert left[0] == ("user_update", (USER_LEAVE, Participant(0, "")))


# -- sessions --------------------------------------------------------------------------------------

STARTED, PAUSED, RESUMED, STOPPED = 2, 3, 4, 5


def session_update(translator, state, session_id="x", **more):
    """Return the op and session of ``session_update``, or None where there is no such event."""
    update = decode(
        {"msg_type": 9, "rtms_session_id": session_id, "state": state, "timestamp": T, **more}
    )
    first, *rest = translator.from_session_state(update)
    assert first.name == "session_state"
    assert first.arguments == (update.state, session_id, update.reason, T)
    assert len(rest) <= 1
    assert all(event.name == "session_update" for event in rest)
    return rest[0].arguments if rest else None


def session(**fields):
    defaults = {
        "sessionId": "x",
        "streamId": "stream",
        "meetingId": "uuid",
        "statTime": T,
        "status": SESS_STATUS_ACTIVE,
        "isActive": True,
        "isPaused": False,
    }
    return Session(**{**defaults, **fields})


def test_a_sessions_life(translator):
    paused = {"status": SESS_STATUS_PAUSED, "isActive": False, "isPaused": True}
    assert session_update(translator, 0) is None
    assert session_update(translator, 1) is None
    assert session_update(translator, STARTED) == (SESSION_EVENT_ADD, session())
    assert session_update(translator, PAUSED) == (SESSION_EVENT_PAUSE, session(**paused))
    assert session_update(translator, RESUMED) == (SESSION_EVENT_RESUME, session())
    assert session_update(translator, STOPPED) == (SESSION_EVENT_STOP, session(isActive=False))


def test_a_session_is_added_once_and_again_after_its_end(translator):
    assert session_update(translator, STARTED) is not None
    assert session_update(translator, STARTED) is None
    assert session_update(translator, STARTED, "y") == (SESSION_EVENT_ADD, session(sessionId="y"))
    session_update(translator, STOPPED)
    assert session_update(translator, STOPPED) is None
    assert session_update(translator, STARTED) is not None


@pytest.mark.parametrize("state", [PAUSED, RESUMED, STOPPED, 0, 1, 99])
def test_what_was_not_added_does_not_change(translator, state):
    assert session_update(translator, state) is None


def test_session_state_tells_the_reason(translator):
    update = decode({"msg_type": 9, "state": 5, "stop_reason": 6})
    (event,) = translator.from_session_state(update)
    assert event.arguments == (SessionState.STOPPED, "", StopReason.MEETING_ENDED, None)


# -- Contact Center and phone ----------------------------------------------------------------------

INFO = {"channel_id": "ch1", "display_name": "Ann", "user_id": "u1"}


def answered(translator, number=8, info=INFO, product=Product.CONTACT_CENTER):
    event = {"event_type": number, "event_ts": T, "participant_info": info}
    assert client_events(translator, event, product) == []


def metadata_of(translator, **content):
    """Return the metadata of an audio packet that says who speaks."""
    packet = decode({"msg_type": 14, "content": {"timestamp": T, "data": "AAAA", **content}})
    packet = translator.with_speaker(packet)
    return packet.metadata


def test_packets_are_told_who_is_on_their_channel(translator):
    answered(translator)
    metadata = metadata_of(translator, channel_id="ch1")
    assert metadata.channel.display_name == metadata.userName == "Ann"
    assert metadata.channel.user_id == "u1"


def test_a_name_in_the_packet_is_kept(translator):
    answered(translator)
    assert metadata_of(translator, channel_id="ch1", user_name="Annie").userName == "Annie"


@pytest.mark.parametrize("content", [{"channel_id": "other"}, {"user_id": 7}, {}])
def test_other_packets_are_left_alone(translator, content):
    answered(translator)
    metadata = metadata_of(translator, **content)
    assert (metadata.channel, metadata.userName) == (None, "")


@pytest.mark.parametrize("number", [9, 11], ids=["CONSUMER_END", "USER_END"])
def test_a_channel_is_forgotten_at_its_end(translator, number):
    answered(translator)
    answered(translator, number)
    assert metadata_of(translator, channel_id="ch1").channel is None


@pytest.mark.parametrize("number", [12, 13, 14, 29, 77])
def test_other_events_update_a_channel(translator, number):
    answered(translator)
    answered(translator, number, {**INFO, "display_name": "Bob"})
    assert metadata_of(translator, channel_id="ch1").userName == "Bob"


def test_an_event_that_names_nobody_does_not_make_a_channel_nameless(translator):
    answered(translator)
    answered(translator, 12, {"channel_id": "ch1"})
    assert metadata_of(translator, channel_id="ch1").userName == "Ann"


def test_a_channel_is_known_without_a_name(translator):
    answered(translator, info={"channel_id": "ch1", "phone_number": "+15550100"})
    metadata = metadata_of(translator, channel_id="ch1")
    assert (metadata.channel.phone_number, metadata.userName) == ("+15550100", "")


def test_an_end_without_a_channel_ends_nothing(translator):
    answered(translator)
    assert client_events(translator, {"event_type": 9}, Product.CONTACT_CENTER) == []
    assert metadata_of(translator, channel_id="ch1").userName == "Ann"


def test_contact_centers_8_is_no_video(translator):
    event = {"event_type": 8, "participants": [{"user_id": 7}]}
    assert client_events(translator, event, Product.CONTACT_CENTER) == []
    assert client_events(translator, event, Product.PHONE) == []
    assert client_events(translator, event, Product.MEETING) == [("participant_video", ([7], True))]


def test_phone_events_name_channels_too(translator):
    event = {"event_code": 1, "paticipant_info": {"channel_id": 5, "display_name": "Ann"}}
    assert client_events(translator, event, Product.PHONE) == []
    assert metadata_of(translator, channel_id="5").userName == "Ann"


def test_an_event_without_channel_id_is_harmless(translator):
    answered(translator, info={"display_name": "Ann"})
    assert metadata_of(translator, channel_id="").channel is None

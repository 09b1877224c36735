"""What happens after the handshakes: events, states, subscriptions, and how a stream ends."""

from __future__ import annotations

import base64

import gevent
import pytest

from ..raw import RawClient


def kinds(messages):
    return [message["msg_type"] for message in messages]


def test_client_ready_starts_session_and_stream(simulator):
    with RawClient(simulator) as client:
        client.sync()
        session, stream = client.before_sync
        assert (session["msg_type"], session["state"]) == (9, 2)
        assert session["rtms_session_id"] == simulator.meeting.session_id
        assert (stream["msg_type"], stream["state"], stream["reason"]) == (8, 1, 0)


def test_client_ready_without_media_is_told(simulator):
    with RawClient(simulator, media=(), ready=False) as client:
        client.signaling.send({"msg_type": 7, "rtms_stream_id": simulator.meeting.stream_id})
        assert client.signaling.receive()["status_code"] == 41
        assert not simulator.meeting.wait_ready(0)


def test_nothing_is_sent_to_a_client_that_is_not_ready(simulator):
    with RawClient(simulator, ready=False) as client:
        assert not simulator.meeting.send_audio(b"early")
        client.ready()
        assert simulator.meeting.send_audio(b"in time")
        assert base64.b64decode(client.media["audio"].receive()["content"]["data"]) == b"in time"
    sent = simulator.meeting.sent[1]
    assert (sent.messages, sent.bytes, sent.payloads) == (1, 7, [b"in time"])


def test_a_media_socket_that_opens_later_needs_client_ready_again(simulator):
    with RawClient(simulator) as client:
        client.open_media("chat")
        assert not simulator.meeting.send_chat("early")
        client.ready()
        client.sync()
        assert simulator.meeting.send_chat("in time")
        assert client.media["chat"].receive()["content"]["data"] == "in time"


def test_media_messages_have_every_field_that_clients_need(simulator):
    meeting = simulator.meeting
    everything = ("audio", "video", "deskshare", "transcript", "chat")
    with RawClient(simulator, media=everything) as client:
        meeting.send_audio(b"\0\1\2", 11, "Ann", timestamp=1738392033699)
        meeting.send_video(b"v", 11, "Ann", timestamp=5)
        meeting.send_deskshare(b"d", 11, "Ann", timestamp=6)
        meeting.send_transcript(
            "h\u00e9 \U0001f3a7", 11, "Ann", start_time=1, end_time=2, attribute=1
        )
        meeting.send_chat("c", 11, "Ann", timestamp=8, message_id="m")
        ann = {"user_id": 11, "user_name": "Ann"}
        received = {name: socket.receive() for name, socket in client.media.items()}
        assert received == {
            "audio": {
                "msg_type": 14,
                "content": {**ann, "data": "AAEC", "length": 3, "timestamp": 1738392033699},
            },
            "video": {
                "msg_type": 15,
                "content": {**ann, "data": "dg==", "length": 1, "timestamp": 5},
            },
            "deskshare": {
                "msg_type": 16,
                "content": {**ann, "data": "ZA==", "length": 1, "timestamp": 6},
            },
            "transcript": {
                "msg_type": 17,
                "content": {
                    **ann,
                    "data": "hé 🎧",
                    "start_time": 1,
                    "end_time": 2,
                    "timestamp": 1,
                    "language": 9,
                    "attribute": 1,
                },
            },
            "chat": {
                "msg_type": 18,
                "content": {
                    "timestamp": 8,
                    "data": "c",
                    "message_id": "m",
                    "operation_type": 1,
                    "chat_session": {"type": 1},
                    "sender": ann,
                },
            },
        }


@pytest.mark.parametrize("product", ["contact_center", "phone"])
def test_calls_name_a_channel_instead_of_a_user(simulator, product):
    meeting = simulator.add_meeting(product=product)
    with RawClient(simulator, meeting) as client:
        meeting.send_audio(b"x", channel_id="ch-1")
        content = client.media["audio"].receive()["content"]
        assert content["channel_id"] == "ch-1"
        assert "user_id" not in content


def test_unified_sockets_carry_everything(simulator):
    meeting = simulator.meeting
    with RawClient(simulator, media=("all",)) as client:
        assert set(client.media_answer["media_params"]) == {
            "audio", "video", "deskshare", "transcript", "chat",
        }  # fmt: skip
        assert meeting.send_audio(b"a")
        assert meeting.send_transcript("t")
        assert kinds([client.media["all"].receive(), client.media["all"].receive()]) == [14, 17]


def test_stamps_count_per_media_type(simulate):
    simulator = simulate(stamp=True)
    with RawClient(simulator, media=("all",)) as client:
        for send in ("send_audio", "send_audio", "send_video"):
            getattr(simulator.meeting, send)(b"x")
        stamps = [client.media["all"].receive()["content"]["simulator"] for _ in range(3)]
    assert [stamp["sequence"] for stamp in stamps] == [1, 2, 1]
    assert sorted(stamps, key=lambda stamp: stamp["sent_ns"])[0] == stamps[0]


# -- events ----------------------------------------------------------------------------------------


def test_events_go_to_subscribers_only(simulator):
    meeting = simulator.meeting
    speaker = {"event_type": 2, "timestamp": 1, "user_id": 7, "user_name": "Ann"}
    with RawClient(simulator) as client:
        client.sync()
        assert not meeting.send_event(speaker)
        client.subscribe(2)
        assert meeting.send_event(speaker)
        assert client.signaling.receive() == {"msg_type": 6, "event": speaker}
        client.subscribe(2, on=False)
        assert not meeting.send_event(speaker)
        assert meeting.send_event({"event_type": 7, "timestamp": 3})
        assert client.signaling.receive()["event"]["event_type"] == 7
        assert [event["event_type"] for event in meeting.events_sent] == [2, 7]


def test_the_first_packet_is_announced_once(simulator):
    with RawClient(simulator) as client:
        client.sync()
        simulator.meeting.send_audio(b"x", timestamp=123)
        simulator.meeting.send_audio(b"y", timestamp=124)
        client.sync()
        assert client.before_sync == [{"msg_type": 6, "event": {"event_type": 1, "timestamp": 123}}]


@pytest.mark.parametrize(
    "events",
    [None, {}, "2", [2], [{"event_type": "2", "subscribe": True}], [{"event_type": 2}],
     [{"subscribe": True}]],
)  # fmt: skip
def test_malformed_subscriptions_are_told(simulator, events):
    with RawClient(simulator) as client:
        client.sync()
        client.signaling.send({"msg_type": 5, "events": events})
        assert client.signaling.receive()["status_code"] == 42


def test_phone_events_have_a_code_and_contact_center_events_their_own_time(simulator):
    phone = simulator.add_meeting(product="phone")
    with RawClient(simulator, phone) as client:
        client.signaling.send({"msg_type": 5, "events": [{"event_code": 3, "subscribe": True}]})
        client.sync()
        assert phone.send_event({"event_type": 3, "timestamp": 9})
        assert client.signaling.receive()["event"] == {"event_code": 3, "timestamp": 9}
    center = simulator.add_meeting(product="contact_center")
    with RawClient(simulator, center) as client:
        client.subscribe(10)
        assert center.send_event({"event_type": 10, "participant_info": {"channel_id": "c"}})
        event = client.signaling.receive()["event"]
        assert set(event) == {"event_type", "participant_info", "event_ts"}


def test_unknown_messages_are_told_and_passed_over(simulator):
    with RawClient(simulator) as client:
        client.sync()
        for socket in (client.signaling, client.media["audio"]):
            socket.send({"msg_type": 99})
            answer = socket.receive()
            assert (answer["msg_type"], answer["status_code"]) == (99, 1)
        assert simulator.meeting.send_audio(b"x")


# -- states ----------------------------------------------------------------------------------------


def test_states_can_be_asked_for(simulator):
    meeting = simulator.meeting
    with RawClient(simulator) as client:
        client.sync()
        client.signaling.send({"msg_type": 10, "rtms_session_id": meeting.session_id})
        answer = client.signaling.receive()
        assert (answer["msg_type"], answer["state"]) == (11, 2)
        client.signaling.send({"msg_type": 10, "rtms_session_id": "another"})
        assert client.signaling.receive()["status_code"] == 40
        client.signaling.send({"msg_type": 19, "rtms_stream_id": meeting.stream_id})
        answer = client.signaling.receive()
        assert (answer["msg_type"], answer["state"]) == (20, 1)
        assert answer["rtms_stream_id"] == meeting.stream_id
        client.signaling.send({"msg_type": 19, "rtms_stream_id": "another"})
        assert client.signaling.receive()["status_code"] == 2


def test_half_a_surrogate_pair_is_survived(simulator):
    with RawClient(simulator) as client:
        client.sync()
        client.signaling.ws.send(r'{"msg_type": 19, "rtms_stream_id": "\ud800"}')
        answer = client.signaling.receive()
        assert (answer["rtms_stream_id"], answer["status_code"]) == ("?", 2)
        assert simulator.meeting.send_audio(b"x")


def test_session_states_are_told(simulator):
    with RawClient(simulator) as client:
        client.sync()
        assert simulator.meeting.set_session_state(3)
        message = client.signaling.receive()
        assert (message["msg_type"], message["state"]) == (9, 3)


def test_only_a_stop_has_a_stop_reason(simulator):
    with RawClient(simulator) as client:
        client.sync()
        assert "stop_reason" not in client.before_sync[0]
        simulator.meeting.set_session_state(3)
        assert "stop_reason" not in client.signaling.receive()
        simulator.meeting.set_session_state(5)
        assert client.signaling.receive()["stop_reason"] == 0


def test_stopping_tells_why_and_closes(simulator):
    meeting = simulator.meeting
    with RawClient(simulator) as client:
        client.sync()
        stopping = gevent.spawn(meeting.stop, 4)
        session, stream = client.signaling.receive(), client.signaling.receive()
        assert (session["msg_type"], session["state"], session["stop_reason"]) == (9, 5, 4)
        assert (stream["msg_type"], stream["state"], stream["reason"]) == (8, 4, 4)
        client.signaling.ws.close()
        client.media["audio"].ws.close()
        stopping.get(timeout=5)
    assert meeting.finished.is_set()
    assert meeting.stop_reason == 4


def test_a_client_that_stays_after_the_end_is_closed(simulator):
    with RawClient(simulator) as client:
        stopping = gevent.spawn(simulator.meeting.stop)
        assert client.signaling.close_code() == 1000
        client.signaling.ws.send_close(1000)
        client.media["audio"].ws.send_close(1000)
        stopping.get(timeout=8)


def test_media_is_read_before_the_end_is_told(simulator):
    """Clients close everything when they hear of the end, so it must not overtake media."""
    with RawClient(simulator) as client:
        client.sync()
        for number in range(50):
            simulator.meeting.send_audio(b"%d" % number)
        stopping = gevent.spawn(simulator.meeting.stop)
        gevent.sleep(0)
        assert simulator.meeting.is_over
        client.sync()
        assert 8 not in kinds(client.before_sync)
        for number in range(50):
            content = client.media["audio"].receive()["content"]
            assert base64.b64decode(content["data"]) == b"%d" % number
        ask = client.media["audio"].frame()  # the keep-alive that comes after all media
        assert b'"msg_type": 12' in ask[2]
        client.media["audio"].ws.send(ask[2].replace(b'"msg_type": 12', b'"msg_type": 13'))
        client.signaling.receive_until(lambda message: message["msg_type"] == 8)
        client.signaling.ws.close()
        client.media["audio"].ws.close()
        stopping.get(timeout=5)


def test_a_client_may_close_the_stream(simulator):
    meeting = simulator.meeting
    with RawClient(simulator) as client:
        client.sync()
        client.signaling.send({"msg_type": 21, "rtms_stream_id": "another"})
        assert client.signaling.receive()["status_code"] == 2
        client.signaling.send({"msg_type": 21, "rtms_stream_id": meeting.stream_id})
        answer = client.signaling.receive()
        assert (answer["msg_type"], answer["status_code"]) == (22, 0)
        end = client.signaling.receive_until(lambda message: message["msg_type"] == 8)
        assert (end["state"], end["reason"]) == (4, 20)
        client.signaling.ws.close()
        client.media["audio"].ws.close()
        assert meeting.finished.wait(5)


# -- video of one participant ----------------------------------------------------------------------


def subscribe_video(client, user_id, subscribe=True):
    client.signaling.send(
        {"msg_type": 28, "user_id": user_id, "subscribe": subscribe, "timestamp": 1}
    )
    answer = client.signaling.receive()
    assert (answer["msg_type"], answer["user_id"]) == (29, user_id)
    return answer["status_code"]


def test_only_the_video_that_was_asked_for_is_sent(simulator):
    meeting = simulator.meeting
    with RawClient(simulator, media=("video",), params={"video": {"data_opt": 4}}) as client:
        client.sync()
        assert not meeting.send_video(b"a", 11)
        assert subscribe_video(client, 11) == 0
        assert meeting.send_video(b"a", 11)
        assert not meeting.send_video(b"b", 12)
        client.signaling.receive()  # the first packet
        assert subscribe_video(client, 11) == 44
        assert subscribe_video(client, 12) == 0
        assert not meeting.send_video(b"a", 11)
        assert meeting.send_video(b"b", 12)
        assert subscribe_video(client, 12, subscribe=False) == 0
        assert not meeting.send_video(b"b", 12)
        assert subscribe_video(client, "x") == 4
        got = [client.media["video"].receive()["content"]["user_id"] for _ in range(2)]
        assert got == [11, 12]


def test_the_answer_says_what_was_asked_for(simulator):
    """Clients take an answer without ``subscribe`` for a subscription."""
    with RawClient(simulator, media=("video",), params={"video": {"data_opt": 4}}) as client:
        client.sync()
        for subscribe in (True, False):
            client.signaling.send(
                {"msg_type": 28, "user_id": 11, "subscribe": subscribe, "sequence": 5}
            )
            answer = client.signaling.receive()
            del answer["timestamp"]
            assert answer == {
                "msg_type": 29,
                "user_id": 11,
                "subscribe": subscribe,
                "sequence": 5,
                "status_code": 0,
                "reason": "OK",
            }


def test_asking_for_one_video_needs_the_data_option(simulator):
    with RawClient(simulator, media=("video",)) as client:
        client.sync()
        assert subscribe_video(client, 11) == 29


# -- coming back -----------------------------------------------------------------------------------


def test_a_lost_media_socket_is_announced_and_may_come_back(simulator):
    meeting = simulator.meeting
    with RawClient(simulator) as client:
        client.sync()
        assert meeting.reset_sockets("audio") == 1
        event, state = client.signaling.receive(), client.signaling.receive()
        assert event["event"]["event_type"] == 7
        assert (state["msg_type"], state["state"], state["reason"]) == (8, 2, 14)
        assert not meeting.send_audio(b"lost")
        client.open_media("audio")
        client.ready()
        state = client.signaling.receive()
        assert (state["msg_type"], state["state"]) == (8, 1)
        assert meeting.send_audio(b"back")


def test_a_media_socket_that_does_not_come_back_ends_the_stream(simulate):
    simulator = simulate(media_window=0.05)
    with RawClient(simulator) as client:
        simulator.meeting.reset_sockets("audio")
        end = client.signaling.receive_until(
            lambda message: message["msg_type"] == 8 and message["state"] == 4
        )
        assert end["reason"] == 19
        client.signaling.ws.close()
        assert simulator.meeting.finished.wait(5)


def test_a_lost_client_that_does_not_come_back_ends_the_stream(simulate):
    simulator = simulate(signaling_window=0.05)
    with RawClient(simulator):
        simulator.meeting.reset_sockets("signaling")
        assert simulator.meeting.finished.wait(8)
    assert simulator.meeting.stop_reason == 19


def test_media_sockets_of_a_lost_client_stay_until_it_is_back(simulator):
    """The loss of the signaling socket is all that the client sees."""
    meeting = simulator.meeting
    with RawClient(simulator) as first:
        signaling = meeting.signaling
        meeting.reset_sockets("signaling")
        assert signaling.ended.wait(5)
        assert len(meeting.media) == 1
        assert not meeting.send_audio(b"x")
        with RawClient(simulator):
            with pytest.raises(ConnectionResetError):
                first.media["audio"].receive()
            assert meeting.send_audio(b"x")


def test_a_client_that_left_may_be_followed_by_another_at_any_time(simulate):
    simulator = simulate(signaling_window=0.01)
    with RawClient(simulator) as client:
        signaling = simulator.meeting.signaling
        client.signaling.ws.send_close(1000)
        assert client.signaling.close_code() == 1000
        assert signaling.ended.wait(5)
    assert not simulator.meeting.finished.wait(0.1)
    with RawClient(simulator):
        assert simulator.meeting.send_audio(b"x")


def test_states_that_nobody_knows_can_be_told(simulator):
    with RawClient(simulator) as client:
        client.sync()
        simulator.meeting.set_session_state(77, 99)
        message = client.signaling.receive()
        assert (message["state"], message["stop_reason"]) == (77, 99)
        simulator.meeting.set_stream_state(78, 98)
        message = client.signaling.receive()
        assert (message["state"], message["reason"]) == (78, 98)


def test_a_lost_client_may_come_back_in_time(simulator):
    meeting = simulator.meeting
    with RawClient(simulator) as first:
        connection = meeting.signaling
        meeting.reset_sockets("all_sockets")
        assert connection.ended.wait(5)
        with pytest.raises(ConnectionResetError):
            while True:
                first.signaling.receive()
    with RawClient(simulator) as second:
        assert meeting.send_audio(b"back")
        assert second.media["audio"].receive()["content"]["length"] == 4

"""What a strict server checks, as tables of what is sent and which status comes back."""

from __future__ import annotations

import json

import pytest

from rtms_gevent.simulator import parse_scenario
from rtms_gevent.simulator.wire.negotiation import Refusal, negotiate

from ..raw import RawClient, RawSocket, sign

OFFICIAL_AUDIO = {
    "content_type": 2, "codec": 4, "sample_rate": 3, "channel": 2, "data_opt": 2, "send_rate": 20,
}  # fmt: skip
OFFICIAL_VIDEO = {"content_type": 3, "codec": 7, "resolution": 2, "data_opt": 3, "fps": 30}


def signal(simulator, **changes):
    meeting = simulator.meeting
    message = {
        "msg_type": 1,
        "protocol_version": 1,
        "sequence": 5,
        "meeting_uuid": meeting.uuid,
        "rtms_stream_id": meeting.stream_id,
        "signature": sign(simulator, meeting),
        **changes,
    }
    message = {name: value for name, value in message.items() if value is not ...}
    with RawSocket(simulator.signaling_url) as socket:
        socket.send(message)
        return socket.receive()


def test_meetings_are_found_by_their_stream(simulator):
    other = simulator.add_meeting()
    assert simulator.find_meeting(other.stream_id) is other
    assert simulator.find_meeting("nobody's") is None


def test_a_good_signaling_handshake_names_every_media_address(simulator):
    answer = signal(simulator)
    base = simulator.signaling_url.removesuffix("/signaling")
    names = ["audio", "video", "deskshare", "transcript", "chat", "all"]
    assert answer == {
        "msg_type": 2,
        "protocol_version": 1,
        "sequence": 5,
        "status_code": 0,
        "reason": "",
        "media_server": {"server_urls": {name: f"{base}/media/{name}/1" for name in names}},
    }


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"rtms_stream_id": "another"}, 2),
        ({"meeting_uuid": "another"}, 2),
        ({"meeting_uuid": ...}, 2),
        ({"signature": "0" * 64}, 3),
        ({"signature": "\udcff é 🎧"}, 3),
        ({"signature": ...}, 4),
        ({"signature": 7}, 4),
        ({"rtms_stream_id": ...}, 4),
        ({"rtms_stream_id": []}, 4),
        ({"msg_type": 3}, 1),
        ({"msg_type": None}, 1),
        ({"protocol_version": ..., "sequence": ...}, 0),
    ],
)
def test_signaling_status(simulator, changes, status):
    answer = signal(simulator, **changes)
    assert (answer["msg_type"], answer["status_code"]) == (2, status)


def test_a_secret_that_is_wrong_is_refused(simulator):
    wrong = sign(simulator, simulator.meeting, secret="another")
    assert signal(simulator, signature=wrong)["status_code"] == 3


def test_a_second_client_is_refused_and_the_first_stays(simulator):
    with RawClient(simulator) as first:
        assert signal(simulator)["status_code"] == 8
        assert simulator.meeting.send_audio(b"still here")
        assert first.media["audio"].receive()["content"]["length"] == 10
    simulator.meeting.stop()
    assert signal(simulator)["status_code"] == 2


def test_a_second_client_may_evict_the_first(simulate):
    scenario = parse_scenario({"second_client": "evicts"}, name="evicts")
    simulator = simulate(scenario, signaling_window=0.01, media_window=0.01)
    meeting = simulator.meeting
    with RawClient(simulator, media=("audio", "chat")) as first:
        evicted = [meeting.signaling, *meeting.media]
        with RawClient(simulator) as second:
            for socket in first.opened:
                assert socket.close_code() == 1000
                socket.ws.send_close(1000)
            assert all(connection.ended.wait(5) for connection in evicted)
            # That the first is gone is no loss: nothing is interrupted, no window runs out.
            second.sync()
            assert not [one for one in second.before_sync if one["msg_type"] == 6]
            assert not meeting.finished.wait(0.05)
            assert meeting.send_audio(b"for the second")
            assert second.media["audio"].receive()["content"]["length"] == 14


def test_the_place_is_free_again_when_the_first_client_is_gone(simulator):
    with RawClient(simulator) as first:
        first.signaling.ws.close()
    with RawClient(simulator) as second:
        assert second.answer["status_code"] == 0


@pytest.mark.parametrize(
    ("product", "key"),
    [
        ("meeting", "meeting_uuid"),
        ("webinar", "webinar_uuid"),
        ("video_sdk", "session_id"),
        ("contact_center", "engagement_id"),
        ("phone", "call_id"),
    ],
)
def test_each_product_is_known_by_its_own_key_and_by_the_official_sdks(simulator, product, key):
    for field in (key, "meeting_uuid"):
        meeting = simulator.add_meeting(product=product)
        assert meeting.payload[key] == meeting.uuid
        with RawSocket(simulator.signaling_url) as socket:
            socket.send(
                {
                    "msg_type": 1,
                    field: meeting.uuid,
                    "rtms_stream_id": meeting.stream_id,
                    "signature": sign(simulator, meeting),
                }
            )
            assert socket.receive()["status_code"] == 0


def test_a_refusal_says_why_in_zooms_words(simulator):
    """Clients look for the words, since the numbers have changed."""
    with RawClient(simulator):
        assert signal(simulator)["reason"] == "duplicate signal request"
    assert signal(simulator, signature="0" * 64)["reason"] == "invalid signature"
    simulator.meeting.faults.refuse("signaling", 4711)
    assert signal(simulator)["reason"] == "status 4711"


def test_the_log_says_what_was_wrong_in_a_refusal(simulator, caplog):
    caplog.set_level("INFO", "rtms_gevent.simulator")
    with RawClient(simulator, media=(), ready=False) as client:
        client.open_media("audio", {"send_rate": 30})
        assert client.media_answer["reason"] == "invalid media audio send rate"
    assert "INVALID_MEDIA_AUDIO_SEND_RATE (send_rate 30 is not allowed here)" in caplog.text


def test_a_socket_that_was_refused_is_closed_soon(simulator):
    """Clients that wait for that to try again must not wait for long."""
    with RawSocket(simulator.signaling_url) as socket:
        socket.send({"msg_type": 1})
        assert socket.receive()["status_code"] == 4
        assert socket.close_code() == 1000


def test_a_socket_that_was_refused_is_closed_when_the_client_closes(simulator):
    with RawSocket(simulator.signaling_url) as socket:
        socket.send({"msg_type": 1})
        assert socket.receive()["status_code"] == 4
        socket.ws.send_close(1000)
        assert socket.close_code() == 1000


@pytest.mark.parametrize("text", ["{", "[1]", "7", '"x"', "", '{"a": NaN}', "[" * 5000])
def test_what_is_no_object_is_answered_and_passed_over(simulator, text):
    with RawSocket(simulator.signaling_url) as socket:
        socket.ws.send(text)
        assert socket.receive()["status_code"] == 4
        socket.send({"msg_type": 1})
        assert socket.receive()["msg_type"] == 2


# -- media -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wanted", "effective"),
    [
        ("audio", None, {"content_type": 2, "codec": 1, "sample_rate": 1, "channel": 1,
                         "data_opt": 1, "send_rate": 20}),
        ("audio", OFFICIAL_AUDIO, OFFICIAL_AUDIO),
        ("video", None, {"content_type": 3, "codec": 5, "resolution": 2, "data_opt": 3, "fps": 5}),
        ("video", OFFICIAL_VIDEO, OFFICIAL_VIDEO),
        ("deskshare", None, {"content_type": 3, "codec": 5, "resolution": 3, "fps": 1}),
        ("transcript", None, {"content_type": 5, "src_language": 9, "enable_lid": True}),
        ("transcript", {"src_language": -1}, {"content_type": 5, "src_language": -1,
                                              "enable_lid": True}),
        ("chat", None, {"content_type": 5}),
    ],
)  # fmt: skip
def test_media_answers_hold_the_effective_params(simulator, name, wanted, effective):
    with RawClient(simulator, media=(), ready=False) as client:
        assert client.open_media(name, wanted) == {
            "msg_type": 4,
            "protocol_version": 1,
            "sequence": 7,
            "status_code": 0,
            "reason": "",
            "payload_encrypted": False,
            "media_params": {name: effective},
        }


def test_the_official_sdks_null_params_are_defaults(simulator):
    with RawClient(simulator, media=(), ready=False) as client:
        url = client.answer["media_server"]["server_urls"]["transcript"]
        with RawSocket(url) as socket:
            socket.send({"msg_type": 3, "media_type": 8, "media_params": None, **client.ids()})
            assert socket.receive()["status_code"] == 0


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (("audio", 1), ("audio", 1), 16),
        (("audio", 1), ("video", 2), 0),
        (("audio", 1), ("all", 32), 16),
        (("all", 32), ("all", 32), 15),
        (("all", 32), ("audio", 1), 15),
        (("all", 1 | 8), ("video", 2), 15),
        (("audio", 1), ("all", 2 | 8), 0),
    ],
)
def test_duplicate_media_sockets(simulator, first, second, status):
    with RawClient(simulator, media=(), ready=False) as client:
        assert client.open_media(first[0], media_type=first[1])["status_code"] == 0
        assert client.open_media(second[0], media_type=second[1])["status_code"] == status


@pytest.mark.parametrize(
    ("name", "media_type", "status"),
    [
        ("audio", 2, 14),
        ("audio", 3, 14),
        ("audio", 32, 14),
        ("all", 0, 14),
        ("all", 64, 14),
        ("all", 33, 14),
        ("all", "1", 7),
        ("all", True, 7),
        ("all", 1 | 2 | 4 | 8 | 16, 0),
    ],
)
def test_media_type_and_address_must_fit(simulator, name, media_type, status):
    with RawClient(simulator, media=(), ready=False) as client:
        assert client.open_media(name, media_type=media_type)["status_code"] == status


@pytest.mark.parametrize(
    ("name", "media_type", "status"),
    [("audio", 1, 9), ("video", 2, 10), ("deskshare", 4, 11), ("transcript", 8, 12),
     ("chat", 16, 13)],
)  # fmt: skip
def test_media_that_is_not_offered(simulate, tmp_path, name, media_type, status):
    offered = [kind for kind in ("audio", "chat") if kind != name]
    path = tmp_path / "few.json"
    path.write_text(json.dumps({"media": offered[:1]}))
    simulator = simulate(path)
    with RawClient(simulator, media=(), ready=False) as client:
        assert name not in client.answer["media_server"]["server_urls"]
        assert client.open_media("all", media_type=media_type)["status_code"] == status


@pytest.mark.parametrize(
    ("product", "names"),
    [("contact_center", {"audio", "all"}), ("phone", {"audio", "transcript", "all"})],
)
def test_calls_have_audio_and_transcript_only(simulator, product, names):
    meeting = simulator.add_meeting(product=product)
    with RawClient(simulator, meeting, media=(), ready=False) as client:
        assert set(client.answer["media_server"]["server_urls"]) == names
        answer = client.open_media("all")
        assert set(answer["media_params"]) == {"audio", "transcript"}


def test_the_transcript_of_a_contact_center_comes_from_the_address_of_all(simulator):
    """In either order, since clients open their sockets at the same time."""
    for order in (("audio", "all"), ("all", "audio")):
        meeting = simulator.add_meeting(product="contact_center")
        with RawClient(simulator, meeting, media=(), ready=False) as client:
            for name in order:
                answer = client.open_media(name, media_type={"audio": 1, "all": 8}[name])
                assert answer["status_code"] == 0
            client.ready()
            assert meeting.send_transcript("hello")
            assert client.media["all"].receive()["content"]["data"] == "hello"


def test_media_needs_a_signaling_socket_of_the_same_meeting(simulator):
    other = simulator.add_meeting()
    with RawClient(simulator, media=(), ready=False) as client:
        client.meeting = other
        assert client.open_media("audio")["status_code"] == 2


# -- what clients were seen to send, though it is against the rules --------------------------------

RTP_L16 = {"audio": {"content_type": 1, "codec": 1, "send_rate": 100}}


def test_the_lenient_simulator_takes_l16_as_rtp(simulate, caplog):
    simulator = simulate(lenient=True)
    with RawClient(simulator, params=RTP_L16) as client:
        assert client.media_answer["media_params"]["audio"]["content_type"] == 1
        assert simulator.meeting.send_audio(b"x")
        assert client.media["audio"].receive()["content"]["length"] == 1
        what = "content_type 1 (RTP) with codec 1 (L16)"
        assert simulator.meeting.tolerated == {what: 1}
        assert f"taken because the simulator is lenient: {what}" in caplog.text


def test_the_lenient_simulator_sends_everything_to_any_address(simulate, caplog):
    simulator = simulate(lenient=True)
    with RawClient(simulator, media=(), ready=False) as client:
        assert client.open_media("audio", media_type=32)["status_code"] == 0
        client.ready()
        assert simulator.meeting.send_transcript("hello")
        assert client.media["audio"].receive()["content"]["data"] == "hello"
        assert client.open_media("video")["status_code"] == 15  # the other is a unified one
        what = "media_type 32 (all) at the address of audio"
        assert simulator.meeting.tolerated == {what: 1}
        assert f"taken because the simulator is lenient: {what}" in caplog.text


@pytest.mark.parametrize(
    ("name", "media_type", "params", "status"),
    [
        ("audio", 1, {"content_type": 1, "codec": 1, "send_rate": 30}, 24),
        ("audio", 1, {"content_type": 1, "codec": 5}, 22),
        ("audio", 33, None, 14),
        ("audio", 2, None, 14),
    ],
)
def test_the_lenient_simulator_takes_nothing_else(simulate, name, media_type, params, status):
    with RawClient(simulate(lenient=True), media=(), ready=False) as client:
        assert client.open_media(name, params, media_type)["status_code"] == status


def test_a_strict_simulator_tolerates_nothing(simulator):
    with RawClient(simulator, media=(), ready=False) as client:
        assert client.open_media("audio", RTP_L16["audio"])["status_code"] == 22
        assert client.open_media("audio", media_type=32)["status_code"] == 14
    assert not simulator.meeting.tolerated


# -- the parameter tables, against a list written by hand from the documents -----------------------

DOCUMENTED_AUDIO = {
    (1, 4, 3, 1), (1, 4, 3, 2), (1, 2, 0, 1), (1, 3, 1, 1),
    (2, 1, 0, 1), (2, 1, 0, 2), (2, 1, 1, 1), (2, 1, 1, 2),
    (2, 1, 2, 1), (2, 1, 2, 2), (2, 1, 3, 1), (2, 1, 3, 2),
    (2, 4, 3, 1), (2, 4, 3, 2), (2, 2, 0, 1), (2, 3, 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("content_type", [0, 1, 2, 3])
@pytest.mark.parametrize("codec", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("sample_rate", [-1, 0, 1, 2, 3, 4])
@pytest.mark.parametrize("channel", [0, 1, 2, 3])
def test_audio_is_accepted_exactly_when_it_is_documented(content_type, codec, sample_rate, channel):
    wanted = {
        "content_type": content_type, "codec": codec, "sample_rate": sample_rate,
        "channel": channel, "data_opt": 2, "send_rate": 20,
    }  # fmt: skip
    if (content_type, codec, sample_rate, channel) in DOCUMENTED_AUDIO:
        assert negotiate(frozenset({1}), {"audio": wanted}) == {"audio": wanted}
    else:
        with pytest.raises(Refusal) as refused:
            negotiate(frozenset({1}), {"audio": wanted})
        assert 19 <= refused.value.status <= 22


@pytest.mark.parametrize(
    ("name", "wanted", "status"),
    [
        ("audio", [], 18),
        ("audio", {"content_type": 5}, 19),
        ("audio", {"sample_rate": 16000}, 20),
        ("audio", {"codec": 4, "sample_rate": 1}, 20),
        ("audio", {"channel": 3}, 21),
        ("audio", {"codec": 2, "sample_rate": 0, "channel": 2}, 21),
        ("audio", {"codec": 5}, 22),
        ("audio", {"content_type": 1, "codec": 1}, 22),
        ("audio", {"data_opt": 3}, 23),
        ("audio", {"data_opt": True}, 23),
        ("audio", {"send_rate": 30}, 24),
        ("audio", {"send_rate": 0}, 24),
        ("audio", {"send_rate": "20"}, 24),
        ("audio", {**OFFICIAL_AUDIO, "send_rate": 40}, 24),
        ("video", "x", 25),
        ("video", {"content_type": 2}, 26),
        ("video", {"codec": 4}, 27),
        ("video", {"resolution": 5}, 28),
        ("video", {"data_opt": 1}, 29),
        ("video", {"fps": 31}, 30),
        ("video", {"codec": 5, "fps": 6}, 30),
        ("video", {"codec": 7, "fps": 5}, 30),
        ("deskshare", 1, 31),
        ("deskshare", {"content_type": 5}, 32),
        ("deskshare", {"codec": 1}, 33),
        ("deskshare", {"resolution": 0}, 34),
        ("deskshare", {"fps": 0}, 35),
        ("deskshare", {"codec": 7, "fps": 1}, 35),
        ("transcript", 1, 36),
        ("transcript", {"enable_lid": "yes"}, 36),
        ("transcript", {"content_type": 2}, 37),
        ("transcript", {"src_language": 37}, 43),
        ("transcript", {"src_language": "en"}, 43),
        ("chat", 1, 38),
        ("chat", {"content_type": 2}, 39),
    ],
)
def test_wrong_params(simulator, name, wanted, status):
    with RawClient(simulator, media=(), ready=False) as client:
        answer = client.open_media(name, wanted)
        assert (answer["msg_type"], answer["status_code"]) == (4, status)
        assert answer["reason"]


def test_params_that_are_no_object(simulator):
    with RawClient(simulator, media=(), ready=False) as client:
        assert client.open_media("all", params=[1])["status_code"] == 17


def test_a_long_send_rate_is_clamped():
    params = negotiate(frozenset({1}), {"audio": {"send_rate": 5000}})
    assert params["audio"]["send_rate"] == 1000

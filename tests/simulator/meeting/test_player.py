"""A scenario as a client gets it."""

from __future__ import annotations

import base64
import itertools
import json

import gevent
import pytest
import websocket

from rtms_gevent.simulator import parse_scenario
from rtms_gevent.simulator.scenario.assets import SHIPPED

from ..raw import RawClient

EVERYTHING = ("audio", "video", "deskshare", "transcript", "chat")


class Listener:
    """Reads every socket of a client in a greenlet each, up to the end of the stream."""

    def __init__(self, client):
        self.client = client
        self.got = {name: [] for name in ("signaling", *client.media)}
        self.readers = [
            gevent.spawn(self.read, name, socket)
            for name, socket in (("signaling", client.signaling), *client.media.items())
        ]

    def read(self, name, socket):
        try:
            while True:
                message = socket.receive()
                self.got[name].append(message)
                if message["msg_type"] == 8 and message["state"] == 4:
                    for one in self.client.opened:
                        one.ws.send_close(1000)
        except (AssertionError, OSError, websocket.WebSocketException):
            return  # closed

    def wait(self):
        assert self.client.meeting.finished.wait(20)
        gevent.joinall(self.readers, timeout=5, raise_error=True)
        return self.got

    def events(self):
        return [m["event"] for m in self.got["signaling"] if m["msg_type"] == 6]


def play(simulator, meeting=None, *, params=None, media=EVERYTHING, events=range(2, 10)):
    with RawClient(simulator, meeting, media=media, params=params, ready=False) as client:
        client.subscribe(*events)
        client.ready()
        listener = Listener(client)
        listener.wait()
    return listener


def contents(messages):
    return [message["content"] for message in messages]


def scenario(timeline, duration=0.4, **more):
    people = {"ann": {"user_id": 1}, "bob": {"user_id": 2}}
    data = {"participants": people, "timeline": timeline, "duration": duration, **more}
    return parse_scenario(data, name="test", folder=SHIPPED)


def test_the_short_scenario_arrives_whole(simulate):
    simulator = simulate("short", record=True, speed=4)
    listener = play(simulator)
    meeting = simulator.meeting
    for kind, name in ((1, "audio"), (2, "video"), (4, "deskshare"), (8, "transcript"),
                       (16, "chat")):  # fmt: skip
        got = contents(listener.got[name])
        data = [base64.b64decode(one["data"]) if kind < 8 else one["data"].encode() for one in got]
        assert data == meeting.sent[kind].payloads
        assert data
    assert listener.events() == meeting.events_sent
    assert [event["event_type"] for event in meeting.events_sent if event["event_type"] != 1] == [
        3, 8, 2, 5, 6, 9, 4,
    ]  # fmt: skip
    ends = [m for m in listener.got["signaling"] if m["msg_type"] == 8 and m["state"] == 4]
    assert [end["reason"] for end in ends] == [6]


def test_audio_per_participant_is_continuous_and_heard_from_its_first_packet(simulate):
    simulator = simulate("short", speed=4)
    params = {"audio": {"data_opt": 2, "codec": 4, "sample_rate": 3, "channel": 1}}
    packets = contents(play(simulator, params=params, media=("audio",)).got["audio"])
    ada = [base64.b64decode(p["data"]) for p in packets if p["user_name"] == "Ada Moreau"]
    ben = {base64.b64decode(p["data"]) for p in packets if p["user_name"] == "Ben O'Neill"}
    speech = list(simulator.meeting.scenario.library.speech(
        "standup-8-ada", {"codec": 4, "channel": 1, "sample_rate": 3, "send_rate": 20}
    ))  # fmt: skip
    begin = ada.index(speech[0])
    assert ada[begin : begin + len(speech)] == speech
    assert ben == {b"\xf8\xff\xfe"}
    assert 140 <= len(ada) <= 151  # 3 s of 20 ms
    times = [packet["timestamp"] for packet in packets]
    assert times == sorted(times)


def test_mixed_audio_is_one_voice_of_nobody(simulate):
    listener = play(simulate("short", speed=4), media=("audio",))
    packets = contents(listener.got["audio"])
    assert {(packet["user_id"], packet["user_name"]) for packet in packets} == {(0, "")}
    assert {packet["length"] for packet in packets} == {640}
    assert 140 <= len(packets) <= 151


def test_muted_people_send_nothing(simulate):
    simulator = simulate(
        scenario(
            [
                {"at": 0, "do": "join", "who": ["ann", "bob"], "muted": True},
                {"at": 0.2, "do": "unmute", "who": "bob"},
            ]
        )
    )
    listener = play(simulator, params={"audio": {"data_opt": 2}}, media=("audio",))
    assert {packet["user_id"] for packet in contents(listener.got["audio"])} == {2}


def test_video_follows_whoever_speaks(simulate):
    simulator = simulate("standup", speed=12)
    frames = contents(play(simulator, media=("video",)).got["video"])
    people = [frame["user_name"] for frame in frames]
    assert [name for name, _ in itertools.groupby(people)][:2] == ["Ada Moreau", "Ben O'Neill"]
    assert len({frame["data"] for frame in frames if frame["user_name"] == "Ada Moreau"}) > 2


def test_h264_starts_with_a_key_frame(simulate):
    params = {"video": {"codec": 7, "fps": 30}}
    listener = play(simulate("short", speed=4), params=params, media=("video",))
    units = [base64.b64decode(one["data"]) for one in contents(listener.got["video"])]
    assert b"\0\0\1\x67" in units[0]
    assert len(units) > 40


def test_video_of_one_participant_on_demand(simulate):
    simulator = simulate("standup", speed=6)
    params = {"video": {"data_opt": 4}}
    with RawClient(simulator, media=("video",), params=params, ready=False) as client:
        client.subscribe(8)
        client.ready()
        on = client.signaling.receive_until(
            lambda m: m["msg_type"] == 6 and m["event"]["participants"][0]["user_id"] == 16779264
        )
        assert on["event"]["event_type"] == 8
        client.signaling.send(
            {"msg_type": 28, "user_id": 16779264, "subscribe": True, "timestamp": 1}
        )
        assert client.media["video"].receive()["content"]["user_name"] == "Ben O'Neill"


def test_a_late_subscriber_learns_what_is_so_already(simulate):
    steps = [
        {"at": 0, "do": "join", "who": ["ann", "bob"]},
        {"at": 0, "do": "camera_on", "who": "bob", "video": "assets/standup-ben"},
        {"at": 0, "do": "speak", "who": "ann", "audio": "assets/standup-8-ada"},
        {"at": 0, "do": "share", "who": "bob", "image": "assets/standup-slide-1"},
    ]
    simulator = simulate(scenario(steps, duration=None))
    with RawClient(simulator, media=("audio",)) as client:
        client.media["audio"].receive()
        client.sync()
        client.subscribe(2, 3, 5, 8)
        known = {m["event"]["event_type"]: m["event"] for m in client.before_sync}
        assert set(known) == {2, 3, 5, 8}
        assert [one["user_id"] for one in known[3]["participants"]] == [1, 2]
        assert known[2]["user_id"] == 1
        assert known[5]["user_id"] == 2
        assert known[8]["participants"] == [{"user_id": 2}]


def test_transcripts_say_when_they_were_spoken(simulate):
    step = {"at": 0.2, "do": "transcript", "who": "ann", "from": 0.0, "to": 0.2, "text": "Hi",
            "attribute": "new", "language": 13}  # fmt: skip
    listener = play(simulate(scenario([step])), media=("transcript",))
    (content,) = contents(listener.got["transcript"])
    assert content["end_time"] - content["start_time"] == 200
    assert (content["data"], content["attribute"], content["language"]) == ("Hi", 1, 13)


def test_a_pause_silences_media(simulate):
    steps = [
        {"at": 0, "do": "session", "state": "paused"},
        {"at": 0, "do": "join", "who": "ann"},
        {"at": 0.3, "do": "event", "event": {"event_type": 14}},
    ]
    simulator = simulate(scenario(steps, duration=0.35))
    listener = play(simulator, media=("audio",), events=(14,))
    assert [event["event_type"] for event in listener.events()] == [14]
    assert len(listener.got["audio"]) <= 1  # at most what left before the pause


def test_faults_are_data(simulate):
    simulator = simulate(scenario([{"at": 0.1, "do": "close", "sockets": "audio", "code": 4007}]))
    with RawClient(simulator) as client:
        assert client.media["audio"].close_code() == 4007
    simulator = simulate(scenario([{"at": 0.1, "do": "reset", "sockets": "audio"}]))
    with RawClient(simulator) as client, pytest.raises(ConnectionResetError):
        while True:
            client.media["audio"].ws.recv()


def test_a_step_may_end_the_stream(simulate):
    simulator = simulate(scenario([{"at": 0.05, "do": "stop", "reason": 4}], duration=100))
    listener = play(simulator, media=("audio",))
    assert listener.got["signaling"][-1]["reason"] == 4


@pytest.mark.parametrize("product", ["webinar", "video_sdk", "contact_center", "phone"])
def test_every_product_plays(simulate, product):
    simulator = simulate("empty", speed=6)
    meeting = simulator.add_meeting("short", product=product)
    listener = play(simulator, meeting, media=("all",))
    content = contents(m for m in listener.got["all"] if m["msg_type"] == 14)[0]
    if product in ("contact_center", "phone"):
        assert "user_id" not in content
    numbers = {event.get("event_type", event.get("event_code")) for event in listener.events()}
    meetings = {1, 2, 3, 4, 5, 6, 8, 9}
    assert numbers == {"contact_center": {1, 8}, "phone": {1, 2, 3, 4}}.get(product, meetings)
    assert all(("event_code" in event) == (product == "phone") for event in listener.events())


def test_contact_center_tells_who_is_on_the_line(simulate):
    steps = [
        {"at": 0, "do": "join", "who": ["ann", "bob"]},
        {"at": 0.2, "do": "leave", "who": ["bob", "ann"]},
    ]
    simulator = simulate(scenario(steps, duration=0.3, product="contact_center"))
    events = play(simulator, media=("audio",), events=(8, 9, 10, 11)).events()
    reported = [
        (event["event_type"], event["participant_info"]["channel_id"])
        for event in events
        if event["event_type"] != 1
    ]
    assert reported == [(8, "1"), (10, "2"), (11, "2"), (9, "1")]
    assert all("event_ts" in event for event in events if event["event_type"] != 1)


def test_a_late_subscriber_learns_who_is_on_the_line(simulate):
    steps = [{"at": 0, "do": "join", "who": ["ann", "bob"]}]
    simulator = simulate(scenario(steps, duration=None, product="contact_center"))
    with RawClient(simulator, media=("audio",)) as client:
        client.media["audio"].receive()
        client.sync()
        client.subscribe(10)
        (message,) = client.before_sync
        assert message["event"]["participant_info"] == {
            "channel_id": "2",
            "participant_mode": "callee",
            "queue_id": "simulated-queue",
            "queue_name": "Simulated Queue",
            "user_id": "2",
            "display_name": "bob",
        }


def test_a_consumer_has_a_phone_number_and_both_spellings_say_so(simulate):
    """Zoom's documents spell the object either way, and its samples read the older one."""
    people = {"ann": {"user_id": 1, "phone_number": "+49301234567"}, "bob": {"user_id": 2}}
    steps = [{"at": 0, "do": "join", "who": ["ann", "bob"]}]
    simulator = simulate(scenario(steps, product="contact_center", participants=people))
    listener = play(simulator, media=("audio",), events=(8, 10))
    consumer, agent = (event for event in listener.events() if event["event_type"] != 1)
    for event in (consumer, agent):
        assert event["paticipant_info"] == event["participant_info"]
    assert consumer["participant_info"]["participant_mode"] == "caller"
    assert consumer["participant_info"]["phone_number"] == "+49301234567"
    assert "phone_number" not in agent["participant_info"]


def test_events_of_media_that_is_not_offered_stay_away(simulate):
    steps = [
        {"at": 0, "do": "join", "who": "ann"},
        {"at": 0, "do": "camera_on", "who": "ann", "video": "assets/standup-ada"},
        {"at": 0, "do": "share", "who": "ann", "image": "assets/standup-slide-1"},
    ]
    simulator = simulate(scenario(steps, media=["audio"]))
    events = play(simulator, media=("audio",)).events()
    assert {event["event_type"] for event in events} == {1, 3}


def test_whoever_joins_next_sees_it_from_the_beginning(simulate):
    step = {"at": 0, "do": "chat", "who": "ann", "text": "first"}
    simulator = simulate(scenario([step], duration=None))
    for _ in range(2):
        with RawClient(simulator, media=("chat",)) as client:
            assert client.media["chat"].receive()["content"]["data"] == "first"
            signaling = simulator.meeting.signaling
            client.signaling.ws.send_close(1000)
            client.signaling.close_code()
            assert signaling.ended.wait(5)


def test_who_was_lost_hears_it_go_on(simulate):
    steps = [
        {"at": 0, "do": "chat", "who": "ann", "text": "first"},
        {"at": 0.1, "do": "reset", "sockets": "all_sockets"},
        {"at": 1.5, "do": "chat", "who": "ann", "text": "second"},
    ]
    simulator = simulate(scenario(steps, duration=None))
    with RawClient(simulator, media=("chat",)) as client:
        assert client.media["chat"].receive()["content"]["data"] == "first"
        signaling = simulator.meeting.signaling
        assert signaling.ended.wait(5)
    with RawClient(simulator, media=("chat",)) as client:
        assert client.media["chat"].receive()["content"]["data"] == "second"


def test_many_meetings_do_not_mix(simulate):
    simulator = simulate("empty")
    meetings = [
        simulator.add_meeting(
            scenario([{"at": 0, "do": "chat", "who": "ann", "text": f"chat {number}"}])
        )
        for number in range(5)
    ]
    players = [gevent.spawn(play, simulator, meeting, media=("chat",)) for meeting in meetings]
    gevent.joinall(players, timeout=20, raise_error=True)
    for number, player in enumerate(players):
        assert [c["data"] for c in contents(player.value.got["chat"])] == [f"chat {number}"]


def test_payloads_are_ready_for_json(simulate):
    meeting = simulate("empty").meeting
    event = json.loads(json.dumps(meeting.started_event))
    assert event["event"] == "meeting.rtms_started"
    assert event["payload"].items() >= meeting.payload.items()

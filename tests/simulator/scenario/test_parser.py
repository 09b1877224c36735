"""Scenario files: what is read from them, and how plainly errors say what is wrong."""

from __future__ import annotations

import inspect
import json
import pathlib
import re

import pytest

from rtms_gevent.enums import MediaDataType, Product
from rtms_gevent.errors import ConfigurationError
from rtms_gevent.simulator import load_scenario, parse_scenario
from rtms_gevent.simulator.meeting.faults import Faults
from rtms_gevent.simulator.scenario.schema import ACTIONS, FAULTS, PARTICIPANT, SCENARIO

GOOD = {
    "description": "one of each",
    "product": "webinar",
    "media": ["audio", "chat"],
    "duration": 2,
    "stop_reason": 1,
    "participants": {
        "ann": {"name": "Ann", "voice": "en-gb"},
        "bob": {"user_id": 7, "channel_id": "c7"},
    },
    "timeline": [
        {"at": 1.5, "do": "leave", "who": "ann", "comment": "late"},
        {"at": 0, "do": "join", "who": ["ann", "bob"], "muted": False},
        {"at": 0, "do": "mute", "who": "bob"},
        {"at": 0.1, "do": "unmute", "who": "bob"},
        {"at": 0.2, "do": "speak", "who": "ann", "audio": "standup-8-ada", "text": "Goodbye!"},
        {"at": 0.3, "do": "transcript", "who": "ann", "text": "Bye", "from": 0.2, "to": 0.3,
         "language": 9, "attribute": "update"},
        {"at": 0.4, "do": "camera_on", "who": "ann", "video": "standup-ada"},
        {"at": 0.5, "do": "camera_off", "who": "ann"},
        {"at": 0.6, "do": "share", "who": "ann", "image": "standup-slide-1"},
        {"at": 0.7, "do": "share_stop"},
        {"at": 0.8, "do": "chat", "who": "bob", "text": "hi", "fields": {"message_id": "1"}},
        {"at": 0.9, "do": "event", "event": {"event_type": 10}},
        {"at": 1.0, "do": "session", "state": "paused", "reason": 0},
        {"at": 1.1, "do": "close", "sockets": "audio", "code": 1011},
        {"at": 1.2, "do": "reset", "sockets": "signaling"},
        {"at": 1.9, "do": "stop", "reason": 3},
    ],
}  # fmt: skip


def parse(data):
    return parse_scenario(data, name="mine")


FAULTY = {
    "buffer_audio": 60,
    "faults": [
        {"do": "refuse", "sockets": "signaling", "status": 8, "times": 2, "comment": "early"},
        {"do": "no_answer", "sockets": "audio", "to": "upgrade", "times": 1},
        {"do": "unavailable", "sockets": "media", "times": 3, "status": 502},
        {"do": "certificate", "kind": "expired"},
    ],
    "timeline": [
        {"at": 0, "do": "stream", "state": "interrupted", "reason": 14},
        {"at": 0, "do": "close", "sockets": "audio", "code": 1011},
        {"at": 0, "do": "reset", "sockets": "signaling"},
        {"at": 0, "do": "half_close", "sockets": "all"},
        {"at": 0, "do": "stall", "sockets": "video", "seconds": 1, "reading": False,
         "sending": True},
        {"at": 0, "do": "no_keep_alives", "sockets": "chat", "seconds": 1},
        {"at": 0, "do": "split", "sockets": "audio", "frame": 7, "write": None},
        {"at": 0, "do": "merge", "sockets": "audio", "seconds": 0},
        {"at": 0, "do": "delay", "sockets": "audio", "seconds": 0.5},
        {"at": 0, "do": "garbage", "sockets": "audio", "times": 2, "text": "x"},
        {"at": 0, "do": "duplicate", "media": "audio", "times": 2},
        {"at": 0, "do": "swap", "media": "chat", "times": 2},
        {"at": 0, "do": "hold", "media": "video", "seconds": 2},
        {"at": 0, "do": "interrupt"},
        {"at": 0, "do": "failover", "dies": True},
    ],
}  # fmt: skip


def test_every_fault_is_data_and_a_method():
    scenario = parse(FAULTY)
    assert {step.action for step in (*scenario.faults, *scenario.steps)} == {*FAULTS, "stream"}
    assert scenario.buffer_audio == 60
    for name, action in FAULTS.items():
        parameters = inspect.signature(getattr(Faults, name)).parameters
        assert set(parameters) - {"self"} == {*action.required, *action.optional}
        required = {key for key, one in parameters.items() if one.default is one.empty}
        assert required - {"self"} == set(action.required)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"do": "close", "sockets": "audio", "at": 3}, "faults[0] (close).at is not known"),
        ({"do": "join", "who": "ann"}, "faults[0].do must be one of close, reset, half_close"),
        ({"do": "reset", "sockets": "noses"}, "sockets must be one of signaling, media"),
        ({"do": "reset", "sockets": ["audio"]}, "sockets must be one of signaling, media"),
        ({"do": "stall", "sockets": "audio"}, "(stall).seconds is missing"),
        ({"do": "stall", "sockets": "audio", "seconds": 0}, "seconds must be more than 0"),
        ({"do": "split", "sockets": "audio", "frame": 0}, "frame must be a whole number above 0"),
        ({"do": "duplicate", "media": "all"}, "media must be one of audio, video"),
        ({"do": "duplicate", "media": "chat", "times": 0}, "times must be a whole number above 0"),
        ({"do": "refuse", "sockets": "audio", "status": 0}, "status must be a whole number above"),
        ({"do": "no_answer", "sockets": "all", "to": "tcp"}, "to must be one of upgrade, handsh"),
        ({"do": "unavailable", "sockets": "all", "status": 200}, "status must be an HTTP status"),
        ({"do": "certificate", "kind": "bad"}, "kind must be one of good, self_signed, expired"),
        ({"do": "failover", "dies": 1}, "dies must be true or false"),
    ],
)
def test_what_is_wrong_with_a_fault_is_named(fault, message):
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        parse({"faults": [fault]})


def test_a_file_with_one_of_each():
    scenario = parse(GOOD)
    assert scenario.product is Product.WEBINAR
    assert scenario.media == {MediaDataType.AUDIO, MediaDataType.CHAT}
    assert (scenario.duration, scenario.stop_reason) == (2.0, 1)
    ann, bob = scenario.people["ann"], scenario.people["bob"]
    assert (ann.user_id, ann.name, ann.channel_id) == (16778240, "Ann", "16778240")
    assert (bob.user_id, bob.name, bob.channel_id) == (7, "bob", "c7")
    assert [step.at for step in scenario.steps] == sorted(step.at for step in scenario.steps)
    assert [step.action for step in scenario.steps][:3] == ["join", "mute", "unmute"]
    assert scenario.steps[0].fields["who"] == (ann, bob)


def test_an_empty_object_is_a_meeting_in_which_nothing_happens():
    scenario = parse({})
    assert scenario.product is Product.MEETING
    assert len(scenario.media) == 5
    assert scenario.steps == ()
    assert scenario.duration is None


def test_the_shipped_ones_are_valid_and_end_in_time():
    standup = load_scenario("standup")
    assert standup.duration == 30
    assert max(step.at for step in standup.steps) < 30
    assert {step.action for step in standup.steps} >= {
        "join", "leave", "speak", "transcript", "camera_on", "camera_off", "share", "chat",
    }  # fmt: skip
    assert load_scenario("short").duration == 3
    assert load_scenario("empty").steps == ()


def test_the_shipped_words_are_those_that_are_spoken():
    spoken: dict[str, list[str]] = {}
    written: dict[str, list[str]] = {}
    for step in load_scenario("standup").steps:
        if step.action in ("speak", "transcript"):
            into = spoken if step.action == "speak" else written
            into.setdefault(step.fields["who"].key, []).append(step.fields["text"])
    assert {who: " ".join(texts) for who, texts in spoken.items()} == {
        who: " ".join(texts) for who, texts in written.items()
    }


def step(**fields):
    first = {"at": 0, "do": "join", "who": "ann"}
    return {"participants": {"ann": {}}, "timeline": [first, fields]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the file must hold an object"),
        ({"durations": 3}, "the scenario.durations is not known"),
        ({"product": "chat"}, "product must be one of meeting, webinar, video_sdk"),
        ({"product": []}, "product must be one of"),
        ({"media": []}, "media must be a list of audio, video"),
        ({"media": ["smell"]}, "media must be a list of audio, video"),
        ({"media": "audio"}, "media must be a list of audio, video"),
        ({"media": [["audio"]]}, "media must be a list of audio, video"),
        ({"duration": -1}, "duration must be a number of seconds"),
        ({"duration": True}, "duration must be a number of seconds"),
        ({"stop_reason": "host"}, "stop_reason must be a whole number"),
        ({"second_client": "evict"}, "second_client must be one of refused, evicts"),
        ({"participants": []}, "participants must be an object"),
        ({"participants": {"ann": 1}}, "participants.ann must be an object"),
        ({"participants": {"ann": {"nmae": "A"}}}, "participants.ann.nmae is not known"),
        ({"participants": {"ann": {"name": ""}}}, "participants.ann.name must be a text"),
        ({"participants": {"ann": {"user_id": "1"}}}, "participants.ann.user_id must be a whole"),
        ({"participants": {"ann": {"user_id": 1 << 31}}}, "participants.ann.user_id must be above"),
        ({"participants": {"a": {"user_id": 1}, "b": {"user_id": 1}}}, "participants.b.user_id is"),
        ({"timeline": {}}, "timeline must be a list"),
        ({"timeline": [1]}, "timeline[0] must be an object"),
        (step(at=1), "timeline[1].do must be one of join, leave"),
        (step(at=1, do="dance"), "timeline[1].do must be one of join, leave"),
        (step(at=1, do=["join"]), "timeline[1].do must be one of join, leave"),
        (step(do="share_stop"), "timeline[1] (share_stop).at is missing"),
        (step(at="1", do="share_stop"), "timeline[1] (share_stop).at must be a number"),
        (step(at=1, do="join"), "timeline[1] (join).who is missing"),
        (step(at=1, do="join", who=[]), "timeline[1] (join).who must name somebody"),
        (step(at=1, do="join", who="eve"), "timeline[1] (join).who must name a participant (ann)"),
        (step(at=1, do="join", who=[["ann"]]), "timeline[1] (join).who must name a participant"),
        (step(at=1, do="join", who="ann", muted="no"), "(join).muted must be true or false"),
        (step(at=1, do="join", who="ann", where="x"), "timeline[1] (join).where is not known"),
        (
            {**step(at=1, do="leave", who="bob"), "participants": {"ann": {}, "bob": {}}},
            "timeline: leave at 1 needs bob, who is not in the meeting then",
        ),
        (
            {
                "participants": {"ann": {}},
                "timeline": [
                    {"at": 2, "do": "join", "who": "ann"},
                    {"at": 1, "do": "speak", "who": "ann", "audio": "standup-8-ada"},
                ],
            },
            "timeline: speak at 1 needs ann, who is not in the meeting then",
        ),
        (step(at=1, do="speak", who="ann", audio="nope"), "(speak).audio names no file: 'nope'"),
        (step(at=1, do="speak", who="ann", audio="../../etc/x"), "(speak).audio must be a file"),
        (step(at=1, do="speak", who="ann", audio="/etc/passwd"), "(speak).audio must be a file"),
        (step(at=1, do="speak", who=["ann"], audio="x"), "(speak).who must name a participant"),
        (step(at=1, do="camera_on", who="ann", video="standup-8-ada"), ".video names no file"),
        (step(at=1, do="share", who="ann", image=1), "(share).image must be a text"),
        (step(at=1, do="transcript", who="ann"), "(transcript).text is missing"),
        (step(at=1, do="transcript", who="ann", text="x", attribute="edit"), ".attribute must be"),
        (step(at=1, do="chat", who="ann", text="x", fields=1), "(chat).fields must be an object"),
        (step(at=1, do="event", event={}), "(event).event must be a whole number"),
        (step(at=1, do="session", state="asleep"), "(session).state must be one of inactive"),
        (step(at=1, do="close", sockets="all of them"), "(close).sockets must be one of"),
        (step(at=1, do="close", sockets="audio", code=1), "(close).code must be a WebSocket"),
        (step(at=1, do="stop", reason=None), "(stop).reason must be a whole number"),
    ],
)
def test_what_is_wrong_is_named(data, message):
    with pytest.raises(ConfigurationError, match=re.escape(message)) as wrong:
        parse(data)
    assert str(wrong.value).startswith("scenario 'mine': ")


@pytest.mark.parametrize("text", ["", "{", '{"duration": 1,}', "\udcff", "[" * 100000])
def test_files_that_are_no_json(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_scenario(path)


def test_names_that_are_nothing(tmp_path):
    with pytest.raises(ConfigurationError, match="one of empty, short, standup"):
        load_scenario("nope")
    with pytest.raises(ConfigurationError, match="no scenario"):
        load_scenario(tmp_path)


def test_recordings_beside_the_file_come_first(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "hello.opus1").write_bytes(b"\0\1x")
    path = tmp_path / "s.json"
    path.write_text(
        json.dumps(
            {
                "participants": {"ann": {}},
                "timeline": [
                    {"at": 0, "do": "join", "who": "ann"},
                    {"at": 0, "do": "speak", "who": "ann", "audio": "mine/hello"},
                ],
            }
        )
    )
    scenario = load_scenario(str(path))
    params = {"codec": 4, "channel": 1, "sample_rate": 3, "send_rate": 20}
    assert list(scenario.library.speech("mine/hello", params)) == [b"x"]


DOCUMENT = pathlib.Path(__file__).parents[3] / "docs" / "simulator.md"


def test_the_document_describes_every_action_and_field():
    text = DOCUMENT.read_text("utf-8")
    rows = {match[1]: match[0] for match in re.finditer(r"^\| `(\w+)`.*", text, re.MULTILINE)}
    rows["unmute"] = rows["mute"]
    for name, action in {**ACTIONS, **FAULTS}.items():
        for field in (*action.required, *action.optional):
            assert f"`{field}`" in rows[name]
    assert set(SCENARIO.optional) <= set(rows)
    (participant,) = re.findall(r"^A participant has .*?\n\n", text, re.MULTILINE | re.DOTALL)
    assert all(f"`{field}`" in participant for field in PARTICIPANT.optional)


def test_the_documents_example_is_valid(tmp_path):
    example = re.search(r"```json\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)[1]
    (tmp_path / "example.json").write_text(example, "utf-8")
    (tmp_path / "hello.wav").write_bytes(b"")
    scenario = load_scenario(tmp_path / "example.json")
    assert [step.action for step in scenario.steps] == ["join", "speak", "transcript", "chat"]


def test_another_product():
    scenario = load_scenario("short")
    assert scenario.for_product("phone").product is Product.PHONE
    assert scenario.for_product(Product.WEBINAR).product is Product.WEBINAR
    with pytest.raises(ConfigurationError, match="product must be one of"):
        scenario.for_product("telegraph")

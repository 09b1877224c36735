"""What is missing is reported, and nothing else is: sessions without TCP and without waiting."""

from __future__ import annotations

import gevent
import pytest
from support.sessions import T

from rtms_gevent.config import Timeouts
from rtms_gevent.enums import MediaDataType

AUDIO, TRANSCRIPT = MediaDataType.AUDIO, MediaDataType.TRANSCRIPT


@pytest.fixture
def stage(make_stage):
    return make_stage(AUDIO, TRANSCRIPT).join()


def gaps(stage):
    return [(gap.start - T, gap.end - T, gap.is_certain) for (gap,) in stage.of("media_gap")]


def payloads(stage, name="audio_data"):
    return [arguments[0] for arguments in stage.of(name)]


@pytest.mark.parametrize(
    ("down", "next_timestamp", "expected"),
    [
        (1, 1020, [(0, 1020, True)]),
        (20, 20_500, [(0, 20_500, True)]),
        (1, 40, []),  # replayed from where it broke off
        (20, 60, []),  # three frames
        (20, 80, [(0, 80, True)]),
    ],
)
def test_the_gap_that_an_outage_leaves(down, next_timestamp, expected, stage):
    stage.zoom.send(T)
    stage.transport.is_down = True
    stage.zoom.reset("audio")
    stage.clock.advance(down)
    stage.transport.is_down = False
    stage.run(11)
    stage.zoom.send(T + next_timestamp)
    assert gaps(stage) == expected
    assert stage.stats().received == 2
    assert len(payloads(stage)) == 2


def test_a_keep_alive_shows_that_nothing_was_sent_before_it(stage):
    stage.zoom.send(T)
    stage.clock.advance(10)
    stage.zoom.keep_alive()
    stage.clock.advance(10)
    stage.zoom.reset("audio")
    stage.run(5)
    stage.zoom.send(T + 25_000)
    assert gaps(stage) == [(10_000, 25_000, False)]
    assert "may be missing" in str(stage.of("media_gap")[0][0])


def test_our_clock_is_set_meanwhile(stage):
    stage.zoom.send(T)
    stage.clock.wall += 3600
    stage.zoom.reset("audio")
    stage.run(1)
    stage.zoom.send(T + 1000)
    assert gaps(stage) == [(0, 1000, True)]


def test_a_reconnection_that_zoom_asked_for_may_have_lost_what_it_held_for_us(stage):
    """We notice nothing; Zoom waits for 65 s before it says that media is interrupted."""
    stage.zoom.send(T)
    stage.run(100)
    stage.zoom.interrupt()
    stage.run(5)
    stage.zoom.send(T + 105_000)
    ((start, end, is_certain),) = gaps(stage)
    assert 34_000 <= start <= 36_000
    assert end == 105_000
    assert not is_certain


@pytest.mark.parametrize("behind", [2000, 30_000])
def test_a_server_whose_clock_is_behind_loses_nothing(behind, stage):
    for number in range(200):
        stage.zoom.send(T + 20 * number, b"%d" % number)
    stage.zoom.reset("audio")
    stage.clock.advance(1)
    for number in range(200, 250):
        stage.zoom.send(T + 20 * number - behind, b"%d" % number)
        stage.clock.advance(0.02)
    assert payloads(stage) == [b"%d" % number for number in range(250)]
    assert stage.stats().dropped == {}


def test_a_replay_is_delivered_once(stage, caplog):
    for number in range(5):
        stage.zoom.send(T + 20 * number, b"%d" % number)
    stage.zoom.reset("audio")
    stage.clock.advance(1)
    for number in range(8):
        stage.zoom.send(T + 20 * number, b"%d" % number)
    assert payloads(stage) == [b"%d" % number for number in range(8)]
    assert stage.stats().dropped == {"duplicate": 5}
    assert len([line for line in caplog.messages if "5 packets came again" in line]) == 1


def test_what_is_held_waits_half_a_second_and_no_longer(stage):
    stage.zoom.send(T, b"0")
    stage.zoom.reset("audio")
    stage.clock.advance(1)
    stage.zoom.send(T - 1000, b"1")
    stage.clock.advance(0.49)
    assert payloads(stage) == [b"0"]
    stage.clock.advance(0.02)
    assert payloads(stage) == [b"0", b"1"]


@pytest.mark.parametrize("ends", ["leaving", "zoom"])
def test_what_is_held_and_the_last_gap_are_not_lost_at_the_end(ends, stage):
    stage.zoom.send(T, b"0")
    stage.zoom.reset("audio")
    stage.clock.advance(1)
    stage.zoom.send(T - 1000, b"1")
    stage.transport.is_down = True
    stage.zoom.reset("transcript")
    stage.clock.advance(0.2)
    if ends == "zoom":
        stage.zoom.stop()
        stage.clock.advance(5)
        assert payloads(stage) == [b"0", b"1"]
    else:
        gevent.spawn(stage.session.leave)
        stage.clock.advance(5)
        assert payloads(stage) == [b"0"]
    ((gap),) = stage.stats(TRANSCRIPT).gaps
    assert "transcript socket was lost" in gap.cause
    stats = stage.stats()
    assert stats.received == stats.delivered + sum(stats.dropped.values()) == 2


@pytest.mark.parametrize("ends", ["leaving", "zoom"])
def test_a_server_that_does_not_finish_may_have_had_more_to_send(ends, make_stage):
    stage = make_stage(AUDIO, TRANSCRIPT, timeouts=Timeouts(close=2.0)).join()
    stage.zoom.send(T, b"heard", TRANSCRIPT)
    stage.zoom.closes = False
    if ends == "zoom":
        stage.zoom.stop()
    else:  # then we do not want it
        gevent.spawn(stage.session.leave)
    stage.clock.advance(10)
    found = {gap.media_type: gap.cause for gap in stage.stats(TRANSCRIPT).gaps}
    expected = {TRANSCRIPT: "the server did not finish in time"} if ends == "zoom" else {}
    assert found == expected


def test_media_right_behind_the_answer_ends_the_gap(stage):
    stage.zoom.send(T)
    stage.zoom.answers["audio"] = [None]
    stage.zoom.reset("audio")
    stage.clock.advance(1)
    content = {"user_id": 7, "user_name": "Ana", "data": "eHg=", "timestamp": T + 1000}
    packet = {"msg_type": 14, "content": content}
    stage.zoom.live["audio"].send_json(stage.zoom.answer(3, 0), packet)  # in one read
    stage.clock.advance(1)
    assert gaps(stage) == [(0, 1000, True)]


def test_a_full_inbox_stops_the_reading_of_its_socket_alone(stage):
    stage.back_pressure.pause(AUDIO)
    stage.zoom.send(T)
    stage.zoom.send(T, b"read", TRANSCRIPT)
    assert (payloads(stage), payloads(stage, "transcript_data")) == ([], [b"read"])
    stage.zoom.reset("audio")  # is not seen either
    stage.clock.advance(60)
    assert stage.of("interrupted") == []
    stage.back_pressure.resume(AUDIO)
    stage.clock.advance(5)
    assert payloads(stage) == [b"x"]
    assert [what for what, _ in stage.of("interrupted")] == ["audio"]

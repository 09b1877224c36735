"""Whoever ends a stream, it has one end: sessions without TCP and without waiting."""

from __future__ import annotations

import gevent
import pytest
from support.clock import settle

from rtms_gevent.config import Reconnect
from rtms_gevent.enums import MediaDataType
from rtms_gevent.errors import (
    ConnectionLost,
    EndedBeforeJoined,
    GaveUp,
    HandshakeRejected,
    InboxOverflow,
)

AUDIO, TRANSCRIPT = MediaDataType.AUDIO, MediaDataType.TRANSCRIPT


def give_up(stage):
    stage.transport.is_down = True
    stage.zoom.reset()
    stage.clock.advance(61)
    stage.transport.is_down = False


def refuse_to_reconnect(stage):
    stage.zoom.answers["signaling"] = [3]
    stage.zoom.reset("signaling")
    stage.clock.advance(2)


def leave(stage, **options):
    gevent.spawn(stage.session.leave, **options)


ENDS = {
    "zoom": (lambda stage: stage.zoom.stop(6), 6, None),
    "webhook": (lambda stage: stage.session.stopped_by_zoom(6), 6, None),
    "leaving": (leave, 20, None),
    "asking Zoom to end it": (lambda stage: leave(stage, close_stream=True), 20, None),
    "giving up": (give_up, 502, GaveUp),
    "refusal": (refuse_to_reconnect, 3, HandshakeRejected),
    "slow callbacks": (
        lambda stage: stage.back_pressure.fail(InboxOverflow("audio", 1, "stream")),
        502,
        InboxOverflow,
    ),
}


@pytest.fixture
def stage(make_stage):
    return make_stage(AUDIO, TRANSCRIPT).join()


def check_end(stage, code, error=None):
    """All is over, and each of it was told once."""
    session = stage.session
    assert session.over.is_set()
    assert session.end_reported.is_set()
    assert session.end.code == code
    assert isinstance(session.end.error, error or type(None))
    assert stage.of("end") == [(session.end,)]
    assert stage.calls[-1][0] == "end"
    assert stage.of("leave") == ([] if session.end.by_us else [(code,)])
    assert not session.is_joined
    assert stage.zoom.live == {}


@pytest.mark.parametrize("name", ENDS)
def test_each_end(name, stage):
    end, code, error = ENDS[name]
    stage.zoom.send(1_738_392_000_000, b"before")
    end(stage)
    stage.clock.advance(10)
    check_end(stage, code, error)
    assert [arguments[0] for arguments in stage.of("audio_data")] == [b"before"]
    seconds = stage.clock.now
    stage.session.leave()  # changes nothing, and does not wait
    stage.session.stopped_by_zoom(1)
    assert stage.clock.now == seconds
    check_end(stage, code, error)


@pytest.mark.parametrize("second", ENDS)
@pytest.mark.parametrize("first", ["zoom", "leaving", "slow callbacks"])
def test_another_end_meanwhile(first, second, stage):
    """Zoom answers no close frame, so that the first end is under way when the second comes."""
    stage.zoom.closes = False
    begin, code, error = ENDS[first]
    begin(stage)
    settle()
    assert not stage.session.over.is_set()
    if second in ("zoom", "refusal"):  # on sockets that are closed already
        stage.session.stopped_by_zoom(6)
    else:
        ENDS[second][0](stage)
    stage.clock.advance(10)
    assert stage.session.end.code == code
    assert stage.session.end_reported.is_set()
    assert len(stage.of("end")) == 1
    assert isinstance(stage.session.end.error, error or type(None))


@pytest.mark.parametrize("name", ENDS)
def test_an_end_before_it_has_joined(name, make_stage):
    stage = make_stage()
    stage.zoom.answers["signaling"] = [None]
    stage.session.start()
    settle()
    if name in ("zoom", "refusal", "giving up"):
        stage.session.stopped_by_zoom(6)
    else:
        ENDS[name][0](stage)
    stage.clock.advance(10)
    with pytest.raises(EndedBeforeJoined):
        stage.session.joined.get(block=False)
    assert not stage.session.end.was_joined
    assert stage.session.end_reported.is_set()
    assert stage.of("leave") == []
    assert len(stage.of("end")) == 1


@pytest.mark.parametrize("lost", ["signaling", "audio", "transcript"])
def test_a_loss_without_reconnecting(lost, make_stage):
    stage = make_stage(AUDIO, TRANSCRIPT, reconnect=Reconnect(enabled=False)).join()
    stage.zoom.reset(lost)
    stage.clock.advance(10)
    check_end(stage, 502, ConnectionLost)


@pytest.mark.parametrize("close_stream", [False, True])
def test_a_time_limit_that_cuts_leaving_short(close_stream, stage):
    stage.zoom.closes = False
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
        stage.session.leave(close_stream=close_stream)
    assert stage.session.over.is_set()
    settle()
    check_end_but_for_sockets(stage)


def test_a_kill_that_cuts_an_end_short(stage):
    stage.zoom.closes = False
    stage.zoom.stop(6)
    settle()
    assert not stage.session.over.is_set()
    stage.session._greenlets.kill()
    settle()
    assert stage.session.end.code == 6
    check_end_but_for_sockets(stage)


def check_end_but_for_sockets(stage):
    """The client's end of them is closed, whatever Zoom does."""
    assert stage.session.over.is_set()
    assert stage.session.end_reported.is_set()
    assert len(stage.of("end")) == 1
    assert all(peer.is_closed for peer in stage.transport.peers)


@pytest.mark.parametrize("seconds", [0, 0.5, 1.9])
def test_leaving_waits_for_zoom_but_not_for_ever(seconds, stage):
    stage.zoom.closes = False
    leaving = gevent.spawn(stage.session.leave)
    stage.clock.advance(seconds)
    assert not leaving.ready()
    stage.clock.advance(2 - seconds)
    assert leaving.ready()


def test_what_zoom_still_sends_when_it_has_ended_the_stream_is_delivered(stage):
    stage.zoom.closes = False
    audio = stage.zoom.live["audio"]
    stage.zoom.stop(6)
    content = {"user_id": 7, "user_name": "Ana", "timestamp": 1_738_392_000_000, "data": "eHg="}
    audio.send_json({"msg_type": 14, "content": content})
    for peer in stage.transport.peers:
        peer.close()
    settle()
    check_end(stage, 6)
    assert len(stage.of("audio_data")) == 1
    assert [name for name, _ in stage.calls][-3:] == ["audio_data", "leave", "end"]


def test_a_forked_child_lets_go_and_calls_nobody(stage):
    before = list(stage.calls)
    stage.session.after_fork_in_child(True)
    settle()
    assert stage.session.over.is_set()
    assert stage.session.end_reported.is_set()
    assert stage.session.end.by_us
    stage.session.leave()
    stage.clock.advance(120)
    assert stage.calls == before
    assert set(stage.zoom.live) == {"signaling", "audio", "transcript"}  # they are the parent's

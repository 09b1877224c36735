"""A stream goes from one worker to another: sessions without TCP and without waiting."""

from __future__ import annotations

import gevent
import pytest
from support.clock import settle
from support.sessions import T

from rtms_gevent.enums import MediaDataType, StatusCode
from rtms_gevent.errors import EndedBeforeJoined
from rtms_gevent.stream.join_request import EarlierWorker
from rtms_gevent.stream.leave_reason import LeaveReason

AUDIO, TRANSCRIPT = MediaDataType.AUDIO, MediaDataType.TRANSCRIPT
CLOSE_REQUEST = 21


def hand_over(stage):
    """Begin to hand a stream over; return the greenlet, whose value says whether it was."""

    def run():
        stage.session.hand_over(5.0, waits=True)
        return stage.session.end.is_handover

    greenlet = gevent.spawn(run)
    settle()
    return greenlet


def times(stage, name="audio_data"):
    return [timestamp - T for _, _, timestamp, _ in stage.of(name)]


def end_of(stage):
    ((reason,),) = stage.of("end")
    assert stage.calls[-1][0] == "end"
    return reason


class TestHandingOver:
    def test_all_that_came_is_delivered_and_zoom_is_asked_nothing(self, make_stage):
        stage = make_stage(AUDIO, TRANSCRIPT).join()
        stage.zoom.send(T + 20)
        assert hand_over(stage).get(timeout=1)
        reason = end_of(stage)
        assert str(reason) == "another worker goes on with the stream"
        assert (reason.is_handover, reason.by_us, reason.was_joined) == (True, True, True)
        assert (stage.of("leave"), stage.of("media_gap"), stage.zoom.live) == ([], [], {})
        assert CLOSE_REQUEST not in [message["msg_type"] for _, message in stage.zoom.received]
        assert stage.stats().delivered_timestamp == T + 20

    def test_what_comes_before_the_server_has_closed_is_delivered(self, make_stage):
        stage = make_stage().join()
        stage.zoom.closes = False
        peer = stage.zoom.live["audio"]
        handing = hand_over(stage)
        stage.zoom.live["audio"] = peer
        stage.zoom.send(T + 40)
        stage.zoom.freed.set()
        assert handing.get(timeout=1)
        assert times(stage) == [40]

    def test_while_joining(self, make_stage):
        stage = make_stage()
        stage.zoom.answers["signaling"] = [None]
        stage.session.start()
        settle()
        assert hand_over(stage).get(timeout=1)
        reason = end_of(stage)
        assert (reason.is_handover, reason.was_joined) == (True, False)
        with pytest.raises(EndedBeforeJoined):
            stage.session.joined.get(block=False)
        assert stage.of("join_confirm") == []

    def test_while_reconnecting_the_next_worker_tells_the_gap(self, make_stage):
        stage = make_stage().join()
        stage.zoom.send(T + 20)
        stage.transport.is_down = True
        stage.zoom.reset()
        stage.clock.advance(10)
        assert hand_over(stage).get(timeout=1)
        assert end_of(stage).is_handover
        assert stage.of("media_gap") == []
        assert stage.stats().delivered_timestamp == T + 20

    def test_a_stream_that_has_ended_is_not_handed_over(self, make_stage):
        stage = make_stage().join()
        stage.zoom.closes = False
        stage.zoom.stop()
        handing = hand_over(stage)
        stage.zoom.freed.set()
        assert handing.get(timeout=1) is False
        assert not end_of(stage).is_handover

    def test_leaving_at_the_same_time(self, make_stage):
        stage = make_stage().join()
        stage.zoom.closes = False
        first, second = hand_over(stage), hand_over(stage)
        leaving = gevent.spawn(stage.session.leave)
        settle()
        stage.zoom.freed.set()
        gevent.joinall([first, second, leaving], timeout=1, raise_error=True)
        assert first.value
        assert second.value
        assert end_of(stage).is_handover

    def test_a_stream_that_is_just_being_left_is_not_handed_over(self, make_stage):
        stage = make_stage().join()
        stage.zoom.closes = False
        leaving = gevent.spawn(stage.session.leave)
        settle()
        handing = hand_over(stage)
        stage.zoom.freed.set()
        assert handing.get(timeout=1) is False
        leaving.get(timeout=1)
        assert str(end_of(stage)) == "we left"


def test_who_has_lost_the_stream_leaves_at_once(make_stage):
    stage = make_stage().join()
    leaving = gevent.spawn(stage.session.leave, reason=LeaveReason.taken_over())
    leaving.get(timeout=1)
    reason = end_of(stage)
    assert str(reason) == "another worker has taken the stream over"
    assert (reason.is_handover, reason.by_us, reason.error) == (True, False, None)
    assert (stage.of("leave"), stage.zoom.live) == ([], {})


def test_who_has_lost_the_stream_while_joining(make_stage):
    stage = make_stage()
    stage.zoom.answers["signaling"] = [None]
    stage.session.start()
    settle()
    gevent.spawn(stage.session.leave, reason=LeaveReason.taken_over()).get(timeout=1)
    reason = end_of(stage)
    assert (reason.is_handover, reason.was_joined, reason.error) == (True, False, None)


class TestTakingOver:
    @pytest.fixture
    def stage(self, make_stage):
        earlier = EarlierWorker({"audio": T - 3000, "transcript": T - 9000}, T - 3000)
        return make_stage(AUDIO, TRANSCRIPT, earlier=earlier)

    def gaps(self, stage):
        return [
            (gap.media_type, gap.start - T, gap.end - T, gap.is_certain)
            for (gap,) in stage.of("media_gap")
        ]

    def test_what_is_missing_since_the_other_worker_is_told(self, stage):
        stage.join()
        assert stage.stats().delivered_timestamp == T - 3000
        stage.zoom.send(T + 40)
        stage.zoom.send(T + 60)
        assert self.gaps(stage) == [(AUDIO, -3000, 40, True)]
        assert stage.session.stats().media["audio"].gaps == stage.stats().gaps
        hand_over(stage).get(timeout=1)
        assert self.gaps(stage) == [(AUDIO, -3000, 40, True)]

    def test_what_it_has_delivered_is_left_out(self, stage):
        stage.join()
        for time in range(-3040, 60, 20):
            stage.zoom.send(T + time)
        assert times(stage) == list(range(-2980, 60, 20))
        assert self.gaps(stage) == []
        assert stage.stats().dropped == {"duplicate": 3}

    def test_where_nothing_comes_the_end_tells_it(self, stage):
        stage.join()
        stage.zoom.stop()
        settle()
        assert self.gaps(stage) == [(AUDIO, -3000, 0, True), (TRANSCRIPT, -9000, 0, False)]

    def test_where_it_cannot_be_joined_the_end_tells_it(self, stage):
        stage.zoom.answers["signaling"] = [3]
        stage.session.start()
        settle()
        assert [gap[:3] for gap in self.gaps(stage)] == [
            (AUDIO, -3000, 0),
            (TRANSCRIPT, -9000, 0),
        ]

    def test_zoom_may_hold_the_other_workers_connection_for_a_while(self, stage):
        stage.zoom.answers["signaling"] = [StatusCode.DUPLICATE_SIGNAL_REQUEST] * 15
        stage.session.start()
        settle()
        stage.clock.advance(40)
        assert stage.session.is_joined

    def test_what_nobody_wants_is_not_missed(self, make_stage):
        stage = make_stage(AUDIO, earlier=EarlierWorker({"transcript": T - 9000}, T - 9000)).join()
        stage.zoom.stop()
        settle()
        assert [gap[0] for gap in self.gaps(stage)] == [AUDIO]

"""Losses and what becomes of them, by the clock: sessions without TCP, hours in milliseconds."""

from __future__ import annotations

import pytest
from support.clock import settle
from support.sessions import T, endpoints

from rtms_gevent import signals
from rtms_gevent.config import Timeouts
from rtms_gevent.enums import MediaDataType
from rtms_gevent.errors import ConnectError, GaveUp, HandshakeRejected, JoinTimeout

AUDIO, VIDEO, TRANSCRIPT = MediaDataType.AUDIO, MediaDataType.VIDEO, MediaDataType.TRANSCRIPT
ALL = ("signaling", "audio", "transcript")


@pytest.fixture
def stage(make_stage):
    return make_stage(AUDIO, TRANSCRIPT).join()


def rebuilt(stage):
    """Return which sockets were opened since they were opened first."""
    return sorted(name for _, name in stage.zoom.handshakes[3:])


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (["audio"], ["audio"]),
        (["transcript"], ["transcript"]),
        (["audio", "transcript"], ["audio", "transcript"]),
        (["signaling"], ["audio", "signaling", "transcript"]),
        (["audio", "signaling"], ["audio", "signaling", "transcript"]),
        (ALL, ["audio", "signaling", "transcript"]),
    ],
)
def test_what_broke_is_opened_anew_and_nothing_else(stage, broken, expected):
    stage.zoom.reset(*broken)
    stage.run(5)
    assert rebuilt(stage) == expected
    assert len(stage.of("reconnected")) == 1
    assert stage.session.is_joined
    assert set(stage.zoom.live) == set(ALL)


@pytest.mark.parametrize("seconds", [1, 10, 30, 49])
def test_an_outage_within_zooms_window_is_survived(stage, seconds):
    stage.transport.is_down = True
    stage.zoom.reset()
    stage.clock.advance(seconds)
    assert not stage.session.is_joined
    stage.transport.is_down = False
    stage.run(11)  # the longest delay between two attempts is 10 s
    ((outage,),) = stage.of("reconnected")
    assert seconds * 1000 <= outage <= (seconds + 11) * 1000
    assert stage.session.is_joined
    assert stage.session.recovery.outages == 1
    assert stage.session.recovery.outage_ms == outage


@pytest.mark.parametrize(("broken", "window"), [((), 60), (("audio",), 65)])
def test_it_gives_up_when_the_window_has_passed(stage, broken, window):
    stage.transport.is_down = True
    stage.zoom.reset(*broken)
    stage.run(window - 0.5)
    assert stage.session.end is None
    stage.run(1)
    assert isinstance(stage.session.end.error, GaveUp)
    assert stage.of("leave") == [(502,)]
    ((error,),) = stage.of("gave_up")
    assert error is stage.session.end.error
    assert "start RTMS again" in str(error)


def test_attempts_come_ever_more_slowly(stage):
    stage.transport.is_down = True
    stage.zoom.reset()
    stage.clock.advance(59)
    numbers, delays = zip(*stage.of("reconnecting"), strict=True)
    assert numbers == tuple(range(1, len(numbers) + 1))
    limits = [250, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 10_000]
    assert len(delays) >= 8
    for delay, limit in zip(delays, limits, strict=False):
        assert delay <= limit
        assert delay >= limit * 0.75 or limit in (250, 10_000)  # the last is cut by the window


def test_an_outage_every_minute_of_a_long_meeting(stage):
    """The delays begin anew each time, since each repair has held."""
    for number in range(1, 61):
        stage.zoom.reset(*(ALL, ("audio",), ("signaling",), ())[number % 4])
        stage.run(60, keep_alive=60)
        assert len(stage.of("reconnected")) == number
    assert stage.session.is_joined
    assert {attempt for attempt, _ in stage.of("reconnecting")} == {1}
    assert stage.session.recovery.outages == 60


def test_a_server_that_drops_us_at_once_is_not_run_down(stage):
    for _ in range(200):
        stage.zoom.reset(*stage.zoom.live)
        stage.clock.advance(1)
    assert 20 <= sum(name == "signaling" for _, name in stage.zoom.handshakes) <= 60


@pytest.mark.parametrize("silent", ["signaling", "audio"])
def test_silence_is_a_loss_at_its_second_and_keep_alives_are_none(silent, make_stage):
    stage = make_stage(timeouts=Timeouts(signaling_silence=30, media_silence=30)).join()
    stage.run(4 * 3600, keep_alive=29)
    assert stage.of("interrupted") == []
    peer = stage.zoom.live.pop(silent)  # it gets no keep-alives any more
    stage.run(29, keep_alive=10)
    assert stage.of("interrupted") == []
    stage.run(2, keep_alive=1)
    ((what, error),) = stage.of("interrupted")
    assert what == silent
    assert "nothing was heard" in str(error)
    stage.run(2)
    assert stage.session.is_joined
    assert stage.zoom.live[silent] is not peer


def test_a_socket_that_is_not_read_is_not_silent(stage):
    stage.session.pause(AUDIO)
    stage.run(3600, keep_alive=10)
    assert stage.of("interrupted") == []
    stage.session.resume(AUDIO)
    stage.run(10)
    assert stage.of("interrupted") == []


class TestZoomSaysThatMediaIsInterrupted:
    @pytest.mark.parametrize(("event", "state"), [(True, False), (False, True), (True, True)])
    def test_without_a_socket_that_breaks_all_media_is_opened_anew(self, event, state, stage):
        stage.zoom.interrupt(event=event, state=state)
        stage.run(0.4)
        assert rebuilt(stage) == []
        stage.run(2, keep_alive=0.5)
        assert rebuilt(stage) == ["audio", "transcript"]
        assert stage.of("interrupted") == [("media", None)]

    def test_twice_and_late_is_once(self, stage):
        for _ in range(3):
            stage.zoom.interrupt()
        stage.run(1, keep_alive=0.5)
        stage.zoom.interrupt()  # what comes late is about the same loss
        stage.run(30)
        assert rebuilt(stage) == ["audio", "transcript"]

    @pytest.mark.parametrize("seconds", [0, 0.1, 0.4])
    def test_what_breaks_is_what_it_means(self, stage, seconds):
        stage.zoom.interrupt()
        stage.clock.advance(seconds)
        stage.zoom.reset("audio")
        stage.run(60)
        assert rebuilt(stage) == ["audio"]
        assert [what for what, _ in stage.of("interrupted")] == ["audio"]

    @pytest.mark.parametrize("lives", [True, False])
    def test_another_that_is_silent_from_then_on_is_dead(self, stage, lives):
        stage.clock.advance(1)
        stage.zoom.interrupt()
        stage.zoom.reset("transcript")
        if not lives:
            del stage.zoom.live["audio"]
        stage.run(15)
        assert rebuilt(stage) == ["transcript"]
        stage.run(5)
        assert rebuilt(stage) == (["transcript"] if lives else ["audio", "transcript"])


class TestWebhooks:
    @pytest.mark.parametrize(
        ("age", "is_old"), [(None, False), (0, False), (50, False), (58, True), (70, True)]
    )
    def test_an_interruption_from_before_we_connected(self, stage, age, is_old):
        """We connected a minute ago; Zoom's clock may be 3 s ahead of ours."""
        stage.run(60)
        now = stage.clock.time() * 1000
        stage.session.recovery.interrupted_by_zoom(None if age is None else int(now - age * 1000))
        stage.run(5)
        assert rebuilt(stage) == ([] if is_old else sorted(ALL))
        assert stage.of("interrupted") == ([] if is_old else [("signaling", None)])

    def test_one_for_a_loss_that_we_mend(self, stage):
        stage.run(60)
        stage.zoom.reset("signaling")
        stage.session.recovery.interrupted_by_zoom(int(stage.clock.time() * 1000))
        stage.run(1)
        stage.session.recovery.interrupted_by_zoom(int(stage.clock.time() * 1000))  # its echo
        stage.run(10)
        assert rebuilt(stage) == sorted(ALL)

    @pytest.mark.parametrize(("urls", "moves"), [("ws://zoom:1/signaling", 0), ("ws://zoom:9/", 1)])
    def test_a_start(self, stage, urls, moves):
        stage.session.recovery.moved_by_zoom(endpoints(urls))
        stage.run(5)
        assert rebuilt(stage) == sorted(ALL) * moves
        assert stage.session.request.endpoints == endpoints(urls)
        assert stage.zoom.live["signaling"].endpoint == endpoints(urls)[0]

    def test_a_move_has_a_window_of_its_own(self, stage):
        stage.transport.is_down = True
        stage.zoom.reset()
        stage.clock.advance(50)
        stage.session.recovery.moved_by_zoom(endpoints("ws://zoom:9/"))
        stage.clock.advance(50)
        stage.transport.is_down = False
        stage.run(10)
        assert stage.session.is_joined


class TestJoining:
    @pytest.fixture
    def started(self, make_stage):
        def start(answers=(), is_down=False, **options):
            stage = make_stage(**options)
            stage.transport.is_down = is_down
            stage.zoom.answers["signaling"] = list(answers)
            stage.session.start()
            settle()
            return stage

        return start

    def test_a_server_that_never_answers(self, started):
        stage = started(answers=[None] * 9)
        stage.clock.advance(60)
        with pytest.raises(JoinTimeout):
            stage.session.joined.get(block=False)
        assert stage.of("join_confirm") == [(stage.session.end.code,)]
        assert stage.session.end_reported.is_set()

    def test_its_next_endpoint_is_the_first_choice_then(self, started):
        stage = started(answers=[None], urls="ws://zoom:1/,ws://zoom:2/")
        stage.clock.advance(30)
        assert stage.session.is_joined
        signaling = [peer.endpoint.port for peer in stage.transport.peers if "sig" in peer.name]
        assert signaling == [1, 2]
        stage.zoom.reset()
        stage.run(2)
        assert stage.zoom.live["signaling"].endpoint.port == 2

    @pytest.mark.parametrize(("status", "handshakes"), [(8, 3), (3, 1)])
    def test_a_refusal_is_final_unless_it_may_pass(self, started, status, handshakes):
        stage = started(answers=[status] * 9)
        stage.clock.advance(60)
        with pytest.raises(HandshakeRejected):
            stage.session.joined.get(block=False)
        assert len(stage.zoom.handshakes) == handshakes

    def test_nobody_listens_at_first(self, started):
        stage = started(is_down=True)
        stage.transport.is_down = False
        stage.clock.advance(5)
        assert stage.session.is_joined

    def test_nobody_listens_at_all(self, started):
        stage = started(is_down=True)
        stage.clock.advance(60)
        with pytest.raises(ConnectError):
            stage.session.joined.get(block=False)


def test_a_server_that_has_not_noticed_the_loss_is_asked_again(stage):
    """Status 8 right after a drop means that the old connection still counts."""
    errors = []

    def keep(sender, error, where, **_):
        errors.append((type(error), where))

    stage.zoom.answers["signaling"] = [8, 8]
    with signals.error.connected_to(keep, sender=stage):
        stage.zoom.reset("signaling")
        stage.run(10)
    assert errors == [(HandshakeRejected, "reconnect")] * 2
    assert [attempt for attempt, _ in stage.of("reconnecting")] == [1, 2, 3]
    assert len(stage.of("reconnected")) == 1


def test_what_could_be_opened_is_left_alone_where_another_needs_more_attempts(stage):
    stage.zoom.answers["audio"] = [None, None]
    stage.zoom.reset("audio", "transcript")
    stage.run(60)
    assert rebuilt(stage) == ["audio", "audio", "audio", "transcript"]
    assert len(stage.of("reconnected")) == 1


def test_a_renegotiation_that_fails_is_a_loss(stage):
    stage.zoom.answers["audio"] = [None]
    stage.subscription.params[AUDIO] = stage.subscription.params_for(AUDIO)
    stage.subscription.params[AUDIO].channel = 1
    stage.session.changes.renegotiate(AUDIO)
    stage.run(30)
    assert rebuilt(stage) == ["audio", "audio"]
    assert len(stage.of("reconnected")) == 1
    stage.zoom.send(T)
    assert len(stage.of("audio_data")) == 1


def test_an_end_meanwhile_is_no_repair(stage):
    stage.zoom.answers["audio"] = [None]
    stage.zoom.reset("audio")
    stage.clock.advance(1)
    stage.zoom.stop()
    stage.clock.advance(5)
    assert stage.of("reconnected") == []
    assert stage.session.recovery.outages == 0
    assert stage.of("leave") == [(6,)]

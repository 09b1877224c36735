"""What is missing is told, and nothing else is: outages against the simulator."""

from __future__ import annotations

import os
import signal
import time

import gevent
import pytest
from support.recorder import Recorder, wait_until
from support.script import Script

from rtms_gevent import Client, Reconnect, Timeouts, signals
from rtms_gevent.simulator import Simulator

from .conftest import QUICK

NOW = 1_738_392_000_000
HOOKS = ("interrupted", "reconnected", "leave", "media_gap")

STOPPED = """
    import json, sys
    import gevent
    from gevent.fileobject import FileObject
    import rtms_gevent as rtms

    client = rtms.Client(timeouts=rtms.Timeouts(signaling_silence=0.5, media_silence=0.5))
    client.on_audio_data(lambda data, size, time, who: print("audio", time, flush=True))
    client.on_interrupted(lambda what, error: print(what, error, flush=True))
    client.join(json.loads(sys.argv[1]), client=sys.argv[2], secret=sys.argv[3])
    FileObject(sys.stdin).readline()
    client.leave()
    print("over", flush=True)
"""


def send(meeting, timestamp, data=b"x", **options):
    return wait_until(lambda: meeting.send_audio(data, timestamp=timestamp, **options))


def joined(simulator, client):
    client.join(
        simulator.meeting.payload, client=simulator.client_id, secret=simulator.client_secret
    )
    assert simulator.meeting.wait_ready(5)


class TestWhereAGapBegins:
    def test_a_server_that_fell_silent_long_before_we_noticed(self):
        """With the last packet that came, not when we had waited for long enough."""
        patience = Timeouts(signaling_silence=60, media_silence=0.3, close=0.05)
        with (
            Simulator("empty", keep_alive=60) as simulator,
            Client(timeouts=patience, reconnect=QUICK) as client,
        ):
            recorder = Recorder(client, "audio_data", *HOOKS)
            joined(simulator, client)
            began = int(time.time() * 1000)
            send(simulator.meeting, began)
            recorder.wait_for("reconnected")
            ended = int(time.time() * 1000)
            send(simulator.meeting, ended)
            ((gap,),) = recorder.wait_for("media_gap")
            assert (gap.start, gap.end) == (began, ended)
            assert gap.is_certain
            assert client.stats().media["audio"].missing_ms == ended - began

    def test_a_reset_after_silence(self, join, meeting, client):
        recorder = Recorder(client, "audio_data", *HOOKS)
        join()
        began = int(time.time() * 1000)
        send(meeting, began)
        recorder.wait_for("audio_data")
        gevent.sleep(0.2)  # nothing is sent, and nobody knows why
        meeting.reset_sockets("audio")
        recorder.wait_for("reconnected")
        send(meeting, began + 300)
        ((gap,),) = recorder.wait_for("media_gap")
        assert (gap.start, gap.end) == (began, began + 300)

    def test_a_keep_alive_says_that_nothing_was_sent_before_it(self):
        with Simulator("empty", keep_alive=0.02) as simulator, Client(reconnect=QUICK) as client:
            meeting = simulator.meeting
            recorder = Recorder(client, "audio_data", *HOOKS)
            joined(simulator, client)
            began = int(time.time() * 1000)
            send(meeting, began)
            recorder.wait_for("audio_data")
            heard = client._session._sockets.heard_at
            kind = client._wishes.media[0]
            packet_at = heard(kind)
            wait_until(lambda: heard(kind) - packet_at > 0.1)  # keep-alives
            meeting.reset_sockets("audio")
            recorder.wait_for("reconnected")
            send(meeting, began + 5000)
            ((gap,),) = recorder.wait_for("media_gap")
            assert gap.start >= began + 90
            assert gap.end == began + 5000
            assert not gap.is_certain
            assert "may be missing" in str(gap)

    def test_our_clock_is_set_meanwhile(self, join, meeting, client, monkeypatch):
        recorder = Recorder(client, "audio_data", *HOOKS)
        join()
        send(meeting, NOW)
        recorder.wait_for("audio_data")
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 3600)
        meeting.reset_sockets("audio")
        recorder.wait_for("reconnected")
        send(meeting, NOW + 1000)
        ((gap,),) = recorder.wait_for("media_gap")
        assert (gap.start, gap.end) == (NOW, NOW + 1000)


class TestNoFalseGap:
    def test_only_what_broke_is_rebuilt_though_zoom_does_not_say_what(self, join, meeting, client):
        recorder = Recorder(client, "audio_data", "transcript_data", *HOOKS)
        join()
        (before,) = meeting.connections("transcript")
        meeting.send_transcript("before")
        recorder.wait_for("transcript_data")
        meeting.send_event({"event_type": 7, "timestamp": 1}, to_all=True)
        gevent.sleep(0.05)  # Zoom may be quicker than the broken connection
        meeting.reset_sockets("audio")
        recorder.wait_for("reconnected")
        wait_until(lambda: not client._session._is_looking)
        assert [what for what, _ in recorder.of("interrupted")] == ["audio"]
        assert meeting.connections("transcript") == [before]
        meeting.send_transcript("after")
        recorder.wait_for("transcript_data", 2)
        assert recorder.of("media_gap") == []

    @pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system has no SIGSTOP")
    def test_a_process_that_was_stopped_reads_what_came_before_it_calls_a_socket_dead(self):
        with Simulator("empty", keep_alive=0.3) as simulator:
            meeting = simulator.meeting
            script = Script.joining(simulator, STOPPED)
            assert meeting.wait_ready(10)
            for number in range(1, 4):
                os.kill(script.process.pid, signal.SIGSTOP)
                send(meeting, NOW + 20 * number)
                gevent.sleep(0.6)  # longer than the client takes for silence
                os.kill(script.process.pid, signal.SIGCONT)
                assert script.line() == f"audio {NOW + 20 * number}"
            assert script.finish("\n")[0] == "over"

    def test_media_that_is_not_offered(self, join, meeting, client):
        recorder = Recorder(client, "audio_data", "transcript_data", *HOOKS)
        del meeting.media_urls["transcript"]
        meeting.media_urls.pop("all", None)
        join()
        meeting.reset_sockets("signaling")
        recorder.wait_for("reconnected")
        meeting.stop()
        recorder.wait_for("leave")
        assert [gap.media_type.name for (gap,) in recorder.of("media_gap")] in ([], ["AUDIO"])


class TestReplays:
    def failed_over(self, meeting, client, recorder):
        started = {**meeting.started_event}
        moved = meeting.server_urls.replace("/signaling", "/signaling/other")
        started["payload"] = {**meeting.payload, "server_urls": moved}
        client.notify(started)
        recorder.wait_for("reconnected")

    @pytest.mark.parametrize("behind", [2000, 30_000])
    def test_a_server_whose_clock_is_behind_loses_nothing(self, behind, join, meeting, client):
        recorder = Recorder(client, "audio_data", *HOOKS)
        join()
        for number in range(200):
            send(meeting, NOW + 20 * number, b"%d" % number)
        recorder.wait_for("audio_data", 200)
        self.failed_over(meeting, client, recorder)
        for number in range(200, 250):
            send(meeting, NOW + 20 * number - behind, b"%d" % number)
            gevent.sleep(0.02)
        recorder.wait_for("audio_data", 250)
        assert recorder.payloads("audio_data") == [b"%d" % number for number in range(250)]
        assert client.stats().media["audio"].dropped == {}

    def test_the_last_packets_before_silence_are_not_held_for_ever(self, join, meeting, client):
        recorder = Recorder(client, "audio_data", *HOOKS)
        join()
        send(meeting, NOW, b"0")
        recorder.wait_for("audio_data")
        self.failed_over(meeting, client, recorder)
        send(meeting, NOW - 1000, b"1")
        recorder.wait_for("audio_data", 2)
        assert recorder.payloads("audio_data") == [b"0", b"1"]

    def test_what_is_left_out_is_logged_once(self, join, meeting, client, caplog):
        recorder = Recorder(client, "audio_data", *HOOKS)
        join()
        for number in range(5):
            send(meeting, NOW + 20 * number, b"%d" % number)
        recorder.wait_for("audio_data", 5)
        meeting.reset_sockets("audio")
        recorder.wait_for("reconnected")
        for number in range(8):
            send(meeting, NOW + 20 * number, b"%d" % number)
        recorder.wait_for("audio_data", 8)
        assert client.stats().media["audio"].dropped == {"duplicate": 5}
        told = [line for line in caplog.messages if "came again" in line]
        assert len(told) == 1
        assert "5 packets" in told[0]


class TestTheEnd:
    def test_leaving_during_an_outage_tells_the_last_gap(self, meeting, join):
        client, told = Client(reconnect=Reconnect(base_delay=1000, max_delay=1000)), []

        def keep(sender, gap, **_):
            told.append(gap)

        recorder = Recorder(client, "audio_data", *HOOKS)
        join(client)
        send(meeting, NOW)
        recorder.wait_for("audio_data")
        with signals.media_gap.connected_to(keep, sender=client):
            meeting.reset_sockets("all_sockets")
            recorder.wait_for("interrupted", 2)
            gevent.sleep(0.1)  # of less than three frames nothing is missing
            client.leave()
        stats = client.stats().media["audio"]
        assert recorder.of("reconnected") == []
        assert [gap.start for gap in told] == [NOW]
        assert list(stats.gaps) == told

    def test_joining_again_in_on_leave(self, simulator, join, meeting, client):
        other = simulator.add_meeting("empty")
        recorder = Recorder(client, "audio_data", "join_confirm", "leave")

        @client.on_leave
        def again(reason):
            client.join(other.payload, client=simulator.client_id, secret=simulator.client_secret)

        join()
        first = client._session
        meeting.stop()
        recorder.wait_for("join_confirm", 2)
        assert first.over.wait(5)
        assert client.stream_id() == other.stream_id
        assert client.is_joined
        assert other.wait_ready(5)
        wait_until(lambda: other.send_audio(b"again"))
        recorder.wait_for("audio_data")

    def test_joining_again_where_the_signal_says_that_it_was_left(
        self, simulator, join, meeting, client
    ):
        other = simulator.add_meeting("empty")
        recorder = Recorder(client, "join_confirm")

        def again(sender, reason, **_):
            if not reason.by_us:
                client.join(
                    other.payload, client=simulator.client_id, secret=simulator.client_secret
                )

        with signals.left.connected_to(again, sender=client):
            join()
            meeting.stop()
            recorder.wait_for("join_confirm", 2)
            client.leave()


def test_reconnecting_leaves_nothing_behind(join, meeting, client):
    recorder = Recorder(client, "audio_data", *HOOKS)
    join()
    ending = client._session._ending
    before = ending.linkcount()
    for number in range(1, 6):
        meeting.reset_sockets("audio")
        recorder.wait_for("reconnected", number)
        wait_until(lambda: meeting.send_audio(b"x"))
    wait_until(lambda: ending.linkcount() == before)

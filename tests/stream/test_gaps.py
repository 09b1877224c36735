"""What is missing is told, and nothing else is: outages against the simulator."""

from __future__ import annotations

import os
import signal
import time

import gevent
import gevent.event
import pytest
from support.recorder import Recorder, wait_until
from support.script import Script
from support.streams import QUICK

from rtms_gevent import Client, Reconnect, Timeouts, signals
from rtms_gevent.simulator import Simulator

NOW = 1_738_392_000_000
HOOKS = ("interrupted", "reconnected", "leave", "media_gap")

STOPPED = """
    import json, sys
    import gevent
    from gevent.fileobject import FileObject
    import rtms_gevent as rtms

    client = rtms.Client(timeouts=rtms.Timeouts(signaling_silence=1, media_silence=1))
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


class TestNoFalseGap:
    @pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system has no SIGSTOP")
    def test_a_process_that_was_stopped_reads_what_came_before_it_calls_a_socket_dead(self):
        with Simulator("empty", keep_alive=0.6) as simulator:
            meeting = simulator.meeting
            script = Script.joining(simulator, STOPPED)
            assert meeting.wait_ready(10)
            for number in range(1, 4):
                os.kill(script.process.pid, signal.SIGSTOP)
                send(meeting, NOW + 20 * number)
                gevent.sleep(1.1)  # longer than the client takes for silence
                os.kill(script.process.pid, signal.SIGCONT)
                assert script.line() == f"audio {NOW + 20 * number}"
                # All that it was asked meanwhile, lest the simulator gives it up in the next pause.
                sockets = meeting.connections("all_sockets")
                wait_until(
                    lambda sockets=sockets: not any(each.unanswered_keep_alives for each in sockets)
                )
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


ACCEPTED = {"msg_type": 4, "status_code": 0, "media_params": {"audio": {"send_rate": 20}}}


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
    ending = client._session._lifecycle.ending
    before = ending.linkcount()
    for number in range(1, 6):
        meeting.reset_sockets("audio")
        recorder.wait_for("reconnected", number)
        wait_until(lambda: meeting.send_audio(b"x"))
    wait_until(lambda: ending.linkcount() == before)

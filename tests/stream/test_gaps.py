"""What is missing is told, and nothing else is: outages against the simulator."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter

import gevent
import gevent.event
import pytest
from support.rawserver import TEXT, RawServer, frame, hang
from support.recorder import Recorder, wait_until
from support.script import Script
from support.streams import QUICK

import rtms_gevent.stream.session as session_module
from rtms_gevent import AudioChannel, AudioParams, Client, Reconnect, Timeouts, signals
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

    def test_a_keep_alive_says_that_nothing_was_sent_before_it(self):
        with Simulator("empty", keep_alive=0.02) as simulator, Client(reconnect=QUICK) as client:
            meeting = simulator.meeting
            recorder = Recorder(client, "audio_data", *HOOKS)
            joined(simulator, client)
            began = int(time.time() * 1000)
            send(meeting, began)
            recorder.wait_for("audio_data")
            heard = client._session._sockets.heard_at
            kind = client._subscription.media[0]
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


class RawZoom:
    """A server that hands its media sockets to a function, with how many there were before."""

    def __init__(self, on_media):
        self.on_media, self.opened, self.server = on_media, Counter(), None

    def __enter__(self):
        self.server = RawServer(self).__enter__()
        return self

    def __exit__(self, *details):
        self.server.__exit__(*details)

    def __call__(self, peer):
        peer.upgrade()
        hello = peer.receive_json()
        if hello["msg_type"] == 1:
            urls = {kind: self.server.url(f"/{kind}") for kind in ("audio", "video")}
            answer = {"msg_type": 2, "status_code": 0, "media_server": {"server_urls": urls}}
            peer.send_json(answer)
            hang(peer)
        else:
            kind = {1: "audio", 2: "video"}[hello["media_type"]]
            self.opened[kind] += 1
            self.on_media(peer, kind, self.opened[kind])
            hang(peer)

    def join(self, client):
        client.join(
            meeting_uuid="m",
            rtms_stream_id="s" * 20,
            server_urls=self.server.url(),
            client="c",
            secret="s",
            allowed_hosts="127.0.0.1",
        )
        client.wait_joined(10)


ACCEPTED = {"msg_type": 4, "status_code": 0, "media_params": {"audio": {"send_rate": 20}}}


def audio(timestamp):
    content = {"user_id": 7, "user_name": "Ana", "data": "eHg=", "timestamp": timestamp}
    return {"msg_type": 14, "content": content}


class TestRepairs:
    def test_media_right_behind_the_answer_ends_the_gap(self, client):
        def media(peer, kind, number):
            if number == 1:
                peer.send_json(ACCEPTED)
                peer.send_json(audio(NOW))
                heard.wait()
                peer.reset()
            else:  # in one read
                both = [json.dumps(each).encode() for each in (ACCEPTED, audio(NOW + 1000))]
                peer.sock.sendall(b"".join(frame(TEXT, each) for each in both))

        heard = gevent.event.Event()
        with RawZoom(media) as zoom:
            recorder = Recorder(client, "audio_data", *HOOKS)
            zoom.join(client)
            recorder.wait_for("audio_data")
            heard.set()
            ((gap,),) = recorder.wait_for("media_gap")
            assert (gap.start, gap.end) == (NOW, NOW + 1000)

    def test_what_could_be_repaired_is_left_alone(self):
        """Where another media socket needs more attempts."""

        def media(peer, kind, number):
            if kind == "audio" or number in (1, 4):
                peer.send_json(ACCEPTED)
            if number == 1:
                ready.wait()
                peer.reset()

        ready = gevent.event.Event()
        patience = Timeouts(handshake=0.2, close=0.05)
        with (
            RawZoom(media) as zoom,
            Client(timeouts=patience, reconnect=QUICK) as client,
        ):
            recorder = Recorder(client, "audio_data", "video_data", *HOOKS)
            zoom.join(client)
            ready.set()
            recorder.wait_for("reconnected")
            assert zoom.opened == {"audio": 2, "video": 4}

    def test_a_renegotiation_that_fails_is_mended(self):
        def media(peer, kind, number):
            if number != 2:
                peer.send_json(ACCEPTED)
            if number == 3:
                peer.send_json(audio(NOW))

        patience = Timeouts(handshake=0.2, close=0.05)
        with (
            RawZoom(media) as zoom,
            Client(timeouts=patience, reconnect=QUICK) as client,
        ):
            recorder = Recorder(client, "audio_data", *HOOKS)
            zoom.join(client)
            client.set_audio_params(AudioParams(channel=AudioChannel.MONO))
            recorder.wait_for("audio_data")
            recorder.wait_for("reconnected")

    def test_an_end_meanwhile_is_no_repair(self):
        def media(peer, kind, number):
            if number == 1:
                peer.send_json(ACCEPTED)
                ready.wait()
                peer.reset()

        ready = gevent.event.Event()
        with RawZoom(media) as zoom, Client(reconnect=QUICK) as client:
            recorder = Recorder(client, "audio_data", *HOOKS)
            zoom.join(client)
            ready.set()
            wait_until(lambda: zoom.opened["audio"] == 2)
            payload = {"rtms_stream_id": "s" * 20}
            client.notify({"event": "meeting.rtms_stopped", "payload": payload})
            recorder.wait_for("leave")
            assert recorder.of("reconnected") == []
            assert client.stats().outages == 0

    @pytest.mark.parametrize("alive", [False, True])
    def test_a_socket_that_is_dead_though_another_broke(self, alive, monkeypatch):
        """Zoom says that media is interrupted; only one of two sockets breaks."""
        monkeypatch.setattr(session_module, "_SUSPICIOUS", 0.3)
        with (
            Simulator("empty", keep_alive=0.05) as simulator,
            Client(reconnect=QUICK, timeouts=Timeouts(close=0.05)) as client,
        ):
            meeting = simulator.meeting
            recorder = Recorder(client, "audio_data", "transcript_data", *HOOKS)
            joined(simulator, client)
            (before,) = meeting.connections("audio")
            if not alive:
                meeting.faults.stall("audio", 60)
            meeting.send_event({"event_type": 7, "timestamp": 1}, to_all=True)
            meeting.reset_sockets("transcript")
            recorder.wait_for("reconnected")
            if alive:
                wait_until(lambda: not watching(client))
                assert meeting.connections("audio") == [before]
            else:
                recorder.wait_for("reconnected", 2)
                assert before not in meeting.connections("audio")


def watching(client):
    names = [getattr(item, "name", "") for item in client._session._greenlets._members]
    return any("look for broken media" in name for name in names)


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

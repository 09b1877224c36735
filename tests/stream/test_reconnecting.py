"""StreamManager that break and come back: Zoom's four scenarios, against the simulator."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event
from support.rawserver import RawServer, join_raw
from support.recorder import Recorder, wait_until

import rtms_gevent
from rtms_gevent import (
    Client,
    DataOption,
    EventType,
    Reconnect,
    StatusCode,
    VideoParams,
    signals,
)
from rtms_gevent.simulator import Simulator

HOOKS = ("interrupted", "reconnecting", "reconnected", "gave_up", "leave", "join_confirm")


def handshakes(meeting, number=1):
    return sum(message["msg_type"] == number for message in meeting.received)


@pytest.mark.parametrize("unified", [False, True], ids=["split", "unified"])
@pytest.mark.parametrize("accident", ["close", "reset"])
class TestDrops:
    def test_signaling(self, accident, unified, join, meeting, client):
        """Everything is made anew, and everything that was asked for is asked for again."""
        recorder = Recorder(client, "audio_data", "active_speaker_event", *HOOKS)
        join(unified=unified)
        meeting.send_audio(b"before")
        recorder.wait_for("audio_data")
        getattr(meeting, f"{accident}_sockets")("signaling")
        recorder.wait_for("reconnected")
        wait_until(lambda: meeting.send_audio(b"after"))
        recorder.wait_for("audio_data", 2)
        assert recorder.payloads("audio_data") == [b"before", b"after"]
        wait_until(
            lambda: meeting.send_event(
                {"event_type": 2, "timestamp": 1, "user_id": 7, "user_name": "Ana"}
            )
        )
        recorder.wait_for("active_speaker_event")
        assert handshakes(meeting) == 2
        ((what, error),) = recorder.of("interrupted")
        assert what == "signaling"
        assert error.socket == "signaling"
        assert recorder.of("reconnecting")[0][0] == 1
        assert isinstance(recorder.of("reconnected")[0][0], int)
        assert recorder.of("leave") == []
        assert recorder.of("join_confirm") == [(0,)]
        assert client.is_joined

    def test_media(self, accident, unified, join, meeting, client):
        """Only the media socket is made anew: signaling and the others stay."""
        recorder = Recorder(client, "audio_data", "transcript_data", *HOOKS)
        join(unified=unified)
        (signaling,) = meeting.connections("signaling")
        others = meeting.connections("transcript")
        getattr(meeting, f"{accident}_sockets")("audio")
        recorder.wait_for("reconnected")
        wait_until(lambda: meeting.send_audio(b"after"))
        recorder.wait_for("audio_data")
        assert meeting.connections("signaling") == [signaling]
        if not unified:
            assert meeting.connections("transcript") == others
        assert handshakes(meeting, 1) == 1
        assert handshakes(meeting, 7) == 2
        ((what, _),) = recorder.of("interrupted")
        assert what == ("unified" if unified else "audio")


def test_all_media_at_once_is_one_outage(join, meeting, client):
    recorder = Recorder(client, "audio_data", "video_data", "chat_data", *HOOKS)
    join()
    meeting.reset_sockets("media")
    recorder.wait_for("reconnected")
    wait_until(lambda: meeting.send_audio(b"a") and meeting.send_chat("c"))
    recorder.wait_for("chat_data")
    assert handshakes(meeting, 1) == 1
    assert {what for what, _ in recorder.of("interrupted")} == {"audio", "video", "chat"}


class TestZoomSaysSo:
    def test_media_is_interrupted(self, join, meeting, client, caplog):
        recorder = Recorder(client, "audio_data", *HOOKS)
        join()
        (before,) = meeting.connections("audio")
        meeting.send_event({"event_type": 7, "timestamp": 1}, to_all=True)
        meeting.set_stream_state(2, 14)
        recorder.wait_for("reconnected")
        assert recorder.of("interrupted") == [("media", None)]
        assert "media is interrupted: Zoom says that it was interrupted" in caplog.text
        (after,) = meeting.connections("audio")
        assert after is not before
        assert handshakes(meeting, 1) == 1
        # What comes late is about the same loss.
        meeting.send_event({"event_type": 7, "timestamp": 1}, to_all=True)
        wait_until(lambda: meeting.send_audio(b"x"))
        recorder.wait_for("audio_data")
        assert meeting.connections("audio") == [after]

    def test_by_webhook(self, join, meeting, client, caplog):
        recorder = Recorder(client, "audio_data", *HOOKS)
        join()
        event = {**meeting.started_event, "event": "meeting.rtms_interrupted"}
        del event["event_ts"]
        client.notify(event)
        recorder.wait_for("reconnected")
        assert "signaling is interrupted: Zoom says that it was interrupted" in caplog.text
        assert handshakes(meeting) == 2
        # The same webhook, late: it tells of what is mended.
        client.notify({**event, "event_ts": 1_700_000_000_000})
        wait_until(lambda: meeting.send_audio(b"x"))
        recorder.wait_for("audio_data")
        assert handshakes(meeting) == 2

    def test_a_server_failed_and_another_takes_over(self, join, meeting, client, caplog):
        recorder = Recorder(client, "transcript_data", *HOOKS)
        join()
        moved = meeting.server_urls.replace("/signaling", "/signaling/other")
        started = {**meeting.started_event}
        client.notify(started)  # a repetition
        gevent.sleep(0)
        assert handshakes(meeting) == 1
        started["payload"] = {**meeting.payload, "server_urls": moved}
        client.notify(started)
        recorder.wait_for("reconnected")
        assert "is interrupted: Zoom has moved the stream to another server" in caplog.text
        wait_until(lambda: meeting.send_transcript("moved"))
        recorder.wait_for("transcript_data")
        assert handshakes(meeting) == 2
        assert client._session.request.endpoints[0].resource == "/signaling/other"

    def test_news_from_before_we_joined(self, join, meeting, client):
        recorder = Recorder(client, "audio_data", *HOOKS)
        join()
        old = {**meeting.started_event, "event": "meeting.rtms_interrupted", "event_ts": 1_000_000}
        client.notify(old)
        meeting.send_audio(b"x")
        recorder.wait_for("audio_data")
        assert recorder.of("interrupted") == []

    def test_a_move_without_reconnecting_is_left_alone(self, join, meeting):
        with Client(reconnect=Reconnect(enabled=False)) as client:
            recorder = Recorder(client, "audio_data", *HOOKS)
            join(client)
            moved = meeting.server_urls.replace("/signaling", "/signaling/other")
            started = {
                **meeting.started_event,
                "payload": {**meeting.payload, "server_urls": moved},
            }
            client.notify(started)
            meeting.send_audio(b"x")
            recorder.wait_for("audio_data")
            assert handshakes(meeting) == 1


class TestAttempts:
    def test_what_another_try_would_not_mend_ends_the_stream(self, client):
        connections = []

        def script(peer):
            peer.upgrade()
            peer.receive_json()
            connections.append(peer)
            status = 0 if len(connections) == 1 else 2
            peer.send_json({"msg_type": 2, "status_code": status, "media_server": {}})
            if len(connections) == 1:
                peer.close(1001)
            peer.receive_close()

        with RawServer(script) as server:
            recorder = Recorder(client, *HOOKS)
            join_raw(client, server)
            end = client.wait(10)
        assert end.was_joined
        assert end.error.status is StatusCode.INVALID_RTMS_STREAM_ID
        assert recorder.of("leave") == [(2,)]
        assert recorder.of("join_confirm") == [(0,)]
        assert len(connections) == 2

    def test_leaving_meanwhile_ends_it_at_once(self, simulator, meeting):
        slow = Reconnect(base_delay=30.0)
        client = Client(reconnect=slow)
        recorder = Recorder(client, "audio_data", *HOOKS)
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        client.wait_joined()
        meeting.reset_sockets("signaling")
        recorder.wait_for("interrupted")
        client.leave()
        assert client.wait(0).by_us
        assert recorder.of("reconnected") == []

    def test_zoom_ends_it_meanwhile(self, simulator, meeting):
        client = Client(reconnect=Reconnect(base_delay=30.0))
        recorder = Recorder(client, "audio_data", *HOOKS)
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        client.wait_joined()
        meeting.reset_sockets("signaling")
        recorder.wait_for("interrupted")
        stopped = {
            "event": "meeting.rtms_stopped",
            "payload": {**meeting.payload, "stop_reason": 6},
        }
        client.notify(stopped)
        assert client.wait(5).code == 6
        assert recorder.of("leave") == [(6,)]


@pytest.mark.parametrize("name", ["contact_center.rtms_stopped", "new.product_rtms_stopped"])
def test_a_webhook_about_our_stream_counts_whatever_the_product(simulator, meeting, name):
    client = Client()
    client.enable_audio()
    client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
    client.wait_joined()
    client.notify({"event": name, "payload": {**meeting.payload, "stop_reason": 6}})
    assert client.wait(5).code == 6


def test_again_and_again_nothing_is_forgotten(join, meeting, client):
    """The official SDK forgets subscriptions, and waits twice as long each time, for ever."""
    client.set_video_params(VideoParams(data_opt=DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM))
    recorder = Recorder(
        client, "audio_data", "video_data", "user_update", "video_subscribed", *HOOKS
    )
    join()
    client.subscribe_video(21)
    recorder.wait_for("video_subscribed")
    for drop in range(1, 6):
        meeting.reset_sockets(("signaling", "media", "all_sockets", "audio", "video")[drop - 1])
        recorder.wait_for("reconnected", drop)
        wait_until(lambda: meeting.send_audio(b"x"))
        recorder.wait_for("audio_data", drop)
        wait_until(lambda: meeting.send_video(b"v", 21))
        recorder.wait_for("video_data", drop)
        person = {"user_id": drop, "user_name": "Ana"}
        event = {"event_type": EventType.PARTICIPANT_JOIN, "timestamp": 1, "participants": [person]}
        wait_until(lambda event=event: meeting.send_event(event))
        recorder.wait_for("user_update", drop)
    assert client.is_joined
    assert recorder.of("leave") == []


def test_every_message_is_delivered_or_was_lost_while_down(client):
    """Sequence numbers tell: nothing twice, nothing out of order, and gaps only in outages."""
    with Simulator("empty", stamp=True) as simulator:
        meeting = simulator.meeting
        recorder = Recorder(client, "audio_data", "reconnected")
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        client.wait_joined()
        assert meeting.wait_ready(5)
        sent = 0
        for drop in range(1, 4):
            for _ in range(30):
                sent += meeting.send_audio(b"x")
                gevent.sleep(0)
            recorder.wait_for("audio_data", sent)
            meeting.reset_sockets("audio")
            recorder.wait_for("reconnected", drop)
            wait_until(lambda: meeting.send_audio(b"x"))
            sent += 1
        recorder.wait_for("audio_data", sent)
        numbers = [
            metadata.extra["simulator"]["sequence"]
            for _, _, _, metadata in recorder.of("audio_data")
        ]
    assert numbers == sorted(set(numbers))


def test_signals_tell_the_same(join, meeting, client):
    got = []

    def listen(name):
        def receiver(sender, **arguments):
            got.append((name, sorted(arguments)))

        return receiver

    listeners = [listen(name) for name in ("interrupted", "reconnecting", "reconnected")]
    client.on_audio_data(print)
    with (
        signals.interrupted.connected_to(listeners[0]),
        signals.reconnecting.connected_to(listeners[1]),
        signals.reconnected.connected_to(listeners[2]),
    ):
        join()
        meeting.reset_sockets("audio")
        wait_until(lambda: len(got) == 3)
    assert got == [
        ("interrupted", ["error", "what"]),
        ("reconnecting", ["attempt", "delay"]),
        ("reconnected", ["outage"]),
    ]


def test_a_blocked_callback_does_not_hinder_it(join, meeting, client):
    go = Event()
    client.on_interrupted(lambda *_: go.wait())
    client.on_video_data(lambda *_: go.wait())
    recorder = Recorder(client, "audio_data")
    join()
    meeting.send_video(b"v")
    meeting.reset_sockets("all_sockets")
    wait_until(lambda: meeting.send_audio(b"after"))
    recorder.wait_for("audio_data")
    go.set()


class TestAccounting:
    def test_stats(self, join, meeting, client):
        client.on_audio_data(lambda *_: None)
        assert client.stats().stream_id == ""
        join()
        for _ in range(5):
            meeting.send_audio(b"12345678")
        wait_until(lambda: client.stats().media["audio"].delivered == 5)
        stats = client.stats()
        assert stats.stream_id == meeting.stream_id
        assert stats.is_joined
        assert stats.media["audio"].received == 5
        assert stats.media["audio"].received_bytes == 40
        assert stats.media["audio"].dropped == {}
        assert stats.media["video"].received == 0
        assert (stats.outages, stats.outage_ms) == (0, 0)
        assert stats in rtms_gevent.stats()

    def test_a_gap_is_told(self, join, meeting, client):
        recorder = Recorder(client, "audio_data", "media_gap", *HOOKS)
        join()
        now = 1_738_392_033_699
        meeting.send_audio(b"x", timestamp=now)
        recorder.wait_for("audio_data")
        meeting.reset_sockets("audio")
        recorder.wait_for("reconnected")
        wait_until(lambda: meeting.send_audio(b"x", timestamp=now + 5000))
        ((gap,),) = recorder.wait_for("media_gap")
        assert (gap.start, gap.end) == (now, now + 5000)
        assert "audio socket was lost" in gap.cause
        stats = client.stats()
        assert stats.media["audio"].gaps == (gap,)
        assert stats.outages == 1

    def test_what_zoom_replays_closes_it_and_is_not_delivered_twice(self, join, meeting, client):
        recorder = Recorder(client, "audio_data", "media_gap", *HOOKS)
        join()
        now = 1_738_392_033_700
        meeting.send_audio(b"0", timestamp=now)
        recorder.wait_for("audio_data")
        meeting.reset_sockets("audio")
        recorder.wait_for("reconnected")
        wait_until(lambda: meeting.send_audio(b"0", timestamp=now))
        for number in range(1, 10):
            meeting.send_audio(b"%d" % number, timestamp=now + 20 * number)
        recorder.wait_for("audio_data", 10)
        assert recorder.payloads("audio_data") == [b"%d" % number for number in range(10)]
        assert recorder.of("media_gap") == []
        assert client.stats().media["audio"].dropped == {"duplicate": 1}

"""Callbacks that are slower than the stream, or never come back."""

from __future__ import annotations

import itertools
import time

import pytest
from gevent import monkey
from gevent.event import Event
from support.recorder import Recorder, wait_until
from support.streams import QUICK

from rtms_gevent import (
    Client,
    ConnectionLost,
    Inboxes,
    InboxLimits,
    InboxOverflow,
    OverflowPolicy,
    signals,
)
from rtms_gevent.runtime import watchdog
from rtms_gevent.simulator import Simulator

KEY, SLICE = b"\x00\x00\x01\x65", b"\x00\x00\x01\x41"


class Stuck:
    """A callback that does not come back from its first packet before it is let go."""

    def __init__(self):
        self.got = []
        self.entered, self.go = Event(), Event()

    def __call__(self, data, size, timestamp, metadata):
        self.got.append(data)
        self.entered.set()
        self.go.wait()


@pytest.fixture
def stuck():
    made = Stuck()
    yield made
    made.go.set()


def few(policy, packets=4):
    limits = InboxLimits(packets=packets, when_full=policy)
    return Inboxes(audio=limits, video=limits, transcript=limits, chat=limits)


@pytest.fixture
def reported():
    errors = []

    def keep(sender, error, where, **_):
        errors.append((type(error), where))

    with signals.error.connected_to(keep):
        yield errors


def enter(stuck, send):
    send()
    assert stuck.entered.wait(5)


class TestDropping:
    def test_h264_goes_up_to_the_next_key_frame(self, simulator, join, meeting, stuck, reported):
        with Client(inboxes=few(OverflowPolicy.DROP_OLDEST)) as client:
            client.on_video_data(stuck)
            join(client)
            enter(stuck, lambda: meeting.send_video(KEY + b"0"))
            for frame in (SLICE + b"1", SLICE + b"2", KEY + b"3", SLICE + b"4", SLICE + b"5"):
                meeting.send_video(frame)
            wait_until(lambda: client.dropped["video"] == 2)
            stuck.go.set()
            wait_until(lambda: len(stuck.got) == 4)
        assert stuck.got == [KEY + b"0", KEY + b"3", SLICE + b"4", SLICE + b"5"]
        assert reported == [(InboxOverflow, "video_data")]

    def test_each_burst_is_told_once(self, simulator, join, meeting, reported):
        stuck = Stuck()
        with Client(inboxes=few(OverflowPolicy.DROP_OLDEST)) as client:
            client.on_audio_data(lambda *arguments: stuck(*arguments))
            join(client)

            def burst(number):
                nonlocal stuck
                stuck = Stuck()
                enter(stuck, lambda: meeting.send_audio(b"first"))
                for _ in range(8):
                    meeting.send_audio(b"next")
                wait_until(lambda: client.dropped["audio"] == 4 * number)
                stuck.go.set()
                wait_until(lambda: len(stuck.got) == 5)
                wait_until(lambda: len(reported) == number)

            burst(1)
            burst(2)
            stats = client.stats().media["audio"]
            assert (stats.received, stats.delivered, dict(stats.dropped)) == (18, 10, {"inbox": 8})


class TestBlocking:
    @pytest.mark.parametrize("unified", [False, True], ids=["split", "unified"])
    def test_tcp_makes_the_server_wait_and_nothing_is_lost(self, unified, stuck, reported, join):
        """More than sockets and inboxes can hold is sent while nobody takes anything."""
        with (
            Simulator("empty", keep_alive=0.05) as simulator,
            Client(inboxes=few(OverflowPolicy.BLOCK)) as client,
        ):
            meeting = simulator.meeting
            client.on_transcript_data(stuck)
            others = Recorder(client, "event_ex", "audio_data")
            client.on_participant_event(lambda *_: None)
            join(
                client,
                meeting,
                client=simulator.client_id,
                secret=simulator.client_secret,
                unified=unified,
            )
            enter(stuck, lambda: meeting.send_transcript("first"))
            interrupted = Recorder(client, "interrupted")
            big = "x" * 100_000
            for _ in range(6):
                meeting.send_transcript(big)
            wait_until(lambda: (InboxOverflow, "transcript_data") in reported)
            # Signaling goes on, and, where they have a socket of their own, other media do.
            meeting.send_event({"event_type": 3, "timestamp": 1, "participants": []})
            others.wait_for("event_ex")
            if not unified:
                meeting.send_audio(b"x")
                others.wait_for("audio_data")
            before = client.stats().media["transcript"].received
            stuck.go.set()
            wait_until(lambda: len(stuck.got) == 7)
            assert before <= 7
            stats = client.stats().media["transcript"]
            assert (stats.received, stats.delivered) == (7, 7)
            assert stats.dropped == {}
            assert ConnectionLost not in [kind for kind, _ in reported]
            assert not interrupted.calls

    def test_what_is_over_the_limit_is_not_read(self, simulator, join, meeting, stuck):
        with Client(inboxes=few(OverflowPolicy.BLOCK)) as client:
            client.on_chat_data(stuck)
            join(client)
            enter(stuck, lambda: meeting.send_chat("0"))
            received = lambda: client.stats().media["chat"].received  # noqa: E731
            for number in itertools.count(1):
                meeting.send_chat(str(number))
                if number < 6:
                    wait_until(lambda: received() == number + 1)  # noqa: B023
                elif number == 50:
                    break
            assert received() == 6
            stuck.go.set()
            wait_until(lambda: len(stuck.got) == 51)
        assert stuck.got == [str(number).encode() for number in range(51)]

    def test_the_end_is_reached_though_the_inbox_is_full(self, simulator, join, meeting, stuck):
        client = Client(inboxes=few(OverflowPolicy.BLOCK))
        client.on_chat_data(stuck)
        join(client)
        enter(stuck, lambda: meeting.send_chat("0"))
        for number in range(1, 20):
            meeting.send_chat(str(number))
        wait_until(lambda: client.stats().media["chat"].received > 4)
        meeting.stop(6)
        wait_until(lambda: client.stats().media["chat"].received == 20)
        stuck.go.set()
        assert client.wait(5).code == 6
        assert stuck.got == [str(number).encode() for number in range(20)]

    def test_leaving_while_it_is_full(self, simulator, join, meeting, stuck):
        client = Client(inboxes=few(OverflowPolicy.BLOCK))
        client.on_chat_data(stuck)
        join(client)
        enter(stuck, lambda: meeting.send_chat("0"))
        for number in range(1, 20):
            meeting.send_chat(str(number))
        wait_until(lambda: client.stats().media["chat"].received > 4)
        client.leave()
        received = client.stats().media["chat"].received
        assert client.dropped["chat"] == received - 1
        stuck.go.set()
        assert client.wait(5).by_us

    def test_a_socket_that_breaks_meanwhile_is_rebuilt_and_still_waits(
        self, simulator, join, meeting, stuck
    ):
        with Client(inboxes=few(OverflowPolicy.BLOCK), reconnect=QUICK) as client:
            client.on_chat_data(stuck)
            join(client)
            interrupted = Recorder(client, "interrupted", "reconnected")
            enter(stuck, lambda: meeting.send_chat("0"))
            for number in range(1, 6):
                meeting.send_chat(str(number))
            wait_until(lambda: client.stats().media["chat"].received == 6)
            before = meeting.connections("chat")
            meeting.send_event({"event_type": 7, "timestamp": 1})  # Zoom says that media broke
            interrupted.wait_for("reconnected")
            wait_until(lambda: set(meeting.connections("chat")).isdisjoint(before))
            for number in range(6, 20):
                wait_until(lambda: meeting.send_chat(str(number)))  # noqa: B023 - called at once
            stuck.go.set()
            wait_until(lambda: len(stuck.got) == 20)
        assert stuck.got == [str(number).encode() for number in range(20)]

    def test_a_socket_that_zoom_gives_up_meanwhile(self, stuck, join):
        """It does so where its own keep-alives, which wait behind the data, are not answered."""
        with (
            Simulator("empty", keep_alive=0.05) as simulator,
            Client(inboxes=few(OverflowPolicy.BLOCK), reconnect=QUICK) as client,
        ):
            meeting = simulator.meeting
            client.on_transcript_data(stuck)
            join(client, meeting, client=simulator.client_id, secret=simulator.client_secret)
            reported = Recorder(client, "reconnected", "media_gap", "leave")
            noticed = []
            enter(stuck, lambda: meeting.send_transcript("0"))
            for number in range(1, 7):
                meeting.send_transcript(str(number))
            client.on_interrupted(lambda *_: noticed.append(time.time() * 1000))
            wait_until(lambda: noticed)
            stuck.go.set()
            reported.wait_for("reconnected")
            wait_until(lambda: meeting.send_transcript("last") and stuck.got[-1] == b"last")
            ((gap,), *_) = reported.wait_for("media_gap")
        assert stuck.got[:7] == [b"0", b"1", b"2", b"3", b"4", b"5", b"6"]
        assert set(stuck.got[7:]) == {b"last"}
        # It may have broken at any time since we stopped reading.
        assert gap.start <= noticed[0] + 1  # it is in whole ms
        assert not reported.of("leave")


def test_who_blocks_the_hub_is_named(simulator, join, meeting, client, monkeypatch, caplog):
    monkeypatch.setattr(watchdog, "BLOCKED_AFTER", 0.2)
    monkeypatch.setattr(watchdog, "_watchdog", None)
    sleep = monkey.get_original("time", "sleep")

    @client.on_audio_data
    def computes(*_):
        while "is blocked" not in caplog.text:
            sleep(0.01)

    join()
    meeting.send_audio(b"x")
    wait_until(lambda: "goes on" in caplog.text)
    assert "in computes" in caplog.text
    client.leave()
    wait_until(lambda: not watchdog._watchdog[1]._is_running)


class TestFailing:
    def test_what_waits_is_delivered_and_the_stream_ends(self, simulator, join, meeting, stuck):
        client = Client(inboxes=few(OverflowPolicy.FAIL))
        client.on_audio_data(stuck)
        left = Recorder(client, "leave")
        join(client)
        enter(stuck, lambda: meeting.send_audio(b"0"))
        for number in range(1, 6):
            meeting.send_audio(str(number).encode())
        wait_until(lambda: not client.is_joined)
        stuck.go.set()
        reason = client.wait(5)
        assert isinstance(reason.error, InboxOverflow)
        assert stuck.got[:6] == [str(number).encode() for number in range(6)]
        assert left.of("leave") == [(reason.code,)]

    def test_events_nobody_takes(self, simulator, join, meeting):
        go, entered = Event(), Event()
        client = Client(
            inboxes=Inboxes(events=InboxLimits(packets=5, when_full=OverflowPolicy.FAIL))
        )
        client.on_chat_data(print)

        @client.on_event_ex
        def stuck(_):
            entered.set()
            go.wait()

        join(client)
        meeting.send_event({"event_type": 3, "timestamp": 1, "participants": []}, to_all=True)
        assert entered.wait(5)
        for _ in range(10):
            meeting.send_event({"event_type": 3, "timestamp": 1, "participants": []}, to_all=True)
        wait_until(lambda: not client.is_joined)
        go.set()
        assert isinstance(client.wait(5).error, InboxOverflow)

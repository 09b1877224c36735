"""Executors, explicit event loops, stopping, and the layers of scaling without asyncio."""

from __future__ import annotations

import pytest
from cluster.redis_server import RedisServer
from support.recorder import wait_until

from .program import Program, simulator, start


def test_executors_of_a_client_and_of_run():
    with simulator() as zoom:
        first, second = zoom.meeting, zoom.add_meeting()
        with Program("executors", first.payload, second.payload) as program:
            assert first.wait_ready(10)
            assert second.wait_ready(10)
            first.send_audio(b"one")
            first.send_transcript("two")
            second.send_audio(b"three")
            wait_until(lambda: len(program.lines) == 3, 10)
            heard = dict(line.split(" in ") for line in program.lines)
            assert heard["model: one"].startswith("per-client")
            assert heard["database: two"].startswith("per-client")
            assert heard["model: three"].startswith("global")
            first.stop(6)
            second.stop(6)
            assert program.wait() == 0


@pytest.mark.parametrize("name", ["event_loop", "layer1_inline"])
def test_transcripts_of_meetings_that_webhooks_tell_of(name):
    with Program(name) as program, simulator(program) as zoom:
        meetings = [zoom.meeting, zoom.add_meeting()]
        for number, meeting in enumerate(meetings):
            start(meeting)
            meeting.send_transcript(f"in meeting {number}", 5, "Ana")
        separator = ": " if name == "event_loop" else " "
        for number in range(2):
            program.wait_for(f"Ana{separator}in meeting {number}")
        closing = [connection for one in meetings for connection in one.connections("all_sockets")]
        assert program.stop() == 0
        for connection in closing:
            assert connection.ended.wait(5)
            assert connection.client_close_code == 1000
        assert "Traceback" not in "".join(program.errors)


def test_a_loop_in_the_background():
    with simulator() as zoom, Program("event_loop_thread", zoom.meeting.payload) as program:
        assert zoom.meeting.wait_ready(10)
        zoom.meeting.send_transcript("Good morning", 5, "Ana")
        program.wait_for("Ana Good morning")
        zoom.meeting.stop(6)
        assert program.wait() == 0
        assert program.lines == [
            "clients: 1",
            "Ana Good morning",
            "left 6",
            "clients: 0",
        ]


def test_a_pool_spreads_meetings():
    with Program("event_loop_pool") as program, simulator(program) as zoom:
        meetings = [zoom.meeting, *(zoom.add_meeting() for _ in range(4))]
        for number, meeting in enumerate(meetings):
            start(meeting)
            meeting.send_audio(f"packet {number}".encode())
            program.wait_for(f"processed packet {number}")
            program.wait_for(f"loop {number % 4} of 4 clients {number + 1}")
        assert program.stop() == 0
        assert "Traceback" not in "".join(program.errors)


def test_stop_in_a_signal_handler_of_the_program():
    with simulator() as zoom, Program("stop_on_sigterm", zoom.meeting.payload) as program:
        program.wait_for("joined 0")
        assert zoom.meeting.wait_ready(10)
        closing = zoom.meeting.connections("all_sockets")
        assert program.stop() == 0
        assert program.lines == ["joined 0", "stopped cleanly"]
        for connection in closing:
            assert connection.ended.wait(5)
            assert connection.client_close_code == 1000


def test_an_executor_for_all_meetings():
    with Program("layer2_executor") as program, simulator(program) as zoom:
        start(zoom.meeting)
        zoom.meeting.send_audio(b"one")
        zoom.meeting.send_transcript("two")
        program.wait_for("model: one False")  # not in the main thread
        program.wait_for("database: two False")
        assert program.stop() == 0


def test_a_pool_with_an_executor():
    with Program("layer4_pool") as program, simulator(program) as zoom:
        meetings = [zoom.meeting, *(zoom.add_meeting() for _ in range(4))]
        for meeting in meetings:
            start(meeting)
        for number, meeting in enumerate(meetings):
            meeting.send_transcript(f"line {number}")
        for number in range(5):
            program.wait_for(f"database: line {number}")
        assert program.stop() == 0
        assert "Traceback" not in "".join(program.errors)


def test_join_requests_that_a_program_distributes_by_itself(monkeypatch):
    """The guide's way; examples/many_processes is ours, which needs none of it."""
    with RedisServer() as redis:
        monkeypatch.setenv("REDIS_URL", redis.url)
        with Program("layer5_processes") as program, simulator(program) as zoom:
            start(zoom.meeting)
            zoom.meeting.send_transcript("Good morning", 5, "Ana")
            program.wait_for("Ana Good morning")
            assert program.stop() == 0
            assert "Traceback" not in "".join(program.errors)

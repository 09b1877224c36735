"""asyncio: aiohttp beside run_async, async callbacks, and the webhook server under run_async."""

from __future__ import annotations

import signal

from .program import Program, simulator, start


def ends_cleanly(program, meeting):
    """Press Ctrl-C: asyncio cancels, the streams are left, and Python says KeyboardInterrupt."""
    closing = meeting.connections("all_sockets")
    assert closing
    assert program.stop(signal.SIGINT) == -signal.SIGINT
    for connection in closing:
        assert connection.ended.wait(5)
        assert connection.client_close_code == 1000
    assert program.errors[-1] == "KeyboardInterrupt"


def test_aiohttp():
    with Program("aiohttp_server") as program, simulator(program, "/webhook") as zoom:
        for text in ("Good morning", "Good evening"):
            meeting = zoom.add_meeting()
            start(meeting)
            meeting.send_transcript(text, 5, "Ana")
            program.wait_for(f"Ana {text}")
        ends_cleanly(program, meeting)


def test_a_coroutine_function_as_callback():
    with simulator() as zoom, Program("async_callback", zoom.meeting.payload) as program:
        assert zoom.meeting.wait_ready(10)
        for number in range(3):
            zoom.meeting.send_audio(f"packet {number}".encode())
        zoom.meeting.stop(6)
        assert program.wait() == 0
        assert program.lines == [f"INSERT INTO audio: packet {number}" for number in range(3)]


def test_the_webhook_server_beside_asyncio():
    with Program("layer3_asyncio") as program, simulator(program) as zoom:
        meetings = [zoom.meeting, zoom.add_meeting()]
        for number, meeting in enumerate(meetings):
            start(meeting)
            meeting.send_transcript(f"line {number}", 5, "Ana")
            program.wait_for(f"INSERT INTO transcripts VALUES ($1, $2) 5 b'line {number}'")
        assert program.lines[0] == "web server started"
        ends_cleanly(program, meeting)

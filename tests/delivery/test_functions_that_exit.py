"""A function of the user ends nothing but itself, whatever it raises."""

from __future__ import annotations

import concurrent.futures
import signal

import gevent
import pytest
from support.rawserver import unused_port
from support.recorder import Recorder, wait_until
from support.script import Script

from rtms_gevent import Client, EventLoop, signals
from rtms_gevent.simulator import Simulator


class OwnError(BaseException):
    """Derives from what nobody should derive from."""


#: In the main thread KeyboardInterrupt is a Ctrl-C.
RAISED = [OwnError, GeneratorExit, SystemExit, gevent.GreenletExit, gevent.Timeout]
IN_THREADS = [*RAISED, KeyboardInterrupt]


def failing(error, every=5):
    """A callback that raises at every fifth call."""
    got = []

    def callback(data, size, timestamp, metadata):
        got.append(data)
        if len(got) % every == 0:
            raise error

    return callback, got


def check(meeting, client, got):
    for number in range(20):
        wait_until(lambda number=number: meeting.send_audio(b"%d" % number))
    stats = lambda: client.stats().media["audio"]  # noqa: E731
    wait_until(lambda: stats().delivered + stats().failed == 20)
    assert got == [b"%d" % number for number in range(20)]
    assert (stats().delivered, stats().failed, stats().waiting) == (16, 4, 0)
    assert client.callback_errors == {"audio_data": 4}
    assert client.is_joined


@pytest.mark.parametrize("error", RAISED)
def test_in_the_streams_own_greenlet(error, join, meeting, client):
    callback, got = failing(error)
    client.on_audio_data(callback)
    join()
    check(meeting, client, got)


@pytest.mark.parametrize("error", IN_THREADS)
def test_in_a_loops_second_thread(error, simulator, meeting):
    loop = EventLoop().start()
    try:
        client = Client()
        callback, got = failing(error)
        client.on_audio_data(callback)
        loop.add(client)
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        assert meeting.wait_ready(5)
        check(meeting, client, got)
    finally:
        loop.stop()
        loop.join()


@pytest.mark.parametrize("error", IN_THREADS)
def test_in_an_executor(error, join, meeting):
    with concurrent.futures.ThreadPoolExecutor(1) as pool, Client(pool) as client:
        callback, got = failing(error)
        client.on_audio_data(callback)
        join(client)
        check(meeting, client, got)


@pytest.mark.parametrize("error", RAISED)
def test_in_a_receiver_and_an_events_callback(error, join, meeting, client):
    def receive(sender, **_):
        raise error

    @client.on_join_confirm
    def confirm(reason):
        raise error

    with (
        signals.joined.connected_to(receive, sender=client),
        signals.audio_data.connected_to(receive, sender=client),
    ):
        recorder = Recorder(client, "audio_data")
        join()
        for _ in range(3):
            wait_until(lambda: meeting.send_audio(b"x"))
        recorder.wait_for("audio_data", 3)
    wait_until(lambda: client.stats().media["audio"].delivered == 3)


@pytest.mark.parametrize("error", IN_THREADS)
def test_what_is_spawned_on_a_loop_ends_neither_the_loop_nor_its_second_thread(error):
    loop = EventLoop().start()
    try:
        done = []

        def raising():
            raise error

        def spawning():
            gevent.spawn(raising)

        loop.spawn(raising)
        loop.spawn(spawning)
        loop.spawn(done.append, 1)
        wait_until(lambda: done == [1])
        assert loop.is_running
    finally:
        loop.stop()
        loop.join()


def test_a_loop_that_died_begins_anew_and_says_so(simulator, meeting, caplog):
    """So a pool does not give streams to what is dead."""
    loop = EventLoop(name="mortal").start()
    try:
        hub = loop.context.hub
        hub.loop.run_callback_threadsafe(hub.parent.throw, SystemExit(3))
        wait_until(lambda: loop.context.hub not in (None, hub))
        assert "mortal" in caplog.text
        assert "has died" in caplog.text
        client = Client()
        recorder = Recorder(client, "audio_data")
        loop.add(client)
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        assert meeting.wait_ready(5)
        wait_until(lambda: meeting.send_audio(b"x"))
        recorder.wait_for("audio_data")
    finally:
        loop.stop()
        loop.join()


BACKGROUND = """
    import sys, threading
    import rtms_gevent as rtms

    def started(number):
        print("started", number, flush=True)
        raise {error}

    for number in range(3):
        rtms.run_soon(started, number)
        sys.stdin.readline()
    print("alive", flush=True)
"""


@pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt", "GeneratorExit"])
def test_in_the_background_of_a_threaded_server(error):
    """gunicorn's sync and gthread workers, and ``flask run``."""
    script = Script(BACKGROUND.format(error=error))
    for number in range(3):
        assert script.line() == f"started {number}"
        script.process.stdin.write("\n")
        script.process.stdin.flush()
    assert script.line() == "alive"
    script.process.stdin.close()
    assert script.process.wait() == 0


WEBHOOKS = """
    import json, sys
    import rtms_gevent as rtms

    @rtms.on_webhook_event
    def handle(payload):
        print("handled", payload["event"], flush=True)
        raise {error}

    rtms.run()
    print("over", flush=True)
"""


@pytest.mark.parametrize("error", ["SystemExit(3)", "GeneratorExit"])
def test_in_a_handler_of_webhooks(error):
    script = Script(
        WEBHOOKS.format(error=error),
        ZM_RTMS_PORT=str(port := unused_port()),
        ZM_RTMS_WEBHOOK_SECRET="hook",
    )
    with Simulator(
        "empty", webhook_url=f"http://127.0.0.1:{port}/rtms/webhook", webhook_secret="hook"
    ) as simulator:
        for _ in range(2):
            meeting = simulator.add_meeting()
            assert wait_until(meeting.start, 10) == 200
            assert script.line() == "handled meeting.rtms_started"
    script.process.terminate()
    assert script.line() == "over"
    with gevent.Timeout(10):
        script.process.wait()


CTRL_C = """
    import json, sys
    import rtms_gevent as rtms

    client = rtms.Client()

    @client.on_audio_data
    def audio(*_):
        print("called", flush=True)
        while True:
            pass

    client.join(json.loads(sys.argv[1]), client=sys.argv[2], secret=sys.argv[3])
    try:
        client.wait()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_ctrl_c_in_a_callback_ends_the_program(simulator, meeting):
    script = Script.joining(simulator, CTRL_C)
    assert meeting.wait_ready(10)
    meeting.send_audio(b"x")
    assert script.line() == "called"
    script.process.send_signal(signal.SIGINT)
    assert script.line() == "interrupted"
    with gevent.Timeout(10):
        script.process.wait()


def test_a_callback_that_always_fails_does_not_fill_the_log(join, meeting, client, caplog):
    client.on_audio_data(lambda data, size, timestamp, metadata: 1 / 0)
    join()
    reported = []

    def keep(sender, error, **_):
        reported.append(error)

    with signals.error.connected_to(keep, sender=client):
        for _ in range(1500):
            wait_until(lambda: meeting.send_audio(b"x"))
        wait_until(lambda: client.stats().media["audio"].failed == 1500)
    records = [record for record in caplog.records if "on_audio_data" in record.getMessage()]
    assert len(records) == 6
    assert sum(record.exc_info is not None for record in records) == 5
    assert "1000 times" in records[-1].getMessage()
    assert all(meeting.stream_id[:12] in record.getMessage() for record in records)
    assert len(reported) == 1500  # who wants each of them has the signal

"""run() and stop(): in this process, in scripts, and across threads."""

from __future__ import annotations

import signal
import threading

import gevent
import pytest
from gevent import monkey
from gevent.event import Event
from support.recorder import Recorder, wait_until
from support.script import Script

import rtms_gevent as rtms
from rtms_gevent.loop import EventLoop, run_soon
from rtms_gevent.runtime import exit as process_exit
from rtms_gevent.runtime import hub_context

SCRIPT = """
    import json, sys
    {patch}
    import rtms_gevent as rtms

    client = rtms.Client()

    @client.on_audio_data
    def audio(data, size, timestamp, metadata):
        print("audio", data.decode(), flush=True)

    @client.on_join_confirm
    def joined(reason):
        print("joined", reason, flush=True)

    client.join(json.loads(sys.argv[1]), client=sys.argv[2], secret=sys.argv[3])
    rtms.run(stop_on_empty={stop_on_empty})
    print("ran", flush=True)
"""


@pytest.mark.parametrize(
    "patch", ["", "from gevent import monkey; monkey.patch_all()"], ids=["plain", "patched"]
)
@pytest.mark.parametrize("end", ["SIGINT", "SIGTERM", "meeting"])
def test_the_same_script_plain_and_patched(patch, end, simulator, meeting):
    code = SCRIPT.format(patch=patch, stop_on_empty=end == "meeting")
    script = Script.joining(simulator, code)
    assert script.line() == "joined 0"
    assert meeting.wait_ready(5)
    meeting.send_audio(b"hello")
    assert script.line() == "audio hello"
    connections = meeting.connections("all_sockets")
    if end == "meeting":
        meeting.stop(6)
    else:
        script.process.send_signal(getattr(signal, end))
    assert "ran" in script.finish()
    if end != "meeting":
        # It left with close frames, and not by dying.
        for connection in connections:
            assert connection.ended.wait(5)
            assert connection.client_close_code == 1000


def test_a_signal_that_comes_while_something_is_logged():
    """Python's buffered files cannot be entered twice: to log it fails then."""
    code = """
        import logging
        import signal
        import gevent
        import rtms_gevent as rtms

        class Busy(logging.Handler):
            def emit(self, record):
                raise RuntimeError("reentrant call")

        logger = logging.getLogger("rtms_gevent")
        logger.addHandler(Busy())
        logger.setLevel(logging.INFO)

        def interrupted():
            try:
                signal.raise_signal(signal.SIGTERM)
            except RuntimeError as problem:
                print(problem, flush=True)

        gevent.spawn(interrupted)
        rtms.run()
        print("ran", flush=True)
    """
    script = Script(code)
    assert script.line() == "reentrant call"
    assert script.line() == "ran"
    script.finish()


def test_run_and_stop_in_this_process(simulator, meeting, client):
    recorder = Recorder(client, "audio_data")
    client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
    running = gevent.spawn(rtms.run)
    client.wait_joined()
    assert meeting.wait_ready(5)
    meeting.send_audio(b"x")
    recorder.wait_for("audio_data")
    rtms.stop()
    running.get(timeout=5)
    assert client.wait(0).by_us


class TestStopBeforehand:
    """As by a signal that comes while the program still sets itself up."""

    def test_run_and_stop(self):
        code = """
            import signal
            import gevent
            import rtms_gevent as rtms

            signal.signal(signal.SIGTERM, lambda *_: rtms.stop())
            signal.raise_signal(signal.SIGTERM)
            rtms.run()
            rtms.stop()
            print("ran", flush=True)
            gevent.spawn_later(0.01, print, "runs again", flush=True)
            rtms.run()
        """
        script = Script(code)
        assert script.line() == "ran"
        assert script.line() == "runs again"  # what came between them does nothing
        script.process.send_signal(signal.SIGTERM)
        script.finish()

    def test_a_loop(self):
        loop = EventLoop(name="t")
        loop.stop()
        gevent.spawn(loop.run).get(timeout=5)
        loop.stop()
        running = gevent.spawn(loop.run)
        gevent.sleep(0)
        assert not running.dead
        loop.stop()
        running.get(timeout=5)


class TestCallbacksUnderWayAtTheEnd:
    """A function that waits when its stream is left comes to its end."""

    @pytest.fixture
    def running(self, simulator, meeting, client):
        """A loop that runs here, whose client's callback waits for ``go``."""
        loop = EventLoop(name="t")
        loop.add(client)
        go, reported = Event(), []

        @client.on_audio_data
        def audio(data, size, timestamp, metadata):
            reported.append("begun")
            try:
                go.wait()
                reported.append("done")
            finally:
                reported.append("finally")

        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        greenlet = gevent.spawn(loop.run)
        wait_until(lambda: client.is_joined)
        assert meeting.wait_ready(5)
        meeting.send_audio(b"x")
        wait_until(lambda: reported)
        loop.stop()
        return greenlet, client, go, reported

    def test_it_is_waited_for(self, running, meeting, caplog):
        greenlet, _, go, reported = running
        wait_until(lambda: not meeting.connections("all_sockets"))
        assert not greenlet.dead
        go.set()
        greenlet.get(timeout=5)
        assert reported == ["begun", "done", "finally"]
        assert "killed" not in caplog.text

    def test_but_not_for_ever(self, running, caplog, monkeypatch):
        monkeypatch.setattr(process_exit, "CALLBACK_SHUTDOWN_TIMEOUT", 0.01)
        greenlet, client, _, reported = running
        greenlet.get(timeout=5)
        assert reported == ["begun", "finally"]
        (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
        assert warning.getMessage() == (
            f"rtms {client.stream_id()[:12]}: functions that had not come to their end 0.01 s "
            "after leaving were killed: 1"
        )


def test_stop_from_a_native_thread():
    running = gevent.spawn(rtms.run)
    gevent.sleep(0)
    threading.Thread(target=rtms.stop).start()
    running.get(timeout=5)


def test_stop_on_empty_returns_when_the_last_stream_is_over(simulator, meeting, client):
    client.on_audio_data(print)
    client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
    running = gevent.spawn(rtms.run, stop_on_empty=True)
    client.wait_joined()
    assert not running.dead
    assert meeting.wait_ready(5)
    meeting.stop(6)
    running.get(timeout=5)
    rtms.run(stop_on_empty=True)  # nothing is left


def test_a_failed_join_does_not_keep_run_going(meeting, client):
    client.on_audio_data(print)
    client.join(meeting.payload, client="wrong", secret="wrong")
    gevent.spawn(rtms.run, stop_on_empty=True).get(timeout=5)


class TestRunSoon:
    def test_in_a_greenlet_it_is_this_hub(self):
        done = []
        gevent.spawn(run_soon, lambda: done.append(gevent.get_hub()))
        wait_until(lambda: done)
        assert done == [gevent.get_hub()]

    def test_from_a_thread_it_is_the_hub_that_run_drives(self):
        running = gevent.spawn(rtms.run)
        gevent.sleep(0)
        done = []
        threading.Thread(target=run_soon, args=(lambda: done.append(gevent.get_hub()),)).start()
        wait_until(lambda: done)
        assert done == [gevent.get_hub()]
        rtms.stop()
        running.get(timeout=5)

    def test_else_it_is_a_background_thread(self, simulator, meeting):
        """As in a WSGI server that gevent does not serve."""
        client = rtms.Client()
        recorder = Recorder(client, "audio_data")
        threads = []

        def work():
            threads.append(threading.get_ident())
            client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)

        assert not hub_context._running
        thread = threading.Thread(target=run_soon, args=(work,))
        thread.start()
        wait_until(lambda: client.is_joined)
        assert threads[0] not in (threading.get_ident(), thread.ident)
        assert meeting.wait_ready(5)
        meeting.send_audio(b"x")
        recorder.wait_for("audio_data")
        # From this thread, which is not the stream's; in a greenlet, since the simulator, which
        # must answer, shares our hub.
        gevent.get_hub().threadpool.apply(client.leave)
        assert client.wait(0).by_us

    def test_what_fails_is_logged(self, caplog):
        def fails():
            raise RuntimeError("in the background")

        gevent.spawn(run_soon, fails)
        wait_until(lambda: "in the background" in caplog.text)


class TestEventLoop:
    def test_start_and_stop_leave_nothing_behind(self):
        import os

        def descriptors():
            return len(os.listdir("/proc/self/fd"))

        EventLoop(name="warm").start().stop()
        before = descriptors()
        for _ in range(5):
            loop = EventLoop(name="t").start()
            done = Event()
            hub = gevent.get_hub()
            loop.spawn(lambda hub=hub, done=done: hub.loop.run_callback_threadsafe(done.set))
            assert done.wait(5)
            loop.stop()
        wait_until(lambda: descriptors() <= before)

    def test_it_is_a_real_thread_with_a_hub_of_its_own(self):
        seen = []
        loop = EventLoop(name="t").start()
        loop.spawn(
            lambda: seen.append((gevent.get_hub(), monkey.get_original("_thread", "get_ident")()))
        )
        wait_until(lambda: seen)
        assert seen[0][0] is not gevent.get_hub()
        assert seen[0][1] != threading.get_ident()
        loop.stop()
        wait_until(lambda: not loop.is_running)


@pytest.mark.parametrize(
    ("patch", "where", "reported"),
    [
        ("from gevent import monkey; monkey.patch_all()", "", True),
        ("from gevent import monkey; monkey.patch_all()", "rtms.EventLoop().start().add", False),
        ("", "", False),
    ],
    ids=["patched", "patched, callbacks beside the hub", "plain"],
)
def test_a_driver_that_would_block_the_hub_is_named(patch, where, reported, simulator, meeting):
    code = f"""
    {patch}
    import json, sys, types
    import rtms_gevent as rtms

    driver = types.ModuleType("psycopg2.extensions")
    driver.get_wait_callback = lambda: None
    sys.modules["psycopg2.extensions"] = driver
    for number in range(2):
        client = rtms.Client()
        client.on_audio_data(print)
        ({where or "id"})(client)
        client.join(json.loads(sys.argv[1]), client=sys.argv[2], secret=sys.argv[3])
        client.wait_joined()
        client.leave()
    """
    script = Script.joining(simulator, code)
    script.finish()
    assert script.err.count("psycopg2 is loaded") == reported


@pytest.mark.parametrize(
    ("executor", "same"), [("gevent.threadpool", False), ("concurrent.futures", True)]
)
def test_only_gevents_executor_has_real_threads_in_a_patched_process(
    executor, same, simulator, meeting
):
    code = f"""
    from gevent import monkey; monkey.patch_all()
    import json, sys
    from {executor} import ThreadPoolExecutor
    import rtms_gevent as rtms

    thread = monkey.get_original("_thread", "get_ident")
    hub, heard = thread(), []
    client = rtms.Client(executor=ThreadPoolExecutor(2))
    client.on_audio_data(lambda data, *_: heard.append((data, thread() == hub)))
    client.join(json.loads(sys.argv[1]), client=sys.argv[2], secret=sys.argv[3])
    client.wait()
    assert [data for data, _ in heard] == [bytes([number]) for number in range(200)]
    print(set(same for _, same in heard))
    """
    script = Script.joining(simulator, code)
    assert meeting.wait_ready(10)
    for number in range(200):
        meeting.send_audio(bytes([number]))
    meeting.stop(6)
    assert script.finish()[0] == str({same})

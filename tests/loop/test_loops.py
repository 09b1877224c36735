"""EventLoop and EventLoopPool: hubs in threads, and which stream lives on which."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import gevent
import pytest
from gevent import monkey
from support.recorder import Recorder, wait_until

import rtms_gevent as rtms
from rtms_gevent import Client, EventLoop, UsageError
from rtms_gevent.simulator import Simulator

from .listener import Listener, native_thread


def in_thread(function, *arguments):
    """Run in a native thread, waiting cooperatively: the simulator shares our hub."""
    return gevent.get_hub().threadpool.apply(function, arguments)


@pytest.fixture
def loop():
    made = EventLoop(name="test")
    yield made
    made.stop()
    made.join(5)
    assert not made.is_running


def native_wait(flag):
    """Block the thread, as a call would that gevent knows nothing of."""
    while not flag.is_set():
        monkey.get_original("time", "sleep")(0.01)


class TestEventLoop:
    def test_a_callback_may_block_its_thread_and_the_stream_lives_on(self, loop):
        """For longer than a server waits for the answers to its keep-alives, several times."""
        blocked, go = threading.Event(), threading.Event()
        with Simulator("empty", keep_alive=0.05) as simulator:
            meeting = simulator.meeting
            client = Client()
            got = []

            @client.on_audio_data
            def blocks(data, *_):
                got.append(data)
                blocked.set()
                native_wait(go)

            reported = Recorder(client, "interrupted", "leave")
            loop.start()
            loop.add(client)
            client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
            assert meeting.wait_ready(5)
            meeting.send_audio(b"1")
            wait_until(blocked.is_set)
            (connection,) = meeting.connections("signaling")
            asked = connection.keep_alives_sent
            wait_until(lambda: connection.keep_alives_sent > asked + 9)
            assert connection.unanswered_keep_alives <= 1
            meeting.send_audio(b"2")
            go.set()
            wait_until(lambda: got == [b"1", b"2"])
            assert client.is_joined
            assert not reported.calls

    def test_receivers_and_functions_of_the_user_run_with_the_callbacks(
        self, loop, simulator, meeting
    ):
        threads = {}

        def note(name):
            threads[name] = native_thread()

        def receiver(sender, **_):
            note("receiver")

        listener = Listener()
        listener.client.on_join_confirm(lambda _: note("event"))
        loop.start()
        loop.add(listener.client)
        loop.spawn(note, "function")
        with rtms.signals.audio_data.connected_to(receiver, sender=listener.client):
            listener.join(simulator, meeting)
            assert meeting.wait_ready(5)
            meeting.send_audio(b"x")
            wait_until(lambda: "receiver" in threads and "event" in threads)
            wait_until(lambda: "function" in threads)
        threads["callback"] = listener.heard[0][1]
        assert len(set(threads.values())) == 1
        assert native_thread() not in threads.values()

    def test_a_stream_that_a_callback_joins_lives_on_the_same_loop(self, loop, simulator, meeting):
        other = simulator.add_meeting()
        first, second = Listener(), Listener()

        @first.client.on_join_confirm
        def join_another(_):
            second.join(simulator, other)

        loop.start()
        loop.add(first.client)
        first.join(simulator, meeting)
        wait_until(lambda: second.client.is_joined)
        assert loop.client_count == 2
        with pytest.raises(UsageError, match="lives on|begun to join"):
            EventLoop().add(second.client)

    @pytest.mark.parametrize("order", ["add first", "join first"])
    @pytest.mark.parametrize("state", ["running", "not yet running"])
    def test_add_and_join_in_any_order(self, order, state, loop, simulator, meeting):
        listener = Listener()
        if state == "running":
            loop.start()
        steps = [lambda: loop.add(listener.client), lambda: listener.join(simulator, meeting)]
        for step in steps if order == "add first" else reversed(steps):
            step()
        assert loop.client_count == 1
        if state != "running":
            assert not listener.client.is_joined
            loop.start()
        wait_until(lambda: listener.client.is_joined)
        assert meeting.wait_ready(5)
        meeting.send_audio(b"x")
        wait_until(lambda: listener.heard)
        assert listener.heard[0][1] != native_thread()
        meeting.stop(6)
        wait_until(lambda: loop.client_count == 0)

    def test_methods_from_other_threads(self, loop, simulator, meeting):
        listener = Listener()
        loop.start()
        in_thread(loop.add, listener.client)
        in_thread(listener.join, simulator, meeting)
        in_thread(listener.client.wait_joined, 5)
        assert meeting.wait_ready(5)
        in_thread(listener.client.subscribe_event, [2, 3])
        wait_until(lambda: any(m["msg_type"] == 5 for m in meeting.received))
        in_thread(listener.client.leave)
        assert in_thread(listener.client.wait, 5).by_us

    def test_stop_leaves_all_streams_cleanly(self, loop, simulator, meeting):
        listener = Listener()
        loop.start()
        loop.add(listener.client)
        listener.join(simulator, meeting)
        assert meeting.wait_ready(5)
        connections = meeting.connections("all_sockets")
        loop.stop()
        loop.join(5)
        for connection in connections:
            assert connection.ended.wait(5)
            assert connection.client_close_code == 1000
        assert listener.client.wait(0).by_us
        assert listener.client.leave() is True

    def test_streams_can_be_handed_over_before_it_leaves_them(self, loop, simulator, meeting):
        client, seen = Client(), []
        loop.start()
        loop.add(client)
        client.on_audio_data(print)
        client.on_end(seen.append)

        def hand_over():
            seen.append((client.is_joined, loop.context.is_ending))
            client.hand_over()

        loop.context.before_leaving(hand_over)
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        assert meeting.wait_ready(5)
        loop.stop()
        in_thread(loop.join, 5)
        assert seen[0] == (True, False)
        assert [str(reason) for reason in seen[1:]] == ["another worker goes on with the stream"]

    def test_run_here_until_empty(self, loop, simulator, meeting):
        listener = Listener()
        loop.add(listener.client)
        listener.join(simulator, meeting)
        running = gevent.spawn(loop.run, stop_on_empty=True)
        assert meeting.wait_ready(5)
        meeting.send_audio(b"x")
        wait_until(lambda: listener.heard)
        assert listener.heard == [(b"x", native_thread())]
        meeting.stop(6)
        running.get(timeout=5)

    def test_two_loops_in_two_threads(self, simulator):
        """The official SDK crashes here."""
        loops = [EventLoop(name=str(number)).start() for number in range(2)]
        listeners = [Listener() for _ in loops]
        meetings = [simulator.meeting, simulator.add_meeting()]
        for loop, listener, meeting in zip(loops, listeners, meetings, strict=True):
            loop.add(listener.client)
            listener.join(simulator, meeting)
        for meeting in meetings:
            assert meeting.wait_ready(5)
            for number in range(50):
                meeting.send_audio(b"%d" % number)
        for listener in listeners:
            wait_until(lambda listener=listener: len(listener.heard) == 50)
            assert [data for data, _ in listener.heard] == [b"%d" % n for n in range(50)]
        threads = {thread for listener in listeners for _, thread in listener.heard}
        assert len(threads) == 2
        for loop in loops:
            loop.stop()
            loop.join(5)

    def test_a_stream_never_moves(self, loop, simulator, meeting, client):
        client.on_audio_data(print)
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        client.wait_joined()
        with pytest.raises(UsageError, match="another loop"):
            loop.add(client)

    def test_it_runs_once_at_a_time_and_again(self, loop):
        loop.start()
        with pytest.raises(UsageError, match="runs already"):
            loop.start()
        loop.stop()
        loop.join(5)
        loop.start()
        assert loop.is_running

    def test_waiting_on_a_loop_that_does_not_run_says_so(self, loop, simulator, meeting):
        listener = Listener()
        loop.add(listener.client)
        listener.join(simulator, meeting)
        with pytest.raises(rtms.NotJoinedError, match="does not run"):
            listener.client.wait_joined()
        assert listener.client.leave()
        assert loop.client_count == 0

    def test_leaving_before_the_loop_runs(self, loop, simulator, meeting):
        listener = Listener()
        loop.add(listener.client)
        listener.join(simulator, meeting)
        listener.client.leave()
        loop.start()
        loop.stop()
        loop.join(5)
        assert not meeting.received

    def test_threads_leave_nothing_behind(self):
        def descriptors():
            return len(os.listdir("/proc/self/fd"))

        def once():
            loop = EventLoop().start()
            loop.stop()
            loop.join(5)

        once()
        before = descriptors()
        for _ in range(10):
            once()
        wait_until(lambda: descriptors() <= before)

    def test_in_a_patched_process(self):
        """A real thread, also where threading is monkey-patched; its streams, from end to end."""
        code = textwrap.dedent(
            """
            from gevent import monkey; monkey.patch_all()
            import threading, gevent
            import rtms_gevent as rtms
            from rtms_gevent.simulator import Simulator

            get_ident = monkey.get_original("_thread", "get_ident")
            heard = []
            with Simulator("empty") as simulator:
                loop = rtms.EventLoop(name="real").start()
                client = rtms.Client()
                client.on_audio_data(lambda *a: heard.append(get_ident()))
                loop.add(client)
                client.join(simulator.meeting.payload, client=simulator.client_id,
                            secret=simulator.client_secret, allowed_hosts="127.0.0.1")
                client.wait_joined(10)
                assert simulator.meeting.wait_ready(10)
                simulator.meeting.send_audio(b"x")
                with gevent.Timeout(10):
                    while not heard:
                        gevent.sleep(0.01)
                client.leave()
                loop.stop()
                loop.join(10)
            assert heard and heard[0] != get_ident()
            print("done")
            """
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=50
        )
        assert done.stdout == "done\n", done.stderr


def test_clients_joined_in_other_threads_go_to_run(simulator, meeting):
    """As from the threads of a WSGI server."""
    listener = Listener()
    running = gevent.spawn(rtms.run)
    gevent.sleep(0)
    in_thread(listener.join, simulator, meeting)
    assert meeting.wait_ready(5)
    meeting.send_audio(b"x")
    wait_until(lambda: listener.heard)
    assert listener.heard[0][1] == native_thread()
    rtms.stop()
    running.get(timeout=5)


def test_in_thread_runs_in_another_thread():
    """The helper above really is another thread."""
    assert in_thread(native_thread) != native_thread()

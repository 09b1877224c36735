"""Callbacks in executors: order, bounds, and clear errors."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import gevent
import pytest
from support.recorder import wait_until

import rtms_gevent as rtms
from rtms_gevent import Client, ConfigurationError, Inboxes, InboxLimits, UsageError, signals


@pytest.fixture
def executor():
    with ThreadPoolExecutor(max_workers=4) as made:
        yield made


def test_callbacks_run_in_its_threads_in_order(executor, join, meeting):
    got, threads = [], set()

    def keep(data, size, timestamp, metadata):
        got.append(data)
        threads.add(threading.get_ident())

    with Client(executor) as client:
        client.on_audio_data(keep)
        join(client)
        for number in range(500):
            meeting.send_audio(b"%d" % number)
        wait_until(lambda: len(got) == 500)
    assert got == [b"%d" % number for number in range(500)]
    assert threading.get_ident() not in threads


def test_media_types_run_beside_each_other(executor, join, meeting):
    go = threading.Event()
    heard = []
    with Client(executor) as client:
        client.on_video_data(lambda *_: go.wait(10))
        client.on_audio_data(lambda data, *_: heard.append(data))
        join(client)
        meeting.send_video(b"v")
        meeting.send_audio(b"a")
        wait_until(lambda: heard)
        go.set()


def test_join_confirm_comes_before_media(executor, join, meeting):
    order = []
    with Client(executor) as client:
        client.on_join_confirm(lambda reason: order.append("joined"))
        client.on_audio_data(lambda *_: order.append("audio"))
        join(client)
        meeting.send_audio(b"x")
        wait_until(lambda: len(order) == 2)
    assert order == ["joined", "audio"]


def test_leave_from_inside_a_callback(executor, join, meeting):
    done = threading.Event()
    client = Client(executor)

    @client.on_audio_data
    def leave(*_):
        client.leave()
        done.set()

    join(client)
    meeting.send_audio(b"1")
    wait_until(done.is_set)
    assert client.wait(5).by_us


def test_wait_in_a_callback_says_that_it_would_wait_for_itself(executor, join, meeting):
    problems = []
    with Client(executor) as client:

        @client.on_audio_data
        def waits(*_):
            try:
                client.wait()
            except UsageError as problem:
                problems.append(problem)

        join(client)
        meeting.send_audio(b"x")
        wait_until(lambda: problems)


def test_what_does_not_fit_waits_where_it_is_bounded_and_counted(executor, join, meeting):
    go, entered = threading.Event(), threading.Event()
    got = []

    def slow(data, *_):
        entered.set()
        go.wait(10)
        got.append(data)

    few = Inboxes(audio=InboxLimits(packets=100, size=1000))
    with Client(executor, inboxes=few) as client:
        client.on_audio_data(slow)
        join(client)
        meeting.send_audio(b"first")
        wait_until(entered.is_set)
        for number in range(50):
            meeting.send_audio(bytes([number]) * 100)
        wait_until(lambda: client.dropped["audio"] == 40)
        go.set()
        wait_until(lambda: len(got) == 11)


def test_exceptions_are_reported_as_ever(executor, join, meeting, caplog):
    reported = []

    def keep(sender, error, where, **_):
        reported.append((str(error), where))

    with Client(executor) as client, signals.error.connected_to(keep, sender=client):

        @client.on_audio_data
        def fails(*_):
            raise RuntimeError("in the pool")

        join(client)
        meeting.send_audio(b"x")
        wait_until(lambda: reported)
        assert client.callback_errors == {"audio_data": 1}
    assert reported == [("in the pool", "on_audio_data")]
    assert "Traceback" in caplog.text


def test_an_executor_that_was_shut_down_says_so_once(join, meeting, caplog):
    executor = ThreadPoolExecutor(max_workers=1)
    reported = []

    def keep(sender, error, **_):
        reported.append(error)

    with Client(executor) as client, signals.error.connected_to(keep, sender=client):
        client.on_audio_data(lambda *_: None)
        join(client)
        executor.shutdown()
        for _ in range(10):
            meeting.send_audio(b"x")
        # Each packet counts, however many go to the executor at once.
        wait_until(lambda: client.callback_errors.get("audio_data", 0) == 10)
        meeting.send_audio(b"x")
        wait_until(lambda: client.callback_errors["audio_data"] == 11)
        audio = client.stats().media["audio"]
        assert (audio.received, audio.delivered, audio.dropped) == (11, 0, {"callback": 11})
    assert len(reported) == 1
    assert isinstance(reported[0], ConfigurationError)
    assert "shut it down after leaving" in str(reported[0])
    assert caplog.text.count("shut it down after leaving") == 1


def measure(data, size, timestamp, metadata):
    """A function that another process can import."""
    with open(metadata.userName, "ab") as file:
        file.write(data)


def test_processes(join, meeting, tmp_path):
    path = tmp_path / "written"
    with ProcessPoolExecutor(max_workers=1) as executor, Client(executor) as client:
        client.on_audio_data(measure)
        join(client)
        for number in range(5):
            meeting.send_audio(b"%d" % number, 1, str(path))
        wait_until(lambda: path.exists() and path.read_bytes() == b"01234", 20)


def test_a_function_that_cannot_go_to_another_process_is_an_error(join, meeting):
    with ProcessPoolExecutor(max_workers=1) as executor, Client(executor) as client:
        client.on_audio_data(lambda *_: None)
        join(client)
        meeting.send_audio(b"x")
        wait_until(lambda: client.callback_errors == {"audio_data": 1}, 20)
        assert client.stats().media["audio"].dropped == {"callback": 1}


class Refusing(Executor):
    def submit(self, *_, **__):
        raise OSError("no connection to the broker")


def test_an_executor_that_refuses_in_its_own_way_ends_nothing(join, meeting):
    reported = []

    def keep(sender, error, **_):
        reported.append(str(error))

    with Client(Refusing()) as client, signals.error.connected_to(keep, sender=client):
        client.on_audio_data(lambda *_: None)
        join(client)
        for _ in range(3):
            meeting.send_audio(b"x")
        wait_until(lambda: client.callback_errors == {"audio_data": 3})
        assert client.stats().media["audio"].dropped == {"callback": 3}
    assert len(reported) == 1
    assert "no connection to the broker" in reported[0]


def test_leaving_in_the_middle_of_a_batch_is_accounted_for(executor, join, meeting):
    got = []
    with Client(executor) as client:

        @client.on_audio_data
        def leave_at_the_third(*_):
            got.append(None)
            if len(got) == 3:
                client.leave()

        join(client)
        for _ in range(20):
            meeting.send_audio(b"x")
        wait_until(lambda: client.stats().media["audio"].delivered == 3)
        audio = client.stats().media["audio"]
        assert audio.received == audio.delivered + sum(audio.dropped.values())


class Inline(Executor):
    """An executor of the user's own."""

    def __init__(self):
        self.count = 0

    def submit(self, function, /, *arguments, **options):
        self.count += 1
        future = Future()
        future.set_result(function(*arguments, **options))
        return future


def test_any_executor(join, meeting):
    executor, got = Inline(), []
    with Client(executor) as client:
        client.on_audio_data(lambda data, *_: got.append(data))
        join(client)
        meeting.send_audio(b"x")
        wait_until(lambda: got)
    assert executor.count >= 1


def test_run_has_one_for_clients_without(executor, simulator, meeting, client):
    threads = []
    client.on_audio_data(lambda *_: threads.append(threading.get_ident()))
    client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
    running = gevent.spawn(rtms.run, executor=executor)
    assert meeting.wait_ready(5)
    meeting.send_audio(b"x")
    wait_until(lambda: threads)
    assert threads != [threading.get_ident()]
    rtms.stop()
    running.get(timeout=5)


@pytest.mark.parametrize("wrong", [5, "threads", ThreadPoolExecutor])
def test_what_is_no_executor(wrong):
    with pytest.raises(ConfigurationError, match=r"concurrent\.futures\.Executor"):
        Client(wrong)
    with pytest.raises(ConfigurationError, match=r"concurrent\.futures\.Executor"):
        rtms.run(executor=wrong)

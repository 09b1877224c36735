"""on_end: once for each join, the last of all, whatever the cause."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import gevent
import pytest
from gevent.event import Event
from support.rawserver import RawServer, hang, unused_port
from support.recorder import wait_until
from support.script import Script

import rtms_gevent as rtms
from rtms_gevent import (
    Client,
    ConnectError,
    ConnectionLost,
    EndedBeforeJoined,
    GaveUp,
    HandshakeRejected,
    Inboxes,
    InboxLimits,
    InboxOverflow,
    JoinTimeout,
    LeaveReason,
    OverflowPolicy,
    Reconnect,
    UsageError,
    signals,
)
from rtms_gevent.delivery.callbacks import PARAMETERS
from rtms_gevent.loop import EventLoop
from rtms_gevent.runtime import exit as process_exit
from rtms_gevent.simulator import Simulator

NEVER = Reconnect(enabled=False)
BRIEF = Reconnect(signaling_window=0.2, media_window=0.2, base_delay=0.01, max_delay=0.02)


class Journal:
    """Notes what a client calls, and whether it has returned."""

    def __init__(self, client):
        self.calls = []
        self.running = 0
        self.reasons = []
        for name in PARAMETERS:
            getattr(client, f"on_{name}")(self._noting(name))
        signals.left.connect(self._left, sender=client)

    def _noting(self, name):
        def note(*arguments):
            if name == "end":
                assert self.running == 0
                self.reasons.append(arguments[0])
            self.calls.append(name)
            self.running += 1
            gevent.sleep(0)  # what would come beside it may come now
            self.running -= 1

        return note

    def _left(self, sender, reason, **_):
        assert self.running == 0
        assert reason is self.reasons[-1]
        self.calls.append("left")


class Case:
    """What a cause has at hand."""

    def __init__(self, simulator, client):
        self.simulator, self.meeting, self.client = simulator, simulator.meeting, client
        self.credentials = {"client": simulator.client_id, "secret": simulator.client_secret}

    def begin(self, **options):
        self.client.join(self.meeting.started_event, **{**self.credentials, **options})

    def join(self):
        self.client.enable_audio()
        self.begin()
        wait_until(lambda: self.client.is_joined)  # not wait_joined(): this hub may be another one
        assert self.meeting.wait_ready(5)

    def join_at(self, url, **options):
        self.client.join(
            meeting_uuid="u", rtms_stream_id="s", server_urls=url, **self.credentials, **options
        )


def stopped(case):
    case.join()
    case.meeting.send_audio(b"x")
    case.meeting.stop(6)


def told_by_webhook(case):
    case.join()
    payload = {**case.meeting.payload, "stop_reason": 6}
    case.client.notify({"event": "meeting.rtms_stopped", "payload": payload})


def nobody_listens(case):
    case.join_at(f"ws://127.0.0.1:{unused_port()}")


def refused(case):
    case.begin(secret="wrong")


def no_answer(case):
    def script(peer):
        peer.upgrade()
        hang(peer)

    with RawServer(script) as server:
        case.join_at(server.url(), timeout=50)
        case.client.wait(10)


def stopped_before_it_joined(case):
    with RawServer(hang) as server:
        case.join_at(server.url())
        wait_until(lambda: case.client._session is not None)
        payload = {"rtms_stream_id": "s", "meeting_uuid": "u", "stop_reason": 6}
        case.client.notify({"event": "meeting.rtms_stopped", "payload": payload})
        case.client.wait(10)


def lost(case):
    case.join()
    case.meeting.reset_sockets("signaling")


def given_up(case):
    with Simulator("empty") as other:
        Case(other, case.client).join()


def too_slow(case):
    go = Event()
    case.client.on_audio_data(lambda *_: go.wait())
    case.join()
    for _ in range(10):
        case.meeting.send_audio(b"x")
    wait_until(lambda: case.client._session.end is not None)
    go.set()


def left(case):
    case.join()
    case.client.leave()


def left_with_media_waiting(case):
    case.join()
    for _ in range(50):
        case.meeting.send_audio(b"x")
        case.meeting.send_transcript("x")
    case.client.leave()


def left_and_closed(case):
    case.join()
    case.client.leave(close_stream=True)


def left_with_the_other_name(case):
    case.join()
    case.client.stop()


def left_twice_at_once(case):
    case.join()
    gevent.joinall([gevent.spawn(case.client.leave) for _ in range(3)])


def left_in_another_thread(case):
    case.join()
    thread = threading.Thread(target=case.client.leave)
    thread.start()
    wait_until(lambda: not thread.is_alive())


def left_by_with(case):
    with case.client:
        case.join()


def left_while_joining(case):
    with RawServer(hang) as server:
        case.join_at(server.url())
        wait_until(lambda: case.client._session is not None)
        case.client.leave()


def left_at_once(case):
    case.begin()
    case.client.leave()


def left_while_reconnecting(case):
    case.join()
    case.meeting.reset_sockets("signaling")
    wait_until(lambda: not case.client.is_joined)
    case.client.leave()


def left_and_cut_short(case):
    case.join()
    with gevent.Timeout(0.00001, False):
        case.client.leave()
        gevent.sleep(1)  # where leaving was quicker: the time limit ends this, too


def left_in(name, trigger):
    def cause(case):
        journalled = case.client._callbacks.get(name)

        def callback(*arguments):
            case.client.leave()
            journalled(*arguments)

        getattr(case.client, f"on_{name}")(callback)
        case.join() if name != "join_confirm" else case.begin()
        trigger(case.meeting)

    return cause


def left_in_a_receiver(case):
    signals.audio_data.connect(lambda client, **_: client.leave(), sender=case.client)
    case.join()
    case.meeting.send_audio(b"x")


def the_loop_stops(case):
    loop = EventLoop().start()
    loop.add(case.client)
    case.join()
    loop.stop()
    wait_until(lambda: not loop.is_running)


def run_is_stopped(case):
    running = gevent.spawn(rtms.run)
    case.join()
    rtms.stop()
    running.get(timeout=10)


def by_us(reason):
    return reason.by_us and reason.error is None


def by_us_before(reason):
    return reason.by_us and not reason.was_joined


def of_zoom(reason):
    return reason.stop_reason == reason.code == 6 and not reason.by_us


def failed(error, *, was_joined):
    def check(reason):
        return isinstance(reason.error, error) and reason.was_joined is was_joined

    return check


CAUSES = [
    (stopped, {}, of_zoom),
    (told_by_webhook, {}, of_zoom),
    (nobody_listens, {}, failed(ConnectError, was_joined=False)),
    (refused, {}, failed(HandshakeRejected, was_joined=False)),
    (no_answer, {}, failed(JoinTimeout, was_joined=False)),
    (stopped_before_it_joined, {}, failed(EndedBeforeJoined, was_joined=False)),
    (lost, {"reconnect": NEVER}, failed(ConnectionLost, was_joined=True)),
    (given_up, {"reconnect": BRIEF}, failed(GaveUp, was_joined=True)),
    (
        too_slow,
        {"inboxes": Inboxes(audio=InboxLimits(packets=3, when_full=OverflowPolicy.FAIL))},
        failed(InboxOverflow, was_joined=True),
    ),
    (left, {}, by_us),
    (left_with_media_waiting, {}, by_us),
    (left_and_closed, {}, by_us),
    (left_with_the_other_name, {}, by_us),
    (left_twice_at_once, {}, by_us),
    (left_in_another_thread, {}, by_us),
    (left_by_with, {}, by_us),
    (left_while_joining, {}, by_us_before),
    (left_at_once, {}, by_us_before),
    (left_while_reconnecting, {}, by_us),
    (left_and_cut_short, {}, by_us),
    (left_in("join_confirm", lambda meeting: None), {}, by_us),
    (left_in("audio_data", lambda meeting: meeting.send_audio(b"x")), {}, by_us),
    (left_in("event_ex", lambda m: m.send_event({"event_type": 1}, to_all=True)), {}, by_us),
    (left_in("leave", lambda meeting: meeting.stop(6)), {}, of_zoom),
    (left_in("end", lambda meeting: meeting.stop(6)), {}, of_zoom),
    (left_in_a_receiver, {}, by_us),
    (the_loop_stops, {}, by_us),
    (run_is_stopped, {}, by_us),
]


@pytest.mark.parametrize(
    ("cause", "options", "expected"),
    CAUSES,
    ids=[f"{number}-{cause.__name__}" for number, (cause, *_) in enumerate(CAUSES)],
)
def test_it_comes_once_and_last(cause, options, expected, simulator):
    with Client(**options) as client:
        journal = Journal(client)
        cause(Case(simulator, client))
        reason = client.wait(10)
        assert isinstance(reason, LeaveReason)
        assert journal.calls[-2:] == ["end", "left"]
    for _ in range(10):
        gevent.sleep(0.001)
    assert journal.calls.count("end") == journal.calls.count("left") == 1
    assert journal.calls[-2:] == ["end", "left"]
    assert journal.reasons == [reason]
    assert expected(reason), repr(reason)
    assert str(reason)
    assert client.callback_errors == {}


def test_each_join_has_its_own(simulator, client):
    journal = Journal(client)
    case = Case(simulator, client)
    for cause in (refused, left, nobody_listens, stopped):
        cause(case)
        client.wait(10)
    assert journal.calls.count("end") == 4
    assert [reason.by_us for reason in journal.reasons] == [False, True, False, False]


def test_it_may_join_again(simulator, client):
    case, ends = Case(simulator, client), []

    @client.on_end
    def end(reason):
        ends.append(reason)
        if len(ends) == 1:
            case.begin()

    refused(case)
    wait_until(lambda: client.is_joined)
    assert isinstance(ends[0].error, HandshakeRejected)
    client.leave()
    assert [reason.by_us for reason in ends] == [False, True]


class TestCallbacksThatRun:
    """They come first, and hold up nobody but the end."""

    @pytest.fixture
    def held(self, client):
        entered, go = Event(), Event()
        calls = []

        @client.on_audio_data
        def audio(*_):
            entered.set()
            try:
                go.wait()
            finally:
                calls.append("audio")

        client.on_end(lambda reason: calls.append("end"))
        signals.left.connect(lambda *_, **__: calls.append("left"), sender=client)
        return entered, go, calls

    def test_leave_does_not_wait_for_them(self, held, join, meeting, client):
        entered, go, calls = held
        join()
        meeting.send_audio(b"x")
        assert entered.wait(5)
        client.leave()
        for _ in range(5):
            gevent.sleep(0)
        assert calls == []
        assert client.wait(0) is None
        go.set()
        assert client.wait(5).by_us
        assert calls == ["audio", "end", "left"]

    def test_zoom_ends_it_meanwhile(self, held, join, meeting, client):
        entered, go, calls = held
        join()
        meeting.send_audio(b"x")
        assert entered.wait(5)
        meeting.stop(6)
        wait_until(lambda: client._session.end is not None)
        assert calls == []
        go.set()
        assert client.wait(5).code == 6
        assert calls == ["audio", "end", "left"]

    def test_a_loop_that_ends_kills_them_and_it_comes_all_the_same(
        self, held, simulator, meeting, client, monkeypatch, caplog
    ):
        entered, _, calls = held
        monkeypatch.setattr(process_exit, "CALLBACK_SHUTDOWN_TIMEOUT", 0.01)
        running = gevent.spawn(rtms.run)
        Case(simulator, client).join()
        meeting.send_audio(b"x")
        assert entered.wait(5)
        rtms.stop()
        running.get(timeout=10)
        assert calls == ["audio", "end", "left"]
        assert "were killed: " in caplog.text


class TestLeaveWaitsForIt:
    def test_where_no_other_callback_runs(self, join, client):
        finished = []

        @client.on_end
        def end(reason):
            for _ in range(20):
                gevent.sleep(0.001)
            finished.append(reason)

        client.on_audio_data(print)
        join()
        client.leave()
        assert len(finished) == 1

    def test_and_run_for_as_long_as_it_takes(self, simulator, meeting, client, monkeypatch):
        monkeypatch.setattr(process_exit, "CALLBACK_SHUTDOWN_TIMEOUT", 0.0)
        finished = []

        @client.on_end
        def end(reason):
            for _ in range(20):
                gevent.sleep(0.001)
            finished.append(reason)

        client.on_leave(lambda reason: None)
        running = gevent.spawn(rtms.run, stop_on_empty=True)
        Case(simulator, client).join()
        meeting.stop(6)
        running.get(timeout=10)
        assert [reason.code for reason in finished] == [6]

    def test_inside_of_it_waiting_is_refused(self, join, meeting, client):
        caught = []

        @client.on_end
        def end(reason):
            with pytest.raises(UsageError, match="callback"):
                client.wait()
            assert client.leave() is True
            caught.append(reason)

        client.on_audio_data(print)
        join()
        meeting.stop(6)
        assert client.wait(5) is caught[0]


def test_one_that_raises(join, meeting, client, caplog):
    told = []

    @client.on_end
    def end(reason):
        raise KeyError("user's own")

    signals.error.connect(lambda _, error, where, **__: told.append((error, where)), sender=client)
    signals.left.connect(lambda *_, **__: told.append("left"), sender=client)
    client.on_audio_data(print)
    join()
    client.leave()
    (error, where), last = told
    assert (type(error), where, last) == (KeyError, "on_end", "left")
    assert client.callback_errors == {"end": 1}
    assert "callback on_end failed" in caplog.text


class TestWhere:
    """In a greenlet of its own, where the other callbacks run."""

    def threads(self, client):
        seen = {}
        for name in ("join_confirm", "end"):
            getattr(client, f"on_{name}")(
                lambda _, name=name: seen.setdefault(name, threading.get_ident())
            )
        signals.left.connect(
            lambda *_, **__: seen.setdefault("left", threading.get_ident()), sender=client
        )
        return seen

    def test_on_the_hub(self, simulator, client):
        seen = self.threads(client)
        left(Case(simulator, client))
        assert set(seen.values()) == {threading.get_ident()}
        assert set(seen) == {"join_confirm", "end", "left"}

    def test_beside_the_hub(self, simulator, client):
        seen = self.threads(client)
        loop = EventLoop().start()
        loop.add(client)
        Case(simulator, client).join()
        wait_until(lambda: seen)
        client.leave()
        stage_thread = loop.context.callback_thread.call(threading.get_ident)
        loop.stop()
        wait_until(lambda: not loop.is_running)
        assert seen == dict.fromkeys(("join_confirm", "end", "left"), stage_thread)

    @pytest.mark.parametrize("cause", [stopped, left, refused])
    def test_in_an_executor(self, cause, simulator):
        with (
            ThreadPoolExecutor(1, thread_name_prefix="pool") as pool,
            Client(executor=pool) as client,
        ):
            names = []
            client.on_end(lambda reason: names.append(threading.current_thread().name))
            cause(Case(simulator, client))
            client.wait(10)
        assert names == ["pool_0"]

    def test_an_executor_that_was_shut_down_before(self, simulator, caplog):
        pool = ThreadPoolExecutor(1)
        with Client(executor=pool) as client:
            threads = []
            client.on_end(lambda reason: threads.append(threading.get_ident()))
            Case(simulator, client).join()
            pool.shutdown()
        assert threads == [threading.get_ident()]
        assert "takes no more work" in caplog.text

    @pytest.mark.parametrize("end", ["stop", "cancel", "leave"])
    def test_on_the_asyncio_loop(self, end, simulator):
        async def main():
            client, ends = Client(), []

            @client.on_end
            async def ended(reason):
                await asyncio.sleep(0)
                ends.append((reason, asyncio.get_running_loop()))

            client.on_audio_data(lambda *_: None)
            joined = asyncio.Event()
            client.on_join_confirm(lambda reason: joined.set())
            client.join(
                simulator.meeting.payload,
                client=simulator.client_id,
                secret=simulator.client_secret,
            )
            running = asyncio.ensure_future(rtms.run_async(stop_on_empty=True))
            await joined.wait()
            if end == "stop":
                rtms.stop()
            elif end == "cancel":
                running.cancel()
            else:
                await asyncio.to_thread(client.leave)
            await asyncio.wait([running])
            ((reason, loop),) = ends
            assert reason.by_us
            assert loop is asyncio.get_running_loop()
            assert client.callback_errors == {}

        # The simulator lives on this thread's hub.
        thread = threading.Thread(target=lambda: asyncio.run(asyncio.wait_for(main(), 20)))
        thread.start()
        wait_until(lambda: not thread.is_alive(), 25)

    def test_a_loop_that_never_ran(self, meeting, simulator, caplog):
        client, ends = Client(), []

        @client.on_end
        def end(reason):
            ends.append((reason, threading.get_ident()))
            raise KeyError("user's own")

        EventLoop().add(client)
        Case(simulator, client).begin()
        assert client.leave() is True
        assert client.leave() is True
        ((reason, thread),) = ends
        assert (reason.by_us, reason.was_joined) == (True, False)
        assert thread == threading.get_ident()
        assert "callback on_end failed" in caplog.text


HEAD = """
    import json, os, sys, threading, time
    {patch}
    import gevent
    import rtms_gevent as rtms

    client = rtms.Client()
    client.on_audio_data(print)

    @client.on_end
    def end(reason):
        gevent.sleep(0.01)
        print("ended:", reason, flush=True)

    def join():
        client.join(json.loads(sys.argv[1]), client=sys.argv[2], secret=sys.argv[3])
        client.wait_joined()
        print("joined", flush=True)
"""

PATCHES = pytest.mark.parametrize(
    "patch", ["", "from gevent import monkey; monkey.patch_all()"], ids=["plain", "patched"]
)


@PATCHES
@pytest.mark.parametrize(
    "program",
    [
        "join(); input()",
        "join(); input(); sys.exit(3)",
        "loop = rtms.EventLoop().start(); loop.add(client); join(); input()",
        "join(); threading.Timer(0.01, lambda: (input(), rtms.stop())).start(); rtms.run()",
    ],
    ids=["its end", "exit", "a loop in a thread", "stop"],
)
def test_the_program_ends(program, patch, simulator, meeting):
    script = Script.joining(simulator, HEAD.format(patch=patch) + f"\n    {program}\n")
    assert script.line() == "joined"
    out = script.finish("\n", code=None)
    assert [line for line in out if line] == ["ended: we left"]


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
@PATCHES
def test_sigterm_ends_run(patch, simulator, meeting):
    program = "gevent.spawn(join); rtms.run()"
    script = Script.joining(simulator, HEAD.format(patch=patch) + f"\n    {program}\n")
    assert script.line() == "joined"
    script.process.send_signal(signal.SIGTERM)
    assert script.finish()[0] == "ended: we left"


@pytest.mark.parametrize("when", ["while it lives", "while it ends"])
def test_never_in_a_forked_child(when, simulator, meeting):
    code = (
        HEAD.format(patch="")
        + f"""
    entered, go = gevent.event.Event(), gevent.event.Event()

    @client.on_audio_data
    def audio(*_):
        entered.set()
        try:
            go.wait()
        except gevent.GreenletExit:
            pass  # in the child

    join()
    entered.wait()
    if {when == "while it ends"}:
        client.leave()  # the end waits for the callback now
    child = os.fork()
    go.set()
    if not child:
        client.leave()
        gevent.sleep(0.2)  # here nothing may be called, so that nothing can be waited for
        sys.exit(0)
    os.waitpid(child, 0)
    client.leave()
    client.wait()
    """
    )
    script = Script.joining(simulator, code.replace("import gevent\n", "import gevent.event\n"))
    assert meeting.wait_ready(10)
    meeting.send_audio(b"x")
    assert script.line() == "joined"
    assert [line for line in script.finish() if line] == ["ended: we left"]

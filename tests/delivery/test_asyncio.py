"""run_async(): the hub in a thread, callbacks on the asyncio loop.

The simulator runs in a process of its own, since asyncio blocks this thread's hub.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import rtms_gevent as rtms
from rtms_gevent import Client


@pytest.fixture
def zoom():
    """What ``rtms-gevent simulate`` prints; it plays the short meeting."""
    with simulate("short", "--speed", "5") as ready:
        yield ready


@pytest.fixture
def lasting_zoom():
    """The same for whoever leaves: slow enough that the meeting does not end first."""
    with simulate("short") as ready:
        yield ready


@contextlib.contextmanager
def simulate(scenario, *options):
    command = [
        sys.executable,
        "-m",
        "rtms_gevent.cli",
        "simulate",
        "--scenario",
        scenario,
        *options,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate()


def join(client, zoom):
    client.join(
        meeting_uuid=zoom["meeting_uuid"],
        rtms_stream_id=zoom["rtms_stream_id"],
        server_urls=zoom["signaling_url"],
        client=zoom["client_id"],
        secret=zoom["client_secret"],
    )


def run(main, seconds=20):
    return asyncio.run(asyncio.wait_for(main, seconds))


def test_callbacks_of_both_kinds_run_on_the_asyncio_loop_in_order(zoom):
    async def main():
        client, heard = Client(), []

        @client.on_transcript_data
        async def transcript(data, size, timestamp, metadata):
            await asyncio.sleep(0)
            heard.append(("transcript", data, asyncio.get_running_loop()))

        @client.on_audio_data
        def audio(data, size, timestamp, metadata):
            heard.append(("audio", timestamp, asyncio.get_running_loop()))

        client.on_leave(lambda reason: heard.append(("leave", reason, None)))
        join(client, zoom)
        await rtms.run_async(stop_on_empty=True)
        here = asyncio.get_running_loop()
        assert {loop for kind, _, loop in heard if kind != "leave"} == {here}
        kinds = [kind for kind, *_ in heard]
        assert kinds.count("transcript") >= 1
        assert kinds.count("audio") > 50
        assert heard[-1] == ("leave", 6, None)
        assert client.callback_errors == {}

    run(main())


def test_a_cancelled_call_costs_no_other_call(zoom):
    async def main():
        client, calls = Client(), []

        @client.on_audio_data
        async def audio(data, size, timestamp, metadata):
            time.sleep(0.005)  # so that several wait, and come in one batch
            calls.append(timestamp)
            raise asyncio.CancelledError

        join(client, zoom)
        await rtms.run_async(stop_on_empty=True)
        assert len(calls) == client.stats().media["audio"].received > 50
        assert client.callback_errors == {"audio_data": len(calls)}

    run(main())


def test_joining_while_it_runs_and_stop(lasting_zoom):
    async def main():
        running = asyncio.ensure_future(rtms.run_async())
        await asyncio.sleep(0)
        client, heard = Client(), asyncio.Event()
        client.on_audio_data(lambda *_: heard.set())
        join(client, lasting_zoom)
        await heard.wait()
        rtms.stop()
        await running
        assert client.wait(0).by_us

    run(main())


def test_a_client_that_was_joined_before_the_loop_began(zoom):
    client, heard = Client(), []
    client.on_audio_data(lambda *_: heard.append(threading.get_ident()))
    join(client, zoom)

    async def main():
        await rtms.run_async(stop_on_empty=True)

    run(main())
    assert set(heard) == {threading.get_ident()}


def test_the_loop_is_never_blocked(zoom):
    """Other tasks go on while media flows."""

    async def main():
        turns = 0

        async def other():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        client, counts = Client(), []
        client.on_audio_data(lambda *_: counts.append(turns))
        join(client, zoom)
        ticking = asyncio.ensure_future(other())
        await rtms.run_async(stop_on_empty=True)
        ticking.cancel()
        assert len(set(counts)) > 5  # callbacks come in batches, and others get turns between them

    run(main())


def test_cancellation_leaves_cleanly(lasting_zoom):
    async def main():
        client, heard = Client(), asyncio.Event()
        client.on_audio_data(lambda *_: heard.set())
        join(client, lasting_zoom)
        running = asyncio.ensure_future(rtms.run_async())
        await heard.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert client.wait(0).by_us
        await rtms.run_async(stop_on_empty=True)  # it can run again

    run(main())


def test_leave_and_exceptions_in_callbacks(lasting_zoom, caplog):
    async def main():
        client = Client()

        @client.on_audio_data
        async def fails(data, size, timestamp, metadata):
            raise RuntimeError("in the coroutine")

        @client.on_transcript_data
        def leave(*_):
            client.leave()

        join(client, lasting_zoom)
        await rtms.run_async(stop_on_empty=True)
        assert client.wait(0).by_us
        assert client.callback_errors["audio_data"] >= 1

    run(main())
    assert "in the coroutine" in caplog.text


def test_an_executor_runs_the_plain_ones(zoom):
    async def main():
        threads = {}
        with ThreadPoolExecutor(1) as executor:
            client = Client()
            client.on_audio_data(lambda *_: threads.update(plain=threading.get_ident()))

            @client.on_transcript_data
            async def transcript(*_):
                threads.update(coroutine=threading.get_ident())

            join(client, zoom)
            await rtms.run_async(stop_on_empty=True, executor=executor)
        assert threads["coroutine"] == threading.get_ident()
        assert threads["plain"] != threading.get_ident()

    run(main())


def test_event_loop_and_pool_have_it_too(zoom):
    async def main():
        heard = []
        pool = rtms.EventLoopPool(threads=2)
        client = Client()

        @client.on_audio_data
        async def audio(*_):
            heard.append(threading.get_ident())

        pool.add(client)
        join(client, zoom)
        await pool.run_async(stop_on_empty=True)
        assert set(heard) == {threading.get_ident()}
        assert not any(loop.is_running for loop in pool.loops)

        loop = rtms.EventLoop()
        loop.add(Client())
        running = asyncio.ensure_future(loop.run_async())
        await asyncio.sleep(0)
        loop.stop()
        await running

    run(main())


def test_a_blocked_asyncio_loop_loses_nothing(zoom):
    """The hub is in another thread: it reads and answers while the loop is stuck in a callback."""
    over, order = threading.Event(), []

    def hear_the_end(sender, state, **_):
        if state == rtms.StreamState.TERMINATED:
            over.set()

    async def main():
        client = Client()

        @client.on_audio_data
        def stuck(*_):
            if not order:
                order.append("stuck")
                assert over.wait(15)  # blocks the asyncio loop for all of the meeting
            order.append("audio")

        client.on_transcript_data(lambda *_: order.append("transcript"))
        join(client, zoom)
        with rtms.signals.stream_state.connected_to(hear_the_end):
            await rtms.run_async(stop_on_empty=True)
        assert order.count("audio") > 50
        assert "transcript" in order
        assert client.wait(0).code == 6

    run(main(), 40)

"""From packets to calls: what is called, and what each packet is counted as. No socket."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import gevent
import pytest
from gevent.event import Event
from support.delivery import PLENTY, BackPressureLog, make_invoker, packet, packets
from support.recorder import wait_until

from rtms_gevent import Client, InboxLimits, MediaDataType, signals
from rtms_gevent.delivery.media_inbox import MediaInbox
from rtms_gevent.runtime.greenlets import GreenletGroup

AUDIO, VIDEO = MediaDataType.AUDIO, MediaDataType.VIDEO
KEY, DELTA = b"\0\0\0\1\x65", b"\0\0\0\1\x41"


def make_inbox(invoker, kind=AUDIO, limits=PLENTY):
    overflow = BackPressureLog().handler(kind, limits)
    return MediaInbox(GreenletGroup("rtms test"), kind, limits, overflow, invoker)


def deliver(inbox, waiting):
    """Deliver packets in this greenlet."""
    assert inbox.add(waiting, sum(len(packet.data) for packet in waiting))
    while inbox.items:
        inbox.deliver()


def counts(inbox):
    return inbox.delivered, inbox.failed, inbox.undelivered


class OwnError(BaseException):
    pass


def fail(error):
    def function(*_):
        raise error

    return function


async def coroutine(*_):
    pass


class Refusing(Executor):
    def submit(self, *_, **__):
        raise OSError("no connection to the broker")


class Losing(Executor):
    """One whose processes die."""

    def submit(self, *_, **__):
        future = Future()
        future.set_exception(OSError("the process has died"))
        return future


@pytest.fixture(scope="module")
def pool():
    with ThreadPoolExecutor(1) as made:
        yield made


@pytest.mark.parametrize("way", ["directly", "with a context", "in an executor"])
@pytest.mark.parametrize(
    ("function", "wanted", "errors"),
    [
        pytest.param(lambda *_: None, (3, 0, 0), 0, id="returns"),
        pytest.param(lambda *_: "anything", (3, 0, 0), 0, id="returns something"),
        pytest.param(fail(ValueError()), (0, 3, 0), 3, id="raises"),
        pytest.param(fail(OwnError()), (0, 3, 0), 3, id="raises what is no Exception"),
        pytest.param(fail(gevent.GreenletExit()), (0, 3, 0), 3, id="kills"),
        pytest.param(fail(SystemExit()), (0, 3, 0), 3, id="exits"),
        pytest.param(coroutine, (0, 3, 0), 3, id="nobody awaits it"),
        pytest.param(None, (3, 0, 0), 0, id="there is none"),
    ],
)
def test_what_each_packet_counts_as(way, function, wanted, errors, pool, caplog):
    options = {"with a context": {"context": threading.Lock}, "in an executor": {"executor": pool}}
    functions = {} if function is None else {"audio_data": function}
    invoker = make_invoker(**options.get(way, {}), **functions)
    inbox = make_inbox(invoker)
    deliver(inbox, packets(3))
    assert counts(inbox) == wanted
    assert invoker.callback_errors.get("audio_data", 0) == errors
    assert (inbox.size, len(inbox.items), inbox.dropped) == (0, 0, 0)


@pytest.mark.parametrize(
    ("executor", "wanted"), [(Refusing(), (0, 0, 3)), (Losing(), (0, 0, 3))], ids=["no", "lost"]
)
def test_what_an_executor_does_not_run_is_undelivered(executor, wanted, caplog):
    invoker = make_invoker(executor=executor, audio_data=print)
    inbox = make_inbox(invoker)
    deliver(inbox, packets(3))
    assert counts(inbox) == wanted
    assert invoker.callback_errors == {"audio_data": 3}


@pytest.mark.parametrize("executor", [False, True], ids=["directly", "executor"])
def test_the_arguments_and_the_order(executor, pool):
    got = []
    invoker = make_invoker(
        executor=pool if executor else None, audio_data=lambda *arguments: got.append(arguments)
    )
    sent = [packet(b"ab", timestamp=5), packet(b"c", user=8)]
    deliver(make_inbox(invoker), sent)
    assert got == [(b"ab", 2, 5, sent[0].metadata), (b"c", 1, 0, sent[1].metadata)]


def test_the_counts_are_exact_at_every_call():
    seen = []

    def function(*_):
        seen.append((*counts(inbox), len(inbox.items), inbox.size))
        if len(seen) == 2:
            raise ValueError

    inbox = make_inbox(make_invoker(audio_data=function))
    deliver(inbox, packets(4))
    assert seen == [(0, 0, 0, 3, 3), (1, 0, 0, 2, 2), (1, 1, 0, 1, 1), (2, 1, 0, 0, 0)]
    assert counts(inbox) == (3, 1, 0)


def test_a_function_is_replaced_in_the_middle():
    got = []

    def replace(*_):
        got.append("old")
        invoker.callbacks.functions["audio_data"] = lambda *_: got.append("new")

    invoker = make_invoker(audio_data=replace)
    deliver(make_inbox(invoker), packets(3))
    assert got == ["old", "new", "new"]


@pytest.mark.parametrize("way", ["directly", "in an executor"])
def test_leaving_in_the_middle(way, pool):
    def leave(data, *_):
        if data == b"1":
            invoker.close()
            inbox.close()

    invoker = make_invoker(executor=pool if way != "directly" else None, audio_data=leave)
    inbox = make_inbox(invoker)
    deliver(inbox, packets(5))
    assert (inbox.delivered, inbox.failed) == (2, 0)
    assert inbox.undelivered + inbox.dropped == 3
    assert inbox.size == 0


@pytest.mark.parametrize("way", ["directly", "in an executor"])
def test_a_greenlet_that_is_killed_in_the_middle(way, pool, caplog):
    entered, go = threading.Event(), threading.Event()

    def wait(*_):
        entered.set()
        if way == "directly":
            Event().wait()
        go.wait()

    inbox = make_inbox(make_invoker(executor=None if way == "directly" else pool, audio_data=wait))
    inbox.add(packets(1), 1)
    running = gevent.spawn(inbox.deliver)
    wait_until(entered.is_set)
    running.kill()
    go.set()
    assert sum(counts(inbox)) == 1
    assert inbox.delivered == 0


@pytest.mark.parametrize("with_context", [False, True])
def test_the_signal_comes_after_the_callback(with_context):
    client, order = Client(), []

    def receive(sender, data, size, timestamp, metadata):
        order.append(("signal", sender, data, size, timestamp, metadata))

    options = {"context": threading.Lock} if with_context else {}
    invoker = make_invoker(client, audio_data=lambda data, *_: order.append(data), **options)
    sent = packet(b"abc", timestamp=9)
    with signals.audio_data.connected_to(receive, sender=client):
        deliver(make_inbox(invoker), [sent])
    assert order == [b"abc", ("signal", client, b"abc", 3, 9, sent.metadata)]


def test_no_signal_is_sent_where_the_callback_has_left():
    client, heard = Client(), []

    def receive(sender, **_):
        heard.append(sender)

    invoker = make_invoker(client, audio_data=lambda *_: invoker.close())
    with signals.audio_data.connected_to(receive, sender=client):
        deliver(make_inbox(invoker), packets(1))
    assert heard == []


@pytest.mark.parametrize(
    ("kind", "left", "dropped"),
    [
        (VIDEO, [KEY, DELTA], 3),
        (MediaDataType.DESKSHARE, [KEY, DELTA], 3),
        (AUDIO, [DELTA, KEY, DELTA], 2),
        (MediaDataType.CHAT, [DELTA, KEY, DELTA], 2),
    ],
)
def test_pictures_go_up_to_the_next_key_frame(kind, left, dropped):
    inbox = make_inbox(make_invoker(), kind, InboxLimits(packets=3))
    for data in (KEY, DELTA, DELTA, KEY, DELTA):
        inbox.add([packet(data, kind=kind)], len(data))
    assert ([packet.data for packet in inbox.items], inbox.dropped) == (left, dropped)


def test_each_participants_pictures_stand_alone():
    inbox = make_inbox(make_invoker(), VIDEO, InboxLimits(packets=3))
    for user, data in ((1, KEY), (2, KEY), (1, DELTA), (2, DELTA)):
        inbox.add([packet(data, user, kind=VIDEO)], len(data))
    assert [packet.metadata.userId for packet in inbox.items] == [2, 2]


@pytest.mark.parametrize("way", ["directly", "with a context", "in an executor"])
def test_how_far_delivery_got_never_includes_what_is_being_delivered(way, pool):
    options = {"with a context": {"context": threading.Lock}, "in an executor": {"executor": pool}}
    seen = []
    invoker = make_invoker(
        **options.get(way, {}), audio_data=lambda *_: seen.append(inbox.delivered_timestamp)
    )
    inbox = make_inbox(invoker)
    assert inbox.delivered_timestamp is None
    deliver(inbox, [packet(timestamp=1), packet(timestamp=2)])
    assert inbox.delivered_timestamp == 2
    assert all(timestamp in (None, 1) for timestamp in seen)
    deliver(inbox, [packet(timestamp=1, user=8)])  # another speaker's, that came later
    assert (inbox.delivered_timestamp, seen[-1]) == (1, 2)


def test_what_was_not_delivered_does_not_count_as_delivered():
    inbox = make_inbox(make_invoker(executor=Refusing(), audio_data=print))
    deliver(inbox, [packet(timestamp=1)])
    assert (inbox.delivered_timestamp, inbox.undelivered) == (None, 1)

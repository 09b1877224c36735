"""Races and interruptions that once lost something, or made somebody wait for ever."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings

import gevent
import pytest
from gevent.event import Event
from support.rawserver import RawServer, hang, join_raw
from support.recorder import Recorder, wait_until

from rtms_gevent import (
    AudioParams,
    Client,
    Codec,
    ConfigurationError,
    EventLoop,
    JoinError,
    MediaDataType,
    Timeouts,
    signals,
)
from rtms_gevent.delivery.callback_batch import CallbackBatch, CloseFlag
from rtms_gevent.delivery.runners import AsyncioRunner
from rtms_gevent.runtime import hub_context


class Zoom(RawServer):
    """A server whose media sockets a test plays, and whose signaling sockets close politely."""

    def __init__(self, on_media, *, on_signaling=None):
        self.asked = []  #: the media handshake requests, in their order
        self._on_media = on_media
        self._on_signaling = on_signaling or answer_close
        super().__init__(self._play)

    def _play(self, peer):
        peer.upgrade()
        request = peer.receive_json()
        if request["msg_type"] == 1:
            urls = {"audio": self.url("/media"), "video": self.url("/media")}
            answer = {"msg_type": 2, "status_code": 0, "media_server": {"server_urls": urls}}
            peer.send_json(answer)
            self._on_signaling(peer)
        else:
            self.asked.append(request)
            self._on_media(peer)

    def join(self, client, **options):
        ids = {"meeting_uuid": "uuid", "rtms_stream_id": "stream"}
        client.join(**ids, server_urls=self.url(), client="id", secret="secret", **options)

    @property
    def asked_media(self):
        return [request["media_type"] for request in self.asked]


def accept(peer):
    peer.send_json({"msg_type": 4, "status_code": 0, "media_params": {}})


def answer_close(peer):
    peer.receive_close()
    peer.close()


def accept_and_never_close(peer):
    accept(peer)
    while True:
        peer.receive()


def test_joining_again_right_after_leaving(join, simulator, meeting, client):
    """The hub's note that the first stream is over must not take back the second join."""
    recorder = Recorder(client, "audio_data", "join_confirm")
    join()
    client.leave()
    client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
    # Not wait_joined(), which would begin the join itself.
    recorder.wait_for("join_confirm", 2)
    wait_until(lambda: meeting.send_audio(b"again"))
    recorder.wait_for("audio_data")
    assert client in client._hub_context.clients


@pytest.mark.parametrize("error", [gevent.GreenletExit, gevent.Timeout])
@pytest.mark.parametrize("where", ["callback", "receiver"])
def test_what_ends_greenlets_ends_no_delivery(error, where, join, meeting, client):
    entered, go = Event(), Event()
    heard = []

    def fails(*_, **__):
        heard.append(1)
        entered.set()
        go.wait()
        raise error

    if where == "callback":
        client.on_chat_data(fails)
    else:
        client.enable_chat()
        signals.chat_data.connect(fails, sender=client)
    join()
    meeting.send_chat("1")
    meeting.send_chat("2")
    assert entered.wait(5)
    meeting.stop(6)
    go.set()
    assert client.wait(5).code == 6
    assert len(heard) == 2
    assert client.callback_errors == ({"chat_data": 2} if where == "callback" else {})


def test_a_timer_left_running_by_a_callback_hurts_no_later_delivery(join, meeting, client):
    """It goes off in a greenlet of ours that waits for more to deliver."""
    texts, finished = [], []
    limit = gevent.Timeout(0.05)

    @client.on_chat_data
    def chat(data, *_):
        texts.append(data)
        if len(texts) == 1:
            limit.start()
        else:
            gevent.sleep(0.01)  # what comes next must not wake it
            finished.append(data)

    join()
    meeting.send_chat("1")
    wait_until(lambda: texts)
    wait_until(lambda: not limit.pending)
    for number in range(2, 6):
        meeting.send_chat(str(number))
    wait_until(lambda: len(finished) == 4)
    assert client.callback_errors == {}


def test_a_time_limit_of_the_caller_is_not_taken_for_ours(client):
    with RawServer(lambda peer: peer.upgrade() and hang(peer)) as server:
        client.on_audio_data(print)
        join_raw(client, server)
        with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.02) as limit:
            client.wait_joined()
        assert caught.value is limit
        client.leave()


def test_a_leave_that_is_cut_short_still_ends_the_stream():
    left = []
    with Zoom(accept_and_never_close) as server, Client(timeouts=Timeouts(close=30)) as client:
        client.on_audio_data(print)
        server.join(client)
        client.wait_joined()
        receiver = signals.left.connect(lambda *_, **__: left.append(1), sender=client, weak=False)
        with gevent.Timeout(0.02, False):
            client.leave()
        assert client.wait(0).by_us
        assert left == [1]
        signals.left.disconnect(receiver)


def test_leaving_while_a_media_socket_is_renegotiated_closes_the_old_one():
    ended = Event()

    def media(peer):
        accept(peer)
        peer.receive_close()  # and no answer
        with pytest.raises(EOFError):
            peer.receive()
        ended.set()

    with Zoom(media) as server, Client(timeouts=Timeouts(close=0.05)) as client:
        client.on_audio_data(print)
        server.join(client)
        client.wait_joined()
        client.set_audio_params(AudioParams(codec=Codec.L16))
        gevent.sleep(0)
        client.leave()
        assert ended.wait(5)


def test_no_socket_is_opened_after_the_end():
    renegotiating = Event()

    def signaling(peer):
        renegotiating.wait()
        peer.send_json({"msg_type": 8, "state": 4, "reason": 6})
        answer_close(peer)

    def media(peer):
        accept(peer)
        peer.receive_close()
        renegotiating.set()
        with pytest.raises(EOFError):
            peer.receive()

    timeouts = Timeouts(close=0.05)
    with Zoom(media, on_signaling=signaling) as server, Client(timeouts=timeouts) as client:
        client.on_audio_data(print)
        server.join(client)
        client.wait_joined()
        client.set_audio_params(AudioParams(codec=Codec.L16))
        assert client.wait(5).code == 6
        wait_until(lambda: len(server.peers) == 2 and all(p.sock.closed for p in server.peers))
        assert server.asked_media == [MediaDataType.AUDIO]


def test_what_is_asked_for_while_media_sockets_are_opened(client):
    """The session had read the subscription already, and did not see these changes."""
    go = Event()

    def media(peer):
        go.wait()
        accept(peer)
        answer_close(peer)

    with Zoom(media) as server:
        client.on_audio_data(print)
        server.join(client)
        wait_until(lambda: server.asked)
        client.on_video_data(print)
        client.set_audio_params(AudioParams(codec=Codec.L16))
        go.set()
        client.wait_joined()
        wait_until(lambda: len(server.asked) == 3)
        assert sorted(server.asked_media) == [
            MediaDataType.AUDIO,
            MediaDataType.AUDIO,
            MediaDataType.VIDEO,
        ]
        codecs = [
            request["media_params"]["audio"]["codec"]
            for request in server.asked
            if request["media_type"] == MediaDataType.AUDIO
        ]
        assert codecs == [Codec.OPUS, Codec.L16]
        client.leave()


def test_a_bug_while_joining_is_told_and_ends_it(client, caplog):
    class Broken(AudioParams):
        def to_wire(self):
            raise RuntimeError("cannot be encoded")

    with Zoom(accept) as server:
        client.on_audio_data(print)
        client.set_audio_params(Broken())
        server.join(client)
        with pytest.raises(JoinError, match="RuntimeError: cannot be encoded"):
            client.wait_joined(5)
        assert client.wait(5) is not None
    assert "opening failed in an unexpected way" in caplog.text


def test_keep_alives_are_answered_while_much_is_worked_off(client):
    held, answered_after, done = Event(), [], []

    def media(peer):
        accept(peer)
        for _ in range(100):
            content = {"user_id": 1, "data": "eA==", "timestamp": 1}
            peer.send_json({"msg_type": 14, "content": content})
        peer.send_json({"msg_type": 12, "timestamp": 1})
        assert peer.receive_json()["msg_type"] == 13  # so all of it was read
        held.set()
        wait_until(lambda: done)
        peer.send_json({"msg_type": 12, "timestamp": 2})
        assert peer.receive_json()["msg_type"] == 13
        answered_after.append(len(done))
        answer_close(peer)

    def computes(*_):
        end = time.perf_counter() + 0.002
        while time.perf_counter() < end:
            pass
        done.append(1)

    with Zoom(media) as server:
        client.on_join_confirm(lambda _: held.wait())
        client.on_audio_data(computes)
        server.join(client)
        wait_until(lambda: len(done) == 100)
        client.leave()
    assert answered_after[0] < 100


def test_leaving_from_a_thread_just_when_the_loop_begins(simulator, meeting, client, monkeypatch):
    loop = EventLoop().start()
    loop.add(client)
    hub, begin = gevent.get_hub(), client._begin
    left, finished = [], Event()

    def leave():
        client.leave()
        left.append(client._is_active)
        hub.loop.run_callback_threadsafe(finished.set)

    def begin_late():  # on the loop's hub, which has withdrawn it already
        thread = threading.Thread(target=leave)
        thread.start()
        thread.join(0.05)  # it cannot leave before this thread has begun
        begin()

    monkeypatch.setattr(client, "_begin", begin_late)
    client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
    assert finished.wait(5)
    assert left == [False]
    loop.stop()
    loop.join(5)


def test_callbacks_of_two_loops_may_leave_each_other(simulator):
    clients = [Client(), Client()]
    loops = [EventLoop().start() for _ in clients]
    both = threading.Barrier(2)
    for number, client in enumerate(clients):

        def leave_other(*_, other=clients[1 - number]):
            both.wait(5)
            other.leave()

        client.on_join_confirm(leave_other)
        loops[number].add(client)
        payload = simulator.add_meeting("empty").payload
        client.join(payload, client=simulator.client_id, secret=simulator.client_secret)
    wait_until(lambda: not any(client._is_active for client in clients))
    for loop in loops:
        loop.stop()
    wait_until(lambda: not any(loop.is_running for loop in loops))


def test_nothing_joins_a_loop_that_is_being_stopped(simulator, meeting, client, caplog):
    options = {"client": simulator.client_id, "secret": simulator.client_secret}
    join_anew = signals.left.connect(
        lambda sender, **_: sender.join(meeting.payload, **options), sender=client, weak=False
    )
    loop = EventLoop().start()
    loop.add(client)
    client.on_audio_data(print)
    client.join(meeting.payload, **options)
    wait_until(lambda: client.is_joined)
    loop.stop()
    wait_until(lambda: not loop.is_running)
    signals.left.disconnect(join_anew)
    assert not client._is_active
    assert "is being stopped" in caplog.text


def test_what_is_asked_for_while_a_loop_ends_runs_when_it_begins_again(monkeypatch):
    loop, spawn_on, ran = EventLoop().start(), hub_context.spawn_on, threading.Event()

    def late(*arguments):
        loop.stop()
        loop.join(0.2)  # it cannot end before this was asked
        spawn_on(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(hub_context, "spawn_on", late)
        loop.spawn(ran.set)
    loop.join()
    loop.start()
    assert ran.wait(5)
    loop.stop()
    loop.join()


def test_a_closed_asyncio_loop_gives_an_error_and_no_warning():
    loop = asyncio.new_event_loop()
    loop.close()
    job = CallbackBatch(print, [()], None, CloseFlag())
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(ConfigurationError, match="asyncio loop takes no more work"):
            AsyncioRunner(loop).start(job)
        gc.collect()
    assert warned == []


@pytest.mark.parametrize(
    ("end", "code", "text"),
    [
        (
            lambda peer: peer.send_json({"msg_type": 8, "state": 4, "reason": 0}),
            2,
            "over before it was joined",
        ),
        (lambda peer: peer.close(1001), 960, "with code 1001 .* while we were joining"),
        (lambda peer: peer.reset(), 960, "without a close frame while we were joining"),
    ],
    ids=["stopped", "closed", "broken"],
)
def test_an_end_while_joining_is_no_leave(end, code, text, client):
    """on_leave is for streams that were joined; who waits for on_join_confirm must hear of it."""
    asked = Event()

    def signaling(peer):
        asked.wait()
        end(peer)
        answer_close(peer)

    def media(peer):
        asked.set()
        answer_close(peer)

    recorder = Recorder(client, "audio_data", "join_confirm", "leave")
    with Zoom(media, on_signaling=signaling) as server:
        server.join(client)
        with pytest.raises(JoinError, match=text):
            client.wait_joined(5)
        assert client.wait(5).code == code
    assert recorder.calls == [("join_confirm", (code,))]

"""One test for each fault of the official package that programs need not fear here.

Each fails on what ``rtms`` 1.1.0 was seen to do, which its comment or name says. Other files test
the same things in depth; ``docs/coming-from-rtms.md`` tells them to users.
"""

from __future__ import annotations

import os
import time

import gevent
import pytest
from gevent import monkey
from gevent.event import Event
from guide.program import Program
from guide.program import simulator as guide_simulator
from support.rawserver import RawServer, hang, unused_port
from support.recorder import Recorder, wait_until

import rtms_gevent as rtms
from rtms_gevent.simulator import Simulator

SUBSCRIPTION, KEEP_ALIVE, KEEP_ALIVE_ANSWER = 5, 12, 13


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("ZM_RTMS_CLIENT", "ZM_RTMS_SECRET", "ZM_RTMS_CA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZM_RTMS_ALLOWED_HOSTS", "127.0.0.1,localhost")


@pytest.fixture
def simulator():
    with Simulator("empty") as running:
        yield running


@pytest.fixture
def meeting(simulator):
    return simulator.meeting


@pytest.fixture
def client():
    with rtms.Client() as made:
        yield made


@pytest.fixture
def begin(simulator, meeting, client):
    """Begin to join ``client``, with any other arguments."""

    def join(other=None, target=meeting, **options):
        credentials = {"client": simulator.client_id, "secret": simulator.client_secret}
        (other or client).join(**{**target.payload, **credentials, **options})

    return join


@pytest.fixture
def join(begin, meeting, client):
    """Join ``client``, and wait until media may flow."""

    def run(other=None, **options):
        begin(other, **options)
        (other or client).wait_joined(10)
        assert options.get("target", meeting).wait_ready(5)

    return run


def subscriptions(meeting):
    """Return the numbers of all events that a meeting's clients have subscribed to, in order."""
    return [
        item["event_type"]
        for message in meeting.received
        if message["msg_type"] == SUBSCRIPTION
        for item in message["events"]
        if item["subscribe"]
    ]


# -- calls from inside callbacks: there they freeze the process ------------------------------------


@pytest.mark.parametrize("where", ["audio_data", "join_confirm", "leave"])
def test_leave_in_a_callback(where, join, begin, meeting, client):
    done = Event()

    def leave(*_):
        client.leave()
        done.set()

    client.on_audio_data(lambda *_: None)
    getattr(client, f"on_{where}")(leave)
    if where == "join_confirm":
        begin()
    else:
        join()
    if where == "audio_data":
        meeting.send_audio(b"x")
    elif where == "leave":
        meeting.stop(6)
    assert done.wait(5)


@pytest.mark.parametrize("where", ["audio_data", "join_confirm"])
def test_subscribe_event_in_a_callback(where, join, meeting, client):
    client.on_audio_data(lambda *_: None)
    getattr(client, f"on_{where}")(lambda *_: client.subscribe_event([5, 6]))
    join()
    meeting.send_audio(b"x")
    wait_until(lambda: subscriptions(meeting) == [5, 6])


@pytest.mark.parametrize("where", ["audio_data", "join_confirm"])
def test_registering_a_callback_in_a_callback(where, join, meeting, client):
    heard = []
    client.on_audio_data(lambda *_: None)

    def register(*_):
        client.on_participant_event(print)
        client.on_audio_data(lambda data, *_: heard.append(data))

    getattr(client, f"on_{where}")(register)
    join()
    meeting.send_audio(b"first")
    wait_until(lambda: subscriptions(meeting) == [3, 4])
    meeting.send_audio(b"second")
    wait_until(lambda: b"second" in heard)


# -- threads and time ------------------------------------------------------------------------------


def test_two_loops_in_two_threads(simulator, begin):
    loops, threads = [rtms.EventLoop().start() for _ in range(2)], set()
    try:
        for loop in loops:
            client, target = rtms.Client(), simulator.add_meeting()
            client.on_audio_data(
                lambda *_: threads.add(monkey.get_original("_thread", "get_ident")())
            )
            loop.add(client)
            begin(client, target)
            assert target.wait_ready(5)
            target.send_audio(b"x")
        wait_until(lambda: len(threads) == 2)
    finally:
        for loop in loops:
            loop.stop()
            loop.join(5)


def test_subscribing_in_another_thread_while_media_come(simulator, begin, meeting, client):
    """There, each call may freeze the process: two locks are taken in two orders."""
    heard, joined = [], []
    client.on_audio_data(lambda data, *_: heard.append(data))
    client.on_join_confirm(joined.append)
    loop = rtms.EventLoop()
    loop.add(client)
    begin()
    loop.start()
    try:
        wait_until(lambda: joined == [0] and meeting.wait_ready(0))
        for number in range(100):
            meeting.send_audio(b"%d" % number)
            client.subscribe_event([5])
            client.unsubscribe_event([5])
        wait_until(lambda: len(heard) == 100)
        wait_until(lambda: subscriptions(meeting) == [5] * 100)
    finally:
        loop.stop()
        loop.join(5)


def test_a_callback_that_waits_costs_no_keep_alive(join, meeting, client):
    """There they are answered while the program polls, which a callback prevents."""
    begun, go_on = Event(), Event()

    @client.on_audio_data
    def wait(*_):
        begun.set()
        go_on.wait()

    join()
    meeting.send_audio(b"x")
    assert begun.wait(5)
    message = {"msg_type": KEEP_ALIVE, "timestamp": 4711, "sequence": 1}
    meeting.send_message("all_sockets", message)
    wait_until(lambda: [m.get("timestamp") for m in meeting.received].count(4711) == 2)
    go_on.set()


def test_a_keep_alive_without_sequence_is_answered(join, meeting, client):
    client.on_audio_data(lambda *_: None)
    join()
    meeting.send_message("signaling", {"msg_type": KEEP_ALIVE, "timestamp": 4711})
    wait_until(lambda: {"msg_type": KEEP_ALIVE_ANSWER, "timestamp": 4711} in meeting.received)


# -- events ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("participant_event", [3, 4]),
        ("active_speaker_event", [2]),
        ("sharing_event", [5, 6]),
        ("user_update", [3, 4]),
        ("participant_video", [8, 9]),
    ],
)
def test_a_callback_that_was_registered_before_joining_subscribes(
    name, numbers, join, meeting, client
):
    client.on_audio_data(lambda *_: None)
    getattr(client, f"on_{name}")(lambda *_: None)
    join()
    wait_until(lambda: subscriptions(meeting) == numbers)


def test_subscribe_event_before_joining(join, meeting, client):
    client.on_audio_data(lambda *_: None)
    client.subscribe_event([2])
    join()
    wait_until(lambda: subscriptions(meeting) == [2])


def test_who_leaves_reaches_on_user_update(join, meeting, client):
    recorder = Recorder(client, "user_update", "audio_data")
    join()
    wait_until(lambda: subscriptions(meeting))
    person = {"user_id": 11, "user_name": "Ana"}
    meeting.send_event({"event_type": 3, "timestamp": 1, "participants": [person]})
    meeting.send_event({"event_type": 4, "timestamp": 2, "participants": [{"user_id": 11}]})
    reported = recorder.wait_for("user_update", 2)
    assert [(op, who.id, who.name) for op, who in reported] == [
        (rtms.USER_JOIN, 11, "Ana"),
        (rtms.USER_LEAVE, 11, "Ana"),
    ]


def test_the_fields_of_a_session_are_real(join, meeting, client):
    """There they are random memory, and reading them may crash."""
    recorder = Recorder(client, "session_update", "audio_data")
    join()
    meeting.set_session_state(rtms.SessionState.STARTED)
    meeting.set_session_state(rtms.SessionState.PAUSED)
    (_, begun), (op, paused) = recorder.wait_for("session_update", 2)
    assert (begun.streamId, begun.meetingId) == (meeting.stream_id, meeting.uuid)
    assert (begun.isActive, begun.isPaused, begun.status) == (True, False, rtms.SESS_STATUS_ACTIVE)
    assert (op, paused.isPaused) == (rtms.SESSION_EVENT_PAUSE, True)
    assert begun.statTime > 1 << 32  # whole milliseconds, not cut to 32 bits


# -- media -----------------------------------------------------------------------------------------


def test_parameters_of_a_transcript_alone(join, meeting, client):
    """There they are ignored unless another media type is asked for, too."""
    client.on_transcript_data(lambda *_: None)
    client.set_transcript_params(
        rtms.TranscriptParams(src_language=rtms.TranscriptLanguage.GERMAN, enable_lid=False)
    )
    join()
    (params,) = [m["media_params"]["transcript"] for m in meeting.received if m["msg_type"] == 3]
    assert (params["src_language"], params["enable_lid"]) == (14, False)


def test_the_times_in_metadata_are_the_packets_own(join, meeting, client):
    """There the last transcript's times are on all media."""
    recorder = Recorder(client, "transcript_data", "audio_data")
    join()
    meeting.send_transcript("x", start_time=1_738_392_000_000, end_time=1_738_392_001_000)
    ((_, _, _, transcript),) = recorder.wait_for("transcript_data")
    meeting.send_audio(b"x")
    ((_, _, _, audio),) = recorder.wait_for("audio_data")
    assert (transcript.startTs, transcript.endTs) == (1_738_392_000_000, 1_738_392_001_000)
    assert (audio.startTs, audio.endTs) == (0, 0)


def test_a_transcript_without_times_arrives(join, meeting, client):
    recorder = Recorder(client, "transcript_data")
    join()
    content = {"user_id": 5, "user_name": "Ana", "data": "x", "timestamp": 1}
    meeting.send_message("transcript", {"msg_type": 17, "content": content})
    ((data, _, _, metadata),) = recorder.wait_for("transcript_data")
    assert (data, metadata.userName) == (b"x", "Ana")


def test_mixed_audio_names_the_speaker_and_marks_it(join, meeting, client):
    """There it is from nobody: userId -1, and no name."""
    client.set_audio_params(rtms.AudioParams(data_opt=rtms.DataOption.AUDIO_MIXED_STREAM))
    recorder = Recorder(client, "audio_data", "active_speaker_event")
    join()
    wait_until(lambda: subscriptions(meeting))
    meeting.send_event({"event_type": 2, "timestamp": 1, "user_id": 7, "user_name": "Ana"})
    recorder.wait_for("active_speaker_event")
    meeting.send_audio(b"x", 0, "")
    ((_, _, _, metadata),) = recorder.wait_for("audio_data")
    assert (metadata.userName, metadata.isActiveSpeaker) == ("Ana", True)


def test_chat_arrives(join, meeting, client):
    recorder = Recorder(client, "chat_data")
    join()
    meeting.send_chat("hello", 5, "Ana")
    ((data, *_),) = recorder.wait_for("chat_data")
    assert data == b"hello"


def test_audio_of_a_contact_center_arrives(simulator, join, client):
    """There audio with a channel_id, and without a user_id, is dropped."""
    meeting = simulator.add_meeting(product="contact_center")
    recorder = Recorder(client, "audio_data")
    join(target=meeting)
    meeting.send_audio(b"x", channel_id="channel 1")
    ((data, _, _, metadata),) = recorder.wait_for("audio_data")
    assert (data, metadata.channelId) == (b"x", "channel 1")


# -- joining and ending ----------------------------------------------------------------------------


def say_nothing(peer):
    """A server's script: it opens the WebSocket, and answers no handshake."""
    peer.upgrade()
    hang(peer)


def test_the_default_time_limit_is_zooms_and_says_so(begin):
    """There -1 means 10 s, though the documentation says that it means none."""
    assert rtms.Timeouts().join == 60
    assert "-1 is 60,000" in rtms.Client.join.__doc__
    with RawServer(say_nothing) as server, rtms.Client(timeouts=rtms.Timeouts(join=0.2)) as client:
        client.on_audio_data(lambda *_: None)
        begin(client, server_urls=server.url(), timeout=-1)
        with pytest.raises(rtms.JoinTimeout, match=r"0\.2 s"):
            client.wait_joined(10)


def test_a_time_limit_in_milliseconds_counts(begin, client):
    recorder = Recorder(client, "audio_data", "join_confirm")
    with RawServer(say_nothing) as server:
        begin(server_urls=server.url(), timeout=200)
        with pytest.raises(rtms.JoinTimeout, match=r"0\.2 s"):
            client.wait_joined(10)
    assert recorder.wait_for("join_confirm") == [(1,)]


def test_server_urls_may_be_a_list(join, meeting, client):
    client.on_audio_data(lambda *_: None)
    join(server_urls=f"ws://127.0.0.1:{unused_port()}/nobody,{meeting.server_urls}")
    assert client.is_joined


def test_the_ca_file_of_a_join_counts(client):
    client.on_audio_data(lambda *_: None)
    with Simulator("empty", tls=True) as zoom:
        client.join(
            zoom.meeting.payload, ca=zoom.ca, client=zoom.client_id, secret=zoom.client_secret
        )
        client.wait_joined(10)
        client.leave()


def test_explicit_credentials_win(monkeypatch, join, client):
    monkeypatch.setenv("ZM_RTMS_CLIENT", "another app")
    monkeypatch.setenv("ZM_RTMS_SECRET", "another secret")
    client.on_audio_data(lambda *_: None)
    join()
    assert client.is_joined


def test_a_stream_that_ended_does_not_keep_run(begin, meeting, client):
    client.on_audio_data(lambda *_: None)
    begin()
    running = gevent.spawn(rtms.run, stop_on_empty=True)
    assert meeting.wait_ready(5)
    meeting.stop(6)
    running.get(timeout=5)


def test_the_same_client_joins_again_and_subscribes_again(simulator, join, meeting, client):
    """There joining fails, and what was subscribed to is forgotten when the sockets are new."""
    client.on_audio_data(lambda *_: None)
    client.on_active_speaker_event(lambda *_: None)
    join()
    wait_until(lambda: subscriptions(meeting) == [2])
    meeting.stop(6)
    client.wait(5)
    second = simulator.add_meeting()
    join(target=second)
    wait_until(lambda: subscriptions(second) == [2])


def test_a_connection_that_comes_back_subscribes_again(join, meeting, client):
    """There the connection comes back by itself, and the subscriptions do not."""
    recorder = Recorder(client, "audio_data", "active_speaker_event", "reconnected", "leave")
    join()
    wait_until(lambda: subscriptions(meeting) == [2])
    meeting.reset_sockets("signaling")
    recorder.wait_for("reconnected", seconds=10)
    wait_until(lambda: subscriptions(meeting) == [2, 2])
    wait_until(lambda: meeting.send_audio(b"x"))
    recorder.wait_for("audio_data")
    assert recorder.of("leave") == []


def test_what_is_subscribed_to_while_it_is_down_counts(join, meeting, client):
    """There it is lost, without an error."""
    recorder = Recorder(client, "audio_data", "interrupted", "reconnected")
    join()
    meeting.faults.unavailable("signaling", times=2)
    meeting.faults.reset("signaling")
    recorder.wait_for("interrupted")
    assert not client.is_joined
    client.subscribe_event([2])
    recorder.wait_for("reconnected", seconds=10)
    wait_until(lambda: subscriptions(meeting) == [2])


def test_good_service_makes_the_next_attempt_quick_again(join, meeting):
    """There the delay doubles with each loss, whatever is between."""
    reconnect = rtms.Reconnect(base_delay=0.05)
    with rtms.Client(reconnect=reconnect) as client:
        recorder = Recorder(client, "audio_data", "reconnecting", "reconnected")
        join(client)
        for drop in range(1, 6):
            served_until = time.monotonic() + reconnect.base_delay
            wait_until(lambda: time.monotonic() > served_until)  # noqa: B023 - waits right here
            meeting.faults.reset("all_sockets")
            recorder.wait_for("reconnected", drop)
    delays = [delay for number, delay in recorder.of("reconnecting") if number == 1]
    assert len(delays) == 5
    assert max(delays) <= 1000 * reconnect.base_delay / 4


def test_a_server_that_is_away_for_longer_than_a_join_may_take(begin, meeting):
    """There the time limit of joining ends the stream, long before Zoom would."""
    limit = 200  # ms
    with rtms.Client(reconnect=rtms.Reconnect(base_delay=0.05, max_delay=0.05)) as client:
        recorder = Recorder(client, "audio_data", "reconnecting", "reconnected", "leave")
        begin(client, timeout=limit)
        client.wait_joined(10)
        assert meeting.wait_ready(5)
        meeting.faults.unavailable("signaling", times=10)
        meeting.faults.reset("all_sockets")
        recorder.wait_for("reconnected")
        assert sum(delay for _, delay in recorder.of("reconnecting")) > limit
        wait_until(lambda: meeting.send_audio(b"x"))
        recorder.wait_for("audio_data")
        assert recorder.of("leave") == []


def test_no_log_files_appear(tmp_path):
    """There ``logs/`` is filled if it exists; if it does not, standard error is."""
    (tmp_path / "logs").mkdir()
    with (
        guide_simulator() as zoom,
        Program("context_manager", zoom.meeting.payload, directory=tmp_path) as program,
    ):
        assert zoom.meeting.wait_ready(10)
        zoom.meeting.stop(6)
        assert program.wait() == 0
    assert [where for where, _, files in os.walk(tmp_path) if files] == []
    assert len(program.errors) < 10

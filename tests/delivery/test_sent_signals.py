"""What signals carry, beside the callbacks."""

from __future__ import annotations

import contextlib

from support.recorder import wait_until

from rtms_gevent import StreamState, signals


def test_of_a_blinker_that_cannot_mute_them(monkeypatch):
    monkeypatch.delattr(signals.audio_data, "is_muted", raising=False)  # before 1.6
    sender, got = object(), []
    with signals.audio_data.connected_to(lambda sender, data: got.append((sender, data))):
        signals.emit(signals.audio_data, sender, data=b"x")
    assert got == [(sender, b"x")]


def test_media_and_life(join, meeting, client):
    got = []

    def listen(name):
        def receiver(sender, **arguments):
            got.append((name, sender, arguments))

        return receiver

    listeners = {
        name: listen(name)
        for name in ("joining", "joined", "audio_data", "stream_state", "left", "session_state")
    }
    with contextlib.ExitStack() as stack:
        for name, listener in listeners.items():
            stack.enter_context(getattr(signals, name).connected_to(listener))
        client.enable_audio()
        join()
        meeting.send_audio(b"x")
        meeting.stop(6)
        client.wait(5)
    names = [name for name, _, _ in got]
    assert names[:2] == ["joining", "joined"]
    assert names[-1] == "left"
    assert {"audio_data", "stream_state"} <= set(names)
    assert all(sender is client for _, sender, _ in got)
    arguments = {name: arguments for name, _, arguments in got}
    assert arguments["joined"] == {"stream_id": meeting.stream_id, "uuid": meeting.uuid}
    assert arguments["audio_data"]["data"] == b"x"
    assert arguments["stream_state"]["state"] is StreamState.TERMINATED
    assert arguments["left"]["reason"].code == 6


def test_a_receiver_that_raises_is_logged_and_the_others_run(join, meeting, client, caplog):
    got = []

    def bad(sender, **_):
        raise RuntimeError("in the receiver")

    def good(sender, data, **_):
        got.append(data)

    client.enable_audio()
    with signals.audio_data.connected_to(bad), signals.audio_data.connected_to(good):
        join()
        meeting.send_audio(b"1")
        meeting.send_audio(b"2")
        wait_until(lambda: got == [b"1", b"2"])
    assert "in the receiver" in caplog.text


def test_messages_that_nobody_knows_are_visible(join, meeting, client):
    got = []

    def keep(sender, message, socket, **_):
        got.append((message.msg_type, dict(message.raw), socket))

    client.on_audio_data(print)
    with signals.other_message.connected_to(keep):
        join()
        meeting.connections("audio")[0].send({"msg_type": 23, "meta": 1})
        meeting.connections("signaling")[0].send({"msg_type": 77, "new": True})
        wait_until(lambda: len(got) == 2)
    assert sorted(got) == [
        (23, {"msg_type": 23, "meta": 1}, "audio"),
        (77, {"msg_type": 77, "new": True}, "signaling"),
    ]

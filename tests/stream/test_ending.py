"""How streams end: by us, by Zoom, by accident."""

from __future__ import annotations

import json
import pathlib

import gevent
import pytest
from gevent.event import Event
from support.rawserver import RawServer, hang, join_raw
from support.recorder import EVENTS, MEDIA, Recorder, wait_until

from rtms_gevent import Client, ConnectionLost, Reconnect, StopReason, Timeouts, signals

NEVER = Reconnect(enabled=False)

TRIGGERS = {
    "join_confirm": lambda meeting: None,
    "audio_data": lambda meeting: meeting.send_audio(b"x"),
    "video_data": lambda meeting: meeting.send_video(b"x"),
    "deskshare_data": lambda meeting: meeting.send_deskshare(b"x"),
    "transcript_data": lambda meeting: meeting.send_transcript("x"),
    "chat_data": lambda meeting: meeting.send_chat("x"),
    "session_update": lambda meeting: meeting.set_session_state(2),
    "event_ex": lambda meeting: meeting.send_event({"event_type": 1, "timestamp": 1}, to_all=True),
    "leave": lambda meeting: meeting.stop(6),
}


class TestLeave:
    @pytest.mark.parametrize("name", TRIGGERS)
    def test_from_inside_a_callback(self, name, simulator, meeting, client):
        done = Event()

        def leave(*arguments):
            client.leave()
            done.set()

        client.on_audio_data(print)
        getattr(client, f"on_{name}")(leave)
        client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
        client.wait_joined()
        if name != "join_confirm":
            assert meeting.wait_ready(5)
        TRIGGERS[name](meeting)
        assert done.wait(5)
        assert client.wait(5) is not None
        assert not client.is_joined
        wait_until(lambda: not meeting.connections("all_sockets"))

    def test_every_other_method_from_inside_a_callback(self, join, meeting, client):
        done = Event()

        @client.on_audio_data
        def everything(data, size, timestamp, metadata):
            client.on_transcript_data(lambda *_: done.set())
            client.on_sharing_event(print)
            client.subscribe_event([2, 3])
            client.unsubscribe_event([2])
            client.enable_chat()
            client.subscribe_video(5)
            client.wait_joined()
            assert client.is_joined

        join()
        meeting.send_audio(b"x")
        wait_until(lambda: meeting.send_transcript("flows now"))
        assert done.wait(5)
        assert client.callback_errors == {}

    def test_closes_all_sockets_with_1000(self, client):
        codes = []
        urls = {}

        def script(peer):
            peer.upgrade()
            request = peer.receive_json()
            if request["msg_type"] == 1:
                server_urls = {"audio": urls["all"], "chat": urls["all"]}
                answer = {"msg_type": 2, "media_server": {"server_urls": server_urls}}
            else:
                answer = {"msg_type": 4, "media_params": {}}
            peer.send_json({**answer, "status_code": 0})
            codes.append(peer.receive_close())
            peer.close()

        with RawServer(script) as server:
            urls["all"] = server.url("/media")
            recorder = Recorder(client, "audio_data", "chat_data", "leave")
            join_raw(client, server)
            client.wait_joined()
            assert client.leave() is True
            assert client.leave() is True
        assert codes == [1000, 1000, 1000]
        assert recorder.of("leave") == []
        assert str(client.wait(0)) == "we left"

    def test_nothing_is_delivered_after_it_returned(self, join, meeting, client):
        recorder = Recorder(client, *MEDIA, *EVENTS)
        join()
        for _ in range(100):
            meeting.send_audio(b"x")
            meeting.send_video(b"x" * 5000)
            meeting.send_transcript("x")
            meeting.send_event({"event_type": 2, "timestamp": 1, "user_id": 1}, to_all=True)
        recorder.wait_for("audio_data", 3)
        client.leave()
        delivered = len(recorder.calls)
        for _ in range(20):
            gevent.sleep(0.001)
        assert len(recorder.calls) == delivered

    def test_a_running_callback_is_left_to_finish(self, join, meeting, client):
        entered, go, finished = Event(), Event(), Event()

        @client.on_audio_data
        def blocks(*_):
            entered.set()
            go.wait()
            finished.set()

        join()
        meeting.send_audio(b"1")
        meeting.send_audio(b"2")
        assert entered.wait(5)
        client.leave()
        entered.clear()
        go.set()
        assert finished.wait(5)
        gevent.sleep(0)
        assert not entered.is_set()
        assert client.dropped["audio"] == 1

    def test_before_joining_and_twice(self):
        client = Client()
        assert client.leave() is True
        assert client.stop() is True

    def test_with_statement(self, simulator, meeting):
        with pytest.raises(RuntimeError, match="user's"), Client() as client:
            client.on_audio_data(print)
            client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
            client.wait_joined()
            raise RuntimeError("user's own")
        assert client.wait(0).by_us

    def test_close_stream_asks_zoom_first(self, join, meeting, client):
        client.on_audio_data(print)
        join()
        client.leave(close_stream=True)
        assert [m["msg_type"] for m in meeting.received if m["msg_type"] == 21] == [21]
        wait_until(meeting.finished.is_set)
        assert meeting.stop_reason == StopReason.RECEIVER_REQUEST_CLOSE

    def test_close_stream_waits_no_longer_than_the_limit(self):
        def script(peer):
            peer.upgrade()
            peer.receive_json()
            peer.send_json({"msg_type": 2, "status_code": 0, "media_server": {}})
            assert peer.receive_json()["msg_type"] == 21
            peer.receive_close()
            peer.close()

        with RawServer(script) as server, Client(timeouts=Timeouts(close=0.1)) as client:
            join_raw(client, server)
            client.wait_joined()
            client.leave(close_stream=True)


class TestZoomEndsIt:
    @pytest.mark.parametrize("reason", [6, 1, 24, 99])
    def test_reason(self, reason, join, meeting, client):
        recorder = Recorder(client, "audio_data", "leave")
        join()
        meeting.stop(reason)
        end = client.wait(5)
        assert end.code == reason
        assert end.stop_reason == reason
        assert recorder.of("leave") == [(reason,)]
        assert "Zoom ended the stream, reason" in str(end)
        assert "What to do" in str(end)

    def test_without_a_reason(self):
        def script(peer):
            peer.upgrade()
            peer.receive_json()
            peer.send_json({"msg_type": 2, "status_code": 0, "media_server": {}})
            peer.send_json({"msg_type": 8, "state": 4, "timestamp": 1})
            peer.receive_close()

        with RawServer(script) as server, Client() as client:
            recorder = Recorder(client, "leave")
            join_raw(client, server)
            end = client.wait(5)
        assert (end.code, end.stop_reason) == (-1, None)
        assert recorder.of("leave") == [(-1,)]

    def test_media_that_is_still_on_its_way_is_delivered(self):
        """The end travels on another socket than the media, and may overtake it."""
        urls = {}
        ended = Event()

        def script(peer):
            peer.upgrade()
            if peer.receive_json()["msg_type"] == 1:
                peer.send_json(
                    {
                        "msg_type": 2,
                        "status_code": 0,
                        "media_server": {"server_urls": {"transcript": urls["media"]}},
                    }
                )
                assert peer.receive_json()["msg_type"] == 7
                peer.send_json({"msg_type": 8, "state": 4, "reason": 6, "timestamp": 1})
                ended.set()
                peer.receive_close()
                peer.close()
            else:
                peer.send_json({"msg_type": 4, "status_code": 0, "media_params": {}})
                peer.receive_close()  # the client has heard of the end
                for number in range(5):
                    content = {"data": f"line {number}", "timestamp": 1738392033699}
                    peer.send_json({"msg_type": 17, "content": content})
                peer.close()

        with RawServer(script) as server, Client() as client:
            urls["media"] = server.url("/media")
            recorder = Recorder(client, "transcript_data", "leave")
            join_raw(client, server)
            assert client.wait(5).code == 6
        assert recorder.payloads("transcript_data") == [b"line %d" % n for n in range(5)]
        assert recorder.calls[-1] == ("leave", (6,))

    def test_a_webhook_says_so(self, join, meeting, client):
        recorder = Recorder(client, "audio_data", "leave")
        join()
        payload = {**meeting.payload, "stop_reason": 6}
        client.notify(
            {"event": "meeting.rtms_stopped", "payload": {**payload, "rtms_stream_id": "other"}}
        )
        assert client.is_joined
        client.notify({"event": "meeting.rtms_stopped", "payload": payload})
        assert client.wait(5).stop_reason is StopReason.MEETING_ENDED
        assert recorder.of("leave") == [(6,)]


class TestAccidents:
    """Without reconnecting; for that see test_reconnecting.py."""

    @pytest.mark.parametrize("which", ["signaling", "audio"])
    @pytest.mark.parametrize(
        ("accident", "code"),
        [("close", 960), ("reset", 502)],
    )
    def test_a_lost_socket(self, which, accident, code, join, meeting):
        with Client(reconnect=NEVER) as client:
            recorder = Recorder(client, "audio_data", "leave")
            join(client)
            getattr(meeting, f"{accident}_sockets")(which)
            end = client.wait(5)
        assert isinstance(end.error, ConnectionLost)
        assert end.error.socket == which
        assert end.code == code
        assert recorder.of("leave") == [(code,)]

    @pytest.mark.parametrize("which", ["signaling", "media"])
    def test_silence(self, which):
        urls = {}

        def script(peer):
            peer.upgrade()
            if peer.receive_json()["msg_type"] == 1:
                peer.send_json(
                    {
                        "msg_type": 2,
                        "status_code": 0,
                        "media_server": {"server_urls": {"audio": urls["media"]}},
                    }
                )
            else:
                peer.send_json({"msg_type": 4, "status_code": 0, "media_params": {}})
            hang(peer)

        patience = Timeouts(close=0.05, **{f"{which}_silence": 0.1})
        with RawServer(script) as server, Client(timeouts=patience, reconnect=NEVER) as client:
            urls["media"] = server.url("/media")
            client.on_audio_data(print)
            join_raw(client, server)
            client.wait_joined()
            end = client.wait(5)
        assert end.error.socket == {"signaling": "signaling", "media": "audio"}[which]
        assert "nothing was heard" in str(end)

    def test_left_is_told_once_for_each_joining(self, simulator, meeting, client):
        got = []

        def keep(sender, **_):
            got.append(sender)

        with signals.left.connected_to(keep):
            client.on_audio_data(print)
            client.join(meeting.payload, client="wrong", secret="wrong")
            client.wait(5)
            assert got == [client]
            client.join(meeting.payload, client=simulator.client_id, secret=simulator.client_secret)
            client.wait_joined()
            client.leave()
            client.leave()
        assert got == [client, client]


def recorded(name):
    lines = pathlib.Path(__file__).parents[1].joinpath("conversations", name).read_text()
    return [json.loads(line) for line in lines.splitlines()]


def test_the_servers_side_of_a_recorded_session_of_the_official_sdk():
    """What a server said to the official SDK, said to us, reaches the same callbacks."""
    conversation = recorded("official_sdk_session.jsonl")
    roles = {}  # recorded socket -> media type of its handshake
    for entry in conversation:
        if entry.get("json", {}).get("msg_type") == 3:
            roles[entry["sock"]] = entry["json"]["media_type"]
    peers, urls = {}, {}
    ready = Event()

    def script(peer):
        peer.upgrade()
        request = peer.receive_json()
        role = request.get("media_type", "signaling")
        peers[role] = peer
        if role == "signaling":
            peer.send_json(
                {
                    "msg_type": 2,
                    "status_code": 0,
                    "media_server": {"server_urls": {"all": urls["all"]}},
                }
            )
            while peer.receive_json()["msg_type"] != 7:
                pass
            ready.set()
        else:
            peer.send_json({"msg_type": 4, "status_code": 0, "media_params": {}})
        peer.receive_close()
        peer.close()

    # Event 7 is in there, which would make us reconnect.
    with RawServer(script) as server, Client(reconnect=NEVER) as client:
        urls["all"] = server.url("/media")
        recorder = Recorder(client, *MEDIA[:4], *EVENTS)
        client.join(
            meeting_uuid="u",
            rtms_stream_id="STREAMid",
            server_urls=server.url(),
            client="c",
            secret="s",
        )
        assert ready.wait(5)
        for entry in conversation:
            if (
                entry["dir"] == "S>C"
                and "json" in entry
                and entry["json"]["msg_type"] not in (2, 4)
            ):
                peers[roles.get(entry["sock"], "signaling")].send_json(entry["json"])
        assert client.wait(5).code == 6

    theirs = [entry for entry in conversation if entry.get("k") == "cb"]
    counts = {name: len(recorder.of(name)) for name in (*MEDIA, *EVENTS)}
    heard = {
        "audio_data": "audio",
        "video_data": "video",
        "deskshare_data": "deskshare",
        "transcript_data": "transcript",
        "event_ex": "event_ex",
        "participant_event": "participant_event",
        "active_speaker_event": "active_speaker",
        "sharing_event": "sharing",
        "media_connection_interrupted": "media_interrupted",
        "participant_video": "participant_video",
        "video_subscribed": "video_subscribed",
        "join_confirm": "join_confirm",
        "leave": "leave",
    }
    for ours, name in heard.items():
        assert counts[ours] == sum(entry["name"] == name for entry in theirs), ours
    # The official SDK never tells who left, and its sessions are unusable.
    assert counts["user_update"] == 1 + sum(entry["name"] == "user_update" for entry in theirs)
    assert [op for op, _ in recorder.of("session_update")] == [1, 3, 4, 2]
    said = {entry["name"]: entry for entry in theirs}
    assert recorder.payloads("audio_data") == [b"\x01\x02opus-bytes"]
    assert recorder.payloads("transcript_data") == ["hello wörld".encode()]
    ((_, _, _, metadata),) = recorder.of("transcript_data")
    assert (metadata.startTs, metadata.endTs) == (
        said["transcript"]["md"]["startTs"],
        said["transcript"]["md"]["endTs"],
    )
    assert recorder.payloads("event_ex") == [
        entry["raw"] for entry in theirs if entry["name"] == "event_ex"
    ]

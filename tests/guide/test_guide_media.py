"""Context manager, media callbacks, media configuration, individual video."""

from __future__ import annotations

from support.recorder import wait_until

from .program import Program, simulator

SUBSCRIBE, HANDSHAKE = 5, 3


def subscribed(meeting, number):
    item = {"event_type": number, "subscribe": True}
    return any(item in message.get("events", ()) for message in meeting.received)


def test_the_context_manager_ends_with_the_meeting():
    with simulator() as zoom, Program("context_manager", zoom.meeting.payload) as program:
        assert zoom.meeting.wait_ready(10)
        zoom.meeting.send_audio(b"a packet")
        program.wait_for("processed b'a packet'")
        zoom.meeting.stop(6)
        assert program.wait() == 0
        assert program.lines[-1] == "over"


def test_every_kind_of_media_reaches_its_callback():
    with simulator() as zoom, Program("media_callbacks", zoom.meeting.payload) as program:
        meeting = zoom.meeting
        assert meeting.wait_ready(10)
        meeting.send_transcript("Good morning", 5, "Ana", timestamp=1738392033699)
        meeting.send_audio(b"\0" * 640, 5, "Ana")
        meeting.send_video(b"\0" * 1000, 6, "Bo")
        meeting.send_deskshare(b"\0" * 2000, 6, "Bo")
        wait_until(lambda: subscribed(meeting, 2))
        meeting.send_event({"event_type": 2, "timestamp": 1, "user_id": 6, "user_name": "Bo"})
        for line in (
            "[1738392033699] Ana: Good morning",
            "Audio: 640B from Ana",
            "Video: 1000B from Bo",
            "Deskshare: 2000B from Bo",
            "Active speaker: Bo (6)",
        ):
            program.wait_for(line)
        meeting.stop(6)
        assert program.wait() == 0
        assert program.errors == [] or "Traceback" not in "".join(program.errors)


def test_parameters_go_out_as_they_were_set():
    with simulator() as zoom, Program("media_configuration", zoom.meeting.payload) as program:
        meeting = zoom.meeting
        assert meeting.wait_ready(10)
        asked = {}
        for message in meeting.received:
            if message["msg_type"] == HANDSHAKE:
                asked.update(message["media_params"])
        assert asked == {
            "video": {"content_type": 3, "codec": 7, "resolution": 2, "fps": 30, "data_opt": 3},
            "audio": {
                "content_type": 2,
                "codec": 4,
                "sample_rate": 3,
                "channel": 2,
                "data_opt": 1,
                "send_rate": 20,
            },
            "deskshare": {"content_type": 3, "codec": 7, "resolution": 3, "fps": 5},
            "transcript": {"content_type": 5, "src_language": 9, "enable_lid": True},
        }
        meeting.send_audio(b"audio")
        meeting.send_video(b"video")
        meeting.send_deskshare(b"deskshare")
        meeting.send_transcript("transcript")
        for line in ("audio", "video", "deskshare", "transcript"):
            program.wait_for(line)
        meeting.stop(6)
        assert program.wait() == 0


def test_video_of_whoever_joined_last():
    """Zoom sends one participant's video at a time: a newer subscription replaces the older."""
    ann, bob = 16778240, 16779264
    with simulator() as zoom, Program("individual_video", zoom.meeting.payload) as program:
        meeting = zoom.meeting
        assert meeting.wait_ready(10)
        for number in (3, 4, 8, 9):
            wait_until(lambda number=number: subscribed(meeting, number))

        def tell(number, user_id, name):
            people = [{"user_id": user_id, "user_name": name}]
            meeting.send_event({"event_type": number, "timestamp": 1, "participants": people})

        assert not meeting.send_video(b"\0" * 10, ann, "Ann")  # nobody asked for it
        tell(3, ann, "Ann")
        program.wait_for(f"subscribe_video({ann}): status=0 error=OK")
        tell(8, ann, "Ann")
        program.wait_for(f"Video on for users: [{ann}]")
        assert meeting.send_video(b"\0" * 100, ann, "Ann")
        program.wait_for("Video: 100B from Ann")
        tell(3, bob, "Bob")
        wait_until(lambda: meeting.send_video(b"\0" * 200, bob, "Bob"))
        assert not meeting.send_video(b"\0" * 100, ann, "Ann")
        program.wait_for("Video: 200B from Bob")
        tell(4, bob, "Bob")
        wait_until(lambda: not meeting.wants_video_of(bob))
        tell(9, ann, "Ann")
        program.wait_for(f"Video off for users: [{ann}]")
        meeting.stop(6)
        assert program.wait() == 0

"""Joins with Zoom's own SDK and prints what its callbacks got; run by test_official_sdk.py.

Runs in the Python that has ``rtms`` installed, and imports nothing of this project. The payload of
the start webhook comes as JSON in the first argument; one JSON object goes to the last line of
standard output.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading

import rtms

joined, left = threading.Event(), threading.Event()
reasons: dict[str, int] = {}
got: dict[str, list[str]] = {"audio": [], "video": [], "deskshare": [], "transcript": []}
events: list[str] = []


def keep(kind):
    return lambda data, size, timestamp, metadata: got[kind].append(
        hashlib.sha256(data).hexdigest()
    )


def note(name, event):
    def callback(reason):
        reasons[name] = reason
        event.set()

    return callback


client = rtms.Client()
client.on_audio_data(keep("audio"))
client.on_video_data(keep("video"))
client.on_deskshare_data(keep("deskshare"))
client.on_transcript_data(keep("transcript"))
client.on_user_update(lambda *arguments: None)  # subscribes to 2, 3 and 4
client.on_participant_video(lambda *arguments: None)  # subscribes to 8 and 9
client.on_event_ex(events.append)
client.on_join_confirm(note("join", joined))
client.on_leave(note("leave", left))
client.join(**json.loads(sys.argv[1]))  # its own thread polls
if joined.wait(20) and reasons["join"] == 0:
    client.subscribe_event([5, 6])  # from inside a callback it would dead-lock
    left.wait(40)
sys.stdout.write(json.dumps({"reasons": reasons, "events": events, "got": got}) + "\n")
sys.stdout.flush()
os._exit(0)  # its threads do not end by themselves

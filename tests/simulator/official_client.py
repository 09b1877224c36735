"""Joins with Zoom's own SDK and prints what its callbacks got; run by test_official_sdk.py.

Runs in the Python that has ``rtms`` installed, and imports nothing of this project. The payload of
the start webhook comes as JSON in the first argument; one JSON object goes to the last line of
standard output.

Everything happens in one thread. A method that is called while another thread polls the client may
lock the process up for ever, about one time in thirty: ``subscribe_event()`` waits for the client's
mutex and keeps the interpreter's lock, while a callback has the first and waits for the second.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sys

import rtms

joined, left = asyncio.Event(), asyncio.Event()
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


async def take_part(payload):
    loop = rtms.EventLoop()
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
    loop.add(client)
    client.join(**payload)
    polling = asyncio.create_task(loop.run_async())
    await asyncio.wait_for(joined.wait(), 20)
    if reasons["join"] == 0:
        client.subscribe_event([5, 6])  # from inside a callback it would dead-lock
        await asyncio.wait_for(left.wait(), 30)
    polling.cancel()


with contextlib.suppress(asyncio.TimeoutError):  # what is missing in the report tells
    asyncio.run(take_part(json.loads(sys.argv[1])))
sys.stdout.write(json.dumps({"reasons": reasons, "events": events, "got": got}) + "\n")
sys.stdout.flush()
os._exit(0)  # its threads do not end by themselves

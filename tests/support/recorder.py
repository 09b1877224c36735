"""Keeps what a client tells, and waits for it."""

from __future__ import annotations

import gevent
from gevent.event import Event

MEDIA = ("audio_data", "video_data", "deskshare_data", "transcript_data", "chat_data")
EVENTS = (
    "join_confirm",
    "leave",
    "session_update",
    "user_update",
    "participant_event",
    "active_speaker_event",
    "sharing_event",
    "media_connection_interrupted",
    "event_ex",
    "participant_video",
    "video_subscribed",
)


def wait_until(condition, seconds=5.0):
    """Wait cooperatively until ``condition()`` is true, and return its value."""
    with gevent.Timeout(seconds, AssertionError("the condition never came true")):
        while not (value := condition()):
            gevent.sleep(0.002)
    return value


class Recorder:
    """Registers a function for each of ``names``, and lists what they were called with."""

    def __init__(self, client, *names):
        self.calls = []
        self._changed = Event()
        for name in names:
            getattr(client, f"on_{name}")(self._keeper(name))

    def _keeper(self, name):
        def keep(*arguments):
            self.calls.append((name, arguments))
            self._changed.set()

        return keep

    def of(self, name):
        return [arguments for called, arguments in self.calls if called == name]

    def payloads(self, name):
        return [arguments[0] for arguments in self.of(name)]

    def wait_for(self, name, count=1, seconds=5.0):
        wait_until(lambda: len(self.of(name)) >= count, seconds)
        return self.of(name)

"""A client that notes in which thread its callback ran."""

from __future__ import annotations

from gevent import monkey

from rtms_gevent import Client


def native_thread():
    return monkey.get_original("_thread", "get_ident")()


class Listener:
    """A client that notes in which thread its callback ran."""

    def __init__(self, executor=None):
        self.client = Client(executor)
        self.heard = []
        self.client.on_audio_data(self.hear)

    def hear(self, data, size, timestamp, metadata):
        self.heard.append((data, native_thread()))

    def join(self, simulator, meeting):
        self.client.join(
            meeting.payload, client=simulator.client_id, secret=simulator.client_secret
        )

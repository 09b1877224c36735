"""Steps that tests of the store in Redis have in common."""

from __future__ import annotations

import gevent

from rtms_gevent.errors import StoreError

from .backends import RedisPlace
from .redis_server import RedisServer

START = {"event": "meeting.rtms_started", "payload": {"server_urls": "wss://a"}}
NEWS = {"event": "meeting.rtms_interrupted", "payload": {}}


class OwnPlace(RedisPlace):
    """A server of its own, which a test may stop."""

    def __init__(self, *options):
        super().__init__()
        self.client.close()
        self.server = RedisServer(*options)
        self.client = self.server.client()

    def close(self):
        self.server.resume()
        super().close()
        self.server.stop()


def owned(store, stream_id="s"):
    assert store.offer(stream_id, START)
    claim = store.claim(may_expire=False)
    assert claim.stream_id == stream_id
    return claim


def letters(store, count):
    found = []
    with gevent.Timeout(10):
        while len(found) < count:
            found += store.wait(1.0).letters
    return [letter.document for letter in found]


def pending(place):
    """Return owner and delivery counter by entry."""
    rows = place.client.execute("XPENDING", place.key("starts"), "workers", "-", "+", 100)
    return [(row[1].decode(), row[3]) for row in rows]


def claim_all(store):
    return [claim.stream_id for claim in iter(lambda: store.claim(may_expire=True), None)]


def break_run(monkeypatch, store, script, *, after):
    """Let a script fail as a connection does, once it has run so many times."""
    run, count = store._client.run, [0]

    def broken(which, keys, arguments):
        if which is script:
            count[0] += 1
            if count[0] == after + 1:
                raise StoreError("broken on purpose")
        return run(which, keys, arguments)

    monkeypatch.setattr(store._client, "run", broken)

"""One browser that looks at the live page, and what travels between it and us.

From the browser comes one kind of message, a text: the id of the stream that it wants to watch.
To the browser go text messages, each a JSON object with some of these members:

=============  ===================================================================================
``hello``      Version of this package. First message, once.
``now``        Our clock, ms since the epoch.
``ids``        All streams in order of arrival, whenever one came or went.
``streams``    List of ``about`` objects for the streams that changed: id, uuid, product, state
               (joining, live, interrupted, paused, ending, ended), reason, began, ended, speaker,
               formats (MIME type per kind of picture).
``detail``     Of the watched stream: ``id``; ``full`` (true where nothing before counts any more);
               ``participants`` (changed ones), ``forgotten`` (how many of them had to go),
               ``levels`` (0 to 100 by participant, null where audio cannot be measured),
               ``transcript`` and ``chat`` (new and revised lines by ``id``), ``problems``,
               ``clear`` (pictures that are gone), ``counters`` (messages, bytes, dropped by media
               type).
=============  ===================================================================================

and binary messages, each a picture of the watched stream: two bytes with the length of a JSON
header (big endian), the header (stream, kind, user, name, mime, number), and the picture itself.

There is no queue: a viewer asks the feed ten times a second for what is new to it. If sending took
longer, it asks later, and gets the newest picture instead of all of them. A viewer that comes late
asks for what is newer than nothing.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import gevent
from gevent.event import Event

from .._version import __version__
from ..wsgi.websocket import WebSocketClosed
from .browser import BrowserSocket
from .feed import Feed

__all__ = ["Viewer"]

logger = logging.getLogger(__name__)

#: Seconds between two looks for changes.
INTERVAL = 0.1
#: Seconds between two looks at the counters.
COUNTERS_INTERVAL = 0.5
#: Seconds without changes after which an empty message shows that the connection works.
MAX_SILENCE = 10.0


class Viewer:
    """Sends one browser what is new.

    Two greenlets: the caller's sends, another one reads. Greenlet-safety: use it from one greenlet.
    """

    def __init__(self, feed: Feed, browser: BrowserSocket) -> None:
        self._feed = feed
        self._browser = browser
        self._gone = Event()
        self._wanted = ""  # the stream that the browser asked for last
        self._asked = False
        self._watched = ""
        self._since = 0
        self._since_detail = 0
        self._counters: dict[str, list[int]] = {}
        self._counters_due = 0.0
        self._last_sent = 0.0

    def run(self) -> None:
        """Send what is new until the browser is gone. Blocks this greenlet, and never raises."""
        reader = gevent.spawn(self._read)
        reader.name = "rtms-live:reader"
        try:
            self._send({"hello": __version__})
            while not self._gone.is_set():
                self._send_changes()
                self._gone.wait(INTERVAL)
        except WebSocketClosed as gone:
            logger.debug("viewer left: %s", gone)
        finally:
            self._feed.watch(self._watched, -1)
            reader.kill()
            self._browser.close(1001)

    def _read(self) -> None:
        try:
            while True:
                self._wanted = self._browser.receive()
                self._asked = True
        except WebSocketClosed as gone:
            logger.debug("viewer left: %s", gone)
        finally:
            self._gone.set()

    def _send_changes(self) -> None:
        if self._asked:
            self._watch(self._wanted)
        full = not self._since_detail
        changes = self._feed.changes(self._since, self._watched, self._since_detail)
        message: dict[str, Any] = {}
        if changes.ids is not None:
            message["ids"] = changes.ids
        if changes.streams:
            message["streams"] = changes.streams
        detail: dict[str, Any] = {**changes.detail, **self._new_counters()}
        if self._watched and (full or detail):
            message["detail"] = {"id": self._watched, **({"full": True} if full else {}), **detail}
        self._since = changes.revision
        self._since_detail = changes.revision
        if message or time.monotonic() - self._last_sent > MAX_SILENCE:
            self._send(message)
        for picture in changes.pictures:
            self._browser.send(picture.message)

    def _watch(self, stream_id: str) -> None:
        self._asked = False
        self._feed.watch(self._watched, -1)
        self._feed.watch(stream_id, 1)
        self._watched = stream_id
        self._since_detail = 0
        self._counters = {}
        self._counters_due = 0.0

    def _new_counters(self) -> dict[str, Any]:
        now = time.monotonic()
        if not self._watched or now < self._counters_due:
            return {}
        self._counters_due = now + COUNTERS_INTERVAL
        counters = self._feed.counters(self._watched)
        if counters == self._counters:
            return {}
        self._counters = counters
        return {"counters": counters}

    def _send(self, message: dict[str, Any]) -> None:
        self._last_sent = time.monotonic()
        self._browser.send(json.dumps({"now": round(time.time() * 1000), **message}))

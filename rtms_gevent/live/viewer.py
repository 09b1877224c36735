"""One browser that looks at the live page, and what travels between it and us.

From the browser comes one kind of message, a text: the id of the stream that it wants to watch.
To the browser go text messages, each a JSON object with some of these members:

=============  ===================================================================================
``hello``      Version of this package. First message, once.
``workers``    How many workers are asked, whenever that changed.
``now``        Our clock, ms since the epoch.
``ids``        All streams in order of arrival, whenever one came or went.
``streams``    List of ``about`` objects for the streams that changed: id, uuid, product, state
               (joining, live, interrupted, paused, ending, ended), reason, began, ended, speaker,
               formats (MIME type per kind of picture), worker (process id of its owner).
``detail``     Of the watched stream: ``id``; ``full`` (true where nothing before counts any more);
               ``participants`` (changed ones), ``forgotten`` (how many of them had to go),
               ``levels`` (0 to 100 by participant, null where audio cannot be measured),
               ``transcript`` and ``chat`` (new and revised lines by ``id``), ``problems``,
               ``clear`` (pictures that are gone), ``counters`` (messages, bytes, dropped by media
               type).
=============  ===================================================================================

and binary messages, each a picture of the watched stream: two bytes with the length of a JSON
header (big endian), the header (stream, kind, user, name, mime, number), and the picture itself.

Streams may live in other workers of this machine. Their lists are merged, and the stream that the
browser watches is relayed from the worker that has it. Where it goes to another worker, the detail
begins anew, with ``full``.

There is no queue: a viewer asks the feed ten times a second for what is new to it. If sending took
longer, it asks later, and gets the newest picture instead of all of them.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Group

from .._version import __version__
from ..runtime.gunicorn import current_worker
from ..wsgi.websocket import WebSocketClosed
from .browser import BrowserSocket
from .feed import Feed
from .news import News
from .siblings import SIBLINGS_INTERVAL, Relay, siblings
from .stream_list import StreamList

__all__ = ["Viewer"]

logger = logging.getLogger(__name__)

#: Seconds between two looks for changes.
INTERVAL = 0.1
#: Seconds that other workers have for their first list, before the browser gets one without it.
LIST_TIMEOUT = 1.0
#: Seconds without changes after which an empty message shows that the connection works.
MAX_SILENCE = 10.0

#: This worker, in the list of streams.
_HERE = ""


class Viewer:
    """Sends one browser what is new.

    Greenlets: the caller's sends what is new here, another one reads, one looks for other workers,
    and one for each of these passes on what they say. Greenlet-safety: use it from one greenlet.
    """

    def __init__(self, feed: Feed, browser: BrowserSocket, page: str) -> None:
        """Send nothing yet.

        Args:
            feed: The streams of this process.
            browser: Where to send it.
            page: Key of the page, by which other workers know it.
        """
        self._browser = browser
        self._page = page
        self._news = News(feed)
        self._streams = StreamList()
        self._relays: dict[str, Relay] = {}  # by the worker's socket
        self._workers = 0  # as the browser knows
        self._listed = Event()  # all workers have said what they have
        self._gone = Event()
        self._wanted = ""  # the stream that the browser asked for last
        self._asked = False
        #: Who tells the watched stream in detail.
        self._source: News | Relay | None = None
        self._last_sent = 0.0

    def run(self) -> None:
        """Send what is new until the browser is gone, or this worker ends. Never raises."""
        greenlets = Group()
        greenlets.spawn(self._read).name = "rtms-live:reader"
        greenlets.spawn(self._find_siblings, greenlets).name = "rtms-live:siblings"
        try:
            self._send({"hello": __version__})
            while not self._gone.is_set() and not _is_ending():
                self._send_changes()
                self._gone.wait(INTERVAL)
        except WebSocketClosed as gone:
            logger.debug("viewer left: %s", gone)
        finally:
            self._news.watch("")
            greenlets.kill()
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

    # -- what is new here --------------------------------------------------------------------------

    def _send_changes(self) -> None:
        self._choose_source()
        message, pictures = self._news.fetch()
        streams = message.pop("streams", ())
        for about in streams:
            about["worker"] = os.getpid()
        self._streams.update(_HERE, message.pop("ids", None), streams)
        if self._listed.is_set():  # half a list would look as if streams had ended
            message = {**self._streams.changes(), **message}
            if self._workers != 1 + len(self._relays):
                message["workers"] = self._workers = 1 + len(self._relays)
        if message or time.monotonic() - self._last_sent > MAX_SILENCE:
            self._send(message)
        for picture in pictures:
            self._browser.send(picture.message)

    def _choose_source(self) -> None:
        """Watch the wanted stream where it lives now."""
        worker = self._streams.worker_of(self._wanted)
        source = self._news if worker == _HERE else self._relays.get(worker or "")
        if self._asked or source is not self._source:
            self._asked = False
            before, self._source = self._source, source
            if before is not None and before is not source:
                before.watch("")
            if source is not None:
                source.watch(self._wanted)

    def _send(self, message: dict[str, Any]) -> None:
        self._last_sent = time.monotonic()
        self._browser.send(json.dumps({"now": round(time.time() * 1000), **message}))

    # -- what is new elsewhere ---------------------------------------------------------------------

    def _find_siblings(self, greenlets: Group) -> None:
        while True:
            for worker in siblings():
                if worker.live_socket not in self._relays:
                    relay = Relay(worker, self._page, self._pass_on)
                    self._relays[worker.live_socket] = relay
                    greenlets.spawn(self._relay, relay).name = f"rtms-live:{worker.id}"
            if not self._listed.is_set():
                gevent.wait([relay.heard for relay in self._relays.values()], LIST_TIMEOUT)
                self._listed.set()
            gevent.sleep(SIBLINGS_INTERVAL)

    def _relay(self, relay: Relay) -> None:
        try:
            relay.run()
        except WebSocketClosed as gone:
            logger.debug("viewer left: %s", gone)
            self._gone.set()
        finally:
            del self._relays[relay.worker.live_socket]
            self._streams.lose(relay.worker.live_socket)

    def _pass_on(self, relay: Relay, message: dict[str, Any] | bytes) -> None:
        """Send what another worker's page sees: pictures, and details, of the watched stream."""
        if isinstance(message, dict):
            streams = message.get("streams", ())
            for about in streams:
                about["worker"] = relay.worker.pid
            self._streams.update(relay.worker.live_socket, message.get("ids"), streams)
            if self._source is relay and "detail" in message:
                self._send({"detail": message["detail"]})
        elif self._source is relay:
            self._browser.send(message)


def _is_ending() -> bool:
    """Return whether this worker ends: it would wait for viewers, who can look elsewhere."""
    worker = current_worker()
    return worker is not None and worker.is_ending

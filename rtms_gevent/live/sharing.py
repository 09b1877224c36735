"""The Unix socket where other workers of this machine get what the pages of this process see.

A connection begins with a text, a JSON object: ``format``, ``page`` (its key) and ``want``. For
``numbers`` one text comes, a JSON object. For ``news`` come messages and pictures as browsers get
them (see :mod:`.viewer`), and the other end sends ids of streams to watch. Who may look was decided
by the worker that asks: only this user can open the socket.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import logging
import os
import secrets
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
from gevent import monkey, socket
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer

from ..cluster.cluster import Cluster, all_clusters
from ..errors import StoreError
from ..loop import streams_context
from ..runtime.fork import forget_in_child
from .feed import Feed
from .news import News
from .pipe import Pipe, PipeClosed

__all__ = ["FORMAT", "SharedPage", "live_socket", "share_soon"]

logger = logging.getLogger(__name__)

#: Of what travels. Workers of other versions, around a deploy, do not understand each other.
FORMAT = 1
#: Seconds between two looks for changes: of a stream that is watched, and of the list.
INTERVAL = 0.1
LIST_INTERVAL = 0.3
#: A viewer in another worker is one.
MAX_CONNECTIONS = 1000
#: Seconds in which a socket that was just made may not be listened on yet.
_NEW = 10.0


class SharedPage:
    """A page, as other workers may ask for it; for as long as somebody refers to this."""

    def __init__(self, name: str, feed: Feed, numbers: Callable[[], dict[str, Any]]) -> None:
        """Make it known.

        Args:
            name: The same in all workers; of several pages with one name, each is the n-th.
            feed: What it shows of this process.
            numbers: Returns ``viewers`` and ``streams`` as ``/stats`` has them.
        """
        self.key = f"{name} {next(_counters[name])}"
        self.feed = feed
        self.numbers = numbers
        _pages[self.key] = self


_counters: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)
_pages: weakref.WeakValueDictionary[str, SharedPage] = weakref.WeakValueDictionary()


def share_soon() -> None:
    """Open the socket where there are other workers, unless it is open. Any thread; never waits."""
    clusters = [each for each in all_clusters() if each.store is not None and each.store.is_shared]
    if any(not each.live_socket for each in clusters):
        streams_context().submit(lambda: _socket.announce(clusters))


class _LiveSocket:
    """Serves the pages of this process, on the hub of its streams."""

    def __init__(self) -> None:
        self.path = ""  #: "" where it is not open
        self._server: StreamServer | None = None
        self._connections = Pool(MAX_CONNECTIONS)
        self._has_failed = False

    def announce(self, clusters: list[Cluster]) -> None:
        """Open it, unless it is open, and tell other workers where it is."""
        if self._server is None and not self._has_failed:
            try:
                self._open()
            except (OSError, StoreError) as problem:
                self._has_failed = True
                logger.warning("other workers cannot show the streams of this one: %s", problem)
        for cluster in clusters:
            cluster.live_socket = self.path

    def _open(self) -> None:
        from ..cluster.local_directory import default_directory, open_private  # not on Windows

        directory = default_directory("").parent / "live"
        os.close(open_private(directory))
        _remove_stale(directory)
        path = str(directory / f"{os.getpid()}-{secrets.token_hex(4)}")
        listener = monkey.get_original("socket", "socket")(socket.AF_UNIX)
        try:
            listener.bind(path)
            os.chmod(path, 0o600)
            listener.listen()
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        self._server = StreamServer(listener, _serve, spawn=self._connections)
        self._server.start()
        self.path = path
        forget_in_child(self)
        atexit.register(_remove, path, os.getpid())

    def after_fork_in_child(self, is_here: bool) -> None:
        """Leave it to the parent, in a forked child."""
        server, self._server, self.path = self._server, None, ""
        if server is not None:
            listener = server.socket
            if is_here:
                server.close()
                self._connections.kill(block=False)  # what they send is sent by the parent's
            listener.close()


_socket = _LiveSocket()


def live_socket() -> str:
    """Return the path of this process's socket, "" where it is not open."""
    return _socket.path


def _remove(path: str, pid: int) -> None:
    if pid == os.getpid():
        with contextlib.suppress(OSError):
            os.unlink(path)


def _remove_stale(directory: Path) -> None:
    """Remove what workers have left that were killed: nobody listens there."""
    for path in directory.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime < _NEW:
                continue  # another worker may be about to listen
            try:
                Pipe.connect(str(path)).close()
            except PipeClosed:
                path.unlink()


def _serve(connection: Any, address: object) -> None:
    """Answer one connection. The server runs this in a greenlet, and closes the connection."""
    pipe = Pipe(connection)
    try:
        asked = json.loads(pipe.receive())
        page = _pages.get(asked["page"]) if asked["format"] == FORMAT else None
        if page is None:
            logger.debug("another worker asked for what is not served here")
        elif asked["want"] == "numbers":
            pipe.send(json.dumps(page.numbers()))
        else:
            _send_news(page.feed, pipe)
    except PipeClosed as gone:
        logger.debug("a worker has seen enough: %s", gone)
    except Exception:  # of the app's LivePage(stats=...), perhaps
        logger.exception("what another worker asked for failed")
    finally:
        pipe.close()


def _send_news(feed: Feed, pipe: Pipe) -> None:
    """Send what is new until the other end is gone.

    Raises:
        PipeClosed: it is gone.
    """
    news = News(feed)
    wanted = [""]
    woken = Event()

    def read() -> None:
        with contextlib.suppress(PipeClosed):
            while True:
                wanted[0] = str(pipe.receive())
                woken.set()
        wanted.clear()
        woken.set()

    reader = gevent.spawn(read)
    reader.name = "rtms-live:worker-reader"
    watched = ""
    try:
        while wanted:
            if wanted[0] != watched:
                watched = wanted[0]
                news.watch(watched)
            message, pictures = news.fetch()
            if message:
                pipe.send(json.dumps(message))
            for picture in pictures:
                pipe.send(picture.message)
            woken.wait(INTERVAL if watched else LIST_INTERVAL)
            woken.clear()
    finally:
        news.watch("")
        reader.kill()

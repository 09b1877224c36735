"""What the suite of all stores runs on: a place that the stores of several workers share.

To add a backend: write a :class:`Place`, and name it in :data:`PLACES`.
"""

from __future__ import annotations

import abc
import contextlib
import glob
import itertools
import os
import shutil
import sqlite3
import tempfile
import time

from support.recorder import wait_until

from rtms_gevent.cluster.memory import MemoryCluster, MemoryStore
from rtms_gevent.cluster.records import Claim, Wakeup, Worker
from rtms_gevent.cluster.store import Store

from .redis_server import shared_server


class Place(abc.ABC):
    """Where the stores of several workers meet. Closes all of them at its end."""

    #: Of all stores here, in seconds. As short as the backend allows, where it cannot set the time.
    lease = 8.0
    #: Whether others know at once that a worker died; else when its lease is over.
    sees_deaths = True
    #: How many random histories are tried on it.
    histories = 40

    def __init__(self) -> None:
        self.stores: list[Store] = []
        self.records: dict[Store, Worker] = {}
        self._numbers = itertools.count(1)

    @abc.abstractmethod
    def make_store(self) -> Store:
        """Return one more store of this place, with its lease; not opened."""

    @abc.abstractmethod
    def advance(self, seconds: float) -> None:
        """Let time pass for all that is noted here: ages, leases, offers.

        The suite asks for a little more than the lease, :data:`.OFFERS_KEPT` or
        :data:`.ENDED_KEPT`. A backend whose clock is not ours sleeps for the first, and moves what
        it has noted for the others.
        """

    @abc.abstractmethod
    def kill(self, store: Store) -> None:
        """Let a worker die without a word, as SIGKILL does."""

    def read(self, store: Store) -> Wakeup:
        """Return what a worker has to do that was noted until now."""
        return store.wait(0)

    @abc.abstractmethod
    def forget_streams(self) -> None:
        """Lose all streams and letters, as a store does that was restarted."""

    def close(self) -> None:
        """Close all stores, and remove the place."""
        for store in self.stores:
            store.close()

    def worker(self, **fields: object) -> Store:
        """Return a store that is open, for one more worker."""
        number = next(self._numbers)
        known = {"id": f"worker-{number}", "host": "here", "pid": os.getpid(), "started": number}
        store = self.make_store()
        self.stores.append(store)
        self.records[store] = Worker(**{**known, **fields})
        store.open(self.records[store])
        return store

    def workers(self, count: int) -> list[Store]:
        """Return the stores of so many workers."""
        return [self.worker() for _ in range(count)]

    def renew(self, store: Store, *claims: Claim) -> set[str]:
        """Renew as that worker, and return what it has lost."""
        return set(store.renew(self.records[store], claims))

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class HandClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


class MemoryPlace(Place):
    """Dictionaries of this process."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = HandClock()
        self._cluster = MemoryCluster(self._clock)

    def make_store(self):
        return MemoryStore(self._cluster, self.lease)

    def advance(self, seconds):
        self._clock.now += seconds

    def kill(self, store):
        del self._cluster.workers[self.records[store].id]
        self._cluster.stores.remove(store)

    def forget_streams(self):
        self._cluster.streams.clear()


class LocalPlace(Place):
    """A directory."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = HandClock()
        self.base = tempfile.mkdtemp(prefix="rtms-")  # shorter than tmp_path: sockets need that
        self.directory = os.path.join(self.base, "apps", "app")

    def make_store(self):
        from rtms_gevent.cluster.local import LocalStore

        return LocalStore(self.directory, self.lease, self._clock)

    def advance(self, seconds):
        self._clock.now += seconds

    def kill(self, store):
        store._directory.leave()  # the kernel does that
        store._shut(store._database.close)

    def forget_streams(self):
        (path,) = glob.glob(f"{self.directory}/*.sqlite")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.executescript("DELETE FROM streams; DELETE FROM letters")

    def close(self):
        super().close()
        shutil.rmtree(self.base)


#: Makes all that is noted older by so many ms.
_ADVANCE = """
local starts, streams, due, seen, ms = KEYS[1], KEYS[2], KEYS[3], KEYS[4], tonumber(ARGV[1])
local all = redis.call('HGETALL', streams)
for i = 1, #all, 2 do
  local stream = cjson.decode(all[i + 1])
  stream.since = stream.since - ms
  redis.call('HSET', streams, all[i], cjson.encode(stream))
end
for _, zset in ipairs({due, seen}) do
  for _, member in ipairs(redis.call('ZRANGE', zset, 0, -1)) do
    redis.call('ZINCRBY', zset, -ms, member)
  end
end
for _, row in ipairs(redis.call('XPENDING', starts, 'workers', '-', '+', 10000)) do
  redis.call('XCLAIM', starts, 'workers', row[2], 0, row[1], 'IDLE', row[3] + ms, 'JUSTID')
end
"""


class RedisPlace(Place):
    """A namespace of one redis-server."""

    sees_deaths = False
    histories = 10
    _namespaces = itertools.count(1)

    def __init__(self) -> None:
        super().__init__()
        self.server = shared_server()
        self.client = self.server.client()
        self.namespace = f"test-{next(self._namespaces)}"

    def key(self, name):
        return f"{{rtms:{self.namespace}}}:{name}"

    def make_store(self):
        from rtms_gevent.cluster.redis_store import RedisStore

        return RedisStore(self.server.url, self.namespace, self.lease)

    def advance(self, seconds):
        keys = [self.key(name) for name in ("starts", "streams", "due", "seen")]
        self.client.run(_ADVANCE, keys, [int(seconds * 1000)])

    def kill(self, store):
        store.after_fork_in_child(is_here=True)

    def read(self, store):
        begun = store.wait(0)  # now it listens
        key = self.key(f"hints:{self.records[store].id}")
        latest = [entry[0].decode() for entry in self.client.execute("XRANGE", key, "-", "+")][-1:]
        wait_until(lambda: not latest or store._positions[key] == latest[0])
        return Wakeup((*begun.letters, *store.wait(0).letters))

    def forget_streams(self):
        names = ("starts", "streams", "documents", "progress", "letters", "due")
        self.client.execute("DEL", *map(self.key, names))

    def close(self):
        super().close()
        keys = self.client.execute("KEYS", self.key("*"))
        if keys:
            self.client.execute("DEL", *keys)
        self.client.close()


#: Each makes a place of its own. One that cannot (no server is installed) skips.
PLACES: dict[str, type[Place]] = {"memory": MemoryPlace, "local": LocalPlace, "redis": RedisPlace}

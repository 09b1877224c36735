"""Redis, for the suite of all stores."""

from __future__ import annotations

import itertools

from rtms_gevent.cluster.redis_store import RedisStore

from .backends import Place
from .redis_server import shared_server

_namespaces = itertools.count(1)

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

    def __init__(self) -> None:
        super().__init__()
        self.server = shared_server()
        self.client = self.server.client()
        self.namespace = f"test-{next(_namespaces)}"

    def key(self, name):
        return f"{{rtms:{self.namespace}}}:{name}"

    def make_store(self):
        return RedisStore(self.server.url, self.namespace, self.lease)

    def advance(self, seconds):
        keys = [self.key(name) for name in ("starts", "streams", "due", "seen")]
        self.client.run(_ADVANCE, keys, [int(seconds * 1000)])

    def kill(self, store):
        store.after_fork_in_child(is_here=True)

    def forget_streams(self):
        names = ("starts", "streams", "documents", "progress", "letters", "due")
        self.client.execute("DEL", *map(self.key, names))

    def close(self):
        super().close()
        keys = self.client.execute("KEYS", self.key("*"))
        if keys:
            self.client.execute("DEL", *keys)
        self.client.close()

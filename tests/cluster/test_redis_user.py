"""What a user of Redis needs, as docs/scaling.md has it."""

from __future__ import annotations

import pathlib
import re
import time

import pytest

pytest.importorskip("redis")


from rtms_gevent.cluster.records import Worker
from rtms_gevent.cluster.redis_store import RedisStore
from rtms_gevent.errors import StoreError

from .redis_server import RedisServer

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "scaling.md"
(RULES,) = re.findall(r"^ *(ACL SETUSER .*)$", DOCUMENT.read_text(), re.MULTILINE)
START = {"event": "meeting.rtms_started"}


@pytest.fixture
def server():
    with RedisServer() as server:
        server.client().execute(*RULES.split())
        yield server


def test_the_rules_allow_all_that_a_worker_does(server):
    url = server.url.replace("redis://", "redis://shop:password@")
    with RedisStore(url, "shop") as store:
        store.open(Worker("a", "host", 1, time.time()))
        for stream_id in ("ends", "waits", "stays"):
            store.offer(stream_id, START)
        assert store.wait(1).has_offers
        claims = [store.claim(may_expire=True) for _ in range(3)]
        store.send("ends", START)
        assert [letter.stream_id for letter in store.wait(1).letters] == ["ends"]
        assert not store.renew(Worker("a", "host", 1, time.time()), claims)
        assert len(store.workers()) == 1
        assert store.add("delivery", time.time())
        store.discard("delivery")
        store.release(claims[0], has_ended=True)
        store.release(claims[1], has_ended=False)
        store.send("ends", START, ends=True)
        assert store.take_expired() == []
        assert len(store.streams()) == 3
        server.client().execute("FLUSHALL")
        assert not store.renew(Worker("a", "host", 1, time.time()), claims[2:])
    assert server.client().execute("ACL", "LOG") == []


def test_they_allow_nothing_else(server):
    url = server.url.replace("redis://", "redis://shop:password@")
    with pytest.raises(StoreError, match="must be allowed the commands and keys"):
        RedisStore(url, "shop")._client.execute("SET", "{rtms:shop}:starts", "x")
    with pytest.raises(StoreError, match="must be allowed the commands and keys"):
        RedisStore(url, "shop")._client.execute("DEL", "somebody's")

"""The store in Redis: lease and fence, greenlets, processes, commands."""

from __future__ import annotations

import dataclasses
import logging
import os

import gevent
import pytest
from support.recorder import wait_until
from support.script import Script

from rtms_gevent.cluster import redis_scripts
from rtms_gevent.cluster.records import Claim, Progress
from rtms_gevent.cluster.redis_store import RedisStore
from rtms_gevent.errors import StoreError

from .backends import RedisPlace
from .redis_steps import NEWS, START, break_run, claim_all, letters, owned, pending


@pytest.fixture
def place():
    with RedisPlace() as place:
        yield place


# -- lease and fence -------------------------------------------------------------------------------


def test_the_pending_entry_is_lease_and_fence(place):
    first, second = place.workers(2)
    claim = owned(first)
    assert pending(place) == [("worker-1", 1)]
    first.release(claim, has_ended=False)
    assert pending(place) == []
    second.claim(may_expire=False)
    assert pending(place) == [("worker-2", 2)]
    place.advance(place.lease + 1)
    place.renew(first)
    third = first.claim(may_expire=True)
    assert pending(place) == [("worker-1", 3)]
    first.release(third, has_ended=True)
    assert pending(place) == []
    assert place.client.execute("XLEN", place.key("starts")) == 0


def test_a_claim_that_was_under_way_for_long_takes_nothing_from_silent_owners(place):
    silent, other = place.workers(2)
    owned(silent)
    place.advance(place.lease + 1)
    place.renew(other)
    other._contact -= 5000  # as if Redis stood still for as long, before it ran the next command
    assert other.claim(may_expire=True) is None
    assert other.claim(may_expire=True).stream_id == "s"


def test_silent_owners_are_found_among_many(place):
    busy, silent, other = place.workers(3)
    for number in range(130):
        claims = [owned(busy, f"busy-{number}-{n}") for n in range(10)]
        place.renew(busy, *claims)
    owned(silent)
    place.advance(place.lease + 1)
    kept = [row for row in busy.streams() if row.owner == "worker-1"]
    place.renew(busy, *(_claim_of(row) for row in kept))
    place.renew(other)
    found = [claim for claim in (other.claim(may_expire=True) for _ in range(30)) if claim]
    assert [claim.stream_id for claim in found] == ["s"]


def _claim_of(row):
    return Claim(row.stream_id, row.fence, row.document, progress=row.progress)


def test_the_search_for_silent_owners_goes_round(place):
    silent, other = place.workers(2)
    owned(silent)
    place.advance(place.lease + 1)
    place.renew(other)
    other._cursor = "9999999999999-0"  # as if all but the newest had been looked at
    assert other.claim(may_expire=True).stream_id == "s"


def test_a_dead_workers_record_is_removed_and_what_it_owned_waits(place):
    dead, other = place.workers(2)
    owned(dead)
    place.kill(dead)
    place.advance(place.lease * 11)
    place.renew(other)
    other.take_expired()
    assert place.client.execute("HKEYS", place.key("workers")) == [b"worker-2"]
    consumers = place.client.execute("XINFO", "CONSUMERS", place.key("starts"), "workers")
    assert b"worker-1" not in [consumer[1] for consumer in consumers]
    assert claim_all(other) == ["s"]


def test_nothing_is_left_after_the_end(place):
    first, second = place.workers(2)
    claim, dead = owned(first), owned(first, "dead")
    second.send("s", NEWS)
    assert letters(first, 1) == [NEWS]
    first.release(claim, has_ended=True)
    second.send("s", NEWS, ends=True)
    assert letters(first, 1) == [NEWS]
    first.release(dead, has_ended=False)
    second.send("dead", NEWS, ends=True)
    for store in (first, second):
        store.close()
    left = set(place.client.execute("KEYS", place.key("*")))
    assert left == {place.key("starts").encode(), place.key("hints").encode()}
    assert place.client.execute("XLEN", place.key("starts")) == 0
    assert place.client.execute("XINFO", "CONSUMERS", place.key("starts"), "workers") == []


def test_what_is_over_is_forgotten_though_more_is_sent(place):
    owner, other = place.workers(2)
    owner.release(owned(owner), has_ended=True)
    other.send("s", NEWS, ends=True)
    other.send("s", NEWS)
    assert letters(owner, 2) == [NEWS, NEWS]
    assert other.streams() == []


def test_deliveries_expire_where_no_more_come(place):
    place.worker().add("a", 1.0)
    assert 0 < place.client.execute("TTL", place.key("deliveries")) <= 7200


def test_namespaces_do_not_see_each_other(place):
    store = place.worker()
    with RedisPlace() as elsewhere:
        other = elsewhere.worker()
        store.offer("s", START)
        assert other.claim(may_expire=True) is None
        assert other.streams() == []
        assert [worker.id for worker in other.workers()] == ["worker-1"]


# -- greenlets -------------------------------------------------------------------------------------


def test_waiting_does_not_hold_up_the_hub(place):
    stores = place.workers(20)
    waiting = [gevent.spawn(store.wait, 100) for store in stores]
    wait_until(lambda: b"blocked_clients:20\r" in place.client.execute("INFO", "clients"))
    assert place.server.url
    stores[0].offer("s", START)
    gevent.joinall(waiting, timeout=20)
    assert [greenlet.value.has_offers for greenlet in waiting] == [True] * 20


def test_a_claim_whose_answer_is_lost_comes_again(own):
    store, other = own.workers(2)
    assert store.claim(may_expire=False) is None  # now the server knows the script
    store.offer("s", START)
    own.server.pause()
    killed = gevent.spawn(store.claim, may_expire=False)
    gevent.sleep(0.05)
    killed.kill()
    own.server.resume()
    wait_until(lambda: pending(own) == [("worker-1", 1)])
    claim = store.claim(may_expire=False)
    assert (claim.stream_id, claim.fence) == ("s", 2)
    assert own.renew(store, claim) == set()
    assert store.claim(may_expire=False) is None
    assert claim_all(other) == []


def test_a_claim_whose_answer_is_lost_goes_to_another_in_the_end(own):
    store, other = own.workers(2)
    assert store.claim(may_expire=False) is None
    store.offer("s", START)
    own.server.pause()
    gevent.spawn(store.claim, may_expire=False).join(timeout=0.05)
    own.server.resume()
    wait_until(lambda: pending(own) == [("worker-1", 1)])
    own.advance(own.lease + 1)
    own.renew(store)
    own.renew(other)
    assert claim_all(other) == ["s"]


def test_killed_greenlets_leave_no_connection_with_an_answer_in_it(own):
    store = own.worker()
    owned(store)
    for method in (store.streams, store.workers, lambda: store.add("a", 1.0)):
        own.server.pause()
        killed = [gevent.spawn(method) for _ in range(5)]
        gevent.sleep(0.02)
        gevent.killall(killed)
        own.server.resume()
        assert [row.stream_id for row in store.streams()] == ["s"]
        assert [worker.id for worker in store.workers()] == ["worker-1"]


def test_letters_are_dropped_at_the_server_once_they_are_here(place, monkeypatch):
    owner, other = place.workers(2)
    owned(owner)
    break_run(monkeypatch, owner, redis_scripts.LETTERS, after=1)
    other.send("s", {"number": 1})
    with pytest.raises(StoreError), gevent.Timeout(10):
        while True:
            assert owner.wait(1).letters == ()
    assert place.client.execute("HEXISTS", place.key("letters"), "s") == 1
    other.send("s", {"number": 2})
    assert letters(owner, 2) == [{"number": 1}, {"number": 2}]
    assert place.client.execute("HEXISTS", place.key("letters"), "s") == 0
    other.send("s", {"number": 3})
    assert letters(owner, 1) == [{"number": 3}]


def test_letters_that_could_not_be_read_are_read_again(place, monkeypatch):
    owner, other = place.workers(2)
    owned(owner)
    break_run(monkeypatch, owner, redis_scripts.LETTERS, after=0)
    other.send("s", NEWS)
    with pytest.raises(StoreError), gevent.Timeout(10):
        while True:
            assert owner.wait(1).letters == ()
    assert letters(owner, 1) == [NEWS]


def test_no_connection_is_left(own):
    stores = own.workers(3)
    for store in stores:
        store.wait(0)
    gevent.joinall([gevent.spawn(store.streams) for store in stores * 5], raise_error=True)
    for store in stores:
        store.close()
    wait_until(lambda: b"connected_clients:1\r" in own.client.execute("INFO", "clients"))


def test_a_letter_without_a_hint_is_found_by_renewing(place):
    owner, other = place.workers(2)
    claim = owned(owner)
    other._hint = lambda *_: None
    other.send("s", NEWS)
    place.renew(owner, claim)
    assert owner.wait(10).letters[0].document == NEWS


def test_many_streams_are_renewed_in_pieces(place):
    owner, other = place.workers(2)
    claims = [owned(owner, f"s{number}") for number in range(250)]
    far = [dataclasses.replace(claim, progress=Progress(received=9)) for claim in claims]
    owner.release(claims[249], has_ended=False)
    other.claim(may_expire=False)
    place.forget = place.client.execute("HDEL", place.key("streams"), "s0", "s120")
    assert place.renew(owner, *far) == {"s249"}
    assert [row.progress.received for row in other.streams()].count(9) == 249


# -- processes -------------------------------------------------------------------------------------

#: Offers, waits and claims in one process; the arguments are the server and a namespace.
PROGRAM = """
    import os, sys
    {patch}
    import gevent
    from rtms_gevent.cluster.records import Worker
    from rtms_gevent.cluster.redis_store import RedisStore

    store = RedisStore(sys.argv[1], sys.argv[2])
    store.open(Worker("w", "here", 1, 1.0))
    waiting = [gevent.spawn(store.wait, 100)]
    gevent.sleep(0.1)
    store.offer("s", {{}})
    gevent.joinall(waiting)
    print(waiting[0].value.has_offers, store.claim(may_expire=False).stream_id)
    {end}
    store.close()
"""

FORK = """
    from gevent import os as gos
    ours, its = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(its)
            gos.make_nonblocking(ours)
            gos.nb_read(ours, 1)  # until the parent is done
            store.close()  # says nothing to the server
        finally:
            os._exit(0)
    os.close(ours)
    heard = 0
    for number in range(20):
        store.offer(f"t{number}", {})
        heard += store.wait(5).has_offers
    os.close(its)
    os.waitpid(child, 0)
    print(heard, [worker.id for worker in store.workers()])
"""


@pytest.mark.parametrize("patch", ["", "from gevent import monkey; monkey.patch_all()"])
def test_processes(place, patch):
    script = Script(PROGRAM.format(patch=patch, end=""), place.server.url, place.namespace)
    assert script.finish()[0] == "True s"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_leaves_the_parents_connections_alone(place):
    code = PROGRAM.format(patch="", end=FORK)
    script = Script(code, place.server.url, place.namespace)
    assert script.finish()[:2] == ["True s", "20 ['w']"]


# -- commands --------------------------------------------------------------------------------------

#: All of Redis 6.2. Scripts are loaded, and connections opened, by redis-py.
COMMANDS = {
    *("EVALSHA", "HELLO", "SCRIPT", "TIME"),
    *("DEL", "EXPIRE"),
    *("HDEL", "HEXISTS", "HGET", "HGETALL", "HKEYS", "HSET"),
    *("ZADD", "ZRANGE", "ZRANGEBYSCORE", "ZREM", "ZREMRANGEBYSCORE", "ZSCORE"),
    *("XACK", "XADD", "XAUTOCLAIM", "XCLAIM", "XDEL", "XGROUP", "XPENDING", "XRANGE", "XREAD"),
    "XREADGROUP",
}
#: What redis-py says on each connection, and does without where it is not understood.
GREETINGS = {"CLIENT", "SELECT"}


def test_only_commands_of_redis_6_2_are_used(own):
    seen = set()
    monitor = own.client._pool.make_connection()
    monitor.connect()
    monitor.send_command("MONITOR")
    monitor.read_response()

    def listen():
        while True:
            line = monitor.read_response().decode()
            seen.add(line.partition("] ")[2].split('"')[1].upper())

    listener = gevent.spawn(listen)
    owner, other = own.workers(2)
    claim = owned(owner)
    other.wait(0)
    own.renew(owner, claim, dataclasses.replace(claim, stream_id="unknown"))
    other.send("s", NEWS)
    assert letters(owner, 1) == [NEWS]
    owner.release(claim, has_ended=False)
    own.renew(other)
    other.release(other.claim(may_expire=True), has_ended=True)
    assert other.claim(may_expire=True) is None
    owner.offer("late", START)
    other.streams(), other.workers(), other.add("a", 1.0), other.discard("a")
    other.take_expired()
    for store in (owner, other):
        store.close()
    wait_until(lambda: "ZREM" in seen)
    listener.kill()
    monitor.disconnect()
    assert seen - GREETINGS - COMMANDS == set()
    assert {"XAUTOCLAIM", "XREADGROUP", "XREAD"} <= seen


# -- logs ------------------------------------------------------------------------------------------


def test_no_password_is_seen(own, caplog):
    own.client.execute("CONFIG", "SET", "requirepass", "hush-hush")
    caplog.set_level(logging.DEBUG)
    url = own.server.url.replace("//", "//:hush-hush@")
    with RedisStore(url, own.namespace) as store:
        store.streams()
        texts = [repr(store), store.name, repr(store._client._servers)]
    wrong = RedisStore(url.replace("hush-hush", "psst"), own.namespace)
    with pytest.raises(StoreError, match="check user and password") as caught:
        wrong.streams()
    wrong.close()
    texts += [str(caught.value), repr(caught.value), caplog.text]
    assert not any("hush" in text or "psst" in text for text in texts)

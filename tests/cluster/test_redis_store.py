"""The store in Redis: what goes wrong at the server, on the way to it, and in our own greenlets."""

from __future__ import annotations

import dataclasses
import logging
import os

import gevent
import pytest
from support.recorder import wait_until
from support.script import Script

from rtms_gevent.cluster import redis_connection, redis_scripts
from rtms_gevent.cluster.records import Progress
from rtms_gevent.cluster.redis_store import RedisStore
from rtms_gevent.errors import StoreError

from .backends import RedisPlace
from .redis_server import RedisServer

START = {"event": "meeting.rtms_started", "payload": {"server_urls": "wss://a"}}
NEWS = {"event": "meeting.rtms_interrupted", "payload": {}}


@pytest.fixture
def place():
    with RedisPlace() as place:
        yield place


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


@pytest.fixture
def own(monkeypatch):
    """Commands there may take half a second."""
    monkeypatch.setattr(redis_connection, "_COMMAND_TIMEOUT", 0.5)
    with OwnPlace() as place:
        yield place


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
    from rtms_gevent.cluster.records import Claim

    return Claim(row.stream_id, row.fence, row.document, progress=row.progress)


def test_a_dead_workers_record_is_removed_once_it_owns_nothing(place):
    dead, other = place.workers(2)
    owned(dead)
    place.kill(dead)
    place.advance(place.lease * 11)
    place.renew(other)
    other.take_expired()
    assert place.client.execute("HEXISTS", place.key("workers"), "worker-1") == 1
    assert claim_all(other) == ["s"]
    other.take_expired()
    assert place.client.execute("HKEYS", place.key("workers")) == [b"worker-2"]
    consumers = place.client.execute("XINFO", "CONSUMERS", place.key("starts"), "workers")
    assert [consumer[1] for consumer in consumers] == [b"worker-2"]


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


def test_namespaces_do_not_see_each_other(place):
    store = place.worker()
    with RedisPlace() as elsewhere:
        other = elsewhere.worker()
        store.offer("s", START)
        assert other.claim(may_expire=True) is None
        assert other.streams() == []
        assert [worker.id for worker in other.workers()] == ["worker-1"]


# -- operators, and data that is lost --------------------------------------------------------------

DAMAGES = {
    "entries are deleted": lambda place: place.client.execute(
        "XTRIM", place.key("starts"), "MAXLEN", 0
    ),
    "the group is deleted": lambda place: place.client.execute(
        "XGROUP", "DESTROY", place.key("starts"), "workers"
    ),
    "the starts are deleted": lambda place: place.client.execute("DEL", place.key("starts")),
    "all is deleted": lambda place: place.client.execute("FLUSHALL"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_owners_keep_their_streams(own, damage):
    owner, other = own.workers(2)
    own.client.execute("SCRIPT", "FLUSH")
    claims = [owned(owner, stream_id) for stream_id in "abc"]
    DAMAGES[damage](own)
    assert own.renew(owner, *claims) == set()
    own.renew(other)
    assert claim_all(other) == []
    assert {row.owner for row in other.streams()} == {"worker-1"}
    assert pending(own) == [("worker-1", 1)] * 3
    assert own.renew(owner, *claims) == set()
    owner.release(claims[0], has_ended=False)
    assert claim_all(other) == ["a"]
    for claim in claims[1:]:
        assert owner.release(claim, has_ended=True) is True
    assert pending(own) == [("worker-2", 2)]


@pytest.mark.parametrize("damage", list(DAMAGES)[:3])
def test_streams_of_dead_owners_are_found(own, damage):
    dead, other = own.workers(2)
    for stream_id in "abc":
        owned(dead, stream_id)
    own.kill(dead)
    DAMAGES[damage](own)
    own.renew(other)
    claimed = claim_all(other)  # a group that is new gives them to their owners first
    own.advance(own.lease + 1)
    own.renew(other)
    assert sorted(claimed + claim_all(other)) == ["a", "b", "c"]


@pytest.mark.parametrize("damage", list(DAMAGES)[1:3])
def test_offers_are_found_after_damage(own, damage):
    store = own.worker()
    for stream_id in "abc":
        store.offer(stream_id, START)
    DAMAGES[damage](own)
    assert sorted(claim_all(store)) == ["a", "b", "c"]


def test_an_offer_whose_entry_was_deleted_is_told_as_missed(own):
    store = own.worker()
    store.offer("s", START)
    DAMAGES["entries are deleted"](own)
    assert store.claim(may_expire=True) is None
    own.advance(61)
    assert [row.stream_id for row in store.take_expired()] == ["s"]
    assert store.take_expired() == store.streams() == []


def test_documents_that_redis_evicted(place):
    store = place.worker()
    for stream_id in "ab":
        store.offer(stream_id, START)
    place.client.execute("DEL", place.key("documents"))
    assert [row.document for row in store.streams()] == [{}, {}]
    assert store.claim(may_expire=False).document == {}
    place.advance(61)
    assert [row.stream_id for row in store.take_expired()] == ["b"]


def test_an_expired_offer_whose_teller_died_is_told_by_another(place, monkeypatch):
    dead, other = place.workers(2)
    dead.offer("s", START)
    place.advance(61)
    break_run(monkeypatch, dead, redis_scripts.EXPIRED, after=1)
    with pytest.raises(StoreError):
        dead.take_expired()
    assert other.take_expired() == []
    place.advance(place.lease + 1)
    assert [row.stream_id for row in other.take_expired()] == ["s"]


# -- restarts and pauses ---------------------------------------------------------------------------


def test_a_restart_without_data(own):
    owner, other = own.workers(2)
    claim = dataclasses.replace(owned(owner), progress=Progress({"audio": 7}, is_joined=True))
    waiting = gevent.spawn(other.wait, 100)
    gevent.sleep(0)
    own.server.kill()
    with pytest.raises(StoreError):
        own.renew(owner, claim)
    with pytest.raises(StoreError):
        waiting.get(timeout=20)
    own.server.start()
    assert own.renew(owner, claim) == own.renew(other) == set()
    assert claim_all(other) == []
    (row,) = other.streams()
    assert (row.owner, row.fence, row.progress) == ("worker-1", 1, claim.progress)
    assert other.send("s", NEWS) is True
    assert letters(owner, 1) == [NEWS]
    assert owner.release(claim, has_ended=False) is True
    assert other.wait(10).has_offers
    taken = other.claim(may_expire=False)
    assert (taken.fence, taken.progress, taken.is_takeover) == (2, claim.progress, True)


def test_a_restart_with_data():
    with OwnPlace("--appendonly", "yes", "--appendfsync", "always") as place:
        owner, other = place.workers(2)
        claim = owned(owner)
        other.offer("t", START)
        place.server.kill()
        place.server.start()
        wait_until(lambda: _works(other))
        assert pending(place) == [("worker-1", 1)]
        assert claim_all(other) == ["t"]
        assert place.renew(owner, claim) == set()


def _works(store):
    try:
        return store.streams() or True
    except StoreError:
        return False


def test_a_pause(own):
    owner, other = own.workers(2)
    claim = owned(owner)
    owner.wait(0)
    own.server.pause()
    with pytest.raises(StoreError, match="[Tt]imeout"):
        own.renew(owner, claim)
    with pytest.raises(StoreError):
        other.claim(may_expire=True)
    own.server.resume()
    assert own.renew(owner, claim) == set()
    assert other.claim(may_expire=True) is None
    other.send("s", NEWS)
    assert letters(owner, 1) == [NEWS]


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
    child = os.fork()
    if not child:
        try:
            store.wake()
            gevent.sleep(0.2)
            store.close()  # says nothing to the server
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    store.send("s", {{}})
    print(len(store.wait(10).letters), [worker.id for worker in store.workers()])
"""


@pytest.mark.parametrize("patch", ["", "from gevent import monkey; monkey.patch_all()"])
def test_processes(place, patch):
    script = Script(PROGRAM.format(patch=patch, end=""), place.server.url, place.namespace)
    assert script.finish()[0] == "True s"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_leaves_the_parents_connections_alone(place):
    code = PROGRAM.format(patch="", end=FORK.replace("{{", "{").replace("}}", "}"))
    script = Script(code, place.server.url, place.namespace)
    assert script.finish()[:2] == ["True s", "1 ['w']"]


# -- commands --------------------------------------------------------------------------------------

#: All of Redis 6.2. Scripts are loaded, and connections opened, by redis-py.
COMMANDS = {
    *("EVALSHA", "HELLO", "SCRIPT", "TIME"),
    *("DEL", "EXPIRE"),
    *("HDEL", "HEXISTS", "HGET", "HGETALL", "HSET"),
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
    texts += [str(caught.value), repr(caught.value), caplog.text]
    assert not any("hush" in text or "psst" in text for text in texts)

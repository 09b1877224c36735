"""The local store, where it is more than the rules of all stores: files, locks, a thread."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import pathlib
import shutil
import sqlite3
import threading

import gevent
import pytest
from support.recorder import wait_until

from rtms_gevent.cluster import local_database
from rtms_gevent.cluster.local import LocalStore
from rtms_gevent.cluster.local_directory import LocalDirectory
from rtms_gevent.cluster.records import Worker
from rtms_gevent.errors import StoreError

from .backends import LocalPlace

START = {"event": "meeting.rtms_started"}


@pytest.fixture
def place():
    with LocalPlace() as place:
        yield place


@pytest.fixture
def store(place):
    return place.worker()


def database_of(place):
    (path,) = glob.glob(f"{place.directory}/*.sqlite")
    return path


def in_thread(store, function):
    return store._thread.call(function)


def descriptors():
    return len(os.listdir("/dev/fd"))


# -- opening and closing ---------------------------------------------------------------------------


def test_a_store_that_was_closed_leaves_nothing_behind(place):
    place.worker().close()  # what is made once per process
    before = descriptors(), threading.active_count()
    for _ in range(3):
        store = place.worker()
        store.offer("s", START)
        store.close()
        store.close()
    assert (descriptors(), threading.active_count()) == before
    assert [os.path.basename(database_of(place))] == os.listdir(place.directory)


def test_a_store_that_was_closed_says_so(store):
    store.close()
    for call in (store.streams, store.workers, lambda: store.wait(0), lambda: store.add("a", 0)):
        with pytest.raises(StoreError, match="not open") as caught:
            call()
        assert caught.value.is_lasting
    store.wake()


def test_who_waits_when_it_is_closed_returns(store):
    waiting = gevent.spawn(store.wait, 1000)
    gevent.sleep(0)
    store.close()
    with gevent.Timeout(10):
        assert waiting.get().letters == ()


def test_a_store_that_cannot_be_opened_leaves_nothing_behind(place):
    path = pathlib.Path(place.directory)
    path.mkdir(parents=True, mode=0o700)
    path.parent.chmod(0o700)
    LocalDirectory(path).database.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError):
        place.worker()  # what is made once per process
    before = descriptors(), os.listdir(path)
    with pytest.raises(StoreError):
        place.worker()
    assert (descriptors(), os.listdir(path)) == before


def test_a_store_that_could_not_be_opened_can_be_opened_later(place, monkeypatch):
    with place.worker():
        pass
    monkeypatch.setattr(local_database, "PATIENCE", 0.05)
    store, worker = place.make_store(), Worker("w", "here", 1, 0.0)
    with contextlib.closing(sqlite3.connect(database_of(place), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked") as caught:
            store.open(worker)
        assert not caught.value.is_lasting
    with store:
        store.open(worker)
        assert store.offer("s", START) is True


# -- what does not work ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text", "foreign", "directory"])
def test_a_file_that_is_no_database_of_ours_is_refused(place, kind):
    with place.worker():
        path = database_of(place)
    os.unlink(path)
    if kind == "text":
        pathlib.Path(path).write_text("This is no database at all." * 500)
    elif kind == "directory":
        os.mkdir(path)
    else:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE streams (of_another_kind)")
    with pytest.raises(StoreError, match="remove") as caught:
        place.worker()
    assert caught.value.is_lasting
    assert place.directory in str(caught.value)


def test_a_database_that_breaks_while_it_is_used_is_told(place, store):
    store.offer("s", START)
    in_thread(store, lambda: store._database.connection.execute("DROP TABLE letters"))
    with pytest.raises(StoreError, match="no such table") as caught:
        store.wait(0)
    assert caught.value.is_lasting


def test_a_full_disk_is_told_and_what_was_there_stays(store):
    store.offer("s", START)

    def fill():
        (pages,) = store._database.connection.execute("PRAGMA page_count").fetchone()
        store._database.connection.execute(f"PRAGMA max_page_count = {pages}")

    in_thread(store, fill)
    with pytest.raises(StoreError, match="full") as caught:
        for number in range(1000):
            store.offer(f"s{number}", {"event": "x" * 10_000})
    assert caught.value.is_lasting
    assert store.claim(may_expire=False).stream_id == "s"


def test_a_place_where_nothing_can_be_written_is_told():
    with pytest.raises(StoreError) as caught:
        LocalStore("/proc/self/apps/app").open(Worker("w", "h", 1, 0))
    assert caught.value.is_lasting


@pytest.mark.parametrize(("number", "is_lasting"), [(errno.EMFILE, False), (errno.EROFS, True)])
def test_what_may_be_better_in_a_moment_is_asked_again(store, number, is_lasting):
    def fail(_):
        raise OSError(number, os.strerror(number))

    store._steps._has_died = fail
    with pytest.raises(StoreError, match=os.strerror(number)) as caught:
        store.workers()
    assert caught.value.is_lasting is is_lasting


def test_a_directory_that_is_removed_meanwhile_is_told(place, store):
    assert place.renew(store) == set()
    shutil.rmtree(place.directory)
    with pytest.raises(StoreError, match="removed") as caught:
        place.renew(store)
    assert caught.value.is_lasting
    other = place.worker()  # makes a new one
    with pytest.raises(StoreError, match="removed"):
        place.renew(store)
    assert place.renew(other) == set()


def test_one_that_is_locked_for_too_long_is_told_and_works_again(place, store, monkeypatch):
    monkeypatch.setattr(local_database, "PATIENCE", 0.1)
    store.offer("s", START)
    ticks = []
    ticking = gevent.spawn(lambda: [ticks.append(gevent.sleep(0.005)) for _ in range(10_000)])
    with contextlib.closing(sqlite3.connect(database_of(place), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(store.streams()) == 1  # readers do not wait
        failing = gevent.spawn(store.offer, "t", START)
        failing.join()
        assert isinstance(failing.exception, StoreError)
        assert not failing.exception.is_lasting
        assert "locked" in str(failing.exception)
        other.execute("ROLLBACK")
    ticking.kill()
    assert len(ticks) >= 5  # the hub went on
    assert store.offer("t", START) is True


def test_one_that_is_locked_for_a_moment_is_waited_for(place, store):
    with contextlib.closing(sqlite3.connect(database_of(place), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        offering = gevent.spawn(store.offer, "s", START)
        gevent.sleep(0.05)
        assert not offering.ready()
        other.execute("COMMIT")
        assert offering.get() is True


# -- letters and hints -----------------------------------------------------------------------------


def test_a_hint_that_is_lost_costs_no_letter(place):
    owner, sender = place.workers(2)
    owner.offer("s", START)
    owner.claim(may_expire=False)
    for path in glob.glob(f"{place.directory}/*.sock"):
        os.unlink(path)
    sender.send("s", {"number": 1})
    with gevent.Timeout(10):
        while not (letters := owner.wait(0.01).letters):
            pass
    assert [letter.document for letter in letters] == [{"number": 1}]


def test_more_hints_than_fit_do_no_harm(place):
    one, two = place.workers(2)
    for _ in range(1000):  # without letting the hub run
        one.wake()
        two._socket.hint([one._socket._path, "/nowhere"])
    assert one.wait(10).letters == ()


def test_no_letter_is_lost_when_who_waits_is_killed(place, monkeypatch):
    owner, sender = place.workers(2)
    owner.offer("s", START)
    owner.claim(may_expire=False)
    sender.send("s", {"number": 1})

    # Whenever it is killed, there is no later moment than the answer of the thread.
    call = owner._call
    monkeypatch.setattr(owner, "_call", lambda read: (call(read), gevent.getcurrent().kill())[0])
    waiting = gevent.spawn(owner.wait, 10)
    waiting.join()
    assert isinstance(waiting.value, gevent.GreenletExit)
    monkeypatch.undo()
    assert [letter.document for letter in owner.wait(0).letters] == [{"number": 1}]


def test_a_letter_that_cannot_be_removed_comes_once(place, monkeypatch):
    monkeypatch.setattr(local_database, "PATIENCE", 0.05)
    owner, sender = place.workers(2)
    owner.offer("s", START)
    owner.claim(may_expire=False)
    sender.send("s", {"number": 1})
    with contextlib.closing(sqlite3.connect(database_of(place), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(owner.wait(10).letters) == 1
        in_thread(owner, lambda: None)  # the attempt to remove it is over
        assert owner.wait(0).letters == ()
        other.execute("ROLLBACK")
        sender.send("s", {"number": 2})
        assert [letter.document for letter in owner.wait(10).letters] == [{"number": 2}]
        in_thread(owner, lambda: None)
        assert other.execute("SELECT count(*) FROM letters").fetchone() == (0,)


def test_files_of_dead_workers_are_cleaned(place):
    dead, alive = place.workers(2)
    place.kill(dead)
    assert len(glob.glob(f"{place.directory}/*.lock")) == 2
    assert alive.take_expired() == []
    assert len(glob.glob(f"{place.directory}/*.lock")) == 1
    assert len(glob.glob(f"{place.directory}/*.sock")) == 1
    wait_until(lambda: len(alive.workers()) == 1)


def test_what_all_dead_workers_had_is_there_for_the_next(place):
    dead = place.worker()
    dead.offer("s", START)
    dead.claim(may_expire=False)
    dead.add("a", 1000.0)
    place.kill(dead)
    store = place.worker()
    assert store.claim(may_expire=False).fence == 2
    assert store.add("a", 1000.0) is False

"""Whose directories are used, and what is cleaned in them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import tempfile

import pytest

from rtms_gevent.cluster import local_directory
from rtms_gevent.cluster.local_directory import LocalDirectory, default_directory, directory_below
from rtms_gevent.errors import StoreError

OLD = 1_700_000_000


@pytest.fixture
def base():
    with tempfile.TemporaryDirectory(prefix="rtms-") as path:
        yield pathlib.Path(path)


@pytest.fixture
def path(base):
    return directory_below(base, "shop")


@contextlib.contextmanager
def inhabited(path, worker="w"):
    directory = LocalDirectory(path)
    try:
        directory.enter(worker)
        yield directory
    finally:
        directory.leave()


def refused(path, match):
    with pytest.raises(StoreError, match=match) as caught, inhabited(path):
        pass
    assert caught.value.is_lasting


# -- where it is -----------------------------------------------------------------------------------


def test_namespaces_have_directories_of_their_own(monkeypatch, base):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(base))
    shop, other = default_directory("shop-id"), default_directory("other/../id")
    assert shop.parent == other.parent == base / f"rtms-gevent-{os.geteuid()}"
    assert shop != other
    assert shop == default_directory("shop-id")
    assert "shop" not in shop.name


def test_the_users_own_runtime_directory_comes_first(monkeypatch, base):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    assert default_directory("shop") == directory_below(base, "shop")


@pytest.mark.parametrize("value", ["", "relative", "/not/there"])
def test_a_runtime_directory_that_is_none_is_left_alone(monkeypatch, value):
    monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    assert str(default_directory("shop")).startswith(tempfile.gettempdir())


def test_another_users_runtime_directory_is_left_alone(monkeypatch, base):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert default_directory("shop").parent.name == "rtms-gevent-12345"


def test_the_path_of_a_socket_must_fit(base):
    refused(base / ("x" * 60) / ("y" * 60), "too long")


# -- whose it is -----------------------------------------------------------------------------------


def test_what_is_missing_is_made_private(path):
    previous = os.umask(0)
    try:
        with inhabited(path) as directory:
            for each in (path, path.parent):
                assert each.stat().st_mode & 0o777 == 0o700
            assert directory._lock_file("w").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(previous)


@pytest.mark.parametrize("which", ["app", "parent"])
@pytest.mark.parametrize("mode", [0o755, 0o701, 0o770])
def test_what_is_open_to_others_is_refused(path, which, mode):
    path.mkdir(parents=True)
    path.parent.chmod(0o700)
    path.chmod(0o700)
    (path if which == "app" else path.parent).chmod(mode)
    refused(path, f"open to others .mode {mode:o}")


@pytest.mark.parametrize("which", ["app", "parent"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "file"])
def test_links_and_files_are_refused(base, path, which, kind):
    target = path if which == "app" else path.parent
    target.parent.mkdir(mode=0o700, exist_ok=True)
    elsewhere = base / "elsewhere"
    if kind == "link":
        elsewhere.mkdir(mode=0o700)
    if kind == "file":
        target.touch()
    else:
        target.symlink_to(elsewhere)
    refused(path, "is no directory, or a symbolic link")
    assert not elsewhere.exists() or list(elsewhere.iterdir()) == []


def test_another_users_is_refused(path, monkeypatch):
    with inhabited(path):
        pass
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    refused(path, "belongs to the user with the id")


def test_a_lock_file_that_is_a_link_is_not_followed(base, path):
    with inhabited(path) as directory:
        victim = base / "victim"
        victim.write_text("important")
        directory._lock_file("next").symlink_to(victim)
        with pytest.raises(FileExistsError), inhabited(path, "next"):
            pass
        assert victim.read_text() == "important"


# -- who lives -------------------------------------------------------------------------------------


def test_who_lives_is_known(path):
    with inhabited(path) as here:
        assert not here.has_died("w")
        assert here.has_died("nobody")
        with inhabited(path, "other"):
            assert not here.has_died("other")
            assert not here.has_died("other")  # asking takes nothing
        assert here.has_died("other")
        assert here.has_died("other")
        here.remove("other")
        assert here.has_died("other")


def test_who_enters_waits_for_who_cleans(path, monkeypatch):
    with inhabited(path):
        pass
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    naps = []
    monkeypatch.setattr(local_directory, "_sleep", lambda _: naps.append(os.close(descriptor)))
    with inhabited(path):
        assert len(naps) == 1


def test_a_directory_that_is_locked_for_too_long_is_told(path, monkeypatch):
    with inhabited(path):
        pass
    monkeypatch.setattr(local_directory, "PATIENCE", 0.02)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="locked") as caught, inhabited(path):
            pass
        assert not caught.value.is_lasting
    finally:
        os.close(descriptor)


def test_a_directory_that_goes_while_one_enters_is_made_again(path, monkeypatch):
    with inhabited(path) as here:
        here.remove("w")
    lock = local_directory._lock

    def lock_late(descriptor, kind):
        monkeypatch.setattr(local_directory, "_lock", lock)
        path.rmdir()
        return lock(descriptor, kind)

    monkeypatch.setattr(local_directory, "_lock", lock_late)
    with inhabited(path) as here:
        assert not here.has_died("w")


# -- what is cleaned -------------------------------------------------------------------------------


def test_who_is_alone_removes_what_was_left(path):
    with inhabited(path, "dead") as here:
        earlier = path / "streams-1-0123456789abcdef.sqlite"
        for name in (earlier, f"{earlier}-wal", here.database, f"{here.database}-wal"):
            pathlib.Path(name).touch()
        (path / "notes.txt").touch()
        with inhabited(path, "second"):
            assert earlier.exists()  # for somebody else is there
    with inhabited(path, "w"):
        assert {entry.name for entry in path.iterdir()} == {
            here.database.name,
            f"{here.database.name}-wal",
            "notes.txt",
            here._lock_file("w").name,
        }


def test_apps_that_are_dead_and_old_are_removed(path):
    parent = path.parent
    names = {"old": "a" * 16, "recent": "b" * 16, "alive": "c" * 16, "link": "d" * 16}
    names["foreign"] = "backup"
    parent.mkdir(mode=0o700)
    for what, name in names.items():
        if what == "link":
            (parent / name).symlink_to(parent.parent)
            continue
        (parent / name).mkdir(mode=0o700)
        file = parent / name / "streams-1-0.sqlite"
        file.touch()
        if what != "recent":
            os.utime(file, (OLD, OLD))
    with inhabited(parent / names["alive"], "other"):
        for entry in (parent / names["alive"]).iterdir():
            os.utime(entry, (OLD, OLD))
        with inhabited(path):
            left = {entry.name for entry in parent.iterdir()} - {path.name}
    assert left == set(names.values()) - {names["old"]}


def test_an_app_without_a_file_is_as_old_as_its_directory(path):
    path.parent.mkdir(mode=0o700)
    empty = path.parent / ("e" * 16)
    empty.mkdir(mode=0o700)
    with inhabited(path):
        assert empty.exists()
    os.utime(empty, (OLD, OLD))
    with inhabited(path, "w2"):
        assert not empty.exists()

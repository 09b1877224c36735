"""What is read from stores, and how the command ends."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import subprocess
from support.webhooks import started

from rtms_gevent.cli import main
from rtms_gevent.cluster.local import LocalStore
from rtms_gevent.cluster.memory import MemoryCluster, MemoryStore
from rtms_gevent.cluster.opening import directory_of
from rtms_gevent.cluster.records import Claim, Progress, Worker
from rtms_gevent.cluster.store import Store
from rtms_gevent.config import ClusterSettings
from rtms_gevent.errors import StoreError
from rtms_gevent.status import command
from rtms_gevent.status.look import Reader, readers


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def worker(name: str = "w") -> Worker:
    return Worker(name, "here", 1, 0.0)


def claimed(store: Store, stream_id: str = "one") -> Claim:
    store.offer(stream_id, started(rtms_stream_id=stream_id))
    claim = store.claim(may_expire=False)
    assert claim is not None
    return claim


def renew(store: Store, claim: Claim, received: int) -> None:
    progress = Progress(is_joined=True, received=received)
    store.renew(worker(), [Claim(claim.stream_id, claim.fence, claim.document, progress=progress)])


def test_who_looks_becomes_no_worker() -> None:
    memory = MemoryCluster()
    with MemoryStore(memory) as store:
        store.open(worker())
        claimed(store)
        store.offer("two", started(rtms_stream_id="two"))
        outside = MemoryStore(memory)
        look = Reader("memory", lambda: (outside.workers(), outside.streams())).look()
        assert [each.id for each in look.workers] == ["w"]
        assert {each.stream_id: each.state for each in look.streams} == {
            "one": "joining",
            "two": "waiting",
        }


def test_rates_are_between_what_the_owner_said() -> None:
    clock = Clock()
    memory = MemoryCluster(clock)
    store = MemoryStore(memory)
    store.open(worker())
    claim = claimed(store)
    reader = Reader("memory", lambda: (store.workers(), store.streams()), clock)
    renew(store, claim, received=100)
    assert reader.look().rates == {}
    clock.seconds += 0.5
    assert reader.look().rates == {}  # the owner has said nothing new
    clock.seconds += 1.5
    renew(store, claim, received=400)
    clock.seconds += 0.7
    assert reader.look().rates == {"one": pytest.approx(150.0)}
    clock.seconds += 1.3
    renew(store, claim, received=400)
    store.offer("waits", started(rtms_stream_id="waits"))
    assert reader.look().rates == {"one": 0.0}
    clock.seconds += 1.0
    renew(store, claim, received=400)
    assert reader.look().rates == {"one": 0.0}
    store.release(claim, has_ended=True)
    assert reader.look().rates == {}


def test_a_new_owner_counts_from_nothing() -> None:
    clock = Clock()
    memory = MemoryCluster(clock)
    first, second = MemoryStore(memory), MemoryStore(memory)
    first.open(worker())
    claim = claimed(first)
    renew(first, claim, received=1000)
    reader = Reader("memory", lambda: (second.workers(), second.streams()), clock)
    reader.look()
    first.close()
    second.open(worker("other"))
    assert second.claim(may_expire=False)
    clock.seconds += 1.0
    assert reader.look().rates == {}


# -- the command, and the stores of this machine ---------------------------------------------------


@pytest.fixture
def url() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:  # pytest's own are too long for sockets
        yield f"local://{directory}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with LocalStore(directory_of(ClusterSettings(store=url, namespace="shop"))) as store:
        store.open(worker())
        claim = claimed(store)
        renew(store, claim, received=7)
        yield store


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "INTERVAL", 0.0)


def test_all_groups_of_workers_are_found(
    url: str, store: Store, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with LocalStore(directory_of(ClusterSettings(store=url, namespace="another shop"))) as another:
        another.open(worker("x"))
        assert main(["status", "--store", url, "--json"]) == 0
        stores = json.loads(capsys.readouterr().out)["stores"]
        assert sorted(each["id"] for one in stores for each in one["workers"]) == ["w", "x"]
        assert main(["status", "--store", url, "--namespace", "shop", "--json"]) == 0
        (only,) = json.loads(capsys.readouterr().out)["stores"]
        assert only["streams"][0]["received"] == 7
    assert [each.id for each in store.workers()] == ["w"]


def test_tables_without_colours(
    url: str, store: Store, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--store", url]) == 0
    text = capsys.readouterr().out
    assert "WORKER" in text
    assert "joined" in text
    assert "\x1b" not in text


def test_nothing_is_made_where_nobody_works(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--store", url]) == 0
    assert capsys.readouterr().out == "No workers share streams here.\n"
    assert main(["status", "--store", url, "--namespace", "shop"]) == 0
    assert "No worker lives" in capsys.readouterr().out
    assert list(Path(url.partition("://")[2]).iterdir()) == []


def test_a_store_that_cannot_be_read_is_said(
    url: str, store: Store, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (database,) = Path(str(store.name).partition(":")[2]).glob("*.sqlite")
    for path in database.parent.glob(f"{database.name}*"):
        path.write_bytes(b"what is this")
    assert main(["status", "--store", url]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("rtms-gevent status: local:")
    assert told.out == ""


@pytest.mark.parametrize("given", ["memory", "http://here", "local://relative"])
def test_what_cannot_be_looked_into_is_said(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--store", given]) == 2
    assert "rtms-gevent: " in capsys.readouterr().err


def test_the_environment_names_the_store(
    url: str,
    store: Store,
    quick: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RTMS_STORE", url)
    assert main(["status", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["stores"]) == 1


def test_watching_goes_on_until_it_is_interrupted(url: str, store: Store) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "rtms_gevent.cli", "status", "--store", url, "--watch", "--json"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with watching:
        assert watching.stdout is not None
        lines = [json.loads(watching.stdout.readline()) for _ in range(2)]
        watching.send_signal(2)
        assert watching.wait(20) == 0
    assert [line["stores"][0]["workers"][0]["id"] for line in lines] == ["w", "w"]


def test_a_directory_of_somebody_else_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> Iterator[Path]:
        raise PermissionError("not yours")

    (tmp_path / "rtms-gevent").mkdir()
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(StoreError, match="not yours"):
        readers(f"local://{tmp_path}")

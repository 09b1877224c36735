"""What is read from Redis: workers of any namespace, without becoming one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from cluster.redis_server import RedisServer
from support.webhooks import started

from rtms_gevent.cli import main
from rtms_gevent.cluster.records import Worker
from rtms_gevent.status import command

pytest.importorskip("redis", reason="redis is not installed")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "INTERVAL", 0.0)


def test_all_namespaces_are_found(server: RedisServer, capsys: pytest.CaptureFixture[str]) -> None:
    from rtms_gevent.cluster.redis_store import RedisStore

    with RedisStore(server.url, "shop-one") as one, RedisStore(server.url, "shop-two") as two:
        one.open(Worker("w", "here", 1, 0.0))
        two.open(Worker("x", "there", 2, 0.0))
        two.offer("s", started(rtms_stream_id="s"))
        assert main(["status", "--store", server.url, "--json"]) == 0
        first, second = json.loads(capsys.readouterr().out)["stores"]
        assert first["store"].endswith("shop-one")
        assert [worker["id"] for worker in first["workers"]] == ["w"]
        assert [worker["id"] for worker in second["workers"]] == ["x"]
        assert [stream["state"] for stream in second["streams"]] == ["waiting"]
        assert main(["status", "--store", server.url, "--namespace", "shop-one"]) == 0
        assert "No streams" in capsys.readouterr().out
        assert [worker.id for worker in one.workers()] == ["w"]


def test_a_server_that_is_away_is_said_without_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["status", "--store", "redis://:secret-word@127.0.0.1:1"]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("rtms-gevent status: ")
    assert "secret-word" not in told.err + told.out

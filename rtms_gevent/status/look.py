"""Reads what stores know, without becoming a worker."""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..cluster.overview import StreamInfo, describe
from ..cluster.records import StreamRow, Worker
from ..config import ClusterSettings
from ..errors import ConfigurationError, StoreError

__all__ = ["Look", "Reader", "readers"]

#: Returns the workers that live, and all streams that are known.
_Read = Callable[[], tuple[list[Worker], list[StreamRow]]]


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """What a store has known at one moment."""

    store: str  #: its name, without a password
    workers: tuple[Worker, ...]
    streams: tuple[StreamInfo, ...]
    #: Packets per second of each stream whose owner was heard of twice.
    rates: dict[str, float]


class Reader:
    """Looks into one store, again and again."""

    def __init__(self, name: str, read: _Read, clock: Callable[[], float] = time.monotonic) -> None:
        """Look at nothing yet.

        Args:
            name: Of the store.
            read: See :data:`_Read`; raises StoreError.
            clock: Returns seconds.
        """
        self.name = name
        self._read = read
        self._clock = clock
        self._counted: dict[str, tuple[str, float, int]] = {}  # owner, when, packets

    def look(self) -> Look:
        """Look.

        Raises:
            StoreError: the store cannot be read.
        """
        workers, rows = self._read()
        by_id = {worker.id: worker for worker in workers}
        rates = dict(self._rates(rows))
        streams = tuple(describe(row, by_id) for row in rows)
        return Look(self.name, tuple(workers), streams, rates)

    def _rates(self, rows: list[StreamRow]) -> Iterator[tuple[str, float]]:
        """Yield how fast packets come, between the two times that owners were heard of."""
        now = self._clock()
        before, self._counted = self._counted, {}
        for row in rows:
            if row.owner is None or row.has_ended:
                continue
            said = (row.owner, now - row.silent, row.progress.received)
            first = before.get(row.stream_id, said)
            if first[0] != row.owner:
                first = said
            seconds = said[1] - first[1]
            # Looks may come in between: a worker tells once a second how far it got.
            if seconds > 0.2:
                yield row.stream_id, max(0, said[2] - first[2]) / seconds
            self._counted[row.stream_id] = said if seconds > 0.2 else first


def readers(url: str, namespace: str | None = None) -> list[Reader]:
    """Return one for each group of workers that share a store.

    Args:
        url: As ``RTMS_STORE``; ``auto`` is ``local``.
        namespace: The group, see :class:`.ClusterSettings`; ``None`` is all that are found.

    Raises:
        ConfigurationError: the address is not usable, or nothing can be seen from outside.
        MissingExtra: the store needs a package that is not installed.
        StoreError: the store cannot be read.
    """
    settings = ClusterSettings(store="local" if url == "auto" else url)
    scheme = settings.store.partition("://")[0]
    if scheme == "memory":
        raise ConfigurationError(
            "what workers keep in memory is not seen from outside: name the store that they share "
            "with --store or RTMS_STORE"
        )
    if scheme == "local":
        return _local_readers(settings, namespace)
    return _redis_readers(url, namespace, settings.lease)


def _local_readers(settings: ClusterSettings, namespace: str | None) -> list[Reader]:
    from ..cluster.local_directory import LocalDirectory
    from ..cluster.opening import directory_of

    if namespace is not None:
        found = [directory_of(dataclasses.replace(settings, namespace=namespace))]
    else:
        parent = directory_of(settings).parent
        try:
            found = sorted(
                path for path in parent.iterdir() if LocalDirectory(path).database.exists()
            )
        except FileNotFoundError:
            found = []
        except OSError as problem:
            raise StoreError(f"local:{parent} cannot be read: {problem}") from problem
    return [Reader(f"local:{path}", _local(path, settings.lease)) for path in found]


def _local(path: Path, lease: float) -> _Read:
    from ..cluster.local_database import LocalDatabase
    from ..cluster.local_directory import LocalDirectory
    from ..cluster.local_steps import LocalSteps

    directory = LocalDirectory(path)

    def read() -> tuple[list[Worker], list[StreamRow]]:
        try:
            if not directory.database.exists():  # or it would be made
                return [], []
            database = LocalDatabase(directory.database)
            try:
                steps = LocalSteps(
                    database.connection, "", lease, time.monotonic, directory.has_died
                )
                return database.read(lambda: (steps.workers(), steps.streams()))
            finally:
                database.close()
        except (sqlite3.Error, OSError) as problem:
            raise StoreError(f"local:{path} cannot be read: {problem}") from problem

    return read


def _redis_readers(url: str, namespace: str | None, lease: float) -> list[Reader]:
    from ..cluster.redis_store import RedisStore

    def reader(name: str) -> Reader:
        store = RedisStore(url, name, lease)
        return Reader(f"{store.name}, {name}", lambda: (store.workers(), store.streams()))

    return [reader(name) for name in ([namespace] if namespace else _namespaces_in(url))]


def _namespaces_in(url: str) -> list[str]:
    """Return all groups of workers that a Redis knows; of a Redis Cluster, one node's."""
    from ..cluster.redis_connection import RedisClient, RedisServers

    client, cursor = RedisClient(RedisServers(url)), b"0"
    found: set[str] = set()
    try:
        while True:
            cursor, keys = client.execute("SCAN", cursor, "MATCH", "{rtms:*}:seen", "COUNT", 1000)
            found.update(key.decode()[len("{rtms:") : -len("}:seen")] for key in keys)
            if cursor == b"0":
                return sorted(found)
    finally:
        client.close()
